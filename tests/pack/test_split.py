from __future__ import annotations

import random
from collections import Counter, defaultdict
from itertools import islice

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.pack.cells import Groups, sort_stable, to_cells
from curate.pack.groups import Ints
from curate.pack.labels import Labels
from curate.pack.search import _Descent
from curate.pack.split import assign
from curate.pack.tally import Tally
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
        assert abs(total[j] - share * len(groups)) < 1
    assert (per_class(split, labels)[:, 0] > 0).all(), "every class has a training image"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=40), SHARES, st.integers(0, 5))
def test_the_share_of_single_images_is_rounded_up_or_down_and_train_comes_first(
    sizes: list[int], shares: tuple[float, float, float], seed: int
) -> None:
    names, labels = spread([[[f"{n:02d}"]] for n, size in enumerate(sizes) for _ in range(size)])
    found = per_class(assign(names, labels, shares, seed), labels)
    due = np.array(sizes)[:, None] * np.array(shares)
    assert (found >= np.floor(due + 1e-9)).all()
    assert (found <= np.ceil(due - 1e-9)).all()
    assert found[:, 0].min() > 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(5, 40), min_size=1, max_size=40), st.integers(0, 5))
def test_classes_of_five_images_or_more_let_the_sizes_be_exact(sizes: list[int], seed: int) -> None:
    names, labels = spread([[[f"{n:02d}"]] for n, size in enumerate(sizes) for _ in range(size)])
    found = np.bincount(assign(names, labels, (0.8, 0.1, 0.1), seed), minlength=3)
    assert np.abs(found - len(names) * np.array([0.8, 0.1, 0.1])).max() < 1


def test_classes_of_one_image_are_in_a_fold_for_training() -> None:
    names, labels = spread([[[f"{n:03d}"]] for n in range(100)])
    split = assign(names, labels, (0.3, 0.3, 0.3, 0.1), 0, n_train=2)
    assert np.bincount(split, minlength=4).tolist() == [50, 50, 0, 0]


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


@settings(max_examples=200, deadline=None)
@given(
    MIXED,
    st.sampled_from([(0.8, 0.1, 0.1), (0.6, 0.0, 0.4), (0.45, 0.45, 0.0), (0.3, 0.3, 0.3, 0.1)]),
    st.randoms(use_true_random=False),
)
def test_groups_with_any_side_stay_and_the_others_go_where_there_is_a_share(
    groups: list[list[list[str]]], shares: tuple[float, ...], chance: random.Random
) -> None:
    shares = tuple(share / sum(shares) for share in shares)
    sides = [chance.choice([-1, *range(len(shares))]) for _ in groups]
    names, labels = spread(groups)
    fixed = np.repeat(sides, [len(images) for images in groups])
    split = assign(names, labels, shares, 1, fixed, len(shares) - 2)
    assert split[fixed >= 0].tolist() == fixed[fixed >= 0].tolist()
    assert set(split[fixed < 0].tolist()) <= {j for j, share in enumerate(shares) if share > 0}
    assert len(set(zip(names.to_pylist(), split.tolist(), strict=True))) == len(groups)
    order = np.array(chance.sample(range(len(names)), len(names)), dtype=np.int64)
    mixed = Labels.of(labels.to_arrow().take(pa.array(order)))
    again = assign(names.take(pa.array(order)), mixed, shares, 1, fixed[order], len(shares) - 2)
    assert again.tolist() == split[order].tolist()


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


def unevenness(split: np.ndarray, labels: Labels) -> float:
    """The most by which two splits differ in what they lack of a class: nearest is at most 1."""
    found = per_class(split, labels)
    short = found.sum(axis=1, keepdims=True) * [0.8, 0.1, 0.1] - found
    return float(np.ptp(short, axis=1).max())


