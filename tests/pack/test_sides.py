"""Hold-outs, folds, grouping by columns, repeated rows, unlabelled images, and the proof."""

from __future__ import annotations

import random
import tempfile
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.dedupe.neighbours import pairs_within
from curate.errors import PackError, UsageError
from curate.pack import PackResult, Recipe, pack, read_manifest, verify_manifest
from curate.pack.proof import Hashes, nearest_across
from tests.pack.rows import image_id, row, table


def read(result: PackResult, part: str | None = None) -> list[dict[str, Any]]:
    assert result.path is not None
    rows: list[dict[str, Any]] = read_manifest(result.path).table(part).to_pylist()
    return rows


def meta(each: dict[str, Any], key: str) -> str | None:
    return {pair["key"]: pair["value"] for pair in each["meta"]}.get(key)


PLACES = ("DE", "DK", "FR", "NO", "SE")


def finds(n: int = 300, seed: int = 1) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    return [
        row(
            number,
            [chance.choice(["ant", "bee"])],
            [f"occurrence:{number // 2}"] if number % 3 == 0 else [],
            meta={"countryCode": chance.choice(PLACES), "year": str(2010 + chance.randrange(12))},
        )
        for number in range(n)
    ]


def test_held_out_countries_are_in_test_and_nowhere_else(tmp_path: Path) -> None:
    result = pack(table(finds()), Recipe(holdout_by="countryCode"), tmp_path)
    assert result.holdout is not None
    held = set(result.holdout["values"])
    assert held
    assert held < set(PLACES)
    carried = 0
    for each in read(result):
        inside = meta(each, "countryCode") in held
        assert each["split"] == "test" or not inside
        carried += each["split"] == "test" and not inside
    assert carried == result.holdout["carried"]
    assert verify_manifest(result.path) == []  # type: ignore[arg-type]


def test_held_out_years_are_the_latest_and_stay_so_when_the_data_grow(tmp_path: Path) -> None:
    recipe = Recipe(holdout_by="year")
    result = pack(table(finds()), recipe, tmp_path)
    assert result.holdout is not None
    first = min(result.holdout["values"])
    assert set(result.holdout["values"]) == {str(y) for y in range(int(first), 2022)}
    before = {each["image_id"] for each in read(result, "test")}
    assert 0.04 < len(before) / 300 < 0.2
    later = [row(900 + n, ["ant"], meta={"year": "2024"}) for n in range(40)]
    grown = pack(table([*finds(450), *later]), recipe, tmp_path)
    after = {each["image_id"] for each in read(grown, "test")}
    assert before <= after
    assert {each["image_id"] for each in later} <= after
    assert grown.holdout is not None
    assert min(grown.holdout["values"]) == first
    assert not any(way.startswith("test") for way in grown.sticky["moved"])


def test_values_to_hold_out_can_be_named_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    result = pack(table(finds()), Recipe(holdout_by="countryCode=DK, NO"), tmp_path)
    assert result.holdout == {
        "by": "countryCode",
        "values": ["DK", "NO"],
        "carried": result.holdout["carried"] if result.holdout else None,
    }
    with pytest.raises(UsageError, match="no image that is taken has countryCode XX") as caught:
        pack(table(finds()), Recipe(holdout_by="countryCode=XX"), tmp_path)
    assert "DK" in caught.value.hint
    with pytest.raises(PackError, match="leaves nothing to train on"):
        pack(table(finds()), Recipe(holdout_by=f"countryCode={','.join(PLACES)}"), tmp_path)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(2, 6), st.sampled_from([0.0, 0.2]), st.integers(0, 3), st.integers(20, 90))
def test_folds_are_even_share_no_group_and_the_last_is_val(
    tmp_path: Path, folds: int, test: float, seed: int, n: int
) -> None:
    recipe = Recipe(folds=folds, splits=(1 - test, 0.0, test), seed=seed)
    found = read(pack(table(finds(n)), recipe, Path(tempfile.mkdtemp(dir=tmp_path))))
    folds_of = defaultdict(set)
    for each in found:
        folds_of[each["group_id"]].add(each["fold"])
        assert (each["fold"] is None) == (each["split"] == "test")
        assert (each["fold"] == folds - 1) == (each["split"] == "val")
    assert all(len(numbers) == 1 for numbers in folds_of.values())
    for name in ("ant", "bee"):
        mine = [each["fold"] for each in found if each["label"] == name]
        due = len(mine) * (1 - test) / folds
        sizes = Counter(mine)
        assert all(abs(sizes[number] - due) <= 2 for number in range(folds))


