"""From labelled images to a manifest: select, group, split, write, check.

The rows are ordered by image id before anything is decided, and written in that order, so
that the order in which they come cannot show in the result. Only the few columns that
decide are held twice; the others are gathered block by block as they are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate import __version__
from curate.errors import PackError
from curate.pack import card
from curate.pack.balance import Selection, select
from curate.pack.groups import Ints, group_ids
from curate.pack.manifest import (
    ATTRIBUTION,
    CARD,
    ROWS_PER_GROUP,
    Published,
    aside,
    publish,
    write_info,
    write_split,
)
from curate.pack.proof import Neighbours, alike_across, refuse_leaks, torn_hints, written_leaks
from curate.pack.recipe import SPLITS, TRUST, Recipe
from curate.pack.schema import INPUT, MANIFEST, SCHEMA_VERSION, conform
from curate.pack.split import assign
from curate.progress import Progress, silent

_DECIDING = ["image_id", "labels", "label_origin", "license", "source", "group_hints", "phash"]


@dataclass(frozen=True, slots=True)
class PackResult:
    """What `pack` made, or with `dry_run` would make."""

    manifest: str | None
    """Version, e.g. `v0001`; None after a dry run."""
    path: Path | None
    """Its folder; None after a dry run."""
    unchanged: bool
    """The newest manifest says the same already; nothing was written."""
    changed: tuple[str, ...]
    """Why a new version was written: recipe, images, near_duplicates; empty for the first."""
    images: Mapping[str, int]
    """Images in train, val and test."""
    classes: Mapping[str, Mapping[str, int]]
    """For each class of the dataset: before, after, train, val, test."""
    dropped: Mapping[str, int]
    """Dropped classes, with the usable images they had."""
    left_out: Mapping[str, int]
    """Images not taken, by reason."""
    negatives: int
    """Images of no class that were taken."""
    groups: int
    """Groups among the images taken."""
    leaks: int
    """Groups, hints or images found on two sides of the written files: 0, or there is none."""
    near_duplicates_searched: bool
    """Near-duplicates were looked for among all the images."""
    alike_across: int | None
    """Pairs of images on two sides whose hashes are nearly equal; None: not counted."""

    def to_json(self) -> dict[str, Any]:
        """Return the document that `curate balance --json` prints."""
        return {
            "manifest": self.manifest,
            "path": None if self.path is None else str(self.path),
            "unchanged": self.unchanged,
            "changed": list(self.changed),
            "images": dict(self.images),
            "classes": {name: dict(counts) for name, counts in self.classes.items()},
            "dropped": dict(self.dropped),
            "left_out": dict(self.left_out),
            "negatives": self.negatives,
            "groups": self.groups,
            "leaks": self.leaks,
            "near_duplicates_searched": self.near_duplicates_searched,
            "alike_across": self.alike_across,
        }


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which rows go where. Row numbers are those of the table sorted by image id."""

    selection: Selection
    group_id: pa.Array
    """Group of each selected row."""
    split: Ints
    """Split of each selected row."""


