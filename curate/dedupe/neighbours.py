"""All pairs of 64-bit hashes within a Hamming radius: exact, in numpy, on one thread.

The search goes band by band (see `curate.dedupe.bands`). For each band a table has one slot
for each value of the band's bits and holds the whole hash of the first item there. For each
mask of few flipped bits, the table is compared with itself, shifted by the mask: a stream of
xor, count and compare without a single look-up. Items that found their slot taken (a fifth at
the usual load) are looked up one by one, and among each other through their slot's list. Each
mask is used in one direction only, and a pair that several bands would find is given by the
first.

The table is kept so that a group of bits which the mask does not touch is innermost: rows of
that many hashes then move as a whole. Memory is bounded by the table and by blocks of fixed
size, also when hashes crowd in a few slots; equal hashes are searched once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from curate.dedupe.bands import Band, choose_bands

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

BLOCK = 1 << 15
"""Hashes compared in one go."""
CACHED = 1 << 16
"""Hashes that a core's own cache holds."""
LOOKED_UP = 1 << 14
"""Further items looked up with one mask after the other, for the same reason."""
MASKS_A_BLOCK = 64
"""Masks after which the items in crowded slots are compared."""
PAIRS_A_BLOCK = 1 << 20
"""Bound of the pairs in one block of results."""
_BRUTE_PAIRS = 1 << 31
"""Up to so many comparisons, `pairs_between` compares everything with everything."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Some pairs; all arrays have the same length."""

    left: Ints
    """Place of one hash."""
    right: Ints
    """Place of the other."""
    distance: Bytes
    """Bits in which they differ."""

    def take(self, chosen: NDArray[np.bool_]) -> Pairs:
        """Return some of them."""
        return Pairs(self.left[chosen], self.right[chosen], self.distance[chosen])


def pairs_within(hashes: Hashes, radius: int) -> Iterator[Pairs]:
    """Find all pairs of hashes that differ in at most `radius` bits.

    Args:
        hashes: n hashes, uint64, in any order, equal ones allowed.
        radius: largest distance, 0-64.

    Yields:
        Blocks of pairs with `left < right`, each pair once, in no particular order.
    """
    hashes = np.ascontiguousarray(hashes, dtype=np.uint64)
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(order)])
    counts = np.diff(starts, append=len(order))
    for block in _equal(starts, counts):
        yield _placed(block, order)
    for block in _distinct(ordered[starts], radius):
        if len(starts) == len(order):
            yield _placed(block, order)
            continue
        for every in _expanded(block, starts, counts):
            yield _placed(every, order)


def pairs_between(new: Hashes, old: Hashes, radius: int) -> Iterator[Pairs]:
    """Find all pairs of one hash of each side that differ in at most `radius` bits.

    Args:
        new: hashes of one side; cheapest if these are few.
        old: hashes of the other side.
        radius: largest distance, 0-64.

    Yields:
        Blocks of pairs, `left` a place in `new`, `right` a place in `old`; each pair once.
    """
    new = np.ascontiguousarray(new, dtype=np.uint64)
    old = np.ascontiguousarray(old, dtype=np.uint64)
    if len(new) * len(old) <= _BRUTE_PAIRS:
        yield from _compared(new, old, radius)
        return
    for block in pairs_within(np.concatenate([new, old]), radius):
        crossing = (block.left < len(new)) & (block.right >= len(new))
        if crossing.any():
            yield Pairs(
                block.left[crossing],
                block.right[crossing] - len(new),
                block.distance[crossing],
            )


