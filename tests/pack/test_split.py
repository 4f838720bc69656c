from __future__ import annotations

import csv
import random
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.pack import Recipe, pack, read_manifest
from curate.pack.labels import Labels
from curate.pack.split import assign
from tests.pack.rows import image_id, row, table

SHARES = st.sampled_from(
    [(0.8, 0.1, 0.1), (0.7, 0.2, 0.1), (0.5, 0.5, 0.0), (1.0, 0.0, 0.0), (1 / 3, 1 / 3, 1 / 3)]
)
PURE = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 6)), min_size=1, max_size=80)
"""Groups of one class: (class, images)."""
MIXED = st.lists(
    st.lists(st.lists(st.sampled_from("abcd"), max_size=3, unique=True), min_size=1, max_size=4),
    min_size=1,
    max_size=40,
)
"""Groups of images, each with any classes."""


def spread(groups: list[list[list[str]]]) -> tuple[pa.Array, Labels]:
    names = [image_id(g) for g, images in enumerate(groups) for _ in images]
    labels = [classes for images in groups for classes in images]
    return pa.array(names, pa.string()), Labels.of(pa.array(labels, pa.list_(pa.string())))


def per_class(split: np.ndarray, labels: Labels) -> np.ndarray:
    """Images of each class in each split, shape (classes, 3)."""
    sides = [labels.keep(rows=split == j).per_class() for j in range(3)]
    return np.stack(sides, axis=1)


@settings(max_examples=300, deadline=None)
@given(PURE, SHARES, st.integers(0, 5))
def test_a_class_is_off_its_share_by_at_most_its_largest_group(
    groups: list[tuple[str, int]], shares: tuple[float, float, float], seed: int
) -> None:
    names, labels = spread([[[name]] * size for name, size in groups])
    split = assign(names, labels, shares, seed)
    largest: dict[str, int] = defaultdict(int)
    for name, size in groups:
        largest[name] = max(largest[name], size)
    for name, n in zip(labels.classes, per_class(split, labels), strict=True):
        assert np.abs(n - n.sum() * np.array(shares)).max() <= largest[name] + 1e-6
    for j, share in enumerate(shares):
        assert share > 0 or not (split == j).any()


@settings(max_examples=200, deadline=None)
@given(MIXED, SHARES, st.integers(0, 5))
def test_no_group_is_on_two_sides_and_every_image_has_one(
    groups: list[list[list[str]]], shares: tuple[float, float, float], seed: int
) -> None:
    names, labels = spread(groups)
    split = assign(names, labels, shares, seed)
    assert set(split.tolist()) <= {j for j in range(3) if shares[j] > 0}
    sides = defaultdict(set)
    for name, side in zip(names.to_pylist(), split.tolist(), strict=True):
        sides[name].add(side)
    assert all(len(found) == 1 for found in sides.values())


@settings(max_examples=100, deadline=None)
@given(MIXED, st.randoms(use_true_random=False))
def test_the_split_does_not_depend_on_the_order_of_rows(
    groups: list[list[list[str]]], chance: random.Random
) -> None:
    names, labels = spread(groups)
    order = chance.sample(range(len(names)), len(names))
    lists = labels.to_arrow().take(pa.array(order, pa.int64()))
    shuffled = assign(names.take(pa.array(order, pa.int64())), Labels.of(lists), (0.8, 0.1, 0.1), 3)
    straight = assign(names, labels, (0.8, 0.1, 0.1), 3)
    assert shuffled.tolist() == straight[order].tolist()


def test_small_groups_make_up_for_large_ones() -> None:
    groups = [[["a"]] * 30, *([[["a"]]] * 70), [["b"]] * 9, *([[["b"]]] * 91)]
    names, labels = spread(groups)
    split = assign(names, labels, (0.8, 0.1, 0.1), 0)
    assert per_class(split, labels).tolist() == [[80, 10, 10], [80, 10, 10]]


def test_classes_of_every_size_add_up_to_exact_splits() -> None:
    groups = [[[f"class {size}"]] for size in range(3, 60) for _ in range(size)]
    names, labels = spread(groups)
    split = assign(names, labels, (0.8, 0.1, 0.1), 0)
    total = Counter(split.tolist())
    for j, share in enumerate((0.8, 0.1, 0.1)):
        assert abs(total[j] - share * len(groups)) <= 1
    assert (per_class(split, labels)[:, 0] > 0).all(), "every class has a training image"