def test_folds_stay_when_the_data_grow(tmp_path: Path) -> None:
    recipe = Recipe(folds=5)
    before = {
        each["image_id"]: each["fold"] for each in read(pack(table(finds()), recipe, tmp_path))
    }
    grown = pack(table(finds(450)), recipe, tmp_path)
    after = {each["image_id"]: each["fold"] for each in read(grown)}
    assert all(after[name] == fold for name, fold in before.items())
    assert grown.sticky["kept"] == 300


def test_equal_values_of_the_columns_stay_on_one_side(tmp_path: Path) -> None:
    rows = [
        row(
            n, ["ant"], author=f"a{n % 40}", meta={"eventDate": f"2020-01-{1 + n % 7:02d}T1{n % 3}"}
        )
        for n in range(400)
    ]
    result = pack(table(rows), Recipe(group_by=("occurrence", "observer+date")), tmp_path)
    assert result.groups == 280
    sides = defaultdict(set)
    for each in read(result):
        sides[each["author"], (meta(each, "eventDate") or "")[:10]].add(each["split"])
    assert len(sides) == 280
    assert all(len(found) == 1 for found in sides.values())
    both = pack(table(rows), Recipe(group_by=("author", "date"), splits=(1, 0, 0)), tmp_path)
    assert both.groups == 1


def test_repeated_rows_fill_classes_up_in_train_alone_and_have_seeds_of_their_own(
    tmp_path: Path,
) -> None:
    rows = [row(n, ["ant"]) for n in range(100)] + [row(500 + n, ["bee"]) for n in range(20)]
    result = pack(table(rows), Recipe(upsample="max"), tmp_path)
    train = read(result, "train")
    assert Counter(each["label"] for each in train) == {"ant": 80, "bee": 80}
    assert result.images == {"train": 96, "val": 12, "test": 12}
    assert result.repeated == 64
    assert result.classes["bee"] == {
        "before": 20, "after": 20, "train": 16, "val": 2, "test": 2, "train_rows": 80
    }  # fmt: skip
    seeds = [each["augment_seed"] for each in train if each["augment_seed"] is not None]
    assert len(set(seeds)) == len(seeds) == 64
    assert all(0 <= seed < 2**32 for seed in seeds)
    ids = [each["image_id"] for each in train]
    assert ids == sorted(ids)
    assert set(Counter(each["image_id"] for each in train if each["label"] == "bee").values()) == {
        5
    }
    assert all(each["augment_seed"] is None for each in read(result, "val") + read(result, "test"))
    assert verify_manifest(result.path) == []  # type: ignore[arg-type]
    mixed = random.Random(2).sample(rows, len(rows))
    assert pack(table(mixed), Recipe(upsample="max"), tmp_path).unchanged


def test_repeating_up_to_a_number_leaves_larger_classes_alone(tmp_path: Path) -> None:
    rows = [row(n, ["ant"]) for n in range(100)]
    rows += [row(500 + n, ["bee", "cat"] if n % 2 else ["bee"]) for n in range(20)]
    result = pack(table(rows), Recipe(upsample=40), tmp_path)
    counted = {name: n["train_rows"] for name, n in result.classes.items()}
    assert counted["ant"] == 80
    assert counted["cat"] == 40
    assert 40 <= counted["bee"] <= 48


