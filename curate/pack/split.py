"""Assign whole groups to train, val and test so that every class keeps its shares.

Groups with several classes come first, then those of one class, the largest first, so that
small ones make up for large ones. In each step, groups with equal contents form a cell, and
every split is dealt its whole share of the cell by seeded keys: for large data this places
nearly everything, in numpy. The few groups left of each cell go one by one to where they are
lacking, by the deficit: share x images of the class - images placed.

The law that this keeps, when every group has one class: in every split a class is off its
share by at most the size of its largest group. A leftover of s images goes to the split with
the largest deficit while one exceeds s, and otherwise to any split with a positive deficit:
so no deficit falls to -s or below, and none stays above s. That freedom is used, in this
order, to give each class a training image, to give it an image in each split that as a whole
lacks s images, and to keep the sizes of the splits exact.

Groups with several classes go to the split that brings the squared deviations of all their
classes lowest, and are moved again while that helps. There the law cannot be promised
(classes pull against each other); the tests measure the deviation.

Decision and numbers: docs/decisions/0004-split.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curate.pack.chance import draw
from curate.pack.groups import Ints
from curate.pack.labels import Labels

Floats = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint64]
_NUDGE = 1e-9
"""Shares are binary fractions: 0.1 x 30 must still floor to 3."""
_MAX_PASSES = 5
"""Passes over the leftovers in search of better places; more bring next to nothing."""


@dataclass(frozen=True, slots=True)
class _Groups:
    """Groups with their contents. A last column counts images of no class."""

    ids: pa.Array
    """Name of each group, ascending."""
    of_row: Ints
    """Group of each row."""
    sizes: Ints
    """Images in each group."""
    starts: Ints
    """Where each group's entries begin in `codes`, with the end after the last."""
    codes: Ints
    """Classes in each group, ascending within it."""
    counts: Ints
    """Images of that class in that group."""
    n_classes: int
    """Columns, the one for images of no class included."""


def assign(
    group_ids: pa.Array,
    labels: Labels,
    shares: tuple[float, ...],
    seed: int,
    fixed: Ints | None = None,
) -> Ints:
    """Choose a split for every row, whole groups at a time.

    Args:
        group_ids: n names; equal names stay together.
        labels: labels of the n rows.
        shares: share of each split, together 1, the first above 0.
        seed: decides which of several equal groups goes where.
        fixed: split that a row has already, the same for all rows of its group; -1: none.

    Returns:
        Number of the split of each row, int64, shape (n,). Independent of the order of rows.
    """
    if labels.n_rows == 0:
        return np.empty(0, dtype=np.int64)
    groups = _gather(group_ids, labels)
    key = draw(groups.ids.to_pylist(), seed, "split")
    plan = _Plan(groups, key, np.asarray(shares))
    n_classes_in = np.diff(groups.starts)
    if fixed is not None:
        plan.place_fixed(fixed)
    plan.place_mixed(np.flatnonzero(n_classes_in > 1))
    plan.place_pure(np.flatnonzero(n_classes_in == 1))
    return plan.split[groups.of_row]


def _gather(group_ids: pa.Array, labels: Labels) -> _Groups:
    """Sum rows to groups."""
    encoded = group_ids.dictionary_encode()
    order = pa.compute.array_sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    of_row = rank[encoded.indices.to_numpy()]
    n_classes = len(labels.classes) + 1
    bare = np.flatnonzero(labels.per_row() == 0)
    pairs = np.concatenate(
        [
            of_row[labels.rows] * n_classes + labels.codes,
            of_row[bare] * n_classes + (n_classes - 1),
        ]
    )
    entries, counts = np.unique(pairs, return_counts=True)
    starts = np.searchsorted(entries, np.arange(len(order) + 1) * n_classes)
    return _Groups(
        ids=encoded.dictionary.take(pa.array(order)),
        of_row=of_row,
        sizes=np.bincount(of_row, minlength=len(order)),
        starts=starts,
        codes=entries % n_classes,
        counts=counts.astype(np.int64),
        n_classes=n_classes,
    )


def _cells(groups: _Groups, chosen: Ints) -> Ints:
    """Number the chosen groups so that those of equal contents have the same number.

    Groups are refined entry by entry: those that agree so far, and in their next (class,
    count) entry, stay together. As many passes as the richest group has classes.
    """
    cell = np.unique(groups.sizes[chosen], return_inverse=True)[1].astype(np.int64)
    starts, lengths = groups.starts[chosen], np.diff(groups.starts)[chosen]
    stride = int(groups.counts.max()) + 1
    for place in range(int(lengths.max())):
        entry = np.full(len(cell), -1, dtype=np.int64)
        has = lengths > place
        at = starts[has] + place
        entry[has] = groups.codes[at] * stride + groups.counts[at]
        kinds, entry = np.unique(entry, return_inverse=True)
        cell = np.unique(cell * len(kinds) + entry, return_inverse=True)[1].astype(np.int64)
    return cell


