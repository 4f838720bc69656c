"""Where earlier manifests have put the images, so that a growing dataset keeps its test set.

What any earlier manifest of the line put into test stays in test: otherwise a model that was
trained on one version could be judged on images it has seen, and scores of two versions could
not be compared. Train and val (and folds) stay too, as long as the recipe divides in the same
way. A group whose images stood on several sides, because it was only now found to be one,
goes to test if any of them was there, else to val: never from test to train.

The line begins anew at a manifest that was made without looking back, and where test is held
out by other values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.pack.groups import Ints
from curate.pack.labels import Mask
from curate.pack.manifest import INFO, Manifest, read_manifest, versions
from curate.pack.recipe import SPLITS, Recipe
from curate.pack.sides import Sides

_SAME_DEAL = ("splits", "seed", "folds")
"""Settings that must be as before for train and val to stay."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """What stood where."""

    sides: Ints
    """Side of each image in earlier manifests, -1 where it was in none."""
    versions: tuple[str, ...]
    """Manifests that were looked at, the newest first."""
    parent: Manifest | None
    """The newest of them."""
    in_parent: Mask
    """Images that it has, as far as their side counts still."""
    split: Ints
    """Split of each image in the newest of them that has it, whatever its recipe; -1: in none."""
    given: Ints
    """Side that each image came with, -1 where it came with none or that is not kept."""


def earlier(
    manifests: Path,
    ids: pa.Array,
    recipe: Recipe,
    sides: Sides,
    given: Mapping[str, str] | None = None,
) -> Earlier:
    """Look up images in the earlier manifests of the line.

    What is in none of them has the side on which an imported dataset had put it, if that is to
    be kept: as if that dataset had been the first manifest.

    Args:
        manifests: the folder of all versions.
        ids: n image ids.
        recipe: how they are to be divided now.
        sides: the sides of that recipe.
        given: split of images that came with one, by image id.

    Raises:
        PackError: an earlier manifest cannot be read.
    """
    line = _line(manifests, recipe)
    came = _given_sides(given or {}, ids, recipe, sides)
    found = came.copy()
    in_parent = np.zeros(len(ids), dtype=np.bool_)
    split = np.full(len(ids), -1, dtype=np.int64)
    in_test = np.zeros(len(ids), dtype=np.bool_)
    for manifest in reversed(line):
        same_deal = all(
            manifest.info["recipe"].get(key, default) == recipe.to_json()[key]
            for key, default in zip(_SAME_DEAL, (None, None, 0), strict=True)
        )
        for number, name in enumerate(SPLITS):
            rows, side = _places(manifest, name, ids, sides)
            split[rows] = number
            if not same_deal and name != "test":
                continue
            found[rows] = side
            in_parent[rows] = manifest is line[0]
            in_test[rows[side == sides.test]] = True
    found[in_test] = sides.test
    names = tuple(each.version for each in line)
    return Earlier(found, names, line[0] if line else None, in_parent, split, came)


def _given_sides(given: Mapping[str, str], ids: pa.Array, recipe: Recipe, sides: Sides) -> Ints:
    """Return the side of each image that came with one; -1 for the others.

    Of a recipe with folds, and of one that holds out by values, only part of it can be kept:
    test, or nothing.
    """
    found = np.full(len(ids), -1, dtype=np.int64)
    if not given or not recipe.sticky or recipe.holdout_by:
        return found
    place = pc.index_in(pa.array(list(given), pa.string()), value_set=ids)
    for row, split in zip(place.to_pylist(), given.values(), strict=True):
        if row is not None and (split == "test" or not sides.n_folds):
            found[row] = _side_of(split, sides)
    return found


def _line(manifests: Path, recipe: Recipe) -> list[Manifest]:
    """Return the manifests to look back at, the newest first."""
    if not recipe.sticky:
        return []
    found = [path for path in reversed(versions(manifests)) if (path / INFO).exists()]
    opened = map(read_manifest, found)
    line = []
    for each in takewhile(lambda one: _held_by(one.info) == recipe.holdout_by, opened):
        line.append(each)
        if each.info["recipe"].get("sticky") is False:
            break
    return line


def _held_by(info: Mapping[str, Any]) -> str:
    return str(info["recipe"].get("holdout_by", ""))


def _places(manifest: Manifest, split: str, ids: pa.Array, sides: Sides) -> tuple[Ints, Ints]:
    """Find the images of one file among `ids`; return their places and sides."""
    path = manifest.path / f"{split}.parquet"
    columns = ["image_id", "fold"] if sides.n_folds and split != "test" else ["image_id"]
    table = pq.read_table(path, columns=columns)
    place = pc.index_in(table.column("image_id"), value_set=ids)
    here = pc.is_valid(place)
    rows = place.filter(here).to_numpy().astype(np.int64)
    if len(columns) == 1:
        return rows, np.full(len(rows), _side_of(split, sides), dtype=np.int64)
    fold = pc.fill_null(table.column("fold").filter(here), -1)
    return rows, fold.to_numpy().astype(np.int64)


def _side_of(split: str, sides: Sides) -> int:
    return sides.test if split == "test" else SPLITS.index(split)


def agree(sides: Ints, group_of: Ints) -> Ints:
    """Give all images of a group one side: the last of theirs, which is test before val.

    Args:
        sides: n earlier sides, -1 for none.
        group_of: number of each image's group, below n.

    Returns:
        The side of each image's group; -1 for new groups.
    """
    last = np.full(len(sides), -1, dtype=np.int64)
    np.maximum.at(last, group_of, sides)
    return last[group_of]


def count_moves(before: Ints, after: Ints) -> dict[str, int]:
    """Count images whose split is another one now, e.g. `train_to_test`.

    Args:
        before: earlier split of each image, -1 for none.
        after: its split now.
    """
    known = before >= 0
    pairs = before[known] * len(SPLITS) + after[known]
    numbers = np.bincount(pairs, minlength=len(SPLITS) ** 2).reshape(len(SPLITS), -1)
    return {
        f"{SPLITS[old]}_to_{SPLITS[new]}": int(numbers[old, new])
        for old, new in np.argwhere(numbers).tolist()
        if old != new
    }
