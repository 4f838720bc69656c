"""Groups with their contents, and cells of groups that are interchangeable.

Where thousands of groups have the same contents, it does not matter which of them goes where:
they form a cell, and each split is dealt its share of the cell at once, in numpy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curate.pack.chance import Keys, mix
from curate.pack.groups import Ints
from curate.pack.labels import Labels


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups with their contents. Images of no class count as of one more class."""

    ids: pa.Array
    """Name of each group, ascending."""
    of_row: Ints
    """Group of each row."""
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

    @property
    def n_classes_in(self) -> Ints:
        """Classes in each group."""
        return np.diff(self.starts)

    def entries(self, chosen: Ints) -> tuple[Ints, Ints]:
        """Return the place of every entry of the chosen groups, and how many each group has."""
        lengths = self.n_classes_in[chosen]
        first = np.repeat(self.starts[chosen] - np.cumsum(lengths) + lengths, lengths)
        return first + np.arange(lengths.sum()), lengths


def gather(group_ids: pa.Array, labels: Labels) -> Groups:
    """Sum rows to groups."""
    encoded = group_ids.dictionary_encode()
    order = pa.compute.array_sort_indices(encoded.dictionary).to_numpy()
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    of_row = place[encoded.indices.to_numpy()]
    width = len(labels.classes) + 1
    bare = np.flatnonzero(labels.per_row() == 0)
    totals = np.append(labels.per_class(), len(bare))
    by_size = np.lexsort((np.arange(width), totals))
    rank = np.empty(width, dtype=np.int64)
    rank[by_size] = np.arange(width)
    pairs = np.concatenate(
        [of_row[labels.rows] * width + rank[labels.codes], of_row[bare] * width + rank[-1]]
    )
    entries, counts = np.unique(pairs, return_counts=True)
    return Groups(
        ids=encoded.dictionary.take(pa.array(order)),
        of_row=of_row,
        sizes=np.bincount(of_row, minlength=len(order)),
        starts=np.searchsorted(entries, np.arange(len(order) + 1) * width),
        codes=entries % width,
        counts=counts.astype(np.int64),
        totals=totals[by_size],
    )


def cells(groups: Groups, chosen: Ints, rarest: int | None = None) -> Ints:
    """Number the chosen groups so that those of equal contents have the same number.

    Contents are compared by the sum of a 64-bit number for each (class, count) entry and one
    for the size. Two contents with one sum, one chance in billions, would only be dealt as one.

    Args:
        groups: all groups.
        chosen: those to number.
        rarest: compare by so many of their rarest classes only; None: by all.
    """
    stride = np.uint64(int(groups.counts.max()) + 1)
    entries = mix(groups.codes.astype(np.uint64) * stride + groups.counts.astype(np.uint64))
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(entries, dtype=np.uint64)])
    starts, ends = groups.starts[chosen], groups.starts[chosen + 1]
    if rarest is not None:
        ends = np.minimum(ends, starts + rarest)
    contents = sums[ends] - sums[starts] + mix(groups.sizes[chosen].astype(np.uint64))
    return np.unique(contents, return_inverse=True)[1].astype(np.int64)


def deal(cell: Ints, wanted: Ints, key: Keys) -> Ints:
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


def lacking_of_cells(cell: Ints, split: Ints, shares: tuple[float, ...], nudge: float) -> Ints:
    """Count the groups of each cell that each split lacks of its whole share.

    Args:
        cell: cell of each group.
        split: where groups are already; -1 for those that are free.
        shares: share of each split.
        nudge: added before rounding down, because shares are binary fractions.

    Returns:
        Free groups of each cell for each split, shape (cells, splits).
    """
    n_members, n_splits = np.bincount(cell), len(shares)
    wanted: Ints = np.floor(n_members[:, None] * np.array(shares) + nudge).astype(np.int64)
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
    scaled = np.floor(lacking * portion[:, None] + nudge).astype(np.int64)
    fitted: Ints = np.where(too_many[:, None], scaled, lacking)
    return fitted
