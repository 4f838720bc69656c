"""Which images stay where a class has too many: an order in which they are taken.

`random` draws. `best` takes the surest labels of the best pictures: the strongest origin, then
the highest score, then the fewest quality flags, then the most pixels. `spread` takes turns
over the values of columns: one image of each observer before a second of any; among those, the
years take turns, and among those again the countries. What is equal is drawn.

How many places of a cap are for images that an earlier manifest has put on a side is told in
`places`; among the images of a side, the order is that of here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.pack.chance import draw
from curate.pack.groups import Ints
from curate.pack.labels import Labels
from curate.pack.recipe import TRUST, Recipe


def taking_order(table: pa.Table, labels: Labels, recipe: Recipe, turns: Sequence[Ints]) -> Ints:
    """Rank all rows in the order in which they are taken.

    Args:
        table: n rows of schema `INPUT`.
        labels: their usable labels.
        recipe: how to choose, and the seed.
        turns: for `spread`, numbers of the values to take turns over, the most important first.

    Returns:
        Place of each row, 0 to n-1, each once; independent of the order of rows.
    """
    ids = table.column("image_id")
    by_id = pc.sort_indices(ids).to_numpy().astype(np.int64)
    drawn = by_id[np.argsort(draw(ids, recipe.seed, "sample")[by_id], kind="stable")]
    order = drawn
    if recipe.keep == "best":
        order = drawn[_best(table.take(pa.array(drawn)))]
    elif recipe.keep == "spread":
        order = _in_turns(drawn, _rarest(labels), turns)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank


def _best(table: pa.Table) -> Ints:
    origin = pc.index_in(table.column("label_origin"), value_set=pa.array(TRUST))
    flags = table.column("quality_flags").cast(pa.int64())
    pixels = pc.multiply(
        table.column("width_px").cast(pa.int64()), table.column("height_px").cast(pa.int64())
    )
    keys = (
        -pixels.to_numpy(),
        pc.fill_null(flags, 0).to_numpy(),
        -pc.fill_null(table.column("score"), 0.0).to_numpy(),
        pc.fill_null(origin, len(TRUST)).to_numpy(),
    )
    return np.lexsort(keys).astype(np.int64)


def _rarest(labels: Labels) -> Ints:
    """Return each row's class with the fewest images; -1 where it has none."""
    per_class = labels.per_class()
    order = np.lexsort((labels.codes, per_class[labels.codes], labels.rows))
    rows, codes = labels.rows[order], labels.codes[order]
    rarest = np.full(labels.n_rows, -1, dtype=np.int64)
    rarest[rows[::-1]] = codes[::-1]
    return rarest


def _in_turns(order: Ints, class_of: Ints, turns: Sequence[Ints]) -> Ints:
    """Sort by turns, the least important column first, so that the last one decides."""
    for values in reversed(turns):
        width = int(values.max(initial=-1)) + 2
        cell = (class_of[order] + 1) * width + values[order] + 1
        order = order[np.argsort(_occurrence(cell), kind="stable")]
    return order


def _occurrence(cell: Ints) -> Ints:
    """Count, for each place, how many earlier places hold the same number."""
    by_cell = np.argsort(cell, kind="stable")
    ordered = cell[by_cell]
    count = np.empty(len(cell), dtype=np.int64)
    count[by_cell] = np.arange(len(cell)) - np.searchsorted(ordered, ordered)
    return count