@pytest.mark.parametrize("size", range(10, 20))
def test_a_class_of_ten_groups_or_more_is_in_every_split(size: int) -> None:
    names, labels = spread([[["a"]]] * size)
    split = assign(names, labels, (0.8, 0.1, 0.1), 0)
    assert per_class(split, labels).min() >= 1


@pytest.mark.parametrize("size", range(5, 10))
def test_a_class_of_five_groups_is_in_train_and_one_of_the_others(size: int) -> None:
    names, labels = spread([[[f"c{n}"]] for n in range(30) for _ in range(size)])
    found = per_class(assign(names, labels, (0.8, 0.1, 0.1), 0), labels)
    assert found[:, 0].min() >= 1
    assert found[:, 1:].max(axis=1).min() >= 1


def test_a_class_of_one_group_is_in_train() -> None:
    names, labels = spread([[["a"], ["a"]], *([[["b"]]] * 20)])
    assert assign(names, labels, (0.8, 0.1, 0.1), 0)[:2].tolist() == [0, 0]


def test_label_combinations_are_stratified() -> None:
    chance = random.Random(1)
    weights = [0.4, 0.3, 0.15, 0.08, 0.04]
    groups = []
    for _ in range(3000):
        classes = [
            name for name, weight in zip("abcde", weights, strict=True) if chance.random() < weight
        ]
        groups.append([classes] * chance.choice([1, 1, 1, 2]))
    names, labels = spread(groups)
    split = assign(names, labels, (0.8, 0.1, 0.1), 0)
    found = per_class(split, labels)
    shares = found / found.sum(axis=1, keepdims=True)
    assert np.abs(shares - [0.8, 0.1, 0.1]).max() < 0.01
    pairs = Counter(
        (tuple(classes), side)
        for classes, side in zip(labels.to_arrow().to_pylist(), split.tolist(), strict=True)
    )
    for combination in {key[0] for key in pairs}:
        sides = [pairs[combination, j] for j in range(3)]
        if sum(sides) >= 100:
            assert abs(sides[0] / sum(sides) - 0.8) < 0.05


def test_another_seed_draws_other_groups() -> None:
    names, labels = spread([[["a"]]] * 200)
    splits = [assign(names, labels, (0.8, 0.1, 0.1), seed).tolist() for seed in (0, 0, 1)]
    assert splits[0] == splits[1] != splits[2]


@settings(max_examples=300, deadline=None)
@given(PURE, PURE, SHARES, st.integers(0, 5))
def test_what_has_a_side_stays_and_growing_keeps_the_law(
    old: list[tuple[str, int]],
    new: list[tuple[str, int]],
    shares: tuple[float, float, float],
    seed: int,
) -> None:
    first = [[[name]] * size for name, size in old]
    names, labels = spread(first)
    before = assign(names, labels, shares, seed)
    names, labels = spread([*first, *([[name]] * size for name, size in new)])
    fixed = np.full(len(names), -1, dtype=np.int64)
    fixed[: len(before)] = before
    after = assign(names, labels, shares, seed, fixed)
    assert after[: len(before)].tolist() == before.tolist()
    largest: dict[str, int] = defaultdict(int)
    for name, size in [*old, *new]:
        largest[name] = max(largest[name], size)
    for name, n in zip(labels.classes, per_class(after, labels), strict=True):
        assert np.abs(n - n.sum() * np.array(shares)).max() <= largest[name] + 1e-6


@settings(max_examples=100, deadline=None)
@given(MIXED, SHARES, st.integers(0, 5))
def test_everything_that_has_a_side_is_left_as_it_is(
    groups: list[list[list[str]]], shares: tuple[float, float, float], seed: int
) -> None:
    names, labels = spread(groups)
    once = assign(names, labels, shares, seed)
    assert assign(names, labels, shares, seed + 1, once).tolist() == once.tolist()


def several(n_images: int, chance: random.Random, least: int = 0) -> list[list[list[str]]]:
    """Single images with any of 12 classes, from common to rare."""
    names = [f"class {number:02d}" for number in range(12)]
    groups = []
    for _ in range(n_images):
        classes = [name for n, name in enumerate(names) if chance.random() < 0.4 * 0.75**n]
        while len(classes) < least:
            classes = sorted({*classes, chance.choice(names)})
        groups.append([classes])
    return groups