def _deal(cell: Ints, wanted: Ints, key: Keys) -> Ints:
    """Deal the members of each cell out to the splits, in the order of their keys.

    Args:
        cell: cell of each member, 0 to c-1.
        wanted: how many members of each cell each split gets; shape (c, splits).
        key: decides the order within a cell.

    Returns:
        Split of each member; -1 for those that remain.
    """
    order = np.lexsort((np.arange(len(cell)), key, cell))
    n_members = np.bincount(cell, minlength=len(wanted))
    place = np.arange(len(cell)) - np.repeat(np.cumsum(n_members) - n_members, n_members)
    ends = np.cumsum(wanted, axis=1)[cell[order]]
    dealt = (place[:, None] >= ends).sum(axis=1)
    split = np.empty(len(cell), dtype=np.int64)
    split[order] = np.where(dealt < wanted.shape[1], dealt, -1)
    return split


class _Plan:
    """Which group goes where, and what every split still lacks.

    A weight of 1 / total for each class, and for all images together, makes the sum of
    squared deficits a chi-square distance. Leftovers work on plain lists: each step touches
    a handful of numbers, where numpy's overhead for a call would cost more than the work.
    """

    def __init__(self, groups: _Groups, key: Keys, shares: Floats) -> None:
        self.split: Ints = np.full(len(groups.sizes), -1, dtype=np.int64)
        self._groups = groups
        self._key = key
        self._shares: list[float] = shares.tolist()
        self._allowed = [j for j, share in enumerate(self._shares) if share > 0]
        totals = np.bincount(groups.codes, groups.counts, groups.n_classes)
        n_images = int(groups.sizes.sum())
        self._deficit: list[list[float]] = [(totals * share).tolist() for share in self._shares]
        self._lacking: list[float] = (n_images * shares).tolist()
        self._weight: list[float] = (1 / np.maximum(totals, 1)).tolist()
        self._total_weight = 1 / n_images

    def place_fixed(self, fixed: Ints) -> None:
        """Put groups where their images are already."""
        at = np.full(len(self.split), -1, dtype=np.int64)
        at[self._groups.of_row] = fixed
        chosen = np.flatnonzero(at >= 0)
        self._set_many(chosen, at[chosen])

    def place_mixed(self, chosen: Ints) -> None:
        """Place groups with several classes: whole shares of each cell, then what remains."""
        if not len(chosen):
            return
        cell = _cells(self._groups, chosen)
        is_free = self.split[chosen] < 0
        wanted = self._lacking_of_cells(cell, self.split[chosen])
        free = chosen[is_free]
        self._set_many(free, _deal(cell[is_free], wanted, self._key[free]))
        left = free[self.split[free] < 0]
        order = np.lexsort((left, self._key[left], -self._groups.sizes[left]))
        several = [(group, *self._contents(group)) for group in left[order].tolist()]
        for group, entries, size in several:
            self._set(group, self._in_proportion(entries, size), entries, size)
        for _ in range(_MAX_PASSES):
            if self._improve(several) * 1000 <= len(several):
                return

    def _lacking_of_cells(self, cell: Ints, split: Ints) -> Ints:
        """Count the groups of each cell that each split lacks of its whole share."""
        n_members, n_splits = np.bincount(cell), len(self._shares)
        wanted: Ints = np.floor(n_members[:, None] * np.array(self._shares) + _NUDGE).astype(
            np.int64
        )
        placed = split >= 0
        if not placed.any():
            return wanted
        slots = np.bincount(
            cell[placed] * n_splits + split[placed], minlength=len(n_members) * n_splits
        ).reshape(-1, n_splits)
        lacking = np.maximum(wanted - slots, 0)
        n_free = n_members - slots.sum(axis=1)
        too_many = lacking.sum(axis=1) > n_free
        portion = n_free / np.maximum(lacking.sum(axis=1), 1)
        scaled = np.floor(lacking * portion[:, None] + _NUDGE).astype(np.int64)
        fitted: Ints = np.where(too_many[:, None], scaled, lacking)
        return fitted

    def place_pure(self, chosen: Ints) -> None:
        """Place groups of one class, the largest first, so that small ones make up for them."""
        sizes = self._groups.sizes
        chosen = chosen[self.split[chosen] < 0]
        leftovers: list[int] = []
        for size in np.unique(sizes[chosen])[::-1].tolist():
            members = chosen[sizes[chosen] == size]
            codes, cell = np.unique(
                self._groups.codes[self._groups.starts[members]], return_inverse=True
            )
            lack = np.maximum(np.array(self._deficit)[:, codes].T, 0)
            portion = lack / np.maximum(lack.sum(axis=1, keepdims=True), size)
            wanted = np.floor(np.bincount(cell)[:, None] * portion + _NUDGE).astype(np.int64)
            self._set_many(members, _deal(cell, wanted, self._key[members]))
            remain = self.split[members] < 0
            left, weight = members[remain], np.array(self._weight)[codes[cell[remain]]]
            n_open = (np.array(self._deficit)[:, codes] > _NUDGE).sum(axis=0)[cell[remain]]
            order = np.lexsort((left, self._key[left], cell[remain], weight, n_open))
            for group in left[order].tolist():
                entries, _ = self._contents(group)
                self._set(group, self._for_one_class(entries[0][0], size), entries, size)
                leftovers.append(group)
        self._settle(leftovers[::-1])

    def _settle(self, leftovers: list[int]) -> None:
        """Move groups, smallest first, where that evens out the splits and keeps the law."""
        for group in leftovers:
            entries, size = self._contents(group)
            code, now = entries[0][0], int(self.split[group])
            here = self._deficit[now][code]
            placed = self._shares[now] / self._weight[code] - here
            better = max(self._allowed, key=lambda j: self._lacking[j])
            gain = self._lacking[better] - self._lacking[now] - size
            within = here <= _NUDGE and self._deficit[better][code] >= -_NUDGE
            if gain > _NUDGE and within and placed > size + 0.5:
                self._put(now, entries, size, -1)
                self._set(group, better, entries, size)

    def _set_many(self, chosen: Ints, split: Ints) -> None:
        """Record the splits of many groups at once; -1 leaves a group unplaced."""
        groups = self._groups
        self.split[chosen] = split
        lengths = np.diff(groups.starts)[chosen]
        first = np.repeat(groups.starts[chosen] - np.cumsum(lengths) + lengths, lengths)
        at = first + np.arange(lengths.sum())
        of_entry = np.repeat(split, lengths)
        for j in range(len(self._shares)):
            codes, counts = groups.codes[at[of_entry == j]], groups.counts[at[of_entry == j]]
            placed = np.bincount(codes, counts, groups.n_classes)
            self._deficit[j] = (np.array(self._deficit[j]) - placed).tolist()
            self._lacking[j] -= int(groups.sizes[chosen[split == j]].sum())

    def _contents(self, group: int) -> tuple[list[tuple[int, int]], int]:
        start, end = self._groups.starts[group : group + 2].tolist()
        codes, counts = self._groups.codes[start:end], self._groups.counts[start:end]
        entries = list(zip(codes.tolist(), counts.tolist(), strict=True))
        return entries, int(self._groups.sizes[group])

    def _for_one_class(self, code: int, size: int) -> int:
        """Keep the law first; then presence of the class, then the sizes of the splits."""
        deficit = {j: self._deficit[j][code] for j in self._allowed}
        lacking = self._lacking
        if max(deficit.values()) > size + _NUDGE:
            return max(deficit, key=lambda j: (deficit[j], lacking[j], -j))
        lacks_class = [j for j in deficit if deficit[j] > _NUDGE] or self._allowed
        total = 1 / self._weight[code]

        def rank(j: int) -> tuple[bool, float, float, int]:
            is_absent = deficit[j] > total * self._shares[j] - 0.5
            return is_absent and (j == 0 or lacking[j] >= size), lacking[j], deficit[j], -j

        return max(lacks_class, key=rank)

    def _in_proportion(self, entries: list[tuple[int, int]], size: int) -> int:
        """Find the split that the group brings closest to its share, in proportion to it.

        Relative to the share, so that all splits fill at the same pace: by plain deficits
        train would take everything until it lacks no more than the others.
        """
        best, most = self._allowed[0], -np.inf
        for j in self._allowed:
            deficit = self._deficit[j]
            gain = self._total_weight * size * (2 * self._lacking[j] - size)
            for code, count in entries:
                gain += self._weight[code] * count * (2 * deficit[code] - count)
            if gain / self._shares[j] > most:
                best, most = j, gain / self._shares[j]
        return best

    def _set(self, group: int, j: int, entries: list[tuple[int, int]], size: int) -> None:
        self.split[group] = j
        self._put(j, entries, size)

    def _put(self, j: int, entries: list[tuple[int, int]], size: int, sign: int = 1) -> None:
        deficit = self._deficit[j]
        for code, count in entries:
            deficit[code] -= sign * count
        self._lacking[j] -= sign * size

    def _improve(self, several: list[tuple[int, list[tuple[int, int]], int]]) -> int:
        """Move each group to where it now serves best; return how many moved."""
        moved = 0
        for group, entries, size in several:
            now = int(self.split[group])
            self._put(now, entries, size, -1)
            best = self._in_proportion(entries, size)
            self._set(group, best, entries, size)
            moved += best != now
        return moved
