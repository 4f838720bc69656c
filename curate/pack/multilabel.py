"""A cap and a minimum for every class at once, where an image may have several classes.

Taking an image of one class takes one of its other classes too, so a cap on `city` can starve
`harbour`. Images are added one by one in the order of keeping, the rarest class first, never
above a cap: first until each class has its minimum, then until its cap. That keeps the natural
mix of combinations, and nearly always it is all that is needed.

Where a class falls short that way, the question is put as an integer program, which HiGHS
answers exactly: one whole number for each distinct combination of classes (images with the
same classes are interchangeable), at least the minimum and at most the cap for each class, and
as near as can be to what adding one by one had chosen. If there is no answer, a second program
finds the fewest classes to give up. So minimum and cap hold together whenever they can.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.pack.groups import Ints
from curate.pack.labels import Labels, Mask

_CHUNK = 4096
"""Rows looked at one by one before those that have become impossible are sieved out."""
_NODES = 1000
"""Bound of the search tree: a count, not a time, so that every machine stops at the same place."""
_EXACT = 2000
"""Up to so many combinations, which classes to give up is found in whole images; beyond that,
parts of images among thousands of combinations make no difference, but the search takes minutes."""


@dataclass(frozen=True, slots=True)
class Limited:
    """Rows within the limits, or classes for which that cannot be."""

    chosen: Mask
    """Rows to take."""
    given_up: Ints
    """Classes that cannot keep both limits together with the others; then `chosen` is not final."""


def limit(labels: Labels, minimum: int, cap: int, rank: Ints) -> Limited:
    """Choose rows so that each class has at least `minimum` of them and at most `cap`.

    Args:
        labels: classes of the rows; each class with any has at least `minimum`.
        minimum: images that each class must keep.
        cap: images that no class may exceed.
        rank: the order in which rows are taken.
    """
    none = np.empty(0, dtype=np.int64)
    per_class = labels.per_class()
    chosen = _add(labels, minimum, cap, rank, np.zeros(labels.n_rows, dtype=np.bool_))
    if not _short(labels, chosen, minimum).size:
        return Limited(chosen, none)
    combinations = _Combinations.of(labels)
    wanted = combinations.solve(
        minimum, cap, np.bincount(combinations.of_row, chosen, len(combinations.sizes))
    )
    if wanted is None:
        given_up = combinations.fewest_to_give_up(minimum, cap, per_class)
        if not given_up.size:
            short = _short(labels, chosen, minimum)
            counts = labels.keep(rows=chosen).per_class()
            given_up = short[np.lexsort((short, counts[short]))][:1]
        return Limited(chosen, given_up)
    chosen = combinations.first(wanted, rank)
    return Limited(_add(labels, minimum, cap, rank, chosen), none)


def _short(labels: Labels, chosen: Mask, minimum: int) -> Ints:
    counts = labels.keep(rows=chosen).per_class()
    return np.flatnonzero((counts < minimum) & (labels.per_class() > 0))


def _add(labels: Labels, minimum: int, cap: int, rank: Ints, chosen: Mask) -> Mask:
    """Add rows one by one, rarest class first, to those that are chosen already."""
    per_class = labels.per_class()
    contested = np.zeros(labels.n_rows, dtype=np.bool_)
    contested[labels.rows[per_class[labels.codes] > cap]] = True
    chosen = chosen | ~contested
    counts = labels.keep(rows=chosen).per_class().tolist()
    pairs = labels.keep(rows=contested)
    starts, codes = pairs.starts().tolist(), pairs.codes.tolist()
    by_class = np.lexsort((rank[pairs.rows], pairs.codes))
    rows_of = np.split(pairs.rows[by_class], np.cumsum(pairs.per_class())[:-1])
    closed = np.zeros(labels.n_rows, dtype=np.bool_)
    for code in np.flatnonzero(np.array(counts) >= cap):
        closed[rows_of[code]] = True
    rarest_first = np.lexsort((np.arange(len(per_class)), per_class)).tolist()
    for goal in (minimum, cap):
        for code in rarest_first:
            waiting = rows_of[code]
            while counts[code] < goal and len(waiting):
                waiting = waiting[~(chosen[waiting] | closed[waiting])]
                for row in waiting[:_CHUNK].tolist():
                    classes = codes[starts[row] : starts[row + 1]]
                    if any(counts[each] >= cap for each in classes):
                        continue
                    if counts[code] >= goal:
                        break
                    chosen[row] = True
                    for each in classes:
                        counts[each] += 1
                        if counts[each] == cap:
                            closed[rows_of[each]] = True
                waiting = waiting[_CHUNK:]
    return chosen


@dataclass(frozen=True, slots=True)
class _Combinations:
    """Distinct sets of classes, with the rows that have each."""

    of_row: Ints
    """Combination of each row."""
    sizes: Ints
    """Rows of each combination."""
    entries: Ints
    """Combination of each (combination, class) entry."""
    codes: Ints
    """Class of each entry."""
    classes: Ints
    """Classes that occur, ascending."""

    @classmethod
    def of(cls, labels: Labels) -> _Combinations:
        of_row = labels.combinations()
        sizes = np.bincount(of_row)
        first = np.full(len(sizes), -1, dtype=np.int64)
        first[of_row[::-1]] = np.arange(labels.n_rows)[::-1]
        is_first = np.zeros(labels.n_rows, dtype=np.bool_)
        is_first[first] = True
        kept = labels.keep(rows=is_first)
        classes = np.unique(kept.codes)
        return cls(of_row, sizes, of_row[kept.rows], np.searchsorted(classes, kept.codes), classes)

    def solve(self, minimum: int, cap: int, near: Ints) -> Ints | None:
        """Find how many rows of each combination to take, near to given numbers.

        Returns:
            A number for each combination; None if there is no solution.
        """
        from scipy import sparse
        from scipy.optimize import Bounds, LinearConstraint, milp

        n = len(self.sizes)
        has = self._incidence()
        one, none = sparse.identity(n), sparse.csr_array((len(self.classes), n))
        near = near.astype(np.float64)
        # x - near = above - below; the sum of both is the distance.
        constraints = [
            LinearConstraint(sparse.hstack([has, none, none]), minimum, cap),
            LinearConstraint(sparse.hstack([one, -one, one]), near, near),
        ]
        found = milp(
            np.concatenate([np.zeros(n), np.ones(2 * n)]),
            integrality=np.concatenate([np.ones(n), np.zeros(2 * n)]),
            bounds=Bounds(0, np.concatenate([self.sizes, np.full(2 * n, np.inf)])),
            constraints=constraints,
            options={"node_limit": _NODES},
        )
        if found.x is None:
            return None
        taken: Ints = np.rint(found.x[:n]).astype(np.int64)
        return taken

    def fewest_to_give_up(self, minimum: int, cap: int, per_class: Ints) -> Ints:
        """Find the fewest classes without which the others keep both limits.

        Of several such sets, one of small classes.
        """
        from scipy import sparse
        from scipy.optimize import Bounds, LinearConstraint, milp

        n, k = len(self.sizes), len(self.classes)
        available = per_class[self.classes]
        has = self._incidence()
        least = sparse.hstack([has, minimum * sparse.identity(k)])
        most = sparse.hstack([has, -sparse.diags_array(np.maximum(available - cap, 0) * 1.0)])
        place = np.empty(k)
        place[np.lexsort((np.arange(k), available))] = np.arange(k)
        found = milp(
            np.concatenate([np.zeros(n), 1 + place / (k * (k + 1.0))]),
            integrality=np.concatenate([np.full(n, n <= _EXACT), np.ones(k)]),
            bounds=Bounds(0, np.concatenate([self.sizes, np.ones(k)])),
            constraints=[
                LinearConstraint(least, minimum, np.inf),
                LinearConstraint(most, -np.inf, cap),
            ],
            options={"node_limit": _NODES, "mip_rel_gap": 0.0},
        )
        if found.x is None:
            return np.empty(0, dtype=np.int64)
        given_up: Ints = self.classes[found.x[n:] > 0.5]
        return given_up

    def first(self, wanted: Ints, rank: Ints) -> Mask:
        """Choose the first rows of each combination."""
        order = np.lexsort((rank, self.of_row))
        place = np.arange(len(order)) - np.repeat(np.cumsum(self.sizes) - self.sizes, self.sizes)
        chosen = np.zeros(len(order), dtype=np.bool_)
        chosen[order[place < wanted[self.of_row[order]]]] = True
        return chosen

    def _incidence(self) -> object:
        from scipy import sparse

        ones = np.ones(len(self.codes))
        shape = (len(self.classes), len(self.sizes))
        return sparse.csr_array((ones, (self.codes, self.entries)), shape=shape)