@pytest.mark.parametrize("least", [0, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_of_several_classes_each_has_its_nearest_counts_and_sizes_are_exact(
    seed: int, least: int
) -> None:
    names, labels = spread(several(2000, random.Random(seed), least))
    split = assign(names, labels, (0.8, 0.1, 0.1), seed)
    assert unevenness(split, labels) <= 1 + 1e-6
    assert np.bincount(split, minlength=3).tolist() == [1600, 200, 200]


@pytest.mark.parametrize("seed", range(4))
def test_single_images_make_up_for_groups_of_several_classes(seed: int) -> None:
    chance = random.Random(seed)
    images = iter(several(2000, chance))
    groups = [[image[0] for image in islice(images, chance.choice([1, 1, 4]))] for _ in range(999)]
    names, labels = spread([group for group in groups if group])
    split = assign(names, labels, (0.8, 0.1, 0.1), seed)
    assert unevenness(split, labels) <= 1 + 1e-6
    off = np.bincount(split, minlength=3) - len(names) * np.array([0.8, 0.1, 0.1])
    assert np.abs(off).max() < 1


@pytest.mark.parametrize("seed", range(4))
def test_groups_of_several_classes_alone_are_off_by_few_images(seed: int) -> None:
    chance = random.Random(seed)
    images = iter(several(2000, chance))
    groups = [[image[0] for image in islice(images, chance.choice([2, 3, 4]))] for _ in range(500)]
    names, labels = spread(groups)
    split = assign(names, labels, (0.8, 0.1, 0.1), seed)
    found = per_class(split, labels)
    assert np.abs(found - found.sum(axis=1, keepdims=True) * [0.8, 0.1, 0.1]).max() <= 3
    off = np.bincount(split, minlength=3) - len(names) * np.array([0.8, 0.1, 0.1])
    assert np.abs(off).max() <= 2


@pytest.mark.parametrize("seed", range(3))
def test_pairs_of_classes_differ_as_little_as_their_sum_allows(seed: int) -> None:
    chance = random.Random(seed)
    names, labels = spread([[sorted(chance.sample("abcdefghij", 2))] for _ in range(3000)])
    split = assign(names, labels, (0.8, 0.1, 0.1), seed)
    assert unevenness(split, labels) <= 1.5
    assert np.bincount(split, minlength=3).tolist() == [2400, 300, 300]


@pytest.mark.parametrize("alike", [16, 60])
def test_names_that_are_no_hashes_and_begin_alike_are_told_apart(alike: int) -> None:
    chance = random.Random(5)
    numbers = [chance.randrange(600) for _ in range(1000)]
    names = pa.array([f"{number:x}".rjust(64 - alike, "0").rjust(64, "a") for number in numbers])
    labels = Labels.of(pa.array([[f"{number % 7}"] for number in numbers]))
    split = assign(names, labels, (0.8, 0.1, 0.1), 0)
    sides = defaultdict(set)
    for number, side in zip(numbers, split.tolist(), strict=True):
        sides[number].add(side)
    assert all(len(found) == 1 for found in sides.values())
    assert abs(np.bincount(split)[0] - 800) <= 1
    order = chance.sample(range(1000), 1000)
    again = Labels.of(labels.to_arrow().take(pa.array(order)))
    mixed = assign(names.take(pa.array(order)), again, (0.8, 0.1, 0.1), 0)
    assert mixed.tolist() == split[order].tolist()


def test_cells_are_told_apart_by_the_low_bits_of_their_contents_too() -> None:
    contents = np.array([7, 5, 7, 6, 5, 2**63 + 1, 2**63], dtype=np.uint64)
    members, found = sort_stable(contents)
    assert members.tolist() == [1, 4, 3, 0, 2, 6, 5]
    assert found.tolist() == sorted(contents.tolist())


def test_a_group_larger_than_train_leaves_the_others_alike_in_few_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moves = []
    move = Tally.move

    def count(tally: Tally, chosen: Ints, i: int, j: int, n: Ints | int = 1) -> None:
        moves.append(len(chosen))
        move(tally, chosen, i, j, n)

    monkeypatch.setattr(Tally, "move", count)
    chance = random.Random(1)
    giant = [chance.sample("abcd", 2) for _ in range(18_000)]
    small = [[["a"], chance.choices(["b", "c", "d"], [8, 2, 1])] for _ in range(1000)]
    names, labels = spread([giant, *small])
    split = assign(names, labels, (0.8, 0.1, 0.1), 0)
    assert np.bincount(split).tolist() == [18_000, 1000, 1000]
    assert len(moves) < 30


def test_weights_fit_even_if_a_group_has_millions_of_images() -> None:
    sizes = np.array([4_000_000, 3, 3, 3, 3, 3])
    groups = Groups(
        of_row=np.zeros(0, dtype=np.int64),
        sizes=sizes,
        starts=np.arange(0, 14, 2),
        codes=np.tile([0, 1], 6),
        counts=np.stack([sizes // 2, sizes], axis=1).ravel(),
        totals=np.array([(sizes // 2).sum(), sizes.sum()]),
    )
    cells = to_cells(groups)
    dealt = np.zeros((len(cells.sizes), 3), dtype=np.int64)
    dealt[:, 0] = cells.n_members
    tally = Tally(cells, dealt, np.zeros_like(dealt), np.array([0.8, 0.1, 0.1]), 1)
    descent = _Descent(tally, np.arange(len(cells.sizes)))
    exact = (descent._weighted.astype(object) * descent._contents).sum(axis=1)
    assert descent._square.tolist() == exact.tolist()
