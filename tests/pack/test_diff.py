from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.pack import Manifest, Recipe, pack, read_manifest
from curate.pack.diff import Moved, Proposed, Relabelled, diff
from curate.pack.schema import MANIFEST
from tests.pack.rows import row, table

LABELS = (["beach"], ["city"], ["beach", "sunset"], [])
SPLITS = ("train", "val", "test")


def made(folder: Path, numbers: list[int], recipe: Recipe | None = None) -> Manifest:
    rows = [row(n, LABELS[n % 4]) for n in numbers]
    path = pack(table(rows), recipe or Recipe(splits=(0.6, 0.2, 0.2)), folder).path
    assert path is not None
    return read_manifest(path)


def rows_of(manifest: Manifest) -> list[dict[str, Any]]:
    return list(manifest.table().to_pylist())


def written(manifest: Manifest, rows: list[dict[str, Any]]) -> Manifest:
    """Write other rows into the files of a manifest."""
    for split in SPLITS:
        mine = [each for each in rows if each["split"] == split]
        pq.write_table(
            pa.Table.from_pylist(mine, schema=MANIFEST), manifest.path / f"{split}.parquet"
        )
    return manifest


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_a_diff_names_exactly_the_planted_changes(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    old = made(folder / "a", list(range(60)))
    new = made(folder / "b", list(range(60)))
    rows = rows_of(new)
    chance.shuffle(rows)
    n = [chance.randrange(0, 12) for _ in range(3)]
    removed, rows = rows[: n[0]], rows[n[0] :]
    relabelled, moved = [], []
    for each in rows[: n[1]]:
        names = [*each["labels"], "trees"] if chance.random() < 0.5 else ["dunes"]
        relabelled.append(Relabelled(each["image_id"], each["labels"], names))
        each["labels"] = names
    for each in chance.sample(rows, n[2]):
        split = chance.choice([s for s in SPLITS if s != each["split"]])
        moved.append(Moved(each["image_id"], each["split"], split))
        each["split"] = split
    proposed = []
    for each in chance.sample(rows, chance.randrange(0, 12)):
        names = chance.choice(([], ["dunes"], ["beach", "trees"]))
        proposed.append(Proposed(each["image_id"], None, names))
        each |= {"proposed_labels": names, "proposed_by": "a" * 64, "proposed_score": 0.5}
    extra = rows_of(made(folder / "c", list(range(100, 100 + chance.randrange(0, 9)) or [100])))
    found = diff(old, written(new, [*rows, *extra]))
    assert found.added == tuple(sorted(each["image_id"] for each in extra))
    assert found.removed == tuple(sorted(each["image_id"] for each in removed))
    assert found.relabelled == tuple(sorted(relabelled, key=lambda each: each.image_id))
    assert found.moved == tuple(sorted(moved, key=lambda each: each.image_id))
    assert found.proposed == tuple(sorted(proposed, key=lambda each: each.image_id))
    back = diff(new, old)
    assert [(each.from_, each.to) for each in back.proposed] == [
        (each.to, None) for each in found.proposed
    ]
    assert (back.added, back.removed) == (found.removed, found.added)


def test_equal_manifests_have_no_difference(tmp_path: Path) -> None:
    one, other = made(tmp_path / "a", list(range(40))), made(tmp_path / "b", list(range(40)))
    found = diff(one, other)
    assert found.is_empty
    assert found.to_json() == {
        "old": "v0001",
        "new": "v0001",
        "added": [],
        "removed": [],
        "relabelled": [],
        "moved": [],
        "proposed": [],
        "recipe": {},
    }


def test_another_recipe_is_told_beside_what_it_moved(tmp_path: Path) -> None:
    one = made(tmp_path / "a", list(range(60)))
    other = made(tmp_path / "b", list(range(60)), Recipe(seed=3, splits=(0.6, 0.2, 0.2)))
    found = diff(one, other)
    assert found.recipe == {"seed": (0, 3)}
    assert found.moved
    assert (found.added, found.removed, found.relabelled) == ((), (), ())


def test_an_image_that_nobody_had_labelled_is_relabelled_from_null(tmp_path: Path) -> None:
    old, new = made(tmp_path / "a", list(range(20))), made(tmp_path / "b", list(range(20)))
    rows = rows_of(old)
    none = next(each for each in rows if not each["labels"])
    none["label_origin"] = None
    found = diff(written(old, rows), new)
    assert found.to_json()["relabelled"] == [{"image_id": none["image_id"], "from": None, "to": []}]


def test_another_model_is_told_even_if_it_proposes_the_same(tmp_path: Path) -> None:
    old, new = made(tmp_path / "a", list(range(20))), made(tmp_path / "b", list(range(20)))
    rows = rows_of(old)
    first, second, third = rows[:3]
    for each in (first, second, third):
        each |= {"proposed_labels": ["city"], "proposed_by": "a" * 64, "proposed_score": 0.5}
    before = written(old, rows)
    first["proposed_by"] = "b" * 64
    second["proposed_score"] = 0.75
    third["proposed_labels"] = []
    found = diff(before, written(new, rows))
    assert set(found.to_json()["proposed"][0]) == {"image_id", "from", "to"}
    assert {each.image_id: (each.from_, each.to) for each in found.proposed} == {
        first["image_id"]: (["city"], ["city"]),
        third["image_id"]: (["city"], []),
    }
    assert not found.is_empty


def test_repeated_rows_are_one_image(tmp_path: Path) -> None:
    one, other = made(tmp_path / "a", list(range(20))), made(tmp_path / "b", list(range(20)))
    rows = rows_of(other)
    first = next(each for each in rows if each["split"] == "train")
    assert diff(one, written(other, [*rows, dict(first), dict(first)])).is_empty
