"""The groups of near-duplicates as a page shows them: pictures, distances, and why one is kept.

Bounded on purpose: the largest groups, and of each the first few members, so that a page
stays some megabytes whatever the project holds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from curate.catalog.database import Database
from curate.catalog.groups import Member
from curate.catalog.members import Seen, largest_groups, seen_members
from curate.config import DedupeSettings
from curate.dedupe.keepers import behind
from curate.dedupe.turns import turned64, turns_of
from curate.report.facts import Copy, CopyGroup, Thumb
from curate.report.thumbs import make_thumb
from curate.store import Store

GROUPS = 100
COPIES = 8
"""Members shown of each group."""


def side_by_side(
    db: Database,
    store: Store,
    settings: DedupeSettings,
    *,
    n_groups: int = GROUPS,
    links: bool = True,
) -> tuple[tuple[CopyGroup, ...], int]:
    """Return the largest groups for a page, and how many there are in all.

    Args:
        db: the catalog, after a search.
        store: where the pictures are.
        settings: invariance, for distances, and the order of keepers.
        n_groups: groups to return at most.
        links: link pictures to where they came from.
    """
    sizes, total = largest_groups(db, n_groups)
    shown = []
    for size in sizes:
        members = seen_members(db, size, COPIES)
        copies = tuple(_copy(each, members[0], store, settings, links) for each in members)
        shown.append(CopyGroup(copies, size.n))
    return tuple(shown), total


def distance(one: Member, other: Member, settings: DedupeSettings) -> int:
    """Return in how many bits two short hashes differ, in the turn that brings them nearest."""
    phash = np.array([one.phash], dtype=np.uint64)
    turns = (0, *turns_of(settings.invariant))
    return min(int(turned64(phash, turn)[0] ^ np.uint64(other.phash)).bit_count() for turn in turns)


def _copy(seen: Seen, first: Seen, store: Store, settings: DedupeSettings, links: bool) -> Copy:
    image = seen.member
    path = store.path(image.image_id, seen.format)
    size = f"{seen.width_px}×{seen.height_px}, {image.n_bytes / 1024:,.0f} kB"  # noqa: RUF001 - a cross, not an x
    return Copy(
        image_id=image.image_id,
        thumb=_thumb(path, f"{seen.source}: {seen.url}", seen.url if links else ""),
        facts=f"{size}, {image.license or 'no licence'}, {seen.source}",
        distance=None if seen is first else distance(image, first.member, settings),
        verdict=_verdict(seen, first, settings),
        is_kept=image.excluded is None,
    )


def _verdict(seen: Seen, first: Seen, settings: DedupeSettings) -> str:
    image = seen.member
    if image.excluded is not None and not seen.left_out:
        return f"left out: {image.excluded}"
    if image.image_id == first.member.image_id:
        return "kept"
    if image.included:
        return "kept: included by hand"
    why = behind(image, first.member, settings.keep)
    return f"left out: {why}" if image.excluded else f"kept too: {why}, but brought back"


def _thumb(path: Path, title: str, link: str) -> Thumb | None:
    try:
        return make_thumb(path, title, link)
    except OSError:
        return None  # the file is missing or damaged: `curate verify` tells
