from __future__ import annotations

import csv
import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.errors import PackError
from curate.pack import INPUT, MANIFEST, Recipe, pack, read_manifest, verify_manifest, versions
from curate.pack import plan as plan_module
from tests.pack.example import RECIPE, example_rows, write_example
from tests.pack.rows import image_id, row, table

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
FILES = ("train.parquet", "val.parquet", "test.parquet")


def bytes_of(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def some_rows(n: int = 120) -> list[dict[str, Any]]:
    labels = (["beach"], ["city"], ["beach", "sunset"], [])
    return [row(i, labels[i % 4], [f"occurrence:{i // 6}"] if i % 3 == 0 else []) for i in range(n)]


def test_what_is_written_is_what_came_in(tmp_path: Path) -> None:
    rows = some_rows()
    result = pack(table(rows), Recipe(min_per_class=10), tmp_path)
    assert result.path == tmp_path / "manifests" / "v0001"
    written = read_manifest(result.path).table()
    assert written.schema.equals(MANIFEST)
    by_id = {r["image_id"]: r for r in written.to_pylist()}
    assert len(by_id) == written.num_rows == len(rows)
    for given_row in rows:
        read = by_id[given_row["image_id"]]
        for name in set(INPUT.names) & set(MANIFEST.names) - {"meta", "labels"}:
            assert read[name] == given_row[name], name
        assert read["labels"] == sorted(given_row["labels"])
        assert {pair["key"]: pair["value"] for pair in read["meta"]} == given_row["meta"]
    for split in ("train", "val", "test"):
        ids = read_manifest(result.path).table(split, ["image_id"]).column(0).to_pylist()
        assert ids == sorted(ids)
        assert len(ids) == result.images[split]


def test_the_numbers_of_the_result_are_those_of_the_files(tmp_path: Path) -> None:
    result = pack(table([*some_rows(), row(900, ["dam"])]), Recipe(min_per_class=10), tmp_path)
    frame = read_manifest(result.path).table().to_pandas()
    said = result.to_json()
    assert said["manifest"] == "v0001"
    assert said["dropped"] == {"dam": 1}
    assert said["leaks"] == 0
    assert said["left_out"]["small_class"] == 1
    for name, counts in said["classes"].items():
        has = frame["labels"].map(lambda labels, name=name: name in labels)
        assert counts["before"] == counts["after"] == has.sum()
        for split in ("train", "val", "test"):
            assert counts[split] == (has & (frame["split"] == split)).sum()
    assert set(said["classes"]) == {"beach", "city", "sunset"}
    info = read_manifest(result.path).info
    assert info["classes"] == said["classes"]
    assert info["parent"] is None
    assert json.loads(json.dumps(said)) == said | {"path": str(result.path)}


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.randoms(use_true_random=False), st.integers(1, 5))
def test_shuffled_and_chunked_rows_give_the_same_bytes(
    tmp_path: Path, chance: random.Random, n_chunks: int
) -> None:
    rows = some_rows(60)
    recipe = Recipe(3, 25, seed=2)
    first = pack(table(rows), recipe, tmp_path / "a")
    mixed = chance.sample(rows, len(rows))
    chunks = [table(mixed[start::n_chunks]) for start in range(n_chunks)]
    target = tmp_path / str(chance.getrandbits(64))
    second = pack(pa.concat_tables(chunks), recipe, target)
    assert first.path is not None
    assert second.path is not None
    assert bytes_of(first.path) == bytes_of(second.path)


def test_the_same_again_is_unchanged_and_another_recipe_is_a_new_version(tmp_path: Path) -> None:
    rows = table(some_rows())
    first = pack(rows, Recipe(), tmp_path)
    again = pack(rows, Recipe(), tmp_path)
    assert (first.manifest, first.unchanged) == ("v0001", False)
    assert (again.manifest, again.unchanged) == ("v0001", True)
    other = pack(rows, Recipe(seed=1), tmp_path)
    assert (other.manifest, other.unchanged) == ("v0002", False)
    back = pack(rows, Recipe(), tmp_path)
    assert (back.manifest, back.unchanged) == ("v0003", False)
    assert [path.name for path in versions(tmp_path / "manifests")] == ["v0001", "v0002", "v0003"]
    assert len(list((tmp_path / "manifests").iterdir())) == 3, "nothing half-written stays"