def _compared(new: Hashes, old: Hashes, radius: int) -> Iterator[Pairs]:
    """Compare everything with everything, in blocks that stay in the cache."""
    height = max(1, BLOCK // max(1, len(old)))
    for top in range(0, len(new), height):
        rows = new[top : top + height, None]
        for start in range(0, len(old), BLOCK):
            distance = np.bitwise_count(rows ^ old[None, start : start + BLOCK])
            near = np.flatnonzero(distance <= radius)
            if len(near):
                left, right = np.divmod(near, distance.shape[1])
                yield Pairs(left + top, right + start, distance.ravel()[near])


def _compared_within(hashes: Hashes, radius: int) -> Iterator[Pairs]:
    side = 1 << 8
    for top in range(0, len(hashes), side):
        rows = hashes[top : top + side]
        for block in _compared(rows, hashes[top:], radius):
            later = block.right > block.left
            if later.any():
                yield Pairs(
                    block.left[later] + top, block.right[later] + top, block.distance[later]
                )


def _distinct(hashes: Hashes, radius: int) -> Iterator[Pairs]:
    """Search distinct, sorted hashes."""
    if radius < 1 or len(hashes) < 2:
        return
    bands = choose_bands(len(hashes), radius)
    if not bands:
        yield from _compared_within(hashes, radius)
        return
    for number, band in enumerate(bands):
        for left, right in _in_band(hashes, band, radius):
            both = hashes[left] ^ hashes[right]
            first = np.ones(len(both), dtype=np.bool_)
            for earlier in bands[:number]:
                first &= np.bitwise_count(_bits(both, earlier)) > earlier.flips
            if first.any():
                low, high = np.minimum(left, right)[first], np.maximum(left, right)[first]
                yield Pairs(low, high, np.bitwise_count(both[first]))


def _bits(hashes: Hashes, band: Band) -> Hashes:
    bits: Hashes = (hashes >> np.uint64(band.shift)) & np.uint64((1 << band.width) - 1)
    return bits


@dataclass(frozen=True, slots=True)
class _Table:
    """The hashes by the value of one band."""

    band: Band
    order: Ints
    """Place of each item, items ordered by their value."""
    first: NDArray[np.int32]
    """By slot: the item whose hash stands in `hashes`; -1 where there is none."""
    hashes: Hashes
    """By slot: the hash of that item, or a filler far from everything that meets it."""
    more: Hashes
    """Hashes of the further items, ordered by slot."""
    more_items: Ints
    """Which items they are."""
    more_slots: Ints
    """Their slots."""
    more_starts: NDArray[np.int32]
    """By slot: where its further items begin; one more entry for the end."""
    crowded: NDArray[np.bool_]
    """By slot: whether it has further items."""


def _table(hashes: Hashes, band: Band) -> _Table:
    slots = _bits(hashes, band).astype(np.int64)
    order = np.argsort(slots)
    slots, ordered = slots[order], hashes[order]
    is_first = np.concatenate([[True], slots[1:] != slots[:-1]])
    n_slots = 1 << band.width
    every = np.arange(n_slots, dtype=np.uint64)
    # A filler has the complement of its slot's bits, so it is far from all items that meet
    # it, and scattered other bits, so that few fillers are near each other.
    filled = every * np.uint64(0x9E3779B97F4A7C15)
    filled ^= filled >> np.uint64(29)
    keep = ~np.uint64(((1 << band.width) - 1) << band.shift)
    filled &= keep
    filled |= (every ^ np.uint64(n_slots - 1)) << np.uint64(band.shift)
    filled[slots[is_first]] = ordered[is_first]
    first = np.full(n_slots, -1, dtype=np.int32)
    first[slots[is_first]] = np.flatnonzero(is_first)
    more_items = np.flatnonzero(~is_first)
    more_slots = slots[more_items]
    crowded = np.zeros(n_slots, dtype=np.bool_)
    crowded[more_slots] = True
    starts = np.zeros(n_slots + 1, dtype=np.int32)
    np.cumsum(np.bincount(more_slots, minlength=n_slots), out=starts[1:])
    return _Table(
        band, order, first, filled, ordered[more_items], more_items, more_slots, starts, crowded
    )


def _in_band(hashes: Hashes, band: Band, radius: int) -> Iterator[tuple[Ints, Ints]]:
    """Yield pairs near in the whole hash and within the band's flips; each pair once."""
    table = _table(hashes, band)
    masks = _masks(band)
    for left, right in _streamed(table, masks, radius):
        yield table.order[left], table.order[right]
    if not len(table.more):
        return
    for left, right in _further(table, masks, radius):
        yield table.order[left], table.order[right]


def _masks(band: Band) -> list[int]:
    return sorted(
        sum(1 << bit for bit in bits)
        for flips in range(band.flips + 1)
        for bits in combinations(range(band.width), flips)
    )


def _streamed(table: _Table, masks: list[int], radius: int) -> Iterator[tuple[Ints, Ints]]:
    """Compare first items with first items: the table with itself, shifted by each mask."""
    width, n_groups = table.band.width, table.band.flips + 1
    edges = [number * width // n_groups for number in range(n_groups + 1)]
    for low, high in pairwise(edges):
        inner = ((1 << (high - low)) - 1) << low
        untouched = [mask for mask in masks if mask and not mask & inner]
        masks = [mask for mask in masks if mask & inner]
        shape = (1 << (width - high), 1 << (high - low), 1 << low)
        turned = table.hashes.reshape(shape).transpose(0, 2, 1)
        rows = np.ascontiguousarray(turned).reshape(-1, shape[1])
        for left, right, column in _near_rows(
            rows, [_closed(m, low, high) for m in untouched], radius
        ):
            items = tuple(
                table.first[(row >> low << high) | (column << low) | (row & ((1 << low) - 1))]
                for row in (left, right)
            )
            real = (items[0] >= 0) & (items[1] >= 0)
            if real.any():
                yield items[0][real].astype(np.int64), items[1][real].astype(np.int64)


def _closed(mask: int, low: int, high: int) -> int:
    """Take the (unset) bits from `low` to before `high` out of a mask."""
    return (mask >> high << low) | (mask & ((1 << low) - 1))


def _near_rows(rows: Hashes, masks: list[int], radius: int) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Compare each row with the rows whose numbers differ by a mask, element by element.

    Runs of rows are taken one after the other, with all masks in ascending order: the few
    runs that they meet then stay in the cache.
    """
    n_rows, length = rows.shape
    run = min(n_rows, max(1, CACHED // length))
    height = max(1, BLOCK // length)
    ours, theirs = np.empty((2, height, length), dtype=np.uint64)
    distance = np.empty((height, length), dtype=np.uint8)
    for first in range(0, n_rows, run):
        every = np.arange(first, first + run)
        for mask in masks:
            # Of the two directions, the one from the row without the mask's highest bit.
            numbers = every[(every & (1 << (mask.bit_length() - 1))) == 0]
            for start in range(0, len(numbers), height):
                left = numbers[start : start + height]
                n = len(left)
                np.take(rows, left, axis=0, out=ours[:n], mode="clip")
                np.take(rows, left ^ mask, axis=0, out=theirs[:n], mode="clip")
                np.bitwise_xor(ours[:n], theirs[:n], out=ours[:n])
                np.bitwise_count(ours[:n], out=distance[:n])
                near = np.flatnonzero(distance[:n] <= radius)
                if len(near):
                    row, column = np.divmod(near, length)
                    yield left[row], left[row] ^ mask, column


def _further(table: _Table, masks: list[int], radius: int) -> Iterator[tuple[Ints, Ints]]:
    """Compare further items with all items of the slots that each mask leads to."""
    n = LOOKED_UP
    slots = np.empty(n, dtype=np.int64)
    both = np.empty(n, dtype=np.uint64)
    distance = np.empty(n, dtype=np.uint8)
    crowded = np.empty(n, dtype=np.bool_)
    for start in range(0, len(table.more), LOOKED_UP):
        own = table.more_slots[start : start + LOOKED_UP]
        n = len(own)
        waiting: list[Ints] = []
        since = 0
        for number, mask in enumerate(masks):
            np.bitwise_xor(own, mask, out=slots[:n])
            np.take(table.hashes, slots[:n], out=both[:n], mode="clip")
            np.bitwise_xor(both[:n], table.more[start : start + n], out=both[:n])
            np.bitwise_count(both[:n], out=distance[:n])
            near = np.flatnonzero(distance[:n] <= radius)
            if len(near):
                yield table.more_items[near + start], table.first[slots[near]].astype(np.int64)
            np.take(table.crowded, slots[:n], out=crowded[:n], mode="clip")
            waiting.append(np.flatnonzero(crowded[:n]))
            if len(waiting) == MASKS_A_BLOCK or number == len(masks) - 1:
                yield from _met(table, start, waiting, masks[since : number + 1], radius)
                waiting, since = [], number + 1


def _met(
    table: _Table, start: int, meeting: list[Ints], masks: list[int], radius: int
) -> Iterator[tuple[Ints, Ints]]:
    """Compare further items with the further items of the slots that the masks lead to.

    Args:
        table: the table.
        start: place of the first of the items looked at.
        meeting: for each mask, which of those items meet further items.
        masks: the masks.
        radius: largest distance.
    """
    items = np.concatenate(meeting) + start
    mask = np.repeat(masks, [len(each) for each in meeting])
    top = np.repeat([1 << each.bit_length() >> 1 for each in masks], [len(e) for e in meeting])
    slots = table.more_slots[items]
    # Of the two directions, the one from the slot without the mask's highest bit.
    once = np.flatnonzero((slots & top) == 0)
    items, mask = items[once], mask[once]
    slots = slots[once] ^ mask
    # Within one slot, an item meets those that come later.
    begin = np.where(mask == 0, items + 1, table.more_starts[slots])
    for left, right in _ranges(items, begin, table.more_starts[slots + 1]):
        near = np.bitwise_count(table.more[left] ^ table.more[right]) <= radius
        if near.any():
            yield table.more_items[left[near]], table.more_items[right[near]]


def _ranges(left: Ints, begin: Ints, end: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Pair each `left` with every number from its `begin` up to before its `end`, in blocks."""
    lengths = np.maximum(end - begin, 0)
    upto = np.cumsum(lengths)
    total = int(upto[-1]) if len(upto) else 0
    for low in range(0, total, PAIRS_A_BLOCK):
        numbers = np.arange(low, min(low + PAIRS_A_BLOCK, total))
        owner = np.searchsorted(upto, numbers, side="right")
        yield left[owner], begin[owner] + numbers - (upto[owner] - lengths[owner])


def _equal(starts: Ints, counts: Ints) -> Iterator[Pairs]:
    """Pair the members of each run of equal hashes."""
    runs = np.flatnonzero(counts > 1)
    ends = np.repeat(starts[runs] + counts[runs], counts[runs])
    members = np.concatenate([np.zeros(0, np.int64), *_spans(starts[runs], counts[runs])])
    for left, right in _ranges(members, members + 1, ends):
        yield Pairs(left, right, np.zeros(len(left), dtype=np.uint8))


def _spans(starts: Ints, counts: Ints) -> Iterator[Ints]:
    if len(starts):
        before = np.cumsum(counts) - counts
        yield np.arange(int(counts.sum())) + np.repeat(starts - before, counts)


def _expanded(block: Pairs, starts: Ints, counts: Ints) -> Iterator[Pairs]:
    """Replace each distinct hash by all that equal it."""
    n_left = counts[block.left]
    pair = np.repeat(np.arange(len(n_left)), n_left)
    inside = np.arange(len(pair)) - np.repeat(np.cumsum(n_left) - n_left, n_left)
    left = starts[block.left[pair]] + inside
    begin = starts[block.right[pair]]
    numbers = np.arange(len(left))
    for number, right in _ranges(numbers, begin, begin + counts[block.right[pair]]):
        yield Pairs(left[number], right, block.distance[pair[number]])


def _placed(block: Pairs, order: Ints) -> Pairs:
    """Turn places in the sorted hashes into places in the hashes as given."""
    left, right = order[block.left], order[block.right]
    return Pairs(np.minimum(left, right), np.maximum(left, right), block.distance)
