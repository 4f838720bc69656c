"""Finds near-duplicates among a project's images: new ones against all, old ones not again.

The 64-bit hashes give candidates, the 256-bit hashes of the same decode confirm them. Flat
and near-blank images are left out: their hashes are noise, or all alike. Of the pairs, as
many are kept in the catalog as hold the groups together (`curate.dedupe.forest`), so a crowd
of copies takes memory by its size, not by its square. Groups, keepers and exclusions follow
from hashes and decisions (`curate.dedupe.grouping`) and are made anew for whatever is linked
to something that changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.catalog import groups
from curate.catalog.database import Database
from curate.catalog.groups import Member, Place, Print
from curate.config import DedupeSettings
from curate.dedupe.cache import HashCache, Hashes, hashes_of, joined
from curate.dedupe.forest import Forest
from curate.dedupe.grouping import Near, group
from curate.dedupe.keepers import ranks
from curate.dedupe.neighbours import Pairs, pairs_between, pairs_within
from curate.dedupe.turns import turned64, turned256, turns_of
from curate.progress import Progress, silent

MIN_BITS_SET = 12
"""A hash with fewer bits set was made of frequencies that are mostly not there."""

FEW_PAIRS = 1 << 10
"""Up to so many pairs are confirmed without asking whether they are wanted."""

Link = tuple[int, int, int, int]
"""Places of two images, and the distances of their hashes."""
Row = tuple[str, str, int, int]
"""Ids of two images, smaller first, and the distances of their hashes."""


@dataclass(frozen=True, slots=True)
class DedupeResult:
    """What a search found and did; all numbers are of the whole project, but the last four."""

    groups: int
    """Groups of two images or more."""
    excluded: int
    """Images left out for the keeper of their group."""
    pairs: int
    """Pairs that hold the groups together: one fewer than images in each set of linked ones."""
    largest_group: int
    """Images in the largest group."""
    split_chains: int
    """Cuts through sets of linked images: ends too far apart, or declared different."""
    compared: int
    """Images that this run compared with all others."""
    flat: int
    """Images among them that were not compared: too flat for a hash."""
    newly_excluded: int
    """Images that this run left out."""
    brought_back: int
    """Images that this run brought back: their keeper is gone, or is another one."""

    def to_json(self) -> dict[str, Any]:
        """Return the document that `curate dedupe --json` prints."""
        return {name: getattr(self, name) for name in self.__slots__}


class _DryRunError(Exception):
    """Leaves the transaction without its changes."""


def dedupe(
    db: Database,
    folder: Path,
    settings: DedupeSettings,
    *,
    dry_run: bool = False,
    progress: Progress = silent,
) -> DedupeResult:
    """Search, group, and exclude all but the keeper of each group.

    Args:
        db: the catalog.
        folder: the project folder, for the cache of hashes.
        settings: radius, confirmation, invariance, and the order of keepers.
        dry_run: find out what would be done, write nothing.
        progress: told of the stages.

    Raises:
        UsageError: settings that cannot be used.
        CatalogError, StoreError: the catalog or the cache cannot be written.
    """
    ranks([], settings.keep)  # refuses unknown words before anything is searched
    made = _made_with(settings)
    waiting = groups.queue(db)
    anew = groups.read_state(db, "settings") != made
    cache = HashCache(folder, None if anew else groups.read_state(db, "cache"))
    known, fresh, stale = _read(db, cache, waiting, settings, anew=anew)
    new = hashes_of([each for each in fresh if not is_flat(each, settings)])
    progress("dedupe", 0, len(new))
    found = _search(db, new, known, settings)
    progress("dedupe", len(new), len(new))
    try:
        with db.transaction():
            changed = _record(db, settings, waiting, found, anew=anew)
            if not dry_run and (stale or len(new)):
                token = cache.write(joined([known, new])) if stale else cache.add(known, new)
                groups.write_state(db, "cache", token)
            groups.write_state(db, "settings", made)
            groups.write_state(db, "keep", json.dumps(settings.keep))
            groups.clear_queue(db)
            counted = groups.totals(db)
            if dry_run:
                raise _DryRunError
    except _DryRunError:
        pass
    return DedupeResult(
        counted.groups,
        counted.excluded,
        counted.pairs,
        counted.largest_group,
        counted.split_chains,
        compared=len(new),
        flat=len(fresh) - len(new),
        newly_excluded=changed[0],
        brought_back=changed[1],
    )


def _made_with(settings: DedupeSettings) -> str:
    """Return what decides which images are alike: where it changes, all are compared anew."""
    return json.dumps(
        [
            settings.radius,
            settings.confirm,
            turns_of(settings.invariant),
            settings.min_contrast,
            settings.min_entropy,
        ]
    )


def is_flat(image: Print, settings: DedupeSettings) -> bool:
    """Return whether an image shows too little for its hash to mean anything."""
    return (
        image.contrast < settings.min_contrast
        or image.entropy < settings.min_entropy
        or image.phash.bit_count() < MIN_BITS_SET
    )


def confirmed(
    new: Hashes,
    old: Hashes | None,
    settings: DedupeSettings,
    wanted: Callable[[Pairs], NDArray[np.bool_]] | None = None,
) -> Iterator[tuple[Pairs, NDArray[np.int64]]]:
    """Find pairs by the 64-bit hashes and confirm them by the 256-bit ones.

    Args:
        new: one side.
        old: the other side; None: pairs within `new`.
        settings: radius, confirmation, invariance.
        wanted: says which pairs of a large block are worth confirming; all by default.

    Yields:
        Blocks of pairs (places in `new` and in `old`) and their 256-bit distances. A pair may
        come several times, once for each turn that brings it near; a turned image may even
        be near itself.
    """
    for turn in (0, *turns_of(settings.invariant)):
        phash, phash256 = turned64(new.phash, turn), turned256(new.phash256, turn)
        other = new if old is None else old
        if old is None and not turn:
            blocks = pairs_within(phash, settings.radius)
        else:
            blocks = pairs_between(phash, other.phash, settings.radius)
        for every in blocks:
            crowded = wanted is not None and len(every.left) > FEW_PAIRS
            block = every.take(wanted(every)) if wanted and crowded else every
            both = phash256[block.left] ^ other.phash256[block.right]
            distance = np.bitwise_count(both).sum(axis=1, dtype=np.int64)
            good = distance <= settings.confirm
            if good.any():
                yield block.take(good), distance[good]


def _read(
    db: Database,
    cache: HashCache,
    waiting: groups.Queue,
    settings: DedupeSettings,
    *,
    anew: bool,
) -> tuple[Hashes, list[Print], bool]:
    """Return the hashes compared already, the images that are not, and if the cache is stale."""
    if anew:
        every = [each for page in groups.prints(db, compared=False) for each in page]
        return hashes_of([]), every, True
    known = cache.load()
    if known is None:
        pages = groups.prints(db, compared=True)
        telling = ([each for each in page if not is_flat(each, settings)] for page in pages)
        return joined(hashes_of(page) for page in telling), waiting.added, True
    if not waiting.gone:
        return known, waiting.added, False
    gone = hashes_of([Print(each, 0, bytes(32), 0.0, 0.0) for each in waiting.gone])
    kept = ~np.isin(known.keys(), gone.keys())
    return known.take(kept), waiting.added, True


def _search(db: Database, new: Hashes, known: Hashes, settings: DedupeSettings) -> list[Row]:
    """Compare new images with each other and with the known ones; return pairs that link them."""
    n = len(new)
    forest = Forest(n + len(known))
    links = _links(new, None, settings, forest)
    if n and len(known):
        links += _links(new, known, settings, forest)

    def name(place: int) -> str:
        return new.image_id(place) if place < n else known.image_id(place - n)

    seen = sorted({right for _, right, _, _ in links if right >= n})
    if seen:
        links = _unknown(links, groups.linked_of(db, map(name, seen)), seen, name)
    return [(*sorted((name(a), name(b))), d, further) for a, b, d, further in links]  # type: ignore[misc] # two ids


def _links(new: Hashes, old: Hashes | None, settings: DedupeSettings, forest: Forest) -> list[Link]:
    """Find pairs that join what is apart in the forest; places of `old` come after `new`'s."""
    shift = 0 if old is None else len(new)
    found: list[Link] = []
    for block, distance256 in confirmed(
        new, old, settings, lambda pairs: forest.apart(pairs.left, pairs.right + shift)
    ):
        kept = forest.join(block.left, block.right + shift)
        if not len(kept):
            continue
        rows = (block.left, block.right + shift, block.distance, distance256)
        found += zip(*(each[kept].tolist() for each in rows), strict=True)
    return found