def test_versions_go_on_after_the_highest_and_other_names_are_passed_over(tmp_path: Path) -> None:
    for name in ("v0009", "v10000", "notes", ".writing-x"):
        (tmp_path / "manifests" / name).mkdir(parents=True)
    assert pack(table(some_rows()), Recipe(), tmp_path).manifest == "v10001"


def test_a_dry_run_tells_the_same_and_writes_nothing(tmp_path: Path) -> None:
    rows = table(some_rows())
    planned = pack(rows, Recipe(min_per_class=10), tmp_path, dry_run=True)
    assert list(tmp_path.iterdir()) == []
    made = pack(rows, Recipe(min_per_class=10), tmp_path)
    assert planned.manifest is None
    assert planned.path is None
    without_place = {"manifest": None, "path": None}
    assert planned.to_json() | without_place == made.to_json() | without_place


def test_images_linked_only_through_one_left_out_stay_on_one_side(tmp_path: Path) -> None:
    rows = []
    for n in range(0, 90, 3):
        rows += [
            row(n, ["city"], [f"x:{n}"]),
            row(n + 1, hints=[f"x:{n}", f"y:{n}"], label_origin=None),
            row(n + 2, ["city"], [f"y:{n}"]),
        ]
    result = pack(table(rows), Recipe(splits=(0.5, 0.25, 0.25)), tmp_path)
    side = {r["image_id"]: r["split"] for r in read_manifest(result.path).table().to_pylist()}
    assert len(side) == 60
    assert all(side[image_id(n)] == side[image_id(n + 2)] for n in range(0, 90, 3))


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_split_that_leaks_is_refused_with_the_groups_and_never_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dry_run: bool
) -> None:
    def careless(group_ids: pa.Array, *rest: object) -> Any:
        return np.arange(len(group_ids)) % 3

    monkeypatch.setattr(plan_module, "assign", careless)
    rows = table([row(n, ["city"], ["one"]) for n in range(9)])
    with pytest.raises(PackError, match="hint one") as caught:
        pack(rows, Recipe(), tmp_path, dry_run=dry_run)
    assert ("group_id" in caught.value.message) is not dry_run
    assert versions(tmp_path / "manifests") == []
    assert list(tmp_path.glob("manifests/*")) == [], "nothing half-written stays"


def test_label_is_filled_where_no_image_of_the_manifest_has_two_classes(tmp_path: Path) -> None:
    rows = [row(n, [("cat", "dog")[n % 2]] if n % 5 else []) for n in range(40)]
    two = [*rows, row(100, ["cat", "dog"])]
    for number, (given_rows, exclusive, filled) in enumerate(
        [
            (rows, None, True),
            (rows, True, True),
            (rows, False, False),
            (two, None, False),
            (two, True, True),
        ]
    ):
        recipe = Recipe(exclusive=exclusive)
        path = pack(table(given_rows), recipe, tmp_path / str(number)).path
        assert path is not None
        manifest = read_manifest(path)
        assert manifest.info["exclusive"] is filled
        assert manifest.info["recipe"]["exclusive"] is exclusive
        read = manifest.table()
        for labels, label in zip(
            read.column("labels").to_pylist(), read.column("label").to_pylist(), strict=True
        ):
            if filled:
                assert ([] if label is None else [label]) == labels
            else:
                assert label is None


def test_a_second_class_that_was_dropped_does_not_empty_label(tmp_path: Path) -> None:
    rows = [row(n, ["cat"]) for n in range(9)] + [row(9, ["cat", "rare"])]
    path = pack(table(rows), Recipe(min_per_class=2), tmp_path).path
    assert path is not None
    assert set(read_manifest(path).table().column("label").to_pylist()) == {"cat"}


