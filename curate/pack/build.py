"""From labelled images to a manifest: select, group, split, write, check.

The rows are ordered by image id before anything is decided, and written in that order, so
that the order in which they come cannot show in the result. Only the few columns that
decide are held twice; the others are gathered block by block as they are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.errors import PackError
from curate.pack import card
from curate.pack.balance import DECIDING
from curate.pack.describe import describe
from curate.pack.facts import Facts
from curate.pack.groups import Ints
from curate.pack.manifest import (
    ATTRIBUTION,
    CARD,
    ROWS_PER_GROUP,
    aside,
    publish,
    write_info,
    write_split,
)
from curate.pack.plan import ABSENT, Plan, decide
from curate.pack.proof import Neighbours, refuse_leaks, torn_hints, torn_values, written_sides
from curate.pack.recipe import SPLITS, Recipe
from curate.pack.result import PackResult
from curate.pack.schema import INPUT, MANIFEST, conform
from curate.pack.upsample import seeds
from curate.progress import Progress, silent

_KEYS = [*DECIDING, "source", "group_hints", "phash"]
UNLABELLED, UNASSIGNED = "unlabelled", "unassigned"
"""The file of images without a label, and their split."""


def pack(
    table: pa.Table,
    recipe: Recipe,
    folder: Path,
    *,
    dry_run: bool = False,
    near_duplicates_searched: bool = False,
    neighbours: Neighbours | None = None,
    absent: pa.Table | None = None,
    citations: Sequence[Mapping[str, str | None]] = (),
    given: Mapping[str, str] | None = None,
    outside: Mapping[str, int] | None = None,
    progress: Progress = silent,
) -> PackResult:
    """Balance and split the images of a project, and write the manifest.

    Args:
        table: kept images, schema `INPUT`, in any order, each image id once.
        recipe: what to take and how to divide it.
        folder: the project's folder; the manifest goes to `folder/manifests/vNNNN`.
        dry_run: decide everything, write nothing.
        near_duplicates_searched: whether they were looked for among all these images; the
            card says so if not.
        neighbours: finds pairs of nearly equal hashes, to count those on two sides.
        absent: images that are not kept but link others, schema `plan.ABSENT`; None: there
            are none.
        citations: what must be cited, with `source`, `key`, `doi` and `text`; those of
            sources that give no image are passed over.
        given: split of images that came with one that is to be kept, by image id.
        outside: classes that are not in the class list, with the images that people have
            labelled only with such; the card names them.
        progress: told of each stage.

    Returns:
        The numbers of the dataset, and where it is.

    Raises:
        PackError: the table does not fit, no class is left, or the split would leak (then
            nothing is published).
        UsageError: the recipe names what there is not.
    """
    table = conform(table, INPUT)
    order = _order(table)
    keys = table.select(_KEYS).take(order)
    ids = keys.column("image_id")
    progress("balance", 0, table.num_rows)
    facts = Facts.of(table, recipe).take(order.to_numpy())
    others = ABSENT.empty_table() if absent is None else absent
    plan = decide(keys, recipe, facts, folder / "manifests", others, given)
    info = describe(keys, plan, recipe, neighbours)
    info["near_duplicates_searched"] = near_duplicates_searched
    info["citations"] = [dict(each) for each in citations if each["source"] in info["sources"]]
    info["outside"] = dict(outside or {})
    progress("balance", table.num_rows, table.num_rows)
    if dry_run:
        sides = np.full(table.num_rows, -1, dtype=np.int64)
        sides[plan.selection.rows] = plan.split
        refuse_leaks(_torn(keys, facts, recipe, sides))
        return PackResult.of(info, None, plan)
    with aside(folder / "manifests") as draft:
        _write(draft, table, order.to_numpy(), plan, info, progress)
        sides, leaks = written_sides(draft, ids)
        refuse_leaks([*leaks, *_torn(keys, facts, recipe, sides)])
        published = publish(draft, folder / "manifests")
    return PackResult.of(info, published, plan)


def _order(table: pa.Table) -> pa.Array:
    """Return the rows in the order of image ids, each of which is there once.

    Raises:
        PackError: there are no rows, or one image has two.
    """
    if not table.num_rows:
        raise PackError("there are no images to balance", "fetch some: `curate fetch --query …`")
    ids = table.column("image_id")
    if pc.count_distinct(ids).as_py() != len(ids):
        raise PackError("the table of images names an image twice")
    return pc.sort_indices(ids)


def _torn(keys: pa.Table, facts: Facts, recipe: Recipe, sides: Ints) -> list[str]:
    """Name what belongs together and stands on two sides."""
    torn = torn_hints(keys.column("group_hints"), sides)
    for codes in facts.together:
        torn += torn_values(f"a value of {','.join(recipe.group_by)}", codes, sides)
    return torn


def _write(
    draft: Path,
    table: pa.Table,
    order: Ints,
    plan: Plan,
    info: dict[str, Any],
    progress: Progress,
) -> None:
    """Write every file of the manifest into `draft`."""
    whole = table.combine_chunks()
    rows = _Rows(whole, order, plan, info)
    n_rows: dict[str, int] = {}
    done, total = 0, len(plan.side) + int(plan.repeats.sum()) + len(plan.selection.unlabelled)
    parts = [(split, rows.of_split(number, split)) for number, split in enumerate(SPLITS)]
    if info["recipe"]["include_unlabelled"]:
        parts.append((UNLABELLED, rows.unlabelled()))
    for name, blocks in parts:
        file = f"{name}.parquet"
        counted = _counted(blocks, done, total, progress)
        n_rows[file] = write_split(draft / file, counted, info["recipe"])
        done += n_rows[file]
    credit = whole.select(list(card.ATTRIBUTION_COLUMNS))
    taken = order[np.sort(np.concatenate([plan.selection.rows, plan.selection.unlabelled]))]
    card.write_attribution(
        draft / ATTRIBUTION,
        (credit.take(pa.array(taken[start:end])) for start, end in _blocks(len(taken))),
    )
    (draft / CARD).write_text(card.card_text(info), encoding="utf-8")
    write_info(draft, info, n_rows)


def _blocks(n: int) -> Iterator[tuple[int, int]]:
    for start in range(0, n, ROWS_PER_GROUP):
        yield start, min(n, start + ROWS_PER_GROUP)


def _counted(
    blocks: Iterator[pa.Table], done: int, total: int, progress: Progress
) -> Iterator[pa.Table]:
    for block in blocks:
        yield block
        done += block.num_rows
        progress("manifest", done, total)


class _Rows:
    """Gathers manifest rows block by block."""

    def __init__(self, whole: pa.Table, order: Ints, plan: Plan, info: dict[str, Any]) -> None:
        self._whole = whole
        self._order = order
        self._plan = plan
        self._seed = info["recipe"]["seed"]
        labels = plan.selection.labels
        self._labels = labels.to_arrow()
        self._label = labels.first() if info["exclusive"] else pa.nulls(labels.n_rows, pa.string())
        self._folds = plan.folds

    def of_split(self, number: int, split: str) -> Iterator[pa.Table]:
        """Yield the rows of one split, each followed by its repetitions."""
        members = np.flatnonzero(self._plan.split == number)
        times = 1 + self._plan.repeats[members]
        nth = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
        members = np.repeat(members, times)
        for start, end in _blocks(len(members)):
            part = members[start:end]
            rows = self._plan.selection.rows[part]
            chosen = pa.array(part)
            yield self._gather(
                rows,
                {
                    "labels": self._labels.take(chosen),
                    "label": self._label.take(chosen),
                    "split": _repeat(split, len(part)),
                    "fold": self._folds.take(chosen),
                    "augment_seed": seeds(self._ids(rows), nth[start:end], self._seed),
                },
            )

    def unlabelled(self) -> Iterator[pa.Table]:
        """Yield the rows that nobody has labelled."""
        every = self._plan.selection.unlabelled
        for start, end in _blocks(len(every)):
            n = end - start
            made = {
                "labels": pa.array([[]] * n, MANIFEST.field("labels").type),
                "label": pa.nulls(n, pa.string()),
                "label_origin": pa.nulls(n, pa.string()),
                "score": pa.nulls(n, pa.float32()),
                "split": _repeat(UNASSIGNED, n),
                "fold": pa.nulls(n, pa.int16()),
                "augment_seed": pa.nulls(n, pa.int64()),
            }
            yield self._gather(every[start:end], made)

    def _ids(self, rows: Ints) -> pa.Array:
        return self._whole.column("image_id").take(pa.array(self._order[rows])).combine_chunks()

    def _gather(self, rows: Ints, made: dict[str, pa.Array]) -> pa.Table:
        taken = self._whole.take(pa.array(self._order[rows]))
        made = made | {
            "group_id": self._plan.groups.take(pa.array(rows)),
            "meta": taken.column("meta").cast(MANIFEST.field("meta").type),
        }
        columns = [made[name] if name in made else taken.column(name) for name in MANIFEST.names]
        return pa.table(columns, schema=MANIFEST)


def _repeat(text: str, n: int) -> pa.Array:
    return pa.array([text] * n, pa.string())
