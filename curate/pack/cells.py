"""Groups with their contents, and cells of groups that are interchangeable.

Where groups have the same contents, it does not matter which of them goes where: they form a
cell, and a split is decided in counts, how many members of each cell go where. Chance says
which ones: groups are numbered in the order of the numbers that their names draw, so nothing
here depends on the order of rows.

One sort brings rows into that order, one the classes within groups, and one the groups within
cells: sorts of plain 64-bit numbers, the fastest that numpy has, two of them with the group itself
in some of the bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curate.pack.chance import Keys, draw, fingerprints, mix
from curate.pack.groups import Ints
from curate.pack.labels import Labels

Floats = npt.NDArray[np.float64]
_ALL = 2**32 - 1
"""Stands for a class that every image has."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups with their contents. Images of no class count as of one more class."""

    of_row: Ints
    """Group of each row; groups are numbered in the order of chance."""
    sizes: Ints
    """Images in each group."""
    starts: Ints
    """Where each group's entries begin in `codes`, with the end after the last."""
    codes: Ints
    """Classes in each group, the rarest first; classes are numbered by their size."""
    counts: Ints
    """Images of that class in that group."""
    totals: Ints
    """Images of each class, ascending."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Groups of equal contents; cells have no meaningful order, but always the same one."""

    members: Ints
    """Groups, cell by cell, in the order of chance."""
    n_members: Ints
    """Groups of each cell."""
    sizes: Ints
    """Images in each group of the cell."""
    contents: Keys
    """Sum of `entry_number` over the entries of each cell, ascending: what tells cells apart."""
    starts: Ints
    """Where each cell's entries begin in `codes`, with the end after the last."""
    codes: Ints
    """Classes in each group of a cell, the rarest first."""
    counts: Ints
    """Images of that class in each group of the cell."""
    totals: Ints
    """Images of each class, ascending."""

    @property
    def n_classes_in(self) -> Ints:
        """Classes in each group of the cell."""
        return np.diff(self.starts)

    def entries(self, chosen: Ints) -> tuple[Ints, Ints]:
        """Return the place of every entry of the chosen cells, and how many each cell has."""
        starts = self.starts[chosen]
        lengths = self.starts[chosen + 1] - starts
        first = np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
        return first + np.arange(len(first)), lengths

    def images(self, members: Ints) -> Floats:
        """Count images of each class, shape (splits, classes).

        Args:
            members: members of each cell in each split, shape (cells, splits).
        """
        lengths, n_classes = self.n_classes_in, len(self.totals)
        of_entry = (np.repeat(each, lengths) * self.counts for each in members.T)
        return np.stack([np.bincount(self.codes, each, n_classes) for each in of_entry])


def gather(group_ids: pa.Array, labels: Labels, seed: int) -> Groups:
    """Sum rows to groups.

    Args:
        group_ids: name of each row's group.
        labels: labels of the rows.
        seed: decides the order of groups.
    """
    keys, order = _in_order(group_ids, seed)
    is_first = np.concatenate([[True], _changes(keys[order])])
    of_row = np.empty(len(order), dtype=np.int64)
    of_row[order] = np.cumsum(is_first) - 1
    starts = np.append(np.flatnonzero(is_first), len(order))
    rank, totals, bare = _by_size(labels)
    bits = max(1, int(len(totals) - 1).bit_length())
    pairs = of_row[labels.rows] << bits | rank[labels.codes]
    if len(bare):
        pairs = np.concatenate([pairs, of_row[bare] << bits | rank[-1]])
    pairs.sort()
    first = np.flatnonzero(np.concatenate([[True], _changes(pairs), [True]]))
    entries = pairs[first[:-1]]
    group = entries >> bits
    ends = np.flatnonzero(_changes(group)) + 1
    return Groups(
        of_row=of_row,
        sizes=starts[1:] - starts[:-1],
        starts=np.concatenate([[0], ends, [len(entries)]]),
        codes=entries & ((1 << bits) - 1),
        counts=first[1:] - first[:-1],
        totals=totals,
    )


def _in_order(names: pa.Array, seed: int) -> tuple[Keys, Ints]:
    """Return a number that each row's name draws, for each name another, and rows in that order."""
    keys = draw(names, seed, "split")
    order = np.argsort(keys)
    again = np.flatnonzero(~_changes(keys[order]))
    if not len(again):
        return keys, order
    # Image ids that are no hashes may begin alike.
    prints = fingerprints(names)
    if (prints[order[again]] == prints[order[again + 1]]).all():
        return keys, order
    keys = mix(keys ^ prints)
    return keys, np.argsort(keys)


