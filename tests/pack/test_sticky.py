"""What earlier manifests hold: test sets stay, merges go to test's side."""

from __future__ import annotations

import random
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.errors import PackError
from curate.pack import PackResult, Recipe, pack, read_manifest
from curate.pack.plan import absent_table
from tests.pack.rows import image_id, row, table

CLASSES = ("ant", "bee", "cat")
IMAGES = st.lists(
    st.tuples(
        st.lists(st.sampled_from(CLASSES), min_size=1, max_size=2, unique=True),
        st.none() | st.integers(0, 12),
    ),
    min_size=8,
    max_size=60,
)


def rows_of(images: list[tuple[list[str], int | None]], start: int = 0) -> list[dict[str, Any]]:
    return [
        row(start + n, labels, [] if group is None else [f"occurrence:{group}"])
        for n, (labels, group) in enumerate(images)
    ]


def sides(result: PackResult) -> dict[str, str]:
    assert result.path is not None
    read = read_manifest(result.path).table(columns=["image_id", "split"])
    return dict(zip(*(column.to_pylist() for column in read.columns), strict=True))


@pytest.mark.slow
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(IMAGES, IMAGES, st.sampled_from([None, 6]), st.randoms(use_true_random=False))
def test_growing_moves_no_test_image_and_no_group_is_on_two_sides(
    tmp_path: Path,
    old: list[tuple[list[str], int | None]],
    new: list[tuple[list[str], int | None]],
    cap: int | None,
    chance: random.Random,
) -> None:
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    recipe = Recipe(1, cap, splits=(0.6, 0.2, 0.2))
    grown = rows_of(old) + rows_of(new, 1000)
    before = sides(pack(table(rows_of(old)), recipe, folder))
    result = pack(table(grown), recipe, folder)
    after = sides(result)
    group_of: dict[str, list[str]] = {r["image_id"]: r["group_hints"] for r in grown}
    for name, split in before.items():
        if split == "test" and name in after:
            assert after[name] == "test"
    seen = defaultdict(set)
    for name, split in after.items():
        for hint in group_of[name]:
            seen[hint].add(split)
    assert all(len(found) == 1 for found in seen.values())
    moves = sum(after.get(name, split) != split for name, split in before.items())
    assert sum(result.sticky["moved"].values()) == moves
    assert not any(way.startswith("test_to") for way in result.sticky["moved"])
    again = pack(table(chance.sample(grown, len(grown))), recipe, folder)
    assert again.unchanged
    lower = Recipe(1, 3, splits=(0.6, 0.2, 0.2))
    capped = sides(pack(table(grown), lower, folder))
    assert all(capped[name] == "test" for name in capped if after.get(name) == "test")
    assert pack(table(chance.sample(grown, len(grown))), lower, folder).unchanged


def test_half_as_many_images_again_move_nothing_and_fill_up_the_shares(tmp_path: Path) -> None:
    chance = random.Random(4)
    rows = [
        row(n, [chance.choice(CLASSES)], [f"occurrence:{n // 3}"] if n % 2 else [])
        for n in range(1500)
    ]
    before = sides(pack(table(rows[:1000]), Recipe(), tmp_path))
    result = pack(table(rows), Recipe(), tmp_path)
    after = sides(result)
    assert all(after[name] == split for name, split in before.items())
    assert result.sticky == {"versions": ["v0001"], "kept": 1000, "moved": {}, "dealt": {}}
    assert result.proof["largest_deviation"]["images"] <= 3
    assert result.images == {"train": 1200, "val": 150, "test": 150}


