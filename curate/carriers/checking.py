"""Checks a project: every image against the catalog, every manifest against itself.

`Project.verify` comes here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from curate import config
from curate.carriers.fetching import run
from curate.catalog import candidates
from curate.catalog.database import writer_lock
from curate.catalog.quality import has_damaged
from curate.engine.local import LocalEngine
from curate.errors import PackError
from curate.fetch.check import decoders
from curate.fetch.integrity import Fault, check_store, repair_store
from curate.pack.verify import verify_manifest

if TYPE_CHECKING:
    from curate.carriers.folder import ProjectFolder


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What checking a project found, and what repairing it did."""

    checked: int
    """Images looked at."""
    faults: tuple[Fault, ...]
    """What is wrong, after any repair."""
    unrecorded: int
    """Files of the store that no row knows: left by a kill, harmless."""
    repaired: int
    """Images that were fetched again."""


def verify(project: ProjectFolder, *, repair: bool) -> VerifyResult:
    """Read every image again, and check every manifest. See `Project.verify`."""
    engine = LocalEngine(project.settings.fetch.workers)
    if repair:
        config.tell_trust(project.folder, project.settings, project.notify)
    with writer_lock(project.made(), "verify --repair") if repair else nullcontext():
        found = check_store(project.look(), project.store, engine, project.progress)
        if not repair:
            faults = (*found.faults, *_manifest_faults(project.folder))
            return VerifyResult(found.checked, faults, len(found.unrecorded), 0)
        with decoders(project.store, project.settings.fetch) as pool:
            # Who has taken damaged images gets them back.
            keep_damaged = has_damaged(project.db)
            chosen = partial(
                run, project, pool, wait=True, only=candidates.CHOSEN, keep_damaged=keep_damaged
            )
            n_repaired, left = repair_store(project.db, project.store, found, chosen)
    return VerifyResult(found.checked, (*left, *_manifest_faults(project.folder)), 0, n_repaired)


def _manifest_faults(folder: Path) -> Iterator[Fault]:
    for each in sorted((folder / "manifests").glob("v[0-9]*")):
        name = f"manifests/{each.name}"
        try:
            for fault in verify_manifest(each):
                yield Fault(fault.kind, fault.detail, path=f"{name}/{fault.path}")
        except PackError as error:
            yield Fault("unreadable", error.message, path=name)
