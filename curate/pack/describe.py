"""What `manifest.json` says of a dataset: counts, and the proof of its split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate import __version__
from curate.pack.balance import Selection
from curate.pack.plan import Plan
from curate.pack.proof import (
    Hashes,
    Nearest,
    Neighbours,
    alike_across,
    deviations,
    largest_deviation,
    nearest_across,
)
from curate.pack.recipe import SPLITS, TRUST, Recipe
from curate.pack.schema import SCHEMA_VERSION


def describe(
    keys: pa.Table, plan: Plan, recipe: Recipe, neighbours: Neighbours | None
) -> dict[str, Any]:
    """Count everything that `manifest.json` and the card tell.

    Args:
        keys: the deciding columns, sorted by image id.
        plan: which rows go where.
        recipe: what it was made with.
        neighbours: finds pairs of hashes; None: they are not compared.
    """
    selection = plan.selection
    chosen = keys.take(pa.array(selection.rows))
    held = keys.take(pa.array(np.concatenate([selection.rows, selection.unlabelled])))
    origins = _count(chosen.column("label_origin"))
    groups = plan.groups.take(pa.array(selection.rows))
    classes = _classes(plan)
    return {
        "schema_version": SCHEMA_VERSION,
        "curate_version": __version__,
        "parent": None if plan.earlier.parent is None else plan.earlier.parent.version,
        "recipe": recipe.to_json(),
        "exclusive": _is_exclusive(selection, recipe),
        "images": {split: int((plan.split == j).sum()) for j, split in enumerate(SPLITS)},
        "negatives": int((selection.labels.per_row() == 0).sum()),
        "unlabelled": len(selection.unlabelled),
        "repeated": int(plan.repeats.sum()),
        "groups": pc.count_distinct(groups).as_py(),
        "classes": classes,
        "dropped": dict(selection.dropped),
        "left_out": dict(selection.left_out),
        "origins": {name: origins[name] for name in TRUST if name in origins},
        "licenses": _count(held.column("license")),
        "sources": _count(held.column("source")),
        "sticky": {
            "versions": list(plan.earlier.versions),
            "kept": plan.kept,
            "moved": plan.moved,
        },
        "holdout": None if plan.held is None else plan.held.to_json(),
        **_proof(chosen, plan, classes, neighbours),
    }


def _classes(plan: Plan) -> dict[str, dict[str, int]]:
    selection = plan.selection
    labels = selection.labels
    sides = [labels.keep(rows=plan.split == j).per_class() for j in range(len(SPLITS))]
    classes = {
        name: {
            "before": selection.before[name],
            "after": int(sum(side[code] for side in sides)),
            **{split: int(side[code]) for split, side in zip(SPLITS, sides, strict=True)},
        }
        for code, name in enumerate(labels.classes)
    }
    if plan.repeats.any():
        for name, code in zip(classes, range(len(classes)), strict=True):
            again = plan.repeats[labels.rows[labels.codes == code]]
            classes[name]["train_rows"] = classes[name]["train"] + int(again.sum())
    return classes


def _proof(
    chosen: pa.Table,
    plan: Plan,
    classes: Mapping[str, Mapping[str, int]],
    neighbours: Neighbours | None,
) -> dict[str, Any]:
    """Return the proof; groups on two sides are refused before anything is published."""
    off = deviations(classes, plan.sides.split_shares)
    nearest = alike = None
    if neighbours is not None:
        hashes = Hashes.of(chosen.column("phash"), plan.split)
        alike = alike_across(hashes, neighbours)
        nearest = _name(nearest_across(hashes, neighbours), chosen, plan)
    return {
        "alike_across": alike,
        "proof": {
            "groups_on_two_sides": 0,
            "nearest": nearest,
            "largest_deviation": largest_deviation(off, classes),
            "deviations": off,
        },
    }


def _name(nearest: Nearest, chosen: pa.Table, plan: Plan) -> dict[str, Any]:
    """Find the images of the nearest hashes: the first of each side."""
    document: dict[str, Any] = {"bits": nearest.bits, "beyond": nearest.beyond, "images": []}
    seen: set[str] = set()
    for value in nearest.hashes:
        mask = pc.equal(chosen.column("phash"), pa.scalar(value, pa.uint64()))
        for row in pc.indices_nonzero(pc.fill_null(mask, False)).to_pylist():
            split = SPLITS[int(plan.split[row])]
            if split not in seen:
                seen.add(split)
                image_id = chosen.column("image_id")[row].as_py()
                document["images"].append({"image_id": image_id, "split": split})
                break
    return document


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
