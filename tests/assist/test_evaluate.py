"""Evaluation: scikit-learn's numbers, and words that do not let accuracy fool anyone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.calibration import calibration_curve

from curate.assist.evaluate import (
    average_precision,
    calibrate,
    evaluate_exclusive,
    evaluate_multilabel,
    roc_auc,
    wilson,
)

NAMES = ["beach", "city", "sunset", "trees"]


def softmax(values: np.ndarray) -> np.ndarray:
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def drawn(seed: int, n: int = 400, k: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """An imbalanced truth, and scores that know something of it; many of them are equal."""
    chance = np.random.default_rng(seed)
    truth = chance.choice(
        k, n, p=np.array([0.7, 0.2, 0.07, 0.03][:k]) / sum([0.7, 0.2, 0.07, 0.03][:k])
    )
    scores = softmax(chance.normal(size=(n, k)) + 2 * np.eye(k)[truth])
    return truth, np.round(scores, 2)


@pytest.mark.parametrize("seed", range(5))
def test_one_class_each_equals_scikit_learn(seed: int) -> None:
    truth, scores = drawn(seed)
    said = scores.argmax(axis=1)
    found = evaluate_exclusive(NAMES, truth, scores)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(truth, said))
    assert found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(truth, said))
    assert found.macro_f1 == pytest.approx(metrics.f1_score(truth, said, average="macro"))
    assert found.confusion == metrics.confusion_matrix(truth, said, labels=range(4)).tolist()
    columns = metrics.precision_recall_fscore_support(truth, said, labels=range(4), zero_division=0)
    for place, name in enumerate(NAMES):
        each = found.classes[name]
        assert (each.precision, each.recall, each.f1, each.support) == pytest.approx(
            [column[place] for column in columns]
        )
        yes = truth == place
        assert each.roc_auc == pytest.approx(metrics.roc_auc_score(yes, scores[:, place]))
        assert each.pr_auc == pytest.approx(metrics.average_precision_score(yes, scores[:, place]))


@pytest.mark.parametrize("seed", range(5))
def test_any_number_of_classes_equals_scikit_learn(seed: int) -> None:
    chance = np.random.default_rng(seed)
    truth = chance.random((300, 4)) < [0.5, 0.2, 0.1, 0.05]
    scores = np.clip(np.round(truth * 0.4 + chance.random((300, 4)) * 0.7, 2), 0, 1)
    said = scores >= 0.5
    found = evaluate_multilabel(NAMES, truth, scores, said)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(truth, said))
    assert found.macro_f1 == pytest.approx(
        metrics.f1_score(truth, said, average="macro", zero_division=0)
    )
    assert found.confusion == metrics.multilabel_confusion_matrix(truth, said).tolist()
    balanced = [
        metrics.balanced_accuracy_score(truth[:, place], said[:, place]) for place in range(4)
    ]
    assert found.balanced_accuracy == pytest.approx(np.mean(balanced))
    columns = metrics.precision_recall_fscore_support(truth, said, zero_division=0)
    for place, name in enumerate(NAMES):
        each = found.classes[name]
        assert (each.precision, each.recall, each.f1, each.support) == pytest.approx(
            [column[place] for column in columns]
        )
        assert each.roc_auc == pytest.approx(
            metrics.roc_auc_score(truth[:, place], scores[:, place])
        )
        assert each.pr_auc == pytest.approx(
            metrics.average_precision_score(truth[:, place], scores[:, place])
        )


@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])), min_size=2
    ).filter(lambda rows: 0 < sum(yes for yes, _ in rows) < len(rows))
)
def test_areas_equal_scikit_learn_whatever_the_ties(rows: list[tuple[bool, float]]) -> None:
    truth = np.array([yes for yes, _ in rows])
    scores = np.array([score for _, score in rows])
    assert roc_auc(truth, scores) == pytest.approx(metrics.roc_auc_score(truth, scores))
    assert average_precision(truth, scores) == pytest.approx(
        metrics.average_precision_score(truth, scores)
    )


def test_an_area_needs_both_kinds() -> None:
    same = np.array([True, True])
    assert roc_auc(same, np.array([0.1, 0.2])) is None
    assert average_precision(~same, np.array([0.1, 0.2])) is None


def test_calibration_equals_scikit_learn() -> None:
    chance = np.random.default_rng(3)
    confidence = chance.random(1000)
    right = chance.random(1000) < confidence**2
    ece, bins = calibrate(confidence, right)
    share, mean = calibration_curve(right, confidence, n_bins=10)
    assert [each.accuracy for each in bins] == pytest.approx(share.tolist())
    assert [each.confidence for each in bins] == pytest.approx(mean.tolist())
    weights = np.array([each.n for each in bins]) / 1000
    assert ece == pytest.approx(float((np.abs(share - mean) * weights).sum()))
    assert sum(each.n for each in bins) == 1000


def test_a_model_that_is_sure_and_right_is_calibrated() -> None:
    ece, bins = calibrate(np.ones(9), np.ones(9, dtype=bool))
    assert ece == 0
    assert [(each.n, each.high) for each in bins] == [(9, 1.0)]


def test_always_the_majority_is_called_useless_whatever_the_accuracy() -> None:
    truth = np.array([0] * 97 + [1, 2, 3])
    scores = np.tile([0.9, 0.05, 0.03, 0.02], (100, 1))
    found = evaluate_exclusive(NAMES, truth, scores)
    assert found.accuracy == 0.97
    assert found.is_useless
    assert found.balanced_accuracy == 0.25
    assert found.verdict.startswith("Useless: it says 'beach' for every image")
    assert "97.0%" in found.verdict


def test_nearly_always_the_majority_is_called_useless_too() -> None:
    truth = np.array([0] * 95 + [1] * 5)
    scores = np.tile([0.9, 0.1], (100, 1))
    scores[3] = [0.1, 0.9]
    found = evaluate_exclusive(NAMES[:2], truth, scores)
    assert found.is_useless
    assert "hardly better than guessing" in found.verdict


def test_saying_nothing_is_called_useless_in_a_multi_label_list() -> None:
    chance = np.random.default_rng(0)
    truth = chance.random((200, 4)) < 0.02
    found = evaluate_multilabel(NAMES, truth, np.full((200, 4), 0.1), np.zeros((200, 4), bool))
    assert found.accuracy > 0.9
    assert found.is_useless
    assert "'none of the classes' for every image" in found.verdict


def test_an_accuracy_below_the_majority_is_named_so_though_the_model_has_its_uses() -> None:
    truth = np.array([0] * 90 + [1] * 10)
    said = np.array([0] * 70 + [1] * 20 + [1] * 10)
    found = evaluate_exclusive(NAMES[:2], truth, np.eye(2)[said])
    assert not found.is_useless
    assert "no better than always saying 'beach' (90.0%)" in found.verdict


def test_a_good_model_is_told_beside_the_majority() -> None:
    truth, _ = drawn(1)
    found = evaluate_exclusive(NAMES, truth, np.eye(4)[truth])
    assert not found.is_useless
    assert found.accuracy == found.balanced_accuracy == found.macro_f1 == 1
    assert "where always saying 'beach' gives" in found.verdict
    assert found.accuracy_low < found.accuracy_high == pytest.approx(1)


def test_one_class_alone_is_not_called_useless_for_being_alone() -> None:
    found = evaluate_exclusive(NAMES[:1], np.zeros(5, dtype=int), np.ones((5, 1)))
    assert not found.is_useless


def test_an_evaluation_is_json() -> None:
    truth, scores = drawn(2)
    document = json.loads(json.dumps(evaluate_exclusive(NAMES, truth, scores).to_json()))
    assert {"n", "accuracy", "balanced_accuracy", "macro_f1", "classes", "confusion"} <= set(
        document
    )
    assert {"precision", "recall", "f1", "support"} <= set(document["classes"]["city"])
    assert sum(map(sum, document["confusion"])) == document["n"] == 400


def test_the_interval_of_a_share_is_wilsons() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    low, high = wilson(10, 10)
    assert low == pytest.approx(0.7225, abs=1e-4)
    assert high == pytest.approx(1)
