from __future__ import annotations

import random
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.pack.labels import Labels
from curate.pack.split import assign
from tests.pack.rows import image_id

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
    for name, row in zip(labels.classes, per_class(split, labels), strict=True):
        assert np.abs(row - row.sum() * np.array(shares)).max() <= largest[name] + 1e-6
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


def test_the_toy_dataset_is_split_within_one_percent_and_keeps_its_twins_together(shared) -> None:
    import csv

    with (shared / "toy" / "data.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    classes = ("beach", "city", "sunset", "trees")
    labels = Labels.of(
        pa.array([[c for c in classes if r[c] == "1"] for r in rows], pa.list_(pa.string()))
    )
    urls = pa.array([r["url"] for r in rows])
    split = assign(urls, labels, (0.8, 0.1, 0.1), 0)
    found = per_class(split, labels)
    assert np.abs(found / found.sum(axis=1, keepdims=True) - [0.8, 0.1, 0.1]).max() < 0.01
    sides = defaultdict(set)
    for url, side in zip(urls.to_pylist(), split.tolist(), strict=True):
        sides[url].add(side)
    assert len(sides) < len(rows)
    assert all(len(found) == 1 for found in sides.values())
