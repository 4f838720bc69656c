"""The whole road against the sample source: fetch, dedupe, balance, verify, report, compare.

The steps are the public ones of `Project`; nothing here knows more than a user does, but
the comparison at the end. The server runs in a thread of this process, so its painting of
pictures is part of the time that the demo takes.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.carriers.checking import VerifyResult
from curate.carriers.fetching import FetchResult
from curate.carriers.finding import FetchRequest
from curate.demo.options import SampleOptions
from curate.demo.server import SampleServer
from curate.demo.truth import Truth, compare
from curate.errors import UsageError
from curate.progress import Progress, silent
from curate.project import Project
from curate.report.facts import MissingRow, ReportFacts, Thumb, missing_rows

if TYPE_CHECKING:
    from curate.dedupe.search import DedupeResult
    from curate.pack.result import PackResult

MARKER = ".curate-demo"
"""A file that only a demo's folder has: without it, a folder is never deleted."""
REPORT = "report.html"
QUERIES = ("beach", "city", "sunset", "trees")
SPECIES = ("Quercus robur", "Columba livia", "Larus argentatus")
PER_CLASS = 60
PER_SPECIES = 25
SIDE_PX = 256
THUMBS = 12
OPTIONS = SampleOptions(limited_photos=6, placeholder_share=0.03)
"""Enough of each fault for it to be seen."""
PLACEHOLDER_URLS = 5
"""So few photos hold few stand-ins; they are known by fewer URLs than among thousands."""
_NOTES = (
    "All pictures here are drawn by the sample source on this machine; nothing came from "
    "the internet. Photographers, species records and licences are made up.",
    "Labels are the search words and species names under which images were found: nobody "
    "has looked at them.",
)


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the road, about to be run."""

    command: str
    """What a person would type."""
    why: str
    """One sentence."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo left and found."""

    folder: Path
    """The project folder."""
    report: Path
    """The report page."""
    fetched: FetchResult
    """Where everything stands."""
    downloads: int
    """Requests for pictures, retries included."""
    deduped: DedupeResult
    """Near-duplicates found and left out."""
    verified: VerifyResult
    """What checking every image and manifest found."""
    packed: PackResult
    """The manifest."""
    missing: tuple[MissingRow, ...]
    """Why candidates have no image."""
    truth: Truth
    """The comparison with what the server knows."""
    seconds: float
    """How long it took."""


def run_demo(
    folder: Path,
    *,
    options: SampleOptions = OPTIONS,
    per_class: int = PER_CLASS,
    per_species: int = PER_SPECIES,
    tell: Callable[[Step], None] = lambda _step: None,
    notify: Callable[[str], None] = lambda _text: None,
    progress: Progress = silent,
) -> DemoResult:
    """Go the whole road in `folder`, which is made anew.

    Args:
        folder: deleted first if an earlier demo made it.
        options: how the sample source behaves.
        per_class: images for each query.
        per_species: images for each species.
        tell: told of each step before it begins.
        notify: told what a person should know.
        progress: told of long work.

    Raises:
        UsageError: the folder is there, and not a demo's.
    """
    began = time.monotonic()
    _make_anew(folder)
    with SampleServer(options) as server:
        environ = {
            "UNSPLASH_ACCESS_KEY": server.key,
            "CURATE_UNSPLASH_URL": server.unsplash_url,
            "CURATE_GBIF_URL": server.gbif_url,
        }
        flags: dict[str, Any] = {
            "fetch.side_px": SIDE_PX,
            "fetch.allow_hosts": ("127.0.0.1",),
            "fetch.backoff_s": 0.25,
            "fetch.placeholder_urls": PLACEHOLDER_URLS,
        }
        with Project(
            folder, flags=flags, environ=environ, notify=notify, progress=progress
        ) as project:
            return _road(project, server, per_class, per_species, tell, began)


