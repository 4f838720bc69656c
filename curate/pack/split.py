"""Assign whole groups to train, val and test so that every class keeps its shares.

Groups with several classes come first, then those of one class, the largest first, so that
small ones make up for large ones. In each step, groups with equal contents form a cell, and
every split is dealt its whole share of the cell by seeded keys: for large data this places
nearly everything, in numpy. Of groups with several classes, those that remain form coarser
cells, by their three, two, one rarest classes, and are dealt again. The few groups left go one
by one to where they are lacking, by the deficit: share x images of the class - images placed.

The law that this keeps, when every group has one class: in every split a class is off its
share by at most the size of its largest group. A leftover of s images goes to the split with
the largest deficit while one exceeds s, and otherwise to any split with a positive deficit:
so no deficit falls to -s or below, and none stays above s. That freedom is used, in this
order, to give each class a training image, to give it an image in each split that as a whole
lacks s images, and to keep the sizes of the splits exact.

Groups with several classes go to the split that brings the squared deviations of all their
classes lowest, and are moved again where groups of one class cannot make up for them. There the
law cannot be promised (classes pull against each other); the tests measure the deviation. At
the end, images of several classes change places with images of one class each, which evens out
the sizes of the splits and changes no class.

Groups that have a side already stay there and count as placed.

Decision and numbers: docs/decisions/0004-split.md.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curate.pack.cells import Groups, cells, deal, gather, lacking_of_cells
from curate.pack.chance import Keys, draw
from curate.pack.groups import Ints
from curate.pack.labels import Labels

Floats = npt.NDArray[np.float64]
Contents = list[tuple[int, int]]
"""Classes of a group with their images."""
_NUDGE = 1e-9
"""Shares are binary fractions: 0.1 x 30 must still floor to 3."""
_MAX_PASSES = 5
"""Passes over the leftovers in search of better places; more bring next to nothing."""
_COARSER = (3, 2, 1)
"""Rarest classes by which what is left of the cells is dealt again."""


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
    groups = gather(group_ids, labels)
    key = draw(groups.ids, seed, "split")
    plan = _Plan(groups, key, np.asarray(shares))
    n_classes_in = groups.n_classes_in
    if fixed is not None:
        plan.place_fixed(fixed)
    is_free = plan.split < 0
    plan.place_mixed(np.flatnonzero(n_classes_in > 1))
    plan.place_pure(np.flatnonzero(n_classes_in == 1))
    plan.even_out(np.flatnonzero(is_free & (groups.sizes == 1)))
    return plan.split[groups.of_row]


class _Plan:
    """Which group goes where, and what every split still lacks.

    A weight of 1 / total for each class, and for all images together, makes the sum of
    squared deficits a chi-square distance. Leftovers work on plain lists: each step touches
    a handful of numbers, where numpy's overhead for a call would cost more than the work.
    """

    def __init__(self, groups: Groups, key: Keys, shares: Floats) -> None:
        self.split: Ints = np.full(len(groups.sizes), -1, dtype=np.int64)
        self._groups = groups
        self._key = key
        self._shares: list[float] = shares.tolist()
        self._allowed = [j for j, share in enumerate(self._shares) if share > 0]
        totals = groups.totals
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
        """Place groups with several classes: whole shares of cells, then what remains."""
        if not len(chosen):
            return
        left = self._deal_out(chosen, None)
        pool = left
        for rarest in _COARSER:
            if len(left):
                left = self._deal_out(chosen, rarest)
        order = np.lexsort((left, self._key[left], -self._groups.sizes[left]))
        for group in left[order].tolist():
            entries, size = self._contents(group)
            self._set(group, self._in_proportion(entries, size), entries, size)
        if not self._is_overfull():
            return
        order = np.lexsort((pool, self._key[pool], -self._groups.sizes[pool]))
        several = [(group, *self._contents(group)) for group in pool[order].tolist()]
        for _ in range(_MAX_PASSES):
            if self._improve(several) * 1000 <= len(several) or not self._is_overfull():
                return

    def _deal_out(self, chosen: Ints, rarest: int | None) -> Ints:
        """Deal cells of groups out; return the groups that remain."""
        cell = cells(self._groups, chosen, rarest)
        is_free = self.split[chosen] < 0
        wanted = lacking_of_cells(cell, self.split[chosen], tuple(self._shares), _NUDGE)
        free = chosen[is_free]
        self._set_many(free, deal(cell[is_free], wanted, self._key[free]))
        return free[self.split[free] < 0]

    def _is_overfull(self) -> bool:
        """Tell whether a split has more of a class than is its due: no later group mends that."""
        least = min(min(deficit) for deficit in self._deficit)
        return least < -1

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
            self._set_many(members, deal(cell, wanted, self._key[members]))
            remain = self.split[members] < 0
            left, weight = members[remain], np.array(self._weight)[codes[cell[remain]]]
            n_open = (np.array(self._deficit)[:, codes] > _NUDGE).sum(axis=0)[cell[remain]]
            order = np.lexsort((left, self._key[left], cell[remain], weight, n_open))
            for group in left[order].tolist():
                entries, _ = self._contents(group)
                self._set(group, self._for_one_class(entries[0][0], size), entries, size)
                leftovers.append(group)
        self._settle(leftovers[::-1])

    def even_out(self, singles: Ints) -> None:
        """Let images of several classes and of one class change places, class by class.

        An image of k classes goes from a split that lacks images to one with too many, and k
        images of one class each go back: no class changes, the sizes do, by k - 1.

        Args:
            singles: groups of one image that may be moved.
        """
        if not self._is_uneven():
            return
        singles = singles[np.argsort(self._key[singles], kind="stable")]
        several = self._groups.n_classes_in[singles] > 1
        waiting = {j: self._of_split(singles[several], j) for j in self._allowed}
        plain = self._plain(singles[~several])
        while self._is_uneven():
            full = min(self._allowed, key=lambda j: self._lacking[j])
            short = max(self._allowed, key=lambda j: self._lacking[j])
            room = min(self._lacking[short], -self._lacking[full]) + 0.5
            if not waiting[short]:
                return
            group = waiting[short].pop()
            entries, _ = self._contents(group)
            back = [plain.get((full, code)) for code, _ in entries]
            if len(entries) - 1 <= room and all(back):
                self._move(group, short, full)
                for one in back:
                    assert one
                    self._move(one.pop(), full, short)

    def _plain(self, singles: Ints) -> dict[tuple[int, int], list[int]]:
        """Return images of one class by (split, class), as many of each as may be needed."""
        enough = int(max(map(abs, self._lacking))) + 1
        codes = self._groups.codes[self._groups.starts[singles]]
        cell = self.split[singles] * len(self._groups.totals) + codes
        order = np.argsort(cell, kind="stable")
        kinds, first, n_members = np.unique(cell[order], return_index=True, return_counts=True)
        return {
            divmod(kind, len(self._groups.totals)): singles[
                order[at : at + min(n, enough)]
            ].tolist()
            for kind, at, n in zip(kinds.tolist(), first.tolist(), n_members.tolist(), strict=True)
        }

    def _of_split(self, chosen: Ints, j: int) -> list[int]:
        found: list[int] = chosen[self.split[chosen] == j].tolist()
        return found

    def _is_uneven(self) -> bool:
        lacking = [self._lacking[j] for j in self._allowed]
        return max(lacking) > 0.5 + _NUDGE and min(lacking) < -0.5 - _NUDGE

    def _move(self, group: int, old: int, new: int) -> None:
        entries, size = self._contents(group)
        self._put(old, entries, size, -1)
        self._set(group, new, entries, size)

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
        at, lengths = groups.entries(chosen)
        of_entry = np.repeat(split, lengths)
        for j in range(len(self._shares)):
            codes, counts = groups.codes[at[of_entry == j]], groups.counts[at[of_entry == j]]
            placed = np.bincount(codes, counts, len(groups.totals))
            self._deficit[j] = (np.array(self._deficit[j]) - placed).tolist()
            self._lacking[j] -= int(groups.sizes[chosen[split == j]].sum())

    def _contents(self, group: int) -> tuple[Contents, int]:
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

    def _in_proportion(self, entries: Contents, size: int) -> int:
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

    def _set(self, group: int, j: int, entries: Contents, size: int) -> None:
        self.split[group] = j
        self._put(j, entries, size)

    def _put(self, j: int, entries: Contents, size: int, sign: int = 1) -> None:
        deficit = self._deficit[j]
        for code, count in entries:
            deficit[code] -= sign * count
        self._lacking[j] -= sign * size

    def _improve(self, several: list[tuple[int, Contents, int]]) -> int:
        """Move each group to where it now serves best; return how many moved."""
        moved = 0
        for group, entries, size in several:
            now = int(self.split[group])
            self._put(now, entries, size, -1)
            best = self._in_proportion(entries, size)
            self._set(group, best, entries, size)
            moved += best != now
        return moved
