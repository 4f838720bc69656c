"""Which images must stay on one side of a split.

Images that share any group hint belong together, and so do those that are linked through
others: a group is a connected component of the graph whose edges join images to hints. The
components are found by the FastSV scheme (Zhang, Azad, Hu 2020: hook, hook aggressively,
shortcut) in numpy: a handful of passes over all edges, also for long chains, instead of a
union-find loop in Python that would take seconds for a million rows.

Groups are meant to be found among *all* images of the project, before any are selected: two
images that are linked only through a third stay together although the third is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]


def pairs_of(lists: pa.ChunkedArray | pa.Array) -> tuple[Ints, pa.Array]:
    """Flatten a list column into (row number, value) pairs; nulls give none.

    Args:
        lists: n lists of strings.

    Returns:
        The row number of each value, int64, ascending; and the values, in the same order.
    """
    array = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    rows = pc.list_parent_indices(array).to_numpy(zero_copy_only=False).astype(np.int64)
    values = pc.list_flatten(array)
    if values.null_count:
        valid = pc.is_valid(values)
        rows = rows[valid.to_numpy(zero_copy_only=False)]
        values = values.filter(valid)
    return rows, values


def group_numbers(group_hints: pa.ChunkedArray | pa.Array, together: Sequence[Ints] = ()) -> Ints:
    """Number the connected components over shared hints.

    Args:
        group_hints: n lists of strings; an empty or null list is a group of its own.
        together: further columns of n numbers; rows with the same number in one of them belong
            together, but for those with -1.

    Returns:
        For each row the number of the first row of its group; int64, shape (n,).
    """
    rows, hints = pairs_of(group_hints)
    n_rows = n_nodes = len(group_hints)
    left: list[Ints] = []
    right: list[Ints] = []
    codes = hints.dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)
    for members, numbers in [(rows, codes), *map(_known, together)]:
        left.append(members)
        right.append(numbers + n_nodes)
        n_nodes += int(numbers.max(initial=-1)) + 1
    return _components(n_nodes, np.concatenate(left), np.concatenate(right))[:n_rows]


def _known(numbers: Ints) -> tuple[Ints, Ints]:
    """Return the rows that have a number, and it."""
    rows = np.flatnonzero(numbers >= 0)
    return rows, numbers[rows]


def _components(n_nodes: int, left: Ints, right: Ints) -> Ints:
    """Smallest node of each node's component, given undirected edges left-right."""
    sources, targets = np.concatenate([left, right]), np.concatenate([right, left])
    parent = np.arange(n_nodes, dtype=np.int64)
    grandparent = parent.copy()
    while True:
        lowest = grandparent.copy()
        np.minimum.at(lowest, sources, grandparent[targets])
        hooked = parent.copy()
        np.minimum.at(hooked, parent, lowest)
        parent = np.minimum(np.minimum(hooked, lowest), grandparent)
        following = parent[parent]
        if np.array_equal(following, grandparent):
            return following
        grandparent = following