def pack(
    table: pa.Table,
    recipe: Recipe,
    folder: Path,
    *,
    dry_run: bool = False,
    near_duplicates_searched: bool = False,
    neighbours: Neighbours | None = None,
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
        progress: told of each stage.

    Returns:
        The numbers of the dataset, and where it is.

    Raises:
        PackError: the table does not fit, no class is left, or the split would leak (then
            nothing is published).
    """
    table = conform(table, INPUT)
    if not table.num_rows:
        raise PackError("there are no images to balance", "fetch some: `curate fetch --query …`")
    order = pc.sort_indices(table.column("image_id"))
    keys = table.select(_DECIDING).take(order)
    ids = keys.column("image_id")
    if pc.count_distinct(ids).as_py() != len(ids):
        raise PackError("the table of images names an image twice")
    progress("balance", 0, table.num_rows)
    plan = _decide(keys, recipe)
    progress("balance", table.num_rows, table.num_rows)
    info = _describe(keys, plan, recipe)
    info["near_duplicates_searched"] = near_duplicates_searched
    chosen = keys.column("phash").take(pa.array(plan.selection.rows))
    info["alike_across"] = neighbours and alike_across(chosen, plan.split, neighbours)
    hints = keys.column("group_hints")
    if dry_run:
        sides = np.full(table.num_rows, -1, dtype=np.int64)
        sides[plan.selection.rows] = plan.split
        refuse_leaks(torn_hints(hints, sides))
        return _result(info, None)
    with aside(folder / "manifests") as draft:
        _write(draft, table, order.to_numpy(), plan, info, progress)
        refuse_leaks(written_leaks(draft, ids, hints))
        published = publish(draft, folder / "manifests")
    return _result(info, published)


def _decide(keys: pa.Table, recipe: Recipe) -> _Plan:
    selection = select(keys, recipe)
    everyone = group_ids(keys.column("image_id"), keys.column("group_hints"))
    group_id = everyone.take(pa.array(selection.rows))
    split = assign(group_id, selection.labels, recipe.splits, recipe.seed)
    return _Plan(selection, group_id, split)


def _describe(keys: pa.Table, plan: _Plan, recipe: Recipe) -> dict[str, Any]:
    """Count everything that `manifest.json` and the card tell."""
    selection = plan.selection
    labels = selection.labels
    sides = [labels.keep(rows=plan.split == j).per_class() for j in range(len(SPLITS))]
    chosen = keys.take(pa.array(selection.rows))
    origins = _count(chosen.column("label_origin"))
    classes = {
        name: {
            "before": selection.before[name],
            "after": int(sum(side[code] for side in sides)),
            **{split: int(side[code]) for split, side in zip(SPLITS, sides, strict=True)},
        }
        for code, name in enumerate(labels.classes)
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "curate_version": __version__,
        "parent": None,
        "recipe": recipe.to_json(),
        "exclusive": _is_exclusive(selection, recipe),
        "images": {split: int((plan.split == j).sum()) for j, split in enumerate(SPLITS)},
        "negatives": int((labels.per_row() == 0).sum()),
        "groups": pc.count_distinct(plan.group_id).as_py(),
        "classes": classes,
        "dropped": dict(selection.dropped),
        "left_out": dict(selection.left_out),
        "origins": {name: origins[name] for name in TRUST if name in origins},
        "licenses": _count(chosen.column("license")),
        "sources": _count(chosen.column("source")),
    }


def _is_exclusive(selection: Selection, recipe: Recipe) -> bool:
    """Tell whether `label` is filled: no image has two classes, and the recipe has them not."""
    if recipe.exclusive is not None:
        return recipe.exclusive
    return int(selection.labels.per_row().max(initial=0)) <= 1


def _count(column: pa.ChunkedArray) -> dict[str, int]:
    """Count values, the most frequent first; null counts as `unknown`."""
    counted = pc.fill_null(column, "unknown").value_counts().to_pylist()
    counted.sort(key=lambda item: (-item["counts"], item["values"]))
    return {item["values"]: item["counts"] for item in counted}


def _write(
    draft: Path,
    table: pa.Table,
    order: Ints,
    plan: _Plan,
    info: dict[str, Any],
    progress: Progress,
) -> None:
    """Write every file of the manifest into `draft`."""
    whole = table.combine_chunks()
    n_rows: dict[str, int] = {}
    done, total = 0, len(plan.split)
    for number, split in enumerate(SPLITS):
        members = np.flatnonzero(plan.split == number)

        def blocks(
            members: Ints = members, split: str = split, done: int = done
        ) -> Iterator[pa.Table]:
            for start in range(0, len(members), ROWS_PER_GROUP):
                part = members[start : start + ROWS_PER_GROUP]
                yield _rows(whole, order, plan, part, split, info["exclusive"])
                progress("manifest", done + start + len(part), total)

        n_rows[f"{split}.parquet"] = write_split(
            draft / f"{split}.parquet", blocks(), info["recipe"]
        )
        done += len(members)
    credit = whole.select(list(card.ATTRIBUTION_COLUMNS))
    rows = order[plan.selection.rows]
    card.write_attribution(
        draft / ATTRIBUTION,
        (
            credit.take(pa.array(rows[start : start + ROWS_PER_GROUP]))
            for start in range(0, len(rows), ROWS_PER_GROUP)
        ),
    )
    (draft / CARD).write_text(card.card_text(info), encoding="utf-8")
    write_info(draft, info, n_rows)


def _rows(
    whole: pa.Table, order: Ints, plan: _Plan, members: Ints, split: str, exclusive: bool
) -> pa.Table:
    """Gather the manifest rows of some of the selected images."""
    taken = whole.take(pa.array(order[plan.selection.rows[members]]))
    labels = plan.selection.labels.take(members)
    made = {
        "labels": labels.to_arrow(),
        "label": labels.first() if exclusive else pa.nulls(len(members), pa.string()),
        "split": pa.array([split] * len(members), pa.string()),
        "group_id": plan.group_id.take(pa.array(members)),
        "fold": pa.nulls(len(members), pa.int16()),
        "augment_seed": pa.nulls(len(members), pa.int64()),
        "meta": taken.column("meta").cast(MANIFEST.field("meta").type),
    }
    columns = [made[name] if name in made else taken.column(name) for name in MANIFEST.names]
    return pa.table(columns, schema=MANIFEST)


def _result(info: Mapping[str, Any], published: Published | None) -> PackResult:
    same = ("images", "classes", "dropped", "left_out", "negatives", "groups")
    proof = ("near_duplicates_searched", "alike_across")
    return PackResult(
        manifest=None if published is None else published.path.name,
        path=None if published is None else published.path,
        unchanged=published is not None and not published.is_new,
        changed=() if published is None else published.changed,
        leaks=0,
        **{name: info[name] for name in (*same, *proof)},
    )