def _unknown(
    links: list[Link], linked: Mapping[str, str], seen: list[int], name: Callable[[int], str]
) -> list[Link]:
    """Leave out what tells nothing: known images may be linked by what is recorded already."""
    first: dict[str, int] = {}
    number = {place: at for at, place in enumerate(seen)}
    for place in seen:
        image_id = name(place)
        number[place] = first.setdefault(linked.get(image_id, image_id), number[place])
    for a, b, _, _ in links:
        number.setdefault(a, len(number))
        number.setdefault(b, len(number))
    ends = [np.array([number[link[side]] for link in links], dtype=np.int64) for side in (0, 1)]
    return [links[place] for place in Forest(len(number)).join(*ends).tolist()]


def _record(
    db: Database, settings: DedupeSettings, waiting: groups.Queue, found: list[Row], *, anew: bool
) -> tuple[int, int]:
    """Write pairs and groups; return how many images were excluded and brought back."""
    groups.forget_pairs(db, None if anew else waiting.gone)
    groups.add_pairs(db, found)
    reordered = groups.read_state(db, "keep") != json.dumps(settings.keep)
    groups.affected(db, everything=anew or reordered)
    if waiting.gone and not anew:
        _mend(db, settings)
    members = groups.affected_members(db)
    places = _grouped(members, groups.affected_pairs(db), groups.affected_not_same(db), settings)
    return groups.replace_places(db, places)


