"""Which images and classes a dataset takes: trust, licences, minimum and cap.

Nothing is deleted, balance only selects, and what it leaves out it counts by reason. The
minimum drops a class; its images lose that label, and drop out when they have none left.
The cap samples: every image draws a number from its id (see `chance`), and the smallest
numbers stay. With one label per image that is exact. With several, a cap can pull another
class below its minimum, so images are added one by one, rarest class first, never above a
cap: first until each class has its minimum, then until its cap. If a class still falls
short, the order that prefers images with few labels is tried; if that does not help either,
the class furthest below its minimum is dropped and the selection starts again without it,
so that what comes out always keeps both limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.errors import PackError
from curate.licenses import check_wanted, matches, normalise
from curate.pack.chance import draw
from curate.pack.groups import Ints
from curate.pack.labels import Labels, Mask
from curate.pack.recipe import TRUST, Recipe


@dataclass(frozen=True, slots=True)
class Selection:
    """What balance chose, and what it left out."""

    rows: Ints
    """Chosen rows of the input, ascending."""
    labels: Labels
    """Labels of the chosen rows, renumbered to them."""
    before: Mapping[str, int]
    """Labelled images of each class in the input, for every class there is."""
    dropped: Mapping[str, int]
    """Dropped classes, with the usable images they had."""
    left_out: Mapping[str, int]
    """Images not chosen, by reason: unlabelled, untrusted, license, conflict, small_class, cap."""


def select(table: pa.Table, recipe: Recipe) -> Selection:
    """Choose the images and classes that the recipe asks for.

    Args:
        table: rows of schema `INPUT`, with distinct image ids, in any order.
        recipe: limits, trust and licences.

    Returns:
        The choice; it does not depend on the order of the rows.

    Raises:
        PackError: no class is left.
        UsageError: a licence that is asked for is none, and no image has it.
    """
    every = Labels.of(table.column("labels"))
    usable, left_out = _usable(table, every, recipe)
    origin_known = _mask(pc.is_valid(table.column("label_origin")))
    before = every.keep(rows=origin_known).per_class()
    labels = every.keep(rows=usable)
    available = labels.per_class()
    negatives = usable & (every.per_row() == 0)
    key = _sampling_key(table, labels, recipe)
    alive = available >= recipe.min_per_class
    while True:
        current = labels.keep(classes=alive)
        chosen = _cap(current, recipe, key)
        counts = current.keep(rows=chosen).per_class()
        short = np.flatnonzero(alive & (counts < recipe.min_per_class))
        if not len(short):
            break
        worst_first = short[np.lexsort((short, counts[short]))]
        alive[worst_first[: (len(short) + 3) // 4]] = False
    if not alive.any():
        raise _nothing_left(every.classes, available, left_out, recipe)
    has_label = current.per_row() > 0
    left_out["small_class"] = int((usable & ~has_label & ~negatives).sum())
    left_out["cap"] = int((has_label & ~chosen).sum())
    rows = np.flatnonzero((has_label & chosen) | negatives)
    dropped = np.flatnonzero(~alive)
    return Selection(
        rows=rows,
        labels=current.take(rows),
        before={name: int(n) for name, n in zip(every.classes, before, strict=True)},
        dropped={every.classes[code]: int(available[code]) for code in dropped},
        left_out=left_out,
    )


def _usable(table: pa.Table, labels: Labels, recipe: Recipe) -> tuple[Mask, dict[str, int]]:
    """Find the rows that may be used at all, and count the others by their first fault."""
    origin = table.column("label_origin")
    trusted = pa.array(TRUST[: TRUST.index(recipe.trust) + 1])
    tests = {
        "unlabelled": _mask(pc.is_valid(origin)),
        "untrusted": _mask(pc.is_in(origin, value_set=trusted)),
        "license": _licensed(table.column("license"), recipe),
        "conflict": (labels.per_row() <= 1) | (recipe.exclusive is not True),
    }
    usable = np.ones(table.num_rows, dtype=np.bool_)
    left_out = {}
    for reason, passed in tests.items():
        left_out[reason] = int((usable & ~passed).sum())
        usable &= passed
    return usable, left_out


def _mask(array: pa.ChunkedArray) -> Mask:
    mask: Mask = array.to_numpy().astype(np.bool_)
    return mask


def _licensed(column: pa.ChunkedArray, recipe: Recipe) -> Mask:
    if not recipe.licenses:
        return np.ones(len(column), dtype=np.bool_)
    names = [name for name in column.unique().to_pylist() if name is not None]
    check_wanted(recipe.licenses, own=names)
    good = [name for name in names if matches(normalise(name).id, frozenset(recipe.licenses))]
    return _mask(pc.is_in(column, value_set=pa.array(good, type=pa.string())))


def _sampling_key(table: pa.Table, labels: Labels, recipe: Recipe) -> Ints:
    """Rank of every row in the seeded order; all zero where no cap needs it."""
    cap = recipe.max_per_class
    if cap is None or not (labels.per_class() > cap).any():
        return np.zeros(table.num_rows, dtype=np.int64)
    ids = table.column("image_id").to_pylist()
    order = np.lexsort((np.array(ids), draw(ids, recipe.seed, "sample")))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank


def _cap(labels: Labels, recipe: Recipe, key: Ints) -> Mask:
    """Choose rows so that no class has more than the cap, and few fall below the minimum."""
    everything = np.ones(labels.n_rows, dtype=np.bool_)
    cap = recipe.max_per_class
    if cap is None or not (labels.per_class() > cap).any():
        return everything
    if labels.per_row().max() <= 1:
        return _cap_single(labels, cap, key)
    best, fewest = everything, len(labels.classes) + 1
    for order in (key, np.lexsort((key, labels.per_row())).argsort()):
        chosen = _cap_several(labels, cap, recipe.min_per_class, order)
        counts = labels.keep(rows=chosen).per_class()
        n_short = int(((counts < recipe.min_per_class) & (labels.per_class() > 0)).sum())
        if n_short < fewest:
            best, fewest = chosen, n_short
        if not n_short:
            break
    return best


def _cap_single(labels: Labels, cap: int, key: Ints) -> Mask:
    """With one label per row: the rows with the smallest keys of each class."""
    order = np.lexsort((key[labels.rows], labels.codes))
    codes = labels.codes[order]
    place = np.arange(len(codes)) - np.searchsorted(codes, codes)
    chosen = np.ones(labels.n_rows, dtype=np.bool_)
    chosen[labels.rows[order[place >= cap]]] = False
    return chosen


def _cap_several(labels: Labels, cap: int, minimum: int, order: Ints) -> Mask:
    """With several labels per row: add rows, rarest class first, never above a cap."""
    per_class = labels.per_class()
    contested = np.zeros(labels.n_rows, dtype=np.bool_)
    contested[labels.rows[per_class[labels.codes] > cap]] = True
    chosen = ~contested
    counts = labels.keep(rows=chosen).per_class().tolist()
    pairs = labels.keep(rows=contested)
    starts, codes = pairs.starts().tolist(), pairs.codes.tolist()
    by_class = np.lexsort((order[pairs.rows], pairs.codes))
    rows_of = np.split(pairs.rows[by_class], np.cumsum(pairs.per_class())[:-1])
    rarest_first = np.lexsort((np.arange(len(per_class)), per_class)).tolist()
    for goal in (minimum, cap):
        for code in rarest_first:
            for row in rows_of[code].tolist():
                if counts[code] >= goal:
                    break
                classes = codes[starts[row] : starts[row + 1]]
                if chosen[row] or any(counts[other] >= cap for other in classes):
                    continue
                chosen[row] = True
                for other in classes:
                    counts[other] += 1
    return chosen


def _nothing_left(
    classes: tuple[str, ...], available: Ints, left_out: Mapping[str, int], recipe: Recipe
) -> PackError:
    """Say which classes there were, how large, and what would help."""
    reasons = ", ".join(f"{n} {reason}" for reason, n in left_out.items() if n)
    if not available.any():
        hint = "give images a class as they come in: `curate import DIR --class NAME`"
        if left_out["untrusted"]:
            hint = "accept weaker labels: --trust query takes them all"
        if left_out["license"]:
            hint = "allow more licences with --license, or leave the flag out"
        return PackError(f"no image has a label that may be used ({reasons or 'no images'})", hint)
    largest = np.lexsort((np.arange(len(classes)), -available))[:5]
    shown = ", ".join(f"{classes[code]} {available[code]}" for code in largest)
    more = f", … ({len(classes)} classes)" if len(classes) > len(largest) else ""
    aside = f"; left out: {reasons}" if reasons else ""
    return PackError(
        f"no class has {recipe.min_per_class} images: {shown}{more}{aside}",
        f"lower --min-per-class (the largest class has {available[largest[0]]}), or fetch more",
    )