def test_unlabelled_images_come_along_in_a_file_of_their_own(tmp_path: Path) -> None:
    rows = [row(n, ["ant"], label_origin="human") for n in range(30)]
    rows += [row(100 + n, ["ant"], label_origin="query", proposed_labels=["ant"]) for n in range(5)]
    rows += [row(200 + n, label_origin=None) for n in range(4)]
    rows += [row(300, label_origin=None, set_aside="rejected")]
    rows += [row(301, label_origin=None, license="none")]
    recipe = Recipe(trust="human", licenses=("cc-by",), include_unlabelled=True)
    result = pack(table(rows), recipe, tmp_path)
    assert result.unlabelled == 9
    counted = {reason: n for reason, n in result.left_out.items() if n}
    assert counted == {"rejected": 1, "unlabelled": 1}
    assert result.path is not None
    found = pq.read_table(result.path / "unlabelled.parquet").to_pylist()
    wanted = {image_id(n) for n in (*range(100, 105), *range(200, 204))}
    assert {each["image_id"] for each in found} == wanted
    for each in found:
        assert (each["split"], each["labels"], each["label"]) == ("unassigned", [], None)
        assert each["label_origin"] is None
    assert sum(each["proposed_labels"] == ["ant"] for each in found) == 5
    assert verify_manifest(result.path) == []
    assert pack(table(rows), recipe, tmp_path).unchanged
    labelled = [
        *rows[:35],
        *(r | {"labels": ["ant"], "label_origin": "human"} for r in rows[35:36]),
    ]
    later = pack(table([*labelled, *rows[36:]]), recipe, tmp_path)
    assert (later.manifest, later.unlabelled) == ("v0002", 8)
    assert later.sticky["kept"] == 30


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"min_per_class": 5, "max_per_class": 9},
        {"downsample": "min", "upsample": "max", "negatives": 0.5},
        {"folds": 4, "group_by": ("author",)},
        {"holdout_by": "author", "splits": (0.5, 0.0, 0.5)},
        {"keep": "spread", "exclusive": True},
    ],
)
def test_images_that_all_wait_for_labels_are_a_dataset_too(
    tmp_path: Path, asked: dict[str, Any]
) -> None:
    rows = [row(n, label_origin=None, license="CC0-1.0") for n in range(30)]
    recipe = Recipe(include_unlabelled=True, **asked)
    made = pack(table(rows), recipe, tmp_path, neighbours=pairs_within)
    assert (made.manifest, made.unlabelled, made.classes) == ("v0001", 30, {})
    assert dict(made.images) == {"train": 0, "val": 0, "test": 0}
    assert made.path is not None
    assert verify_manifest(made.path) == []
    info = read_manifest(made.path).info
    assert (info["licenses"], info["sources"]) == ({"CC0-1.0": 30}, {"gbif": 30})
    card = (made.path / "README.md").read_text()
    assert "waits for labels" in card
    assert "| CC0-1.0 | 30 |" in card
    with pytest.raises(PackError) as told:
        pack(table(rows), replace(recipe, include_unlabelled=False), tmp_path)
    assert "--include-unlabelled" in told.value.hint


HASHES = st.lists(
    st.tuples(st.none() | st.integers(0, 2**64 - 1) | st.integers(0, 300), st.integers(0, 2)),
    min_size=0,
    max_size=25,
)


@settings(max_examples=200, deadline=None)
@given(HASHES)
def test_the_nearest_pair_across_sides_is_found(images: list[tuple[int | None, int]]) -> None:
    known = [(value, side) for value, side in images if value is not None]
    distances = [(one ^ other).bit_count() for one, a in known for other, b in known if a != b]
    phash = pa.chunked_array([pa.array([value for value, _ in images], pa.uint64())])
    sides = np.array([side for _, side in images], dtype=np.int64)
    found = nearest_across(Hashes.of(phash, sides), pairs_within)
    assert found.bits == min(distances, default=None)
    if found.bits is not None:
        assert (found.hashes[0] ^ found.hashes[1]).bit_count() == found.bits


def test_among_many_hashes_the_nearest_pair_is_found_within_eight_bits() -> None:
    chance = np.random.default_rng(5)
    values = chance.integers(0, 2**64, 6000, dtype=np.uint64)
    sides = np.arange(6000) % 3
    values[10] = values[20] ^ np.uint64(0b1010101)
    values[30] = values[33] ^ np.uint64(1)
    hashes = Hashes.of(pa.chunked_array([pa.array(values)]), sides)
    found = nearest_across(hashes, pairs_within)
    assert found.bits == 4
    assert set(found.hashes) == {int(values[10]), int(values[20])}
    values[10] = 0
    none = nearest_across(Hashes.of(pa.chunked_array([pa.array(values)]), sides), pairs_within)
    assert (none.bits, none.beyond, none.hashes) == (None, 8, ())


def test_the_proof_names_the_nearest_images_and_the_class_that_is_furthest_off(
    tmp_path: Path,
) -> None:
    rows = [row(n, ["ant"]) for n in range(100)] + [row(200 + n, ["bee"]) for n in range(9)]
    result = pack(table(rows), Recipe(), tmp_path, neighbours=pairs_within)
    proof = result.proof
    assert proof["groups_on_two_sides"] == 0
    found = {each["image_id"]: each for each in read(result)}
    one, other = (found[each["image_id"]] for each in proof["nearest"]["images"])
    assert one["split"] != other["split"]
    assert (one["phash"] ^ other["phash"]).bit_count() == proof["nearest"]["bits"]
    assert [one["split"], other["split"]] == [e["split"] for e in proof["nearest"]["images"]]
    assert proof["largest_deviation"]["class"] == "bee"
    n = result.classes["bee"]
    for split, share in zip(("train", "val", "test"), (0.8, 0.1, 0.1), strict=True):
        off = proof["deviations"]["bee"][split]
        assert off == pytest.approx(n[split] / 9 - share, abs=1e-6)
    assert read_manifest(result.path).info["proof"] == proof  # type: ignore[arg-type]
