"""Which images are taken, what stays together, and which side each goes to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from curate.pack.balance import Selection, select
from curate.pack.facts import Facts
from curate.pack.groups import Ints, group_numbers
from curate.pack.holdout import HeldOut, hold_out
from curate.pack.places import Standing
from curate.pack.recipe import Recipe
from curate.pack.sides import Sides
from curate.pack.split import assign
from curate.pack.sticky import Earlier, agree, count_moves, earlier
from curate.pack.upsample import repeats

ABSENT = pa.schema(
    [pa.field("image_id", pa.string()), pa.field("group_hints", pa.list_(pa.string()))]
)
"""Images that the project has but does not keep: they still link others."""


def absent_table(pages: Iterable[list[tuple[str, tuple[str, ...]]]]) -> pa.Table:
    """Return images that are not kept as a table of schema `ABSENT`.

    Args:
        pages: image ids with their group hints.
    """
    batches = []
    for page in pages:
        ids, hints = [each[0] for each in page], [list(each[1]) for each in page]
        arrays = [pa.array(ids, pa.string()), pa.array(hints, pa.list_(pa.string()))]
        batches.append(pa.RecordBatch.from_arrays(arrays, schema=ABSENT))
    return pa.Table.from_batches(batches, schema=ABSENT)


@dataclass(frozen=True, slots=True)
class Plan:
    """Which rows go where. Row numbers are those of the table sorted by image id."""

    selection: Selection
    """Chosen rows."""
    groups: pa.Array
    """Name of the group of every row of the table."""
    sides: Sides
    """What they are divided among."""
    side: Ints
    """Side of each selected row."""
    repeats: Ints
    """How often each selected row is repeated beyond itself."""
    held: HeldOut | None
    """What was held out for test, if that was asked for."""
    earlier: Earlier
    """Where earlier manifests had them."""
    kept: int
    """Selected images that are on the side where they were."""
    moved: dict[str, int]
    """Selected images whose split is another than it was, e.g. `train_to_test`."""
    dealt: dict[str, int]
    """The same for those whose split the recipe did not keep, since it divides otherwise."""
    train_due: float
    """Share of train that is due by the recipe, and by splits that images came with."""

    @property
    def split(self) -> Ints:
        """Split of each selected row: 0 train, 1 val, 2 test."""
        split: Ints = self.sides.split[self.side]
        return split

    @property
    def folds(self) -> pa.Array:
        """Fold of each selected row; null in test, and where there are none."""
        if not self.sides.n_folds:
            return pa.nulls(len(self.side), pa.int16())
        return pa.array(self.side.astype(np.int16), mask=self.side == self.sides.test)


def decide(
    keys: pa.Table,
    recipe: Recipe,
    facts: Facts,
    manifests: Path,
    absent: pa.Table,
    given: Mapping[str, str] | None = None,
) -> Plan:
    """Choose images, find what belongs together, and give each a side.

    Args:
        keys: the deciding columns of n images, sorted by image id.
        recipe: what to take and how to divide it.
        facts: what the recipe asks of other columns.
        manifests: folder of earlier manifests.
        absent: images that link others, schema `ABSENT`.
        given: split of images that came with one, by image id.
    """
    n = keys.num_rows
    ids = keys.column("image_id").combine_chunks()
    sides = Sides.of(recipe)
    group_of = _groups(keys, absent, facts)
    everyone = pa.concat_arrays([ids, *absent.column("image_id").chunks])
    before = earlier(manifests, everyone, recipe, sides, given)
    was = agree(before.sides, group_of)[:n]
    standing = _standing(before, was, sides)
    selection = select(keys, recipe, facts, standing)
    rows = selection.rows
    groups = ids.take(pa.array(group_of[:n]))
    side, held = _divide(selection, group_of[rows], groups, was[rows], recipe, facts, sides, before)
    own, last, split = before.sides[rows], before.split[rows], sides.split[side]
    kept_split = np.where(own >= 0, sides.split[own], -1)
    in_train = np.flatnonzero(split == 0)
    again = np.zeros(len(rows), dtype=np.int64)
    if recipe.upsample is not None:
        taken = ids.take(pa.array(rows))
        again = repeats(selection.labels, in_train, taken, recipe.upsample, recipe.seed)
    return Plan(
        selection=selection,
        groups=groups,
        sides=sides,
        side=side,
        repeats=again,
        held=held,
        earlier=before,
        kept=int((own == side).sum()),
        moved=count_moves(kept_split, split),
        dealt=count_moves(np.where(last == kept_split, -1, last), split),
        train_due=standing.train_due(rows),
    )


def _standing(before: Earlier, was: Ints, sides: Sides) -> Standing:
    """Say where images stand before any is chosen."""
    newest: dict[str, int] = {}
    if before.parent is not None:
        info = before.parent.info
        newest = {name: n["after"] for name, n in info["classes"].items()}
        newest[""] = info["negatives"]
    n = len(was)
    return Standing(sides, was, before.given[:n], before.in_parent[:n], newest)


def _groups(keys: pa.Table, absent: pa.Table, facts: Facts) -> Ints:
    """Number the groups of all images, kept ones first, by the first image of each."""
    hints = pa.chunked_array(
        [*keys.column("group_hints").chunks, *absent.column("group_hints").chunks],
        absent.schema.field("group_hints").type,
    )
    nothing = np.full(absent.num_rows, -1, dtype=np.int64)
    together = [np.concatenate([codes, nothing]) for codes in facts.together]
    return group_numbers(hints, together)


def _divide(
    selection: Selection,
    group_of: Ints,
    groups: pa.Array,
    was: Ints,
    recipe: Recipe,
    facts: Facts,
    sides: Sides,
    before: Earlier,
) -> tuple[Ints, HeldOut | None]:
    """Give each selected row a side, after test was held out if that is asked for."""
    names = groups.take(pa.array(selection.rows))
    fixed = was if (was >= 0).any() else None
    if facts.elsewhere is None or not len(was):
        split = assign(names, selection.labels, sides.shares, recipe.seed, fixed, sides.n_train)
        return split, None
    parent = before.parent
    said = parent.info.get("holdout") if parent is not None else None
    held = hold_out(
        facts.elsewhere.take(pa.array(selection.rows)),
        np.unique(group_of, return_inverse=True)[1].astype(np.int64),
        recipe.holdout_by,
        sides.shares[-1],
        recipe.seed,
        fixed=was == sides.test,
        trained=(was >= 0) & (was < sides.test),
        kept=said["values"] if said else (),
    )
    side = np.full(len(was), sides.test, dtype=np.int64)
    rest = np.flatnonzero(~held.rows)
    side[rest] = assign(
        names.take(pa.array(rest)),
        selection.labels.take(rest),
        sides.without_test(),
        recipe.seed,
        None if fixed is None else fixed[rest],
        sides.n_train,
    )
    return side, held