def test_a_group_joined_later_goes_to_tests_side_and_that_is_told(tmp_path: Path) -> None:
    rows = [row(n, ["ant"]) for n in range(100)]
    before = sides(pack(table(rows), Recipe(), tmp_path))
    one = {split: next(i for i, s in before.items() if s == split) for split in before.values()}
    for each in rows:
        if each["image_id"] in one.values():
            each["group_hints"] = ["near:x"]
    result = pack(table(rows), Recipe(), tmp_path)
    after = sides(result)
    assert {after[name] for name in one.values()} == {"test"}
    assert result.sticky["moved"] == {"train_to_test": 1, "val_to_test": 1}
    assert result.sticky["kept"] == 98
    assert all(after[name] == s for name, s in before.items() if name not in one.values())


def test_a_copy_of_a_test_image_that_is_left_out_now_goes_to_test(tmp_path: Path) -> None:
    rows = [row(n, ["ant"]) for n in range(60)]
    before = sides(pack(table(rows), Recipe(), tmp_path))
    gone = next(name for name, split in before.items() if split == "test")
    kept = next(each for each in rows if before[each["image_id"]] == "train")
    kept["group_hints"] = ["near:x"]
    left = [each for each in rows if each["image_id"] != gone]
    absent = absent_table([[(gone, ("near:x",))]])
    result = pack(table(left), Recipe(), tmp_path, absent=absent)
    assert sides(result)[kept["image_id"]] == "test"
    assert result.sticky["moved"] == {"train_to_test": 1}


def test_images_linked_only_through_one_that_is_excluded_stay_together(tmp_path: Path) -> None:
    rows = [row(n, ["ant"], [f"near:{n // 2}-{n % 2}"]) for n in range(80)]
    through = [(image_id(900 + n), (f"near:{n}-0", f"near:{n}-1")) for n in range(40)]
    result = pack(table(rows), Recipe(), tmp_path, absent=absent_table([through]))
    found = sides(result)
    assert result.groups == 40
    assert all(found[image_id(n)] == found[image_id(n + 1)] for n in range(0, 80, 2))
    assert result.path is not None
    groups = read_manifest(result.path).table(columns=["group_id"]).column(0).to_pylist()
    assert set(groups) <= set(found), "a group is named by an image of the dataset"


def test_another_seed_keeps_test_and_deals_the_rest_anew(tmp_path: Path) -> None:
    rows = table([row(n, ["ant"]) for n in range(200)])
    before = sides(pack(rows, Recipe(), tmp_path))
    made = pack(rows, Recipe(seed=1), tmp_path)
    after = sides(made)
    ways = Counter(f"{split}_to_{after[name]}" for name, split in before.items())
    assert made.sticky["dealt"] == {
        way: n for way, n in ways.items() if len(set(way.split("_to_"))) > 1
    }
    assert made.sticky["moved"] == {}
    test = {name for name, split in before.items() if split == "test"}
    assert {name for name, split in after.items() if split == "test"} == test
    assert after != before


def test_fresh_looks_back_at_nothing_and_begins_a_new_line(tmp_path: Path) -> None:
    rows = table([row(n, ["ant"]) for n in range(200)])
    first = sides(pack(rows, Recipe(seed=1), tmp_path))
    fresh = pack(rows, Recipe(sticky=False), tmp_path)
    assert fresh.sticky["versions"] == []
    alone = sides(pack(rows, Recipe(), tmp_path / "alone"))
    assert sides(fresh) == alone != first
    later = pack(rows, Recipe(), tmp_path)
    assert later.sticky["versions"] == ["v0002"]
    assert sides(later) == alone


def test_an_image_that_was_missing_from_one_version_is_in_test_again(tmp_path: Path) -> None:
    rows = [row(n, ["ant"]) for n in range(100)]
    before = sides(pack(table(rows), Recipe(), tmp_path))
    gone = next(name for name, split in before.items() if split == "test")
    without = [each for each in rows if each["image_id"] != gone]
    assert gone not in sides(pack(table(without), Recipe(), tmp_path))
    assert sides(pack(table(rows), Recipe(), tmp_path))[gone] == "test"


