"""Exchanges between splits that bring every class to its nearest counts.

The nearest counts of a class are those of the largest remainder: no other whole numbers are
closer to the shares, whichever way one measures. A class has them when no image of it, moved
from one split to another, would bring it closer, that is, when what two splits lack of it never
differs by more than one image.

1. Where the sizes of the splits are off, groups move that serve their classes best.
2. A class gives an image with contents S + {class} from the split that has too many of it, for one
   with contents S: sizes and other classes stay. If the image that comes back is S + {other class},
   one step serves two classes, or one at the other's expense. Classes that are plain, whose groups
   have no others, were brought there before (`curate/pack/split.py`).
3. Where a class finds no such pair, any groups move or change places that lower the distance
   (`curate/pack/search.py`), and sizes and classes are mended again.

Nothing here depends on the order of rows: steps are chosen by counts and, among equals, by the
order of cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.pack.cells import Cells, Floats, entry_number, sort_stable
from curate.pack.groups import Ints
from curate.pack.labels import Mask
from curate.pack.search import search
from curate.pack.tally import NUDGE, Tally

_SPREAD = 0.01
"""What it is worth, in squared images, to take from a cell that has one more than its share."""
_ROUNDS = 8
"""Searches among all groups; more bring next to nothing."""


def even_out(cells: Cells, dealt: Ints, placed: Ints, shares: Floats, n_train: int) -> None:
    """Exchange members of cells, in place, until classes and sizes are nearest to their shares.

    Args:
        cells: groups of equal contents.
        dealt: free members of each cell in each split, shape (cells, splits).
        placed: members that have to stay where they are, of the same shape.
        shares: share of each split.
        n_train: how many of the splits, from the first, are train.
    """
    tally = Tally(cells, dealt, placed, shares, n_train)
    if not tally.ways:
        return
    _even_sizes(tally)
    _even_classes(tally)
    for _ in range(_ROUNDS):
        before, distance = dealt.copy(), tally.distance()
        if not len(tally.uneven()) or not search(tally):
            return
        _even_sizes(tally)
        _even_classes(tally)
        if tally.distance() > distance - NUDGE * tally.weight.min():
            dealt[:] = before
            return


def _even_sizes(tally: Tally) -> None:
    """Move groups, the smallest first, until no other group would bring the sizes closer."""
    sizes = tally.cells.sizes
    for size in np.unique(sizes[tally.is_free]).tolist():
        if tally.gaps(tally.lacking)[0][0] <= size + NUDGE:
            return
        chosen = np.flatnonzero(tally.is_free & (sizes == size))
        while _move_some(tally, chosen, size):
            pass


def _move_some(tally: Tally, chosen: Ints, size: int) -> bool:
    """Move groups of one size where sizes are furthest apart; tell whether there were any."""
    for gap, i, j in tally.gaps(tally.lacking):
        if gap <= size + NUDGE:
            return False
        gain = tally.gain_of_cells(chosen, i, j)
        best = np.argsort(-gain, kind="stable")
        best = best[gain[best] > -np.inf]
        if len(best):
            n = max(1, int(tally.n_to_move(i, j) / size))
            n_each = _n_of_each(tally, chosen[best], i, n)
            tally.move(chosen[best[: len(n_each)]], i, j, n_each)
            return True
    return False


def _n_of_each(tally: Tally, best: Ints, split: int, n: int) -> Ints:
    """Return how many members of the best cells are to leave a split, n in all at most.

    One of each, while there are cells enough. Of fewer cells each gives its part, but never all
    at once, and one at a time if its class is plain: what may move is judged for one member.
    """
    if n <= len(best):
        return np.ones(n, dtype=np.int64)
    there = tally.dealt[best, split]
    n_each = np.minimum(-(-there * n // there.sum()), np.maximum(there // 2, 1))
    n_each[tally.is_plain[tally.cells.codes[tally.cells.starts[best]]]] = 1
    before = np.cumsum(n_each) - n_each
    given: Ints = np.minimum(n_each, n - before)[before < n]
    return given


def _even_classes(tally: Tally) -> None:
    """Let images change places that differ in one class, or in one each."""
    entries, again = None, bool((tally.is_free & (tally.cells.sizes == 1)).any())
    while again:
        again = False
        for code in tally.uneven().tolist():
            entries = entries or _Entries.of(tally)
            while _exchange(tally, entries, code):
                again = True


def _exchange(tally: Tally, entries: _Entries, code: int) -> bool:
    """Exchange images so that a class comes closer; tell whether that could be."""
    for gap, i, j in tally.gaps(tally.short[:, code]):
        if gap <= 1 + NUDGE:
            return False
        n = int(np.ceil((gap - 1) / 2 - NUDGE))
        own, other, gain = _pairs(tally, entries, code, i, j)
        # One step serves for many images if none of them does harm to another class.
        fits = gain > (-NUDGE if n > 1 else NUDGE + 2 - 2 * gap)
        own, other, gain = own[fits], other[fits], gain[fits]
        if not len(own):
            continue
        mine, theirs, over = entries.cell[own], entries.cell[other], tally.over
        gain += _SPREAD * (over[mine, i] - over[mine, j] + over[theirs, j] - over[theirs, i])
        best = np.array([gain.argmax()])
        if n > 1:
            best = np.argsort(-gain, kind="stable")
            best = best[_is_first(own[best])]
            best = best[_is_first(theirs[best])]
            codes = entries.code[other[best]]
            best = best[_is_first(codes) | (codes == len(tally.weight))][:n]
        tally.move(mine[best], i, j)
        tally.move(theirs[best], j, i)
        return True
    return False


def _pairs(tally: Tally, entries: _Entries, code: int, i: int, j: int) -> tuple[Ints, Ints, Floats]:
    """Find images with a class in split i, and those in j with which they may change places.

    Returns:
        Entries of both, pair by pair, and by how much the class of the second comes closer, in
        squared images of the class that is served.
    """
    own = entries.of_code(code)
    own = own[tally.dealt[entries.cell[own], i] > 0]
    gain = np.append(tally.gain(j, i, slice(None), 1), 0.0) / tally.weight[code]
    if not len(own) or not tally.may_leave(code, i, j):
        return own[:0], own[:0], gain[:0]
    at, other = entries.beside(own)
    is_there = tally.dealt[entries.cell[other], j] > 0
    at, other = at[is_there], other[is_there]
    return own[at], other, gain[entries.code[other]]


@dataclass(frozen=True, slots=True)
class _Entries:
    """Images less one of their classes, or whole, brought together by what is left of them.

    Any two entries with the same rest can change places: other classes than theirs do not change.
    """

    cell: Ints
    """Cell of each entry."""
    code: Ints
    """The class that is taken away; the number of classes for none."""
    bucket: Ints
    """Number of its rest."""
    starts: Ints
    """Where the entries of each rest begin."""
    lengths: Ints
    """How many there are."""
    by_code: Ints
    """Entries in the order of their classes."""
    code_starts: Ints
    """Where each class begins there, with the end after the last."""

    @classmethod
    def of(cls, tally: Tally) -> _Entries:
        cells, n_classes = tally.cells, len(tally.weight)
        is_single = tally.is_free & (cells.sizes == 1)
        at, whole = np.flatnonzero(is_single[tally.cell_of_entry]), np.flatnonzero(is_single)
        cell = np.concatenate([tally.cell_of_entry[at], whole])
        code = np.concatenate([cells.codes[at], np.full(len(whole), n_classes)])
        number = entry_number(np.arange(n_classes), np.ones(n_classes, dtype=np.int64))
        order, rest = sort_stable(cells.contents[cell] - np.append(number, np.uint64(0))[code])
        differs = rest[1:] != rest[:-1]
        shared = np.append(~differs, False) | np.append(False, ~differs)
        first = np.append(True, differs)[shared]
        cell, code = cell[order[shared]], code[order[shared]]
        starts = np.flatnonzero(first)
        by_code = np.argsort(code.astype(np.min_scalar_type(n_classes)), kind="stable")
        return cls(
            cell=cell,
            code=code,
            bucket=np.cumsum(first) - 1,
            starts=starts,
            lengths=np.diff(starts, append=len(cell)),
            by_code=by_code,
            code_starts=np.searchsorted(code[by_code], np.arange(n_classes + 2)),
        )

    def of_code(self, code: int) -> Ints:
        """Return the entries without one class."""
        return self.by_code[self.code_starts[code] : self.code_starts[code + 1]]

    def beside(self, own: Ints) -> tuple[Ints, Ints]:
        """Return all entries with the rest of one of these, after the place of that one."""
        bucket = self.bucket[own]
        lengths = self.lengths[bucket]
        first = np.repeat(self.starts[bucket] - np.cumsum(lengths) + lengths, lengths)
        return np.repeat(np.arange(len(own)), lengths), first + np.arange(len(first))


def _is_first(numbers: Ints) -> Mask:
    """Tell of each number whether it is there for the first time."""
    first = np.zeros(len(numbers), dtype=np.bool_)
    first[np.unique(numbers, return_index=True)[1]] = True
    return first