def test_a_new_version_says_what_has_changed(tmp_path: Path) -> None:
    rows = some_rows()
    first = pack(table(rows), Recipe(), tmp_path)
    assert (first.changed, first.unchanged) == ((), False)
    assert pack(table(rows), Recipe(seed=3), tmp_path).changed == ("recipe",)
    assert pack(table(rows[1:]), Recipe(seed=3), tmp_path).changed == ("images",)
    searched = pack(table(rows[1:]), Recipe(seed=3), tmp_path, near_duplicates_searched=True)
    assert searched.changed == ("near_duplicates",)
    again = pack(table(rows[1:]), Recipe(seed=3), tmp_path, near_duplicates_searched=True)
    assert (again.changed, again.unchanged, again.manifest) == ((), True, searched.manifest)


def test_the_card_says_when_near_duplicates_were_not_looked_for(tmp_path: Path) -> None:
    for searched in (False, True):
        result = pack(
            table(some_rows()),
            Recipe(),
            tmp_path / str(searched),
            near_duplicates_searched=searched,
        )
        assert result.to_json()["near_duplicates_searched"] is searched
        assert result.path is not None
        card = (result.path / "README.md").read_text(encoding="utf-8")
        assert ("Near-duplicates were not looked for" in card) is not searched


def planted(path: Path) -> dict[str, Any]:
    val = path / "val.parquet"
    rows = pq.read_table(val)
    return {
        "changed": lambda: val.write_bytes(val.read_bytes()[:-9] + b"x" + val.read_bytes()[-8:]),
        "unreadable": lambda: val.write_bytes(b"not parquet"),
        "missing": val.unlink,
        "rows": lambda: pq.write_table(rows.slice(1), val),
        "schema": lambda: pq.write_table(rows.drop_columns(["phash"]), val),
        "split": lambda: val.write_bytes((path / "test.parquet").read_bytes()),
        "leak": lambda: val.write_bytes((path / "test.parquet").read_bytes()),
    }


@pytest.mark.parametrize(
    "kind", ["changed", "unreadable", "missing", "rows", "schema", "split", "leak"]
)
def test_verify_finds_each_planted_fault_and_no_other(tmp_path: Path, kind: str) -> None:
    path = pack(table(some_rows()), Recipe(), tmp_path).path
    assert path is not None
    assert verify_manifest(path) == []
    planted(path)[kind]()
    faults = verify_manifest(path)
    assert kind in {fault.kind for fault in faults}
    if kind != "leak":
        assert {fault.path for fault in faults if fault.kind != "leak"} == {"val.parquet"}


def test_a_changed_card_is_a_fault_and_a_folder_without_description_no_manifest(
    tmp_path: Path,
) -> None:
    path = pack(table(some_rows()), Recipe(), tmp_path).path
    assert path is not None
    (path / "README.md").write_text("nothing to see")
    assert [(f.kind, f.path) for f in verify_manifest(path)] == [("changed", "README.md")]
    with pytest.raises(PackError, match="is not a manifest"):
        read_manifest(tmp_path)


def test_attribution_names_author_licence_and_link_of_every_image(tmp_path: Path) -> None:
    rows = some_rows()
    rows[0]["author"] = 'Ann "Nan" O\'Hara,\nphotographer'
    path = pack(table(rows), Recipe(), tmp_path).path
    assert path is not None
    with (path / "ATTRIBUTION.csv").open(newline="", encoding="utf-8") as file:
        read = {r["image_id"]: r for r in csv.DictReader(file)}
    assert set(read) == {r["image_id"] for r in rows}
    for given_row in rows:
        for name in ("author", "license", "page_url"):
            assert read[given_row["image_id"]][name] == given_row[name]