def _road(
    project: Project,
    server: SampleServer,
    per_class: int,
    per_species: int,
    tell: Callable[[Step], None],
    began: float,
) -> DemoResult:
    search, species, dedupe, balance, verify = steps(per_class, per_species)
    tell(search)
    first = project.fetch(FetchRequest(queries=QUERIES, per_class=per_class))
    tell(species)
    fetched = project.fetch(FetchRequest("gbif", SPECIES, per_class=per_species))
    tell(dedupe)
    deduped = project.duplicates.search()
    tell(balance)
    packed = project.balance()
    tell(verify)
    verified = project.verify()
    report = _write_report(project, packed)
    return DemoResult(
        folder=project.folder,
        report=report,
        fetched=fetched,
        downloads=first.tried + fetched.tried,
        deduped=deduped,
        verified=verified,
        packed=packed,
        missing=missing_rows(project.db),
        truth=compare(project.db, server),
        seconds=time.monotonic() - began,
    )


def steps(per_class: int = PER_CLASS, per_species: int = PER_SPECIES) -> tuple[Step, ...]:
    """Return the road: two searches, near-duplicates, the manifest, the check."""
    return (
        _fetch_step(QUERIES, per_class),
        _fetch_step(SPECIES, per_species, "gbif"),
        Step("curate dedupe", "Find the same photo in other bytes, and keep the best of each."),
        Step("curate balance", "Take what is there, split it without leaks, write a manifest."),
        Step("curate verify", "Read everything again: is each byte what it was?"),
    )


def _fetch_step(queries: tuple[str, ...], per_class: int, source: str = "") -> Step:
    words = " ".join(f"--query '{q}'" if " " in q else f"--query {q}" for q in queries)
    named = f"--source {source} " if source else ""
    command = f"curate fetch {named}{words} --per-class {per_class} --side {SIDE_PX}"
    where = "GBIF's" if source else "Unsplash's"
    why = f"Search {where} API until every class has {per_class} valid, distinct images."
    return Step(command, why)


def _write_report(project: Project, packed: PackResult) -> Path:
    from curate.pack.manifest import read_manifest
    from curate.report.collect import collect
    from curate.report.summary import write_report

    assert packed.path is not None
    manifest = read_manifest(packed.path)
    columns = ["image_id", "path", "labels", "author", "license", "page_url", "split"]
    rows = manifest.table(columns=columns).to_pylist()
    facts: ReportFacts = collect(
        project.db,
        manifest.version,
        manifest.info,
        title="The demo dataset",
        lead="Photos of four scenes and three species, fetched from a sample source that has "
        "dead links, broken files, duplicates and rate limits like the real ones.",
        leaks=packed.leaks,
        copies=project.duplicates.side_by_side(links=False),
        sheets={name: _sheet(project.folder, rows, name) for name in manifest.info["classes"]},
        notes=_NOTES,
    )
    return write_report(project.folder / REPORT, facts)


def _sheet(folder: Path, rows: list[dict[str, Any]], name: str) -> tuple[Thumb, ...]:
    from curate.report.thumbs import make_thumb

    chosen = sorted(
        (row for row in rows if name in row["labels"]), key=lambda row: str(row["image_id"])
    )
    # No links: the server is gone by the time anybody looks.
    return tuple(
        make_thumb(
            folder / row["path"],
            f"{', '.join(row['labels'])}: {row['author'] or 'unknown'}, "
            f"{row['license'] or 'no licence'}, {row['split']}",
        )
        for row in chosen[:THUMBS]
    )


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds something which no demo has made.

    Raises:
        UsageError: that is so, or it is no folder.
    """
    hint = "give another one with --keep DIR"
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"{folder} is not a folder", hint)
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise UsageError(f"{folder} is there, and no demo made it", hint)


def _make_anew(folder: Path) -> None:
    check_folder(folder)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    text = "Made by `curate demo`, which may delete this folder.\n"
    (folder / MARKER).write_text(text, encoding="utf-8")
