"""The linear head: it learns, it is honest about what it cannot, and one seed is one head."""

from __future__ import annotations

import numpy as np
import pytest

from curate.assist.head import best_threshold, fit
from curate.errors import UsageError

NAMES = ("beach", "city", "sunset")


def clouds(seed: int, per_class: tuple[int, ...], d: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings in overlapping clouds, one for each class, far from the origin."""
    chance = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(len(per_class), d)) * 0.7
    truth = np.repeat(np.arange(len(per_class)), per_class)
    points = centres[truth] + chance.normal(size=(len(truth), d)) + 30
    return points.astype(np.float32), np.eye(len(per_class), dtype=bool)[truth]


def test_one_class_each_is_learned() -> None:
    points, labels = clouds(0, (60, 60, 60))
    fitted = fit(points, labels, NAMES, list(range(180)), is_exclusive=True)
    fresh, truth = clouds(1, (100, 100, 100))
    scores = fitted.head.scores(fresh)
    right = (scores.argmax(axis=1) == truth.argmax(axis=1)).mean()
    assert right > 0.9
    assert scores.sum(axis=1) == pytest.approx(np.ones(300))
    held_out = (fitted.held_out.argmax(axis=1) == labels.argmax(axis=1)).mean()
    assert abs(held_out - right) < 0.08


def test_classes_count_the_same_however_many_images_they_have() -> None:
    points, labels = clouds(0, (400, 12), d=10)
    groups = list(range(412))
    fresh, _ = clouds(1, (500, 500), d=10)
    recalls = [
        (
            fit(points, labels, NAMES[:2], groups, is_exclusive=True, is_weighted=weighted)
            .head.scores(fresh)[500:]
            .argmax(axis=1)
            == 1
        ).mean()
        for weighted in (True, False)
    ]
    assert recalls[0] > recalls[1]


def test_any_number_of_classes_is_learned_with_thresholds() -> None:
    chance = np.random.default_rng(0)
    labels = chance.random((300, 3)) < [0.5, 0.3, 0.1]
    mixing = chance.normal(size=(3, 30)) * 1.5
    points = (labels @ mixing + chance.normal(size=(300, 30))).astype(np.float32)
    fitted = fit(points, labels, NAMES, list(range(300)), is_exclusive=False)
    said = fitted.held_out >= fitted.head.thresholds
    assert (said == labels).mean() > 0.95
    assert all(0 < threshold < 1 for threshold in fitted.head.thresholds)


def test_copies_on_one_side_do_not_flatter() -> None:
    """Labels by chance cannot be foretold, unless a copy of the image was learned by heart."""
    chance = np.random.default_rng(0)
    base = chance.normal(size=(60, 100))
    points = np.repeat(base, 4, axis=0).astype(np.float32)
    labels = np.eye(2, dtype=bool)[np.repeat(chance.integers(2, size=60), 4)]
    apart = fit(points, labels, NAMES[:2], list(range(240)), is_exclusive=True)
    together = fit(points, labels, NAMES[:2], np.repeat(range(60), 4).tolist(), is_exclusive=True)

    def accuracy(held_out: np.ndarray) -> float:
        return float((held_out.argmax(axis=1) == labels.argmax(axis=1)).mean())

    assert accuracy(apart.held_out) > 0.95
    assert accuracy(together.held_out) < 0.7


def test_one_seed_is_one_head() -> None:
    points, labels = clouds(0, (20, 20, 20))
    one, again = (
        fit(points, labels, NAMES, list(range(60)), is_exclusive=True, seed=3) for _ in range(2)
    )
    assert (one.head.weights == again.head.weights).all()
    assert one.head.thresholds == again.head.thresholds


def test_an_input_that_never_changes_has_no_weight() -> None:
    points, labels = clouds(0, (20, 20, 20))
    points[:, 5] = 7
    head = fit(points, labels, NAMES, list(range(60)), is_exclusive=True).head
    assert np.abs(head.weights[:, 5]).max() == 0
    assert np.isfinite(head.weights).all()


def test_too_few_labels_are_named_class_by_class() -> None:
    points, labels = clouds(0, (20, 4, 2))
    with pytest.raises(UsageError, match=r"city has 4, sunset has 2, at least 5 of each"):
        fit(points, labels, NAMES, list(range(26)), is_exclusive=True)


def test_no_labels_at_all_say_what_to_do() -> None:
    with pytest.raises(UsageError, match="no labelled images"):
        fit(np.zeros((0, 4), np.float32), np.zeros((0, 0), bool), (), [], is_exclusive=True)


def test_one_class_alone_cannot_be_told_from_anything() -> None:
    points, labels = clouds(0, (20,))
    with pytest.raises(UsageError, match="nothing to tell it from"):
        fit(points, labels, NAMES[:1], list(range(20)), is_exclusive=False)


def test_copies_of_one_photo_are_not_many_labels() -> None:
    points, labels = clouds(0, (10, 10))
    with pytest.raises(UsageError, match="all 10 labelled images of city are of one group"):
        fit(points, labels, NAMES[:2], [*range(10), *[77] * 10], is_exclusive=True)


def test_a_threshold_lies_where_f1_is_best() -> None:
    scores = np.array([0.9, 0.8, 0.6, 0.4, 0.2])
    assert best_threshold(np.array([1, 1, 0, 0, 0], bool), scores) == pytest.approx(0.7)
    assert best_threshold(np.array([1, 1, 1, 1, 1], bool), scores) == pytest.approx(0.1)
    same = np.array([0.5, 0.5, 0.1])
    assert best_threshold(np.array([1, 0, 0], bool), same) == pytest.approx(0.3)
