"""Folds: whole groups, and every class in every fold where that can be."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curate.assist.folds import deal, groups_per_class


@given(st.integers(0, 100), st.integers(2, 5))
def test_no_group_is_divided(seed: int, n_folds: int) -> None:
    chance = np.random.default_rng(seed)
    labels = chance.random((60, 3)) < 0.4
    groups = chance.integers(25, size=60)
    folds = deal(labels, groups.tolist(), n_folds, seed)
    assert all(len(set(folds[groups == each])) == 1 for each in set(groups.tolist()))
    assert set(folds.tolist()) <= set(range(n_folds))


def test_every_class_is_in_every_fold() -> None:
    labels = np.eye(4, dtype=bool)[[0] * 100 + [1] * 40 + [2] * 10 + [3] * 5]
    folds = deal(labels, list(range(155)), 5, seed=0)
    counts = np.array([labels[folds == fold].sum(axis=0) for fold in range(5)])
    assert (counts == [[20, 8, 2, 1]] * 5).all()


def test_folds_of_images_with_several_classes_are_even() -> None:
    chance = np.random.default_rng(0)
    labels = chance.random((500, 4)) < [0.5, 0.2, 0.1, 0.02]
    folds = deal(labels, list(range(500)), 5, seed=0)
    counts = np.array([labels[folds == fold].sum(axis=0) for fold in range(5)])
    assert (counts.max(axis=0) - counts.min(axis=0)).max() <= 4
    assert np.bincount(folds).max() - np.bincount(folds).min() <= 5


def test_a_seed_gives_the_same_folds_again() -> None:
    labels = np.eye(2, dtype=bool)[[0, 1] * 30]
    one, again, other = (deal(labels, list(range(60)), 3, seed) for seed in (0, 0, 1))
    assert (one == again).all()
    assert (one != other).any()


def test_groups_are_counted_by_class() -> None:
    labels = np.array([[1, 0], [1, 0], [1, 1]], dtype=bool)
    assert groups_per_class(labels, [5, 5, 6]).tolist() == [2, 1]