def test_a_cap_takes_images_of_an_earlier_test_set_first(tmp_path: Path) -> None:
    rows = [row(n, ["ant"]) for n in range(600)]
    before = sides(pack(table(rows[:200]), Recipe(1, 100), tmp_path))
    after = sides(pack(table(rows), Recipe(1, 100), tmp_path))
    test = {name for name, split in before.items() if split == "test"}
    assert {name for name, split in after.items() if split == "test"} == test


def test_a_lower_cap_shares_its_places_among_the_sides_and_moves_nothing(tmp_path: Path) -> None:
    rows = [row(n, [CLASSES[n % 3]]) for n in range(300)]
    before = sides(pack(table(rows), Recipe(), tmp_path))
    for recipe, images in (
        (Recipe(1, 10), {"train": 24, "val": 3, "test": 3}),
        (Recipe(1, 20, keep="best"), {"train": 48, "val": 6, "test": 6}),
        (Recipe(1, 20, keep="spread"), {"train": 48, "val": 6, "test": 6}),
        (Recipe(1, downsample=5), {"train": 12, "val": 2, "test": 1}),
    ):
        made = pack(table(rows), recipe, tmp_path)
        assert made.images == images
        assert all(before[name] == split for name, split in sides(made).items())
        assert pack(table(rows[::-1]), recipe, tmp_path).unchanged


def test_a_cap_below_the_test_set_takes_the_rest_from_new_images(tmp_path: Path) -> None:
    rows = [row(n, ["ant"]) for n in range(300)]
    before = sides(pack(table(rows[:50]), Recipe(splits=(0.2, 0, 0.8)), tmp_path))
    made = pack(table(rows), Recipe(1, 20), tmp_path)
    assert made.images == {"train": 16, "val": 2, "test": 2}
    after = sides(made)
    assert all(after[name] == "test" for name in after if before.get(name) == "test")
    assert sum(before.get(name) == "test" for name in after) == 2
    assert pack(table(rows), Recipe(1, 20), tmp_path).unchanged


def test_a_cap_keeps_the_proportions_of_a_split_that_came_with_the_images(tmp_path: Path) -> None:
    rows = [row(n, [CLASSES[n % 2]]) for n in range(160)]
    given = {each["image_id"]: "train" if n < 120 else "test" for n, each in enumerate(rows)}
    for cap, images in ((20, {"train": 30, "val": 0, "test": 10}), (8, {"train": 12, "test": 4})):
        made = pack(table(rows), Recipe(1, cap), tmp_path, given=given)
        assert made.images == {"val": 0, **images}
        assert made.train_due == 0.75
        assert all(given[name] == split for name, split in sides(made).items())
        assert pack(table(rows), Recipe(1, cap), tmp_path, given=given).unchanged


def test_negatives_are_shared_among_the_sides_too(tmp_path: Path) -> None:
    rows = [row(n, ["ant"]) for n in range(90)] + [row(n, []) for n in range(100, 300)]
    before = sides(pack(table(rows), Recipe(), tmp_path))
    assert sum(before[each["image_id"]] == "test" for each in rows[90:]) > 10
    recipe = Recipe(negatives=0.1)
    after = sides(pack(table(rows), recipe, tmp_path))
    none = [after[each["image_id"]] for each in rows[90:] if each["image_id"] in after]
    assert {split: none.count(split) for split in set(none)} == {"train": 8, "val": 1, "test": 1}
    assert pack(table(rows), recipe, tmp_path).unchanged


def test_an_earlier_manifest_that_cannot_be_read_is_an_error_not_forgotten(tmp_path: Path) -> None:
    rows = table([row(n, ["ant"]) for n in range(20)])
    made = pack(rows, Recipe(), tmp_path)
    assert made.path is not None
    (made.path / "manifest.json").write_text("{")
    with pytest.raises(PackError, match="v0001 is not a manifest"):
        pack(rows, Recipe(seed=2), tmp_path)
    assert pack(rows, Recipe(sticky=False), tmp_path).manifest == "v0002"
