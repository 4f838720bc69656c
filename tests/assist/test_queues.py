"""Queues: who is unsure, who is different, who is blind."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.assist.queues import (
    farthest_first,
    is_blind,
    one_of_each,
    shuffled,
    uncertainty,
)

IDS = [hashlib.sha256(bytes([number % 256, number // 256])).hexdigest() for number in range(2000)]


def test_an_image_between_two_classes_is_the_most_uncertain() -> None:
    split = {"beach": 0.48, "city": 0.47, "trees": 0.05}
    spread = {"beach": 0.5, "city": 0.25, "trees": 0.25}
    sure = {"beach": 0.98, "city": 0.01, "trees": 0.01}
    measured = [uncertainty(each, is_exclusive=True) for each in (split, spread, sure)]
    assert measured == pytest.approx([0.99, 0.75, 0.03])


def test_of_several_classes_the_most_doubtful_one_counts() -> None:
    assert uncertainty({"a": 0.99, "b": 0.5}, is_exclusive=False) == 1
    assert uncertainty({"a": 0.99, "b": 0.02}, is_exclusive=False) == pytest.approx(0.04)


def test_an_image_that_is_surely_none_of_the_classes_is_not_uncertain() -> None:
    assert uncertainty({"a": 0.01, "b": 0.02}, is_exclusive=True) == pytest.approx(0.05)
    assert uncertainty({"a": 0.5, "b": 0.01}, is_exclusive=True) == pytest.approx(0.99)


def test_without_any_score_nothing_is_known() -> None:
    assert uncertainty({}, is_exclusive=True) == 1
    assert uncertainty({"a": 0.9}, is_exclusive=True) == pytest.approx(0.2)


def test_of_each_group_one_image_comes_before_the_second_of_any() -> None:
    assert one_of_each([4, 2, 0, 1, 3], [7, 8, 7, 9, 8]) == [4, 2, 3, 0, 1]


def test_the_farthest_is_picked_first_and_makes_its_neighbours_known() -> None:
    known = np.array([[1, 0, 0]], dtype=np.float32)
    images = np.array([[1, 0.1, 0], [0, 1, 0], [0, 0.99, 0.01], [0.3, 0, 1]], dtype=np.float32)
    places, far = farthest_first(images, known, 3)
    assert places == [1, 3, 0]
    assert far[0] == pytest.approx(1)
    assert far == sorted(far, reverse=True)


def test_without_anything_known_the_oddest_image_begins() -> None:
    images = np.array([[1, 0], [1, 0.1], [1, -0.1], [-1, 0.2]], dtype=np.float32)
    assert farthest_first(images, np.zeros((0, 2), np.float32), 2)[0][0] == 3


def test_more_is_not_picked_than_there_is() -> None:
    images = np.ones((3, 2), dtype=np.float32)
    assert sorted(farthest_first(images, images[:1], 10)[0]) == [0, 1, 2]
    assert farthest_first(images[:0], images, 5) == ([], [])


@given(st.integers(0, 200))
def test_farthest_first_covers_at_most_twice_as_badly_as_any_choice(seed: int) -> None:
    """The promise of the method: no choice of n centres leaves less than half the distance."""
    chance = np.random.default_rng(seed)
    points = chance.normal(size=(9, 2)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    chosen, _ = farthest_first(points[1:], points[:1], 2)
    angle = np.arccos(np.clip(points @ points.T, -1, 1))

    def radius(places: list[int]) -> float:
        return float(angle[[0, *places]].min(axis=0).max())

    best = min(radius([a, b]) for a in range(1, 9) for b in range(a + 1, 9))
    assert radius([place + 1 for place in chosen]) <= 2 * best + 1e-3


def test_about_the_wanted_share_is_blind_and_always_the_same_ones() -> None:
    blind = [each for each in IDS if is_blind(each, 0.05)]
    assert 60 <= len(blind) <= 140
    assert blind == [each for each in IDS if is_blind(each, 0.05)]
    assert set(blind) <= {each for each in IDS if is_blind(each, 0.2)}
    assert blind != [each for each in IDS if is_blind(each, 0.05, seed=1)]
    assert not any(is_blind(each, 0) for each in IDS)
    assert all(is_blind(each, 1) for each in IDS)


def test_chance_does_not_depend_on_the_order_it_is_given() -> None:
    assert shuffled(IDS, 0) == shuffled(IDS[::-1], 0)
    assert shuffled(IDS, 0) != shuffled(IDS, 1)
    assert sorted(shuffled(IDS, 0)) == sorted(IDS)