def test_the_card_tells_limits_and_escapes_names(tmp_path: Path) -> None:
    rows = [
        row(n, ["a|b <script>"], source="unsplash", license=None, label_origin="query")
        for n in range(30)
    ]
    rows += [row(100 + n, ["rare"]) for n in range(3)] + [row(200, ["gone"])]
    path = pack(table(rows), Recipe(min_per_class=2), tmp_path).path
    assert path is not None
    card = (path / "README.md").read_text()
    assert "Unsplash restricts machine-learning use" in card
    assert "| a\\|b &lt;script> | 30 |" in card
    assert "nobody has looked" in card
    assert "without a known licence: 30" in card
    assert "Classes are unequal" in card
    assert "gone 1" in card
    plain = pack(table([row(n, ["city"]) for n in range(30)]), Recipe(), tmp_path / "b").path
    assert plain is not None
    assert "Unsplash" not in (plain / "README.md").read_text()


def test_a_table_that_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    good = table(some_rows())
    with pytest.raises(PackError, match="phash"):
        pack(good.drop_columns(["phash"]), Recipe(), tmp_path)
    with pytest.raises(PackError, match="twice"):
        pack(pa.concat_tables([good, good.slice(3, 1)]), Recipe(), tmp_path)
    with pytest.raises(PackError, match="no images"):
        pack(good.slice(0, 0), Recipe(), tmp_path)
    with pytest.raises(PackError, match="path has 1 empty"):
        pack(table([row(0, ["city"], path=None)]), Recipe(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_columns_in_another_order_or_of_a_wider_type_are_taken(tmp_path: Path) -> None:
    good = table(some_rows())
    wide = good.set_column(
        good.column_names.index("width_px"), "width_px", good.column("width_px").cast(pa.int64())
    )
    turned = wide.select(wide.column_names[::-1])
    a, b = pack(good, Recipe(), tmp_path / "a").path, pack(turned, Recipe(), tmp_path / "b").path
    assert a is not None
    assert b is not None
    assert bytes_of(a) == bytes_of(b)


def test_pandas_reads_the_unsigned_hash_and_the_lists_unchanged(tmp_path: Path) -> None:
    rows = [row(n, ["city"], phash=2**64 - 1 - n) for n in range(30)]
    path = pack(table(rows), Recipe(), tmp_path).path
    assert path is not None
    frame = pandas.concat([pandas.read_parquet(path / name) for name in FILES])
    assert str(frame["phash"].dtype) == "uint64"
    assert set(frame["phash"]) == {2**64 - 1 - n for n in range(30)}
    assert all(list(labels) == ["city"] for labels in frame["labels"])


TYPES = {
    "string": pa.string(),
    "int64": pa.int64(),
    "int32": pa.int32(),
    "int16": pa.int16(),
    "uint64": pa.uint64(),
    "float32": pa.float32(),
    "bool": pa.bool_(),
    "list of string": pa.list_(pa.string()),
    "list of key and value (string)": pa.list_(
        pa.struct([("key", pa.string()), ("value", pa.string())])
    ),
    "timestamp, UTC, microseconds": pa.timestamp("us", tz="UTC"),
}


def test_the_table_of_columns_in_the_description_is_the_schema() -> None:
    text = (MANIFESTS / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", text, re.MULTILINE)
    assert [name for name, _, _ in lines] == MANIFEST.names
    for name, kind, null in lines:
        field = MANIFEST.field(name)
        assert field.type == TYPES[kind], name
        assert field.nullable == (null != "never"), name


def test_the_example_is_what_the_code_writes(tmp_path: Path) -> None:
    """Compares rows and counts; bytes too, where the Parquet library is of the same version."""
    kept = MANIFESTS / "example" / "v0001"
    made = write_example(tmp_path).path
    assert made is not None
    assert verify_manifest(kept) == []
    assert read_manifest(made).table().equals(read_manifest(kept).table())
    ours, theirs = dict(read_manifest(made).info), dict(read_manifest(kept).info)
    for info in (ours, theirs):
        info.pop("files")
        info.pop("curate_version")
    assert ours == theirs
    assert ours["recipe"] == RECIPE.to_json()
    assert example_rows().num_rows > read_manifest(made).table().num_rows
    for name in FILES:
        if pq.read_metadata(kept / name).created_by == pq.read_metadata(made / name).created_by:
            assert (kept / name).read_bytes() == (made / name).read_bytes()
