"""A search among all groups, where images that differ in one class cannot mend the classes.

Step by step, the group moves, or the two groups change places, that lower the chi-square distance
most: steepest descent, with the sizes of the splits as one more class of the highest weight.
Pairs are sought among those groups of two splits that would serve the classes best alone.

Contents stand in a matrix, and products of matrices give the gains of many pairs at once. All
numbers are whole, so that sums are exact and no machine rounds them differently.
"""

from __future__ import annotations

import numpy as np

from curate.pack.groups import Ints
from curate.pack.tally import Tally

_NUMBERS = 250_000
"""Size of the matrix, at most."""
_PAIRED = 48
"""Groups of either split among which pairs are sought."""
_STEPS = 1000
_HIGHEST = 2**24
"""The highest weight of a class; less where a group is so large that sums would not fit."""
_LARGEST = 2**59
"""A product of images and weights may be so large: an eighth of what a number holds."""


def search(tally: Tally) -> bool:
    """Move groups while that lowers the distance; tell whether any moved."""
    chosen = _candidates(tally)
    if not len(chosen):
        return False
    descent = _Descent(tally, chosen)
    n_steps = 0
    while n_steps < _STEPS:
        taken = sum(descent.step(i, j) for i, j in tally.ways if i < j)
        n_steps += taken
        if not taken:
            break
    return n_steps > 0


def _candidates(tally: Tally) -> Ints:
    """Choose cells, half of them with classes that are uneven; plain classes need no search."""
    cells = tally.cells
    is_usable = tally.is_free.copy()
    is_usable[tally.cell_of_entry[tally.is_plain[cells.codes]]] = False
    is_uneven = np.zeros(len(tally.weight), dtype=np.bool_)
    is_uneven[tally.uneven()] = True
    has_uneven = np.zeros(len(is_usable), dtype=np.bool_)
    has_uneven[tally.cell_of_entry[is_uneven[cells.codes]]] = True
    n = _NUMBERS // (len(tally.weight) + 1)
    first = np.flatnonzero(is_usable & has_uneven)[: n // 2]
    return np.concatenate([first, np.flatnonzero(is_usable & ~has_uneven)[: n - len(first)]])


class _Descent:
    """Contents of cells, and how strongly each split pulls at them; the last one is empty."""

    def __init__(self, tally: Tally, chosen: Ints) -> None:
        cells, n_classes = tally.cells, len(tally.weight)
        self._tally = tally
        self._chosen = chosen
        at, lengths = cells.entries(chosen)
        self._contents = np.zeros((len(chosen) + 1, n_classes + 1), dtype=np.int64)
        rows = np.repeat(np.arange(len(chosen)), lengths)
        self._contents[rows, cells.codes[at]] = cells.counts[at]
        self._contents[:-1, -1] = cells.sizes[chosen]
        largest = int(cells.sizes[chosen].max()) * int(cells.totals.sum())
        highest = max(1, min(_HIGHEST, _LARGEST // largest))
        weight = tally.weight / tally.weight.max() * highest
        self._weighted = self._contents * np.rint(np.append(weight, highest)).astype(np.int64)
        self._square = (self._weighted * self._contents).sum(axis=1)
        short = np.rint(tally.short * weight).astype(np.int64)
        lacking = np.rint(tally.lacking * highest).astype(np.int64)
        self._classes = self._contents[:, :-1] @ short.T
        self._size = self._contents[:, -1:] * lacking

    def step(self, i: int, j: int) -> bool:
        """Take the best step between two splits; tell whether there was one."""
        classes = self._classes[:, j] - self._classes[:, i]
        pull = classes + self._size[:, j] - self._size[:, i]
        out, back = self._best(i, -classes), self._best(j, classes)
        gain = (pull - self._square)[out, None] - (pull + self._square)[back]
        gain += 2 * (self._weighted[out] @ self._contents[back].T)
        if gain.max() <= 0:
            return False
        one, other = divmod(int(gain.argmax()), len(back))
        self._move(int(out[one]), i, j)
        self._move(int(back[other]), j, i)
        return True

    def _best(self, split: int, rank: Ints) -> Ints:
        """Return the cells with members in a split that come first, and the empty one."""
        there = np.flatnonzero(self._tally.dealt[self._chosen, split] > 0)
        best = there[np.argsort(rank[there], kind="stable")[:_PAIRED]]
        return np.append(best, len(self._chosen))

    def _move(self, one: int, i: int, j: int) -> None:
        """Move a member of a cell, unless it is the empty one."""
        if one == len(self._chosen):
            return
        self._tally.move(self._chosen[[one]], i, j)
        has = np.flatnonzero(self._contents[one, :-1])
        classes = self._contents[:, has] @ self._weighted[one, has]
        size = self._contents[:, -1] * self._weighted[one, -1]
        for pulls, change in ((self._classes, classes), (self._size, size)):
            pulls[:, i] += change
            pulls[:, j] -= change
