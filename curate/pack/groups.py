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


def group_numbers(group_hints: pa.ChunkedArray | pa.Array) -> Ints:
    """Number the connected components over shared hints.

    Args:
        group_hints: n lists of strings; an empty or null list is a group of its own.

    Returns:
        For each row the number of the first row of its group; int64, shape (n,).
    """
    rows, hints = pairs_of(group_hints)
    n_rows = len(group_hints)
    if not len(rows):
        return np.arange(n_rows, dtype=np.int64)
    codes = hints.dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return _components(n_rows + int(codes.max()) + 1, rows, codes + n_rows)[:n_rows]


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


def group_ids(image_ids: pa.ChunkedArray | pa.Array, group_hints: pa.ChunkedArray) -> pa.Array:
    """Name each image's group by the smallest image id in it.

    The name does not depend on the order of rows, and stays as long as the group does not
    gain an image with a smaller id.

    Args:
        image_ids: n distinct ids, sorted ascending.
        group_hints: n lists of strings.

    Returns:
        n strings.
    """
    ids = image_ids.combine_chunks() if isinstance(image_ids, pa.ChunkedArray) else image_ids
    return ids.take(pa.array(group_numbers(group_hints)))
