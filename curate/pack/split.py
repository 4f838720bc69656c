"""Assign whole groups to train, val and test so that every class keeps its shares.

Groups with equal contents form a cell, and what is decided is how many of each cell go where;
chance says which. Cells of several classes come first, then those of one class, the largest
groups first, so that small ones make up for large ones. Every split is dealt its whole share of
each cell: for large data this places nearly everything, in numpy. What remains of the cells of
several classes is dealt again by coarser cells, of the two rarest classes and of the rarest, while
there is much of it. The few groups left go one by one to where they are lacking, by the deficit:
share x images of the class - images placed. At the end, exchanges between splits bring classes and
sizes to their nearest counts (`curate/pack/exchange.py`).

The law that this keeps, when every group has one class: in every split a class is off its
share by less than its largest group, or by as much. A leftover of s images goes to the split with
the largest deficit while one exceeds s, and otherwise to any split with a positive deficit: so no
deficit falls to -s or below, and none stays above s. That freedom is used, in this order, to give
each class a training image, to give it an image in each split that as a whole lacks s images, and
to keep the sizes of the splits exact.

Groups with several classes go to the split that brings the squared deviations of all their
classes lowest. There the law cannot be promised (classes pull against each other); the tests
measure the deviation.

Groups that have a side already stay there and count as placed.

Decision and numbers: docs/decisions/0004-split.md.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from curate.pack.cells import Cells, Floats, coarser, deal, gather, lacking_of_cells, to_cells
from curate.pack.exchange import even_out
from curate.pack.groups import Ints
from curate.pack.labels import Labels

_NUDGE = 1e-9
"""Shares are binary fractions: 0.1 x 30 must still floor to 3."""
_COARSER = (2, 1)
"""Rarest classes by which what is left of the cells is dealt again."""
_FEW = 500
"""So many groups, or a hundredth of them, are placed one by one."""


def assign(
    group_ids: pa.Array,
    labels: Labels,
    shares: tuple[float, ...],
    seed: int,
    fixed: Ints | None = None,
    n_train: int = 1,
) -> Ints:
    """Choose a split for every row, whole groups at a time.

    Args:
        group_ids: n names; equal names stay together.
        labels: labels of the n rows.
        shares: share of each split, together 1, the first above 0.
        seed: decides which of several equal groups goes where.
        fixed: split that a row has already, the same for all rows of its group; -1: none.
        n_train: how many of the splits, from the first, are train; more than one with folds.

    Returns:
        Number of the split of each row, int64, shape (n,). Independent of the order of rows.
    """
    if labels.n_rows == 0:
        return np.empty(0, dtype=np.int64)
    groups = gather(group_ids, labels, seed)
    at = np.full(len(groups.sizes), -1, dtype=np.int64)
    if fixed is not None:
        at[groups.of_row] = fixed
    plan = _Plan(to_cells(groups), at, np.array(shares, dtype=np.float64), n_train)
    plan.place_mixed()
    plan.place_pure()
    even_out(plan.cells, plan.dealt, plan.placed, plan.shares, n_train)
    splits = np.tile(np.arange(len(shares)), len(plan.dealt))
    at[plan.free] = np.repeat(splits, plan.dealt.ravel())
    return at[groups.of_row]


class _Plan:
    """How many groups of which cell go where, and what every split still lacks.

    A weight of 1 / total for each class, and for all images together, makes the sum of
    squared deficits a chi-square distance. Leftovers work on plain lists: each step touches
    a handful of numbers, where numpy's overhead for a call would cost more than the work.
    """

    def __init__(self, cells: Cells, at: Ints, shares: Floats, n_train: int) -> None:
        self.cells = cells
        self.shares = shares
        self._share: list[float] = shares.tolist()
        self._n_train = n_train
        self._allowed: list[int] = np.flatnonzero(shares > 0).tolist()
        of_member = at[cells.members]
        is_free = of_member < 0
        self.free: Ints = cells.members[is_free]
        """Groups without a side, cell by cell, in the order of chance."""
        shape = len(cells.sizes), len(shares)
        self.placed: Ints = np.zeros(shape, dtype=np.int64)
        """Groups of each cell that had a side, in each split."""
        self.dealt: Ints = np.zeros(shape, dtype=np.int64)
        """Free groups of each cell in each split."""
        totals = np.append(cells.totals, cells.n_members @ cells.sizes)
        self._weight: Floats = 1 / np.maximum(totals, 1)
        self._short: Floats = shares[:, None] * totals
        """Images that each split lacks of each class, and of all in the last column."""
        if not is_free.all():
            cell = np.repeat(np.arange(shape[0]), cells.n_members)[~is_free]
            slots = np.bincount(
                cell * shape[1] + of_member[~is_free], minlength=shape[0] * shape[1]
            )
            self.placed += slots.reshape(shape)
        self._n_free: Ints = cells.n_members - self.placed.sum(axis=1)

    def place_mixed(self) -> None:
        """Place groups with several classes: whole shares of cells, then what remains."""
        chosen = np.flatnonzero(self.cells.n_classes_in > 1)
        if not len(chosen):
            return
        n_members = self.cells.n_members[chosen]
        wanted = lacking_of_cells(n_members, self.placed[chosen], self.shares, _NUDGE)
        self.dealt[chosen] += wanted
        left, chance = self._remaining(chosen)
        few = max(_FEW, int(n_members.sum()) // 100)
        for rarest in _COARSER:
            if len(left) <= few:
                break
            cell = coarser(self.cells, chosen, rarest)
            placed = (self.placed + self.dealt)[chosen]
            sums = [np.bincount(cell, each).astype(np.int64) for each in (n_members, *placed.T)]
            wanted = lacking_of_cells(sums[0], np.stack(sums[1:], axis=1), self.shares, _NUDGE)
            split = deal(cell[np.searchsorted(chosen, left)], wanted, chance)
            self._add_each(left[split >= 0], split[split >= 0])
            left, chance = left[split < 0], chance[split < 0]
        left = left[np.lexsort((chance, -self.cells.sizes[left]))]
        self._count()
        self._add_each(left, self._in_proportion(left))

    def _remaining(self, chosen: Ints) -> tuple[Ints, Ints]:
        """Return the groups of cells that have no place yet: their cells, and their numbers."""
        n_left = self._n_free[chosen] - self.dealt[chosen].sum(axis=1)
        ends = np.cumsum(self._n_free)[chosen]
        first = np.repeat(ends - np.cumsum(n_left), n_left)
        return np.repeat(chosen, n_left), self.free[first + np.arange(len(first))]

    def _in_proportion(self, left: Ints) -> Ints:
        """Find for one group after the other the split that it brings closest to its share.

        Relative to the share, so that all splits fill at the same pace: by plain deficits
        train would take everything until it lacks no more than the others.

        Args:
            left: cell of each group.
        """
        cells, shares = self.cells, self.shares[self._allowed]
        at, lengths = cells.entries(left)
        # A class stands as often as the group has images of it. No `sum` of floats below: from
        # Python 3.12 on it rounds differently.
        codes = np.repeat(cells.codes[at], cells.counts[at]).tolist()
        squares = np.append(0, np.cumsum(self._weight[cells.codes[at]] * cells.counts[at] ** 2))
        ends = np.append(0, np.cumsum(lengths))
        of_size = self._weight[-1] * cells.sizes[left] ** 2
        squares = (squares[ends[1:]] - squares[ends[:-1]] + of_size) / shares[:, None]
        ends = np.append(0, np.cumsum(cells.counts[at]))[ends].tolist()
        rate = 2 * self._weight / shares[:, None]
        pulls, rates = (rate * self._short[self._allowed]).tolist(), rate.tolist()
        found = []
        for start, end, size, square in zip(
            ends, ends[1:], cells.sizes[left].tolist(), squares.T.tolist(), strict=False
        ):
            contents = codes[start:end]
            best, most = 0, -np.inf
            for j, pull in enumerate(pulls):
                gain = size * pull[-1] - square[j]
                for code in contents:
                    gain += pull[code]
                if gain > most:
                    best, most = j, gain
            pull, rate_of = pulls[best], rates[best]
            for code in contents:
                pull[code] -= rate_of[code]
            pull[-1] -= size * rate_of[-1]
            found.append(self._allowed[best])
        return np.array(found, dtype=np.int64)

    def place_pure(self) -> None:
        """Place groups of one class, the largest first, so that small ones make up for them."""
        cells = self.cells
        pure = np.flatnonzero((cells.n_classes_in == 1) & (self._n_free > 0))
        self._count()
        for size in np.unique(cells.sizes[pure])[::-1].tolist():
            chosen = pure[cells.sizes[pure] == size]
            codes = cells.codes[cells.starts[chosen]]
            lack = np.maximum(self._short[:, codes].T, 0)
            portion = lack / np.maximum(lack.sum(axis=1, keepdims=True), size)
            wanted = np.floor(self._n_free[chosen, None] * portion + _NUDGE).astype(np.int64)
            self._short[:, codes] -= wanted.T * size
            self._short[:, -1] -= wanted.sum(axis=0) * size
            n_left = self._n_free[chosen] - wanted.sum(axis=1)
            if size == 1:
                wanted += self._nearest(codes, n_left)
            else:
                wanted += self._for_one_class(codes, n_left, size)
            self.dealt[chosen] += wanted

    def _nearest(self, codes: Ints, n_left: Ints) -> Ints:
        """Give the last images of each class to the splits that lack most of it.

        Args:
            codes: classes.
            n_left: images that are left of each.

        Returns:
            Images for each split, shape (classes, splits).
        """
        short = self._short[:, codes].T
        train = slice(0, self._n_train)
        in_train = (self.shares[train] * self.cells.totals[codes, None] - short[:, train]).sum(
            axis=1
        )
        short[in_train < 0.5, train] += 1
        short[:, self.shares == 0] = -np.inf
        given = np.zeros(short.shape, dtype=np.int64)
        for n in range(int(n_left.max(initial=0))):
            rows = np.flatnonzero(n_left > n)
            most = short[rows].argmax(axis=1)
            given[rows, most] += 1
            short[rows, most] -= 1
        return given

    def _for_one_class(self, codes: Ints, n_left: Ints, size: int) -> Ints:
        """Find splits for the last groups of one size: the law, presence, then the sizes.

        Args:
            codes: classes.
            n_left: groups that are left of each.
            size: images in each group.

        Returns:
            Groups for each split, shape (classes, splits).
        """
        # Classes with least choice first, then the largest.
        n_open = (self._short[:, codes] > _NUDGE).sum(axis=0)
        order = np.lexsort((-codes, n_open))
        given = np.zeros((len(codes), len(self.shares)), dtype=np.int64)
        lacking = self._short[:, -1].tolist()
        for place in np.repeat(order, n_left[order]).tolist():
            deficit = self._short[:, codes[place]].tolist()
            best = self._best(deficit, lacking, float(self.cells.totals[codes[place]]), size)
            self._short[best, codes[place]] -= size
            lacking[best] -= size
            given[place, best] += 1
        self._short[:, -1] = lacking
        return given

    def _best(self, deficit: list[float], lacking: list[float], total: float, size: int) -> int:
        """Find the split for a group of one class, by what each lacks of it and as a whole."""
        allowed = self._allowed
        if max(deficit[j] for j in allowed) > size + _NUDGE:
            return max(allowed, key=lambda j: (deficit[j], lacking[j], -j))
        absent = [deficit[j] > total * self._share[j] - 0.5 for j in range(len(deficit))]
        to_train = all(absent[j] for j in allowed if j < self._n_train)

        def rank(j: int) -> tuple[int, float, float, int]:
            is_first = 2 * (to_train and j < self._n_train)
            return is_first + (absent[j] and lacking[j] >= size), lacking[j], deficit[j], -j

        return max([j for j in allowed if deficit[j] > _NUDGE] or allowed, key=rank)

    def _add_each(self, cell: Ints, split: Ints) -> None:
        """Deal members of cells out one by one."""
        slots = np.bincount(cell * len(self.shares) + split, minlength=self.dealt.size)
        self.dealt += slots.reshape(self.dealt.shape)

    def _count(self) -> None:
        """Work out what each split lacks."""
        every = self.placed + self.dealt
        self._short[:, :-1] = self.shares[:, None] * self.cells.totals - self.cells.images(every)
        n_images = every.T @ self.cells.sizes
        self._short[:, -1] = self.shares * (self.cells.n_members @ self.cells.sizes) - n_images