def _by_size(labels: Labels) -> tuple[Ints, Ints, Ints]:
    """Number classes by their size; return the numbers, their images, and rows of no class."""
    is_bare = np.ones(labels.n_rows, dtype=np.bool_)
    is_bare[labels.rows] = False
    bare = np.flatnonzero(is_bare)
    totals = np.append(labels.per_class(), len(bare))
    order = np.argsort(totals, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank, totals[order], bare


def _changes(numbers: Ints | Keys) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell of each number but the first whether it differs from the one before."""
    changes: np.ndarray[tuple[int], np.dtype[np.bool_]] = numbers[1:] != numbers[:-1]
    return changes


def entry_number(codes: Ints, counts: Ints) -> Keys:
    """Return a 64-bit number for each (class, images) entry; contents are told apart by their sum.

    Two contents with one sum, one chance in billions, would only be dealt as one.
    """
    return mix((counts.astype(np.uint64) << np.uint64(32)) | codes.astype(np.uint64))


def to_cells(groups: Groups) -> Cells:
    """Bring groups of equal contents together."""
    numbers = _entry_numbers(groups)
    if len(numbers) > len(groups.sizes):
        sums = np.append(np.zeros(1, dtype=np.uint64), np.cumsum(numbers, dtype=np.uint64))
        numbers = np.diff(sums[groups.starts])
    contents = (
        numbers + entry_number(np.array([_ALL]), np.arange(groups.sizes.max() + 1))[groups.sizes]
    )
    members, found = sort_stable(contents)
    first = np.flatnonzero(np.concatenate([[True], _changes(found)]))
    one = members[first]
    lengths = np.diff(groups.starts)[one]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    at = np.repeat(groups.starts[one] - starts[:-1], lengths) + np.arange(starts[-1])
    return Cells(
        members=members,
        n_members=np.diff(first, append=len(members)),
        sizes=groups.sizes[one],
        contents=found[first],
        starts=starts,
        codes=groups.codes[at],
        counts=groups.counts[at],
        totals=groups.totals,
    )


def _entry_numbers(groups: Groups) -> Keys:
    """Return the number of each entry, looked up where there are few different ones."""
    n_classes, most = len(groups.totals), int(groups.counts.max())
    if n_classes * most > len(groups.codes):
        return entry_number(groups.codes, groups.counts)
    table = entry_number(np.arange(n_classes), np.arange(1, most + 1)[:, None]).ravel()
    at = groups.codes if most == 1 else groups.codes + (groups.counts - 1) * n_classes
    return table[at]


def sort_stable(contents: Keys) -> tuple[Ints, Keys]:
    """Sort groups by contents and, among equals, by number; return them and their contents."""
    bits = np.uint64(len(contents).bit_length())
    packed = contents >> bits << bits | np.arange(len(contents), dtype=np.uint64)
    packed.sort()
    members = (packed & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
    found = contents[members]
    if np.array_equal(_changes(packed >> bits), _changes(found)):
        return members, found
    members = np.argsort(contents, kind="stable")
    return members, contents[members]


def coarser(cells: Cells, chosen: Ints, rarest: int) -> Ints:
    """Number cells so that those with the same rarest classes, and sizes, have the same number.

    Args:
        cells: all cells.
        chosen: those to number.
        rarest: so many classes are compared.
    """
    rest = entry_number(np.array([_ALL]), cells.sizes[chosen])
    for place in range(rarest):
        at = cells.starts[chosen] + place
        has = at < cells.starts[chosen + 1]
        rest[has] += entry_number(cells.codes[at[has]], cells.counts[at[has]])
    number: Ints = np.unique(rest, return_inverse=True)[1].astype(np.int64)
    return number


def deal(cell: Ints, wanted: Ints, chance: Ints) -> Ints:
    """Deal the members of each cell out to the splits, in the order of chance.

    Args:
        cell: cell of each member, 0 to c-1.
        wanted: how many members of each cell each split gets; shape (c, splits).
        chance: decides the order within a cell.

    Returns:
        Split of each member; -1 for those that remain.
    """
    order = np.lexsort((chance, cell))
    n_members = np.bincount(cell, minlength=len(wanted))
    place = np.arange(len(cell)) - np.repeat(np.cumsum(n_members) - n_members, n_members)
    ends = np.cumsum(wanted, axis=1)[cell[order]]
    dealt = (place[:, None] >= ends).sum(axis=1)
    split = np.empty(len(cell), dtype=np.int64)
    split[order] = np.where(dealt < wanted.shape[1], dealt, -1)
    return split


def lacking_of_cells(n_members: Ints, placed: Ints, shares: Floats, nudge: float) -> Ints:
    """Count the members of each cell that each split lacks of its whole share.

    Args:
        n_members: members of each cell.
        placed: members that are placed already, shape (cells, splits).
        shares: share of each split.
        nudge: added before rounding down, because shares are binary fractions.

    Returns:
        Members to place, shape (cells, splits), no more than there are.
    """
    wanted: Ints = np.floor(n_members[:, None] * shares + nudge).astype(np.int64)
    if not placed.any():
        return wanted
    lacking = np.maximum(wanted - placed, 0)
    n_free = n_members - placed.sum(axis=1)
    too_many = lacking.sum(axis=1) > n_free
    portion = n_free / np.maximum(lacking.sum(axis=1), 1)
    scaled = np.floor(lacking * portion[:, None] + nudge).astype(np.int64)
    fitted: Ints = np.where(too_many[:, None], scaled, lacking)
    return fitted
