"""Which images and classes a dataset takes: trust, licences, filters, minimum and caps.

Nothing is deleted, balance only selects, and what it leaves out it counts by reason. The
minimum drops a class; its images lose that label, and drop out when they have none left. A cap
takes images in the order of keeping (see `keep`). With one label per image that is exact; with
several, minimum and cap are solved together (see `multilabel`). Where no choice keeps both for
every class, the fewest classes are given up, and named as dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.errors import PackError
from curate.licenses import check_wanted, matches, normalise
from curate.pack.facts import Facts
from curate.pack.groups import Ints
from curate.pack.keep import taking_order
from curate.pack.labels import Labels, Mask
from curate.pack.multilabel import limit
from curate.pack.places import Standing
from curate.pack.recipe import TRUST, Recipe

DECIDING = (
    "image_id",
    "labels",
    "label_origin",
    "set_aside",
    "license",
    "score",
    "quality_flags",
    "width_px",
    "height_px",
)
"""Columns that the choice looks at."""
_UNLABELLED = ("unlabelled", "untrusted")
"""Reasons that do not keep an image out of `unlabelled.parquet`."""


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
    """Images not chosen, by reason: rejected, conflict, outside, unlabelled, untrusted,
    license, where, small_class, cap, negatives."""
    unlabelled: Ints
    """Rows to come along without a label, ascending; empty unless asked for."""


def select(
    table: pa.Table, recipe: Recipe, facts: Facts | None = None, standing: Standing | None = None
) -> Selection:
    """Choose the images and classes that the recipe asks for.

    Args:
        table: rows of schema `INPUT` (at least `DECIDING`), with distinct image ids, in any order.
        recipe: limits, trust, licences and filters.
        facts: what the recipe asks of other columns; found out from the table by default.
        standing: where the rows stand already; None: nowhere.

    Returns:
        The choice; it does not depend on the order of the rows.

    Raises:
        PackError: no class is left, and nothing unlabelled that was asked for.
        UsageError: a licence that is asked for is none, and no image has it.
    """
    facts = Facts.of(table, recipe) if facts is None else facts
    every = Labels.of(table.column("labels"))
    usable, faults = _usable(table, every, recipe, facts)
    unlabelled = _unlabelled(table, faults, recipe, facts)
    left_out = {name: int(mask.sum()) for name, mask in faults.items()}
    for name in _UNLABELLED:
        left_out[name] -= int(faults[name][unlabelled].sum())
    before = every.keep(rows=_mask(pc.is_valid(table.column("label_origin")))).per_class()
    labels = every.keep(rows=usable)
    available = labels.per_class()
    negatives = usable & (every.per_row() == 0)
    rank = _rank(table, labels, recipe, facts)
    alive, chosen = _within_limits(labels, recipe, rank, standing)
    if not alive.any() and not len(unlabelled):
        raise _nothing_left(every.classes, available, left_out, recipe)
    current = labels.keep(classes=alive)
    has_label = current.per_row() > 0
    chosen &= has_label
    taken = _some_negatives(negatives, int(chosen.sum()), recipe, rank, standing)
    left_out["small_class"] = int((usable & ~has_label & ~negatives).sum())
    left_out["cap"] = int((has_label & ~chosen).sum())
    left_out["negatives"] = int((negatives & ~taken).sum())
    rows = np.flatnonzero(chosen | taken)
    dropped = np.flatnonzero(~alive)
    return Selection(
        rows=rows,
        labels=current.take(rows),
        before={name: int(n) for name, n in zip(every.classes, before, strict=True)},
        dropped={every.classes[code]: int(available[code]) for code in dropped},
        left_out=left_out,
        unlabelled=unlabelled,
    )


def _usable(
    table: pa.Table, labels: Labels, recipe: Recipe, facts: Facts
) -> tuple[Mask, dict[str, Mask]]:
    """Find the rows that may be used at all, and the others by their first fault."""
    origin, aside = table.column("label_origin"), table.column("set_aside")
    trusted = pa.array(TRUST[: TRUST.index(recipe.trust) + 1])
    several = (labels.per_row() > 1) & (recipe.exclusive is True)
    everything = np.ones(table.num_rows, dtype=np.bool_)
    tests = {
        "rejected": ~_mask(pc.is_in(aside, value_set=pa.array(["rejected"]))),
        "conflict": ~(several | _mask(pc.is_in(aside, value_set=pa.array(["conflict"])))),
        "outside": ~_mask(pc.is_in(aside, value_set=pa.array(["outside"]))),
        "unlabelled": _mask(pc.is_valid(origin)),
        "untrusted": _mask(pc.is_in(origin, value_set=trusted)),
        "license": _licensed(table.column("license"), recipe),
        "where": everything if facts.where is None else facts.where,
    }
    usable = everything.copy()
    faults = {}
    for reason, passed in tests.items():
        faults[reason] = usable & ~passed
        usable = usable & passed
    return usable, faults


def _unlabelled(table: pa.Table, faults: Mapping[str, Mask], recipe: Recipe, facts: Facts) -> Ints:
    """Find the rows that come along without a label: those that lack nothing else."""
    if not recipe.include_unlabelled:
        return np.empty(0, dtype=np.int64)
    lacking = faults["unlabelled"] | faults["untrusted"]
    if facts.where is not None:
        lacking &= facts.where
    return np.flatnonzero(lacking & _licensed(table.column("license"), recipe))


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


def _rank(table: pa.Table, labels: Labels, recipe: Recipe, facts: Facts) -> Ints:
    """Rank every row in the order of keeping; all zero where nothing needs it."""
    available = labels.per_class()
    largest = int(available.max(initial=0))
    cap = recipe.max_per_class or largest
    if recipe.downsample is None and recipe.negatives is None and largest <= cap:
        return np.zeros(table.num_rows, dtype=np.int64)
    return taking_order(table, labels, recipe, facts.turns)


def _within_limits(
    labels: Labels, recipe: Recipe, rank: Ints, standing: Standing | None
) -> tuple[Mask, Mask]:
    """Find the classes that can keep both limits, and rows with which they do."""
    available = labels.per_class()
    alive = available >= recipe.min_per_class
    while True:
        current = labels.keep(classes=alive)
        cap = _cap_of(recipe, available[alive])
        if cap is None or not (current.per_class() > cap).any():
            return alive, np.ones(labels.n_rows, dtype=np.bool_)
        order = rank if standing is None else standing.order(current, cap, rank)
        if current.per_row().max() <= 1:
            return alive, _first_of_each(current, cap, order)
        limited = limit(current, recipe.min_per_class, cap, order)
        if not limited.given_up.size:
            return alive, limited.chosen
        alive[limited.given_up] = False


def _cap_of(recipe: Recipe, available: Ints) -> int | None:
    """Return the tightest cap that the recipe sets, given the sizes of the classes kept."""
    caps = [] if recipe.max_per_class is None else [recipe.max_per_class]
    if isinstance(recipe.downsample, int):
        caps.append(recipe.downsample)
    elif recipe.downsample is not None and len(available):
        caps.append(int(available.min()))
    return min(caps, default=None)


def _first_of_each(labels: Labels, cap: int, rank: Ints) -> Mask:
    """With one label per row: the first rows of each class."""
    order = np.lexsort((rank[labels.rows], labels.codes))
    codes = labels.codes[order]
    place = np.arange(len(codes)) - np.searchsorted(codes, codes)
    chosen = np.ones(labels.n_rows, dtype=np.bool_)
    chosen[labels.rows[order[place >= cap]]] = False
    return chosen


def _some_negatives(
    negatives: Mask, n_positive: int, recipe: Recipe, rank: Ints, standing: Standing | None
) -> Mask:
    """Choose images of no class up to their share of the whole."""
    if recipe.negatives is None:
        return negatives
    most = int(n_positive * recipe.negatives / (1 - recipe.negatives) + 1e-9)
    rows = np.flatnonzero(negatives)
    if standing is not None:
        of_no_class = Labels(("",), len(negatives), rows, np.zeros(len(rows), dtype=np.int64))
        rank = standing.order(of_no_class, most, rank)
    taken = np.zeros(len(negatives), dtype=np.bool_)
    taken[rows[np.argsort(rank[rows], kind="stable")[:most]]] = True
    return taken


def _nothing_left(
    classes: tuple[str, ...], available: Ints, left_out: Mapping[str, int], recipe: Recipe
) -> PackError:
    """Say which classes there were, how large, and what would help."""
    reasons = ", ".join(f"{n} {reason}" for reason, n in left_out.items() if n)
    if not available.any():
        hint = "give images a class as they come in: `curate import DIR --class NAME`"
        if left_out["unlabelled"] and not recipe.include_unlabelled:
            hint = (
                "label them (`curate audit`), import them with a class (`curate import DIR --class "
                "NAME`), or take them along as they are: --include-unlabelled"
            )
        if left_out["outside"]:
            hint = "the class list lacks the classes that people gave: see `curate classes list`"
        if left_out["untrusted"]:
            hint = "accept weaker labels: --trust query takes them all"
        if left_out["license"]:
            hint = "allow more licences with --license, or leave the flag out"
        if left_out["where"]:
            hint = "ask for less with --where, or leave the flag out"
        return PackError(f"no image has a label that may be used ({reasons or 'no images'})", hint)
    largest = np.lexsort((np.arange(len(classes)), -available))[:5]
    shown = ", ".join(f"{classes[code]} {available[code]}" for code in largest)
    more = f", … ({len(classes)} classes)" if len(classes) > len(largest) else ""
    aside = f"; left out: {reasons}" if reasons else ""
    if available[largest[0]] >= recipe.min_per_class:
        return PackError(
            f"no class can have {recipe.min_per_class} images with every class within its cap: "
            f"{shown}{more}{aside}",
            "raise --max-per-class, or lower --min-per-class",
        )
    return PackError(
        f"no class has {recipe.min_per_class} images: {shown}{more}{aside}",
        f"lower --min-per-class (the largest class has {available[largest[0]]}), or fetch more",
    )
