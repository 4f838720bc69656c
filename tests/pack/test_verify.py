"""Five hundred faults are planted; each is found, and nothing else is."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.pack import Manifest, read_manifest, verify_manifest
from curate.pack.manifest import sha256_of
from curate.pack.verify import image_faults
from tests.pack.photos import SEVERAL, project

IMAGES = 600
EACH = 100
SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """A sound manifest with its images; tests change copies of it."""
    return project(tmp_path_factory.mktemp("whole"), SEVERAL, n=IMAGES)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """The same with a tenth of the images, for tests that rewrite it often."""
    return project(tmp_path_factory.mktemp("small"), SEVERAL, n=IMAGES // 10)


def copy(whole: Manifest, folder: Path, *, images: bool = False) -> Manifest:
    shutil.copytree(whole.path, folder / "manifests" / "v0001")
    if images:
        shutil.copytree(whole.project / "images", folder / "images")
    return read_manifest(folder / "manifests" / "v0001")


def rewrite(manifest: Manifest, split: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Edit a Parquet file, and make `manifest.json` agree with its bytes."""
    path = manifest.path / f"{split}.parquet"
    table = change(pq.read_table(path))
    pq.write_table(table, path, compression="zstd")
    info = json.loads((manifest.path / "manifest.json").read_text("utf-8"))
    said = info["files"][path.name]
    said |= {"sha256": sha256_of(path), "n_bytes": path.stat().st_size, "rows": table.num_rows}
    (manifest.path / "manifest.json").write_text(json.dumps(info), encoding="utf-8")


def replaced(table: pa.Table, name: str, row: int, value: Any) -> pa.Table:
    """Change one cell."""
    place = table.schema.get_field_index(name)
    field = table.schema.field(place)
    cells = table.column(name).to_pylist()
    cells[row] = value
    return table.set_column(place, field, pa.array(cells, field.type))


def test_a_sound_manifest_has_no_fault(whole: Manifest) -> None:
    assert verify_manifest(whole.path) == []
    assert list(image_faults(whole)) == []


def test_flipped_missing_and_swapped_images_are_found_by_name(
    whole: Manifest, tmp_path: Path
) -> None:
    manifest = copy(whole, tmp_path, images=True)
    chance = random.Random(5)
    rows = manifest.table(columns=["image_id", "path"]).to_pylist()
    chosen = chance.sample(rows, 3 * EACH)
    planted: dict[str, str] = {}
    for row in chosen[:EACH]:
        path = tmp_path / row["path"]
        data = bytearray(path.read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        planted[row["image_id"]] = "changed"
    for row in chosen[EACH : 2 * EACH]:
        (tmp_path / row["path"]).unlink()
        planted[row["image_id"]] = "missing"
    swapped = chosen[2 * EACH :]
    for one, other in zip(swapped[::2], swapped[1::2], strict=True):
        left, right = tmp_path / one["path"], tmp_path / other["path"]
        spare = left.read_bytes()
        left.write_bytes(right.read_bytes())
        right.write_bytes(spare)
        planted |= {one["image_id"]: "swapped", other["image_id"]: "swapped"}
    told: list[tuple[int, int | None]] = []

    def progress(_stage: str, done: int, total: int | None = None, **_counts: int) -> None:
        told.append((done, total))

    found = list(image_faults(manifest, progress=progress))
    assert {fault.image_id: fault.kind for fault in found} == planted
    assert len(found) == len(planted) == 3 * EACH
    assert told[-1] == (IMAGES, IMAGES)
    other_of = {
        a["image_id"]: b["image_id"] for a, b in zip(swapped[::2], swapped[1::2], strict=True)
    }
    for fault in found:
        if fault.image_id in other_of:
            assert other_of[fault.image_id] in fault.detail
    assert verify_manifest(manifest.path) == []


def test_every_edited_parquet_file_is_found_by_name(small: Manifest, tmp_path: Path) -> None:
    chance = random.Random(6)
    for number in range(EACH):
        manifest = copy(small, tmp_path / str(number))
        name = f"{chance.choice(SPLITS)}.parquet"
        data = bytearray((manifest.path / name).read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        (manifest.path / name).write_bytes(data)
        faults = verify_manifest(manifest.path)
        assert {fault.path for fault in faults if fault.kind == "changed"} == {name}
        shutil.rmtree(tmp_path / str(number))


def test_every_leak_is_found_in_files_that_were_hashed_anew(
    small: Manifest, tmp_path: Path
) -> None:
    chance = random.Random(7)
    for number in range(EACH):
        manifest = copy(small, tmp_path / str(number))
        here, there = chance.sample(SPLITS, 2)
        column = ("group_id", "image_id")[number % 2]
        stolen = chance.choice(manifest.table(there, [column]).column(0).to_pylist())
        row = chance.randrange(manifest.table(here, ["image_id"]).num_rows)
        rewrite(manifest, here, lambda table: replaced(table, column, row, stolen))  # noqa: B023 - called at once
        faults = verify_manifest(manifest.path)
        assert [(f.kind, f.detail) for f in faults] == [
            ("leak", f"{column} {stolen} is on two sides")
        ]
        shutil.rmtree(tmp_path / str(number))


def test_another_label_is_found_in_a_file_that_was_hashed_anew(
    small: Manifest, tmp_path: Path
) -> None:
    manifest = copy(small, tmp_path)
    labels = manifest.table("val", ["labels"]).column(0).to_pylist()
    row = labels.index(["beach"])
    rewrite(manifest, "val", lambda table: replaced(table, "labels", row, ["city"]))
    faults = verify_manifest(manifest.path)
    assert [(fault.kind, fault.path) for fault in faults] == [("counts", "val.parquet")] * 2
    assert "beach" in faults[0].detail
    assert "city" in faults[1].detail


def test_another_recipe_in_the_description_is_found(small: Manifest, tmp_path: Path) -> None:
    manifest = copy(small, tmp_path)
    info = json.loads((manifest.path / "manifest.json").read_text("utf-8"))
    info["recipe"]["seed"] = 99
    (manifest.path / "manifest.json").write_text(json.dumps(info), encoding="utf-8")
    faults = verify_manifest(manifest.path)
    assert {fault.kind for fault in faults} == {"recipe"}
    assert {fault.path for fault in faults} == {f"{split}.parquet" for split in SPLITS}


def test_a_path_out_of_the_project_is_a_fault_and_is_not_read(
    small: Manifest, tmp_path: Path
) -> None:
    manifest = copy(small, tmp_path / "project", images=True)
    first = manifest.table("val", ["image_id", "path"]).to_pylist()[0]
    outside = tmp_path / "outside.jpg"
    shutil.copy(tmp_path / "project" / first["path"], outside)
    for bad in ("../outside.jpg", str(outside), "images/../../outside.jpg"):
        rewrite(manifest, "val", lambda table: replaced(table, "path", 0, bad))  # noqa: B023
        [fault] = image_faults(manifest)
        assert (fault.kind, fault.image_id) == ("path", first["image_id"])


def test_an_image_with_repeated_rows_is_read_once_and_told_once(
    small: Manifest, tmp_path: Path
) -> None:
    manifest = copy(small, tmp_path, images=True)
    rewrite(manifest, "train", lambda t: pa.concat_tables([t.slice(0, 1), t.slice(0, 1), t]))
    manifest = read_manifest(manifest.path)
    assert list(image_faults(manifest)) == []
    first = manifest.table("train", ["path"]).column(0)[0].as_py()
    (tmp_path / first).unlink()
    assert [fault.kind for fault in image_faults(manifest)] == ["missing"]
