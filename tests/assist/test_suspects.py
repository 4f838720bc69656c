"""Suspected labels: planted errors are found, and right labels are left alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curate.assist.suspects import suspects, suspects_multilabel


def planted(seed: int, n: int = 600, k: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, labels of which 5 % are wrong, and scores of a fairly good model."""
    chance = np.random.default_rng(seed)
    truth = chance.integers(k, size=n)
    labels = truth.copy()
    wrong = chance.choice(n, n // 20, replace=False)
    labels[wrong] = (labels[wrong] + chance.integers(1, k, size=len(wrong))) % k
    raised = np.exp(chance.normal(size=(n, k)) + 5 * np.eye(k)[truth])
    return truth, labels, raised / raised.sum(axis=1, keepdims=True)


def test_planted_errors_are_found_and_the_true_class_is_suggested() -> None:
    truth, labels, scores = planted(0, n=2000)
    found = suspects(labels, scores)
    wrong = set(np.flatnonzero(truth != labels).tolist())
    hits = [each for each in found if each.place in wrong]
    assert len(hits) >= 0.85 * len(wrong)
    assert len(hits) >= 0.8 * len(found)
    assert all(each.suggested == (truth[each.place],) for each in hits)


def test_the_most_certain_comes_first() -> None:
    _, labels, scores = planted(1)
    margins = [each.score for each in suspects(labels, scores)]
    assert margins == sorted(margins, reverse=True)
    assert all(0 < margin <= 1 for margin in margins)


def test_right_labels_of_a_sure_model_are_not_suspected() -> None:
    truth, _, _ = planted(2)
    assert suspects(truth, np.eye(5)[truth] * 0.9 + 0.02) == []


def test_a_class_that_the_model_is_always_unsure_of_is_judged_by_its_own_measure() -> None:
    scores = np.array([[0.9, 0.1]] * 10 + [[0.55, 0.45]] * 10)
    labels = np.array([0] * 10 + [1] * 10)
    assert suspects(labels, scores) == []  # 0.55 is little for the first class
    labels[0] = 1
    assert [each.place for each in suspects(labels, scores)] == [0]


def test_a_class_without_images_is_never_suggested() -> None:
    scores = np.array([[0.3, 0.3, 0.4]] * 6)
    assert suspects(np.array([0, 0, 0, 1, 1, 1]), scores) == []


def test_nothing_labelled_nothing_suspected() -> None:
    assert suspects(np.zeros(0, dtype=int), np.zeros((0, 3))) == []
    assert suspects_multilabel(np.zeros((0, 3), dtype=bool), np.zeros((0, 3))) == []


def test_of_several_classes_only_the_doubtful_one_is_turned_over() -> None:
    chance = np.random.default_rng(0)
    truth = chance.random((400, 3)) < 0.3
    scores = np.clip(truth * 0.8 + 0.1 + chance.normal(0, 0.03, truth.shape), 0, 1)
    labels = truth.copy()
    labels[7, 2] ^= True
    labels[9, 0] ^= True
    labels[9, 1] ^= True
    found = {each.place: each.suggested for each in suspects_multilabel(labels, scores)}
    assert found == {place: tuple(np.flatnonzero(truth[place]).tolist()) for place in (7, 9)}


@given(st.integers(0, 50), st.integers(2, 6))
def test_a_suspect_is_never_suggested_its_own_label(seed: int, k: int) -> None:
    chance = np.random.default_rng(seed)
    labels = chance.integers(k, size=40)
    scores = chance.dirichlet(np.ones(k), size=40)
    found = suspects(labels, scores)
    assert all(each.suggested != (labels[each.place],) for each in found)
    assert len({each.place for each in found}) == len(found)