def _mend(db: Database, settings: DedupeSettings) -> None:
    """Link affected images anew: an image that is gone may have been what held them together."""
    prints = [each for each in groups.affected_prints(db) if not is_flat(each, settings)]
    groups.forget_pairs(db, [each.image_id for each in prints])
    groups.add_pairs(db, _search(db, hashes_of(prints), hashes_of([]), settings))


def _grouped(
    members: Sequence[Member],
    pairs: Sequence[tuple[str, str]],
    not_same: Sequence[tuple[str, str]],
    settings: DedupeSettings,
) -> list[Place]:
    """Return the places of all members that have near-duplicates."""
    number = {each.image_id: place for place, each in enumerate(members)}
    phash = np.array([each.phash for each in members], dtype=np.uint64)
    phash256 = np.frombuffer(b"".join(each.phash256 for each in members), np.uint64).reshape(-1, 4)
    variants = np.array([turned64(phash, turn) for turn in (0, *turns_of(settings.invariant))])
    made = group(
        variants,
        ranks(members, settings.keep),
        _numbered(pairs, number),
        2 * settings.radius,
        not_same=[(a, b) for a, b in _numbered(not_same, number).tolist()],
        near=_near(phash, phash256, settings),
    )
    company = np.bincount(made.linked, minlength=len(members))[made.linked]
    return [
        Place(
            member.image_id,
            members[made.linked[place]].image_id,
            members[made.keeper[place]].image_id,
            left_out=bool(made.keeper[place] != place)
            and not member.included
            and member.excluded in (None, groups.NEAR_DUPLICATE),
        )
        for place, member in enumerate(members)
        if company[place] > 1
    ]


def _near(
    phash: NDArray[np.uint64], phash256: NDArray[np.uint64], settings: DedupeSettings
) -> Near:
    """Tell pairs from the hashes themselves, as `confirmed` does."""

    def near(place: int, others: NDArray[np.int64]) -> NDArray[np.bool_]:
        found = np.zeros(len(others), dtype=np.bool_)
        for turn in (0, *turns_of(settings.invariant)):
            short = turned64(phash[place : place + 1], turn) ^ phash[others]
            close = np.flatnonzero(np.bitwise_count(short) <= settings.radius)
            both = turned256(phash256[place : place + 1], turn) ^ phash256[others[close]]
            further = np.bitwise_count(both).sum(axis=1, dtype=np.int64)
            found[close[further <= settings.confirm]] = True
        return found

    return near


def _numbered(pairs: Sequence[tuple[str, str]], number: Mapping[str, int]) -> NDArray[np.int64]:
    rows = [(number[a], number[b]) for a, b in pairs if a in number and b in number]
    return np.array(rows, dtype=np.int64).reshape(-1, 2)