@pytest.mark.parametrize("seed", range(6))
def test_several_classes_for_each_image_are_off_by_one_image_and_sizes_by_none(seed: int) -> None:
    names, labels = spread(several(2000, random.Random(seed)))
    split = assign(names, labels, (0.8, 0.1, 0.1), seed)
    found = per_class(split, labels)
    assert np.abs(found - found.sum(axis=1, keepdims=True) * [0.8, 0.1, 0.1]).max() <= 1
    assert np.abs(np.bincount(split, minlength=3) - [1600, 200, 200]).max() <= 1


@pytest.mark.parametrize("seed", range(6))
def test_without_images_of_one_class_the_others_are_off_by_few(seed: int) -> None:
    names, labels = spread(several(2000, random.Random(seed), least=2))
    split = assign(names, labels, (0.8, 0.1, 0.1), seed)
    found = per_class(split, labels)
    assert np.abs(found - found.sum(axis=1, keepdims=True) * [0.8, 0.1, 0.1]).max() <= 3
    assert np.abs(np.bincount(split, minlength=3) - [1600, 200, 200]).max() <= 6


def test_classes_are_no_further_off_than_iterative_stratification_leaves_them() -> None:
    stratifiers = pytest.importorskip("iterstrat.ml_stratifiers")
    names, labels = spread(several(3000, random.Random(0)))
    shares = np.array([0.8, 0.1, 0.1])
    matrix = np.zeros((labels.n_rows, len(labels.classes)), dtype=np.int64)
    matrix[labels.rows, labels.codes] = 1
    theirs = np.zeros(labels.n_rows, dtype=np.int64)
    folds = stratifiers.MultilabelStratifiedKFold(10, shuffle=True, random_state=0)
    for number, (_, rows) in zip(range(2), folds.split(matrix, matrix), strict=False):
        theirs[rows] = 2 - number
    off = []
    for split in (assign(names, labels, (0.8, 0.1, 0.1), 0), theirs):
        found = per_class(split, labels)
        off.append(np.abs(found - found.sum(axis=1, keepdims=True) * shares).max())
    assert off[0] <= off[1]


TOY_CLASSES = ("beach", "city", "sunset", "trees")


def toy(shared: Path) -> tuple[list[str], list[list[str]]]:
    """URLs and classes of the toy dataset."""
    with (shared / "toy" / "data.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [r["url"] for r in rows], [[c for c in TOY_CLASSES if r[c] == "1"] for r in rows]


def test_the_toy_dataset_is_split_within_one_percent_and_keeps_its_twins_together(
    shared: Path, tmp_path: Path
) -> None:
    urls, classes = toy(shared)
    rows = [
        row(n, names, [f"url:{url}"])
        for n, (url, names) in enumerate(zip(urls, classes, strict=True))
    ]
    result = pack(table(rows), Recipe(), tmp_path)
    assert result.path is not None
    assert sum(result.images.values()) == 1049
    for by_split in result.proof["deviations"].values():
        assert max(map(abs, by_split.values())) < 0.01
    read = read_manifest(result.path).table(columns=["image_id", "split"])
    split_of = dict(zip(*(column.to_pylist() for column in read.columns), strict=True))
    sides = defaultdict(set)
    for n, url in enumerate(urls):
        sides[url].add(split_of[image_id(n)])
    assert len(sides) < len(urls), "some photos are in the list twice"
    assert all(len(found) == 1 for found in sides.values())


def test_a_plain_stratified_split_tears_the_toys_twins_apart(shared: Path) -> None:
    from sklearn.model_selection import train_test_split

    urls, classes = toy(shared)
    combination = ["+".join(names) for names in classes]
    rare = {name for name, n in Counter(combination).items() if n < 2}
    strata = ["rare" if name in rare else name for name in combination]
    torn = []
    for seed in range(5):
        train, test = train_test_split(
            np.arange(len(urls)), test_size=0.2, stratify=strata, random_state=seed
        )
        torn.append(len({urls[n] for n in train} & {urls[n] for n in test}))
    assert sum(torn) > 0
