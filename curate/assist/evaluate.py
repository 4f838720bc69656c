"""How good a model is on images that people labelled, said so that nobody is fooled.

Accuracy stands beside what always saying the most frequent answer would give, and beside
balanced accuracy, in which every class counts the same. All is plain numpy, so that
`curate evaluate` needs nothing installed; the numbers equal scikit-learn's (tested).

An exclusive class list has one answer for each image, a multi-label one any number. Where
images of none of the classes occur in an exclusive list, "none" is one more answer, named by
the empty text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

BINS = 10
HARDLY = 0.05
"""A balanced accuracy this little above guessing is hardly better than guessing."""


@dataclass(frozen=True, slots=True)
class ClassScore:
    """How well one class is told."""

    precision: float
    """Share of right ones among those proposed; 0 where none was."""
    recall: float
    """Share of those that are proposed; 0 where there is none."""
    f1: float
    """Harmonic mean of the two."""
    support: int
    """Images of the class."""
    proposed: int
    """Images for which the model says so."""
    roc_auc: float | None
    """Area under the ROC curve of its score; None where all images, or none, are of it."""
    pr_auc: float | None
    """Average precision of its score; None likewise."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Decisions of similar confidence."""

    low: float
    """Least confidence."""
    high: float
    """Largest confidence, included."""
    n: int
    """Decisions in it."""
    confidence: float
    """Their mean confidence."""
    accuracy: float
    """Share of them that are right."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model is worth on labelled images."""

    n: int
    """Images."""
    is_exclusive: bool
    """Each image has one answer."""
    accuracy: float
    """Share of images whose answer is entirely right."""
    accuracy_low: float
    """Lower end of its 95 % interval (Wilson)."""
    accuracy_high: float
    """Upper end."""
    balanced_accuracy: float
    """Mean recall of the classes that occur; multi-label: mean over classes of the mean of
    recall and specificity."""
    macro_f1: float
    """Mean F1 of the classes that occur or are proposed."""
    majority: str
    """The most frequent answer, as text."""
    majority_accuracy: float
    """Accuracy of always giving it."""
    classes: Mapping[str, ClassScore]
    """Class by class, in the order of the class list."""
    confusion: Sequence[Any]
    """Exclusive: rows are truth, columns proposals. Multi-label: for each class
    `[[true negatives, false positives], [false negatives, true positives]]`."""
    ece: float
    """Expected calibration error: mean distance of confidence and accuracy, 0-1."""
    bins: Sequence[Bin]
    """Confidence against accuracy."""
    is_useless: bool
    """It tells no more than its most frequent answer does."""
    verdict: str
    """All that in a sentence or two."""

    def to_json(self) -> dict[str, Any]:
        """Return the document that `curate evaluate --json` prints."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {
            **plain,
            "classes": {
                name: {key: getattr(each, key) for key in ClassScore.__slots__}
                for name, each in self.classes.items()
            },
            "bins": [{key: getattr(each, key) for key in Bin.__slots__} for each in self.bins],
        }


def evaluate_exclusive(
    names: Sequence[str], truth: Ints, scores: Floats, said: Ints | None = None
) -> Evaluation:
    """Compare one answer for each image with the truth.

    Args:
        names: k classes; the empty text is "none of them".
        truth: for each of n images the place of its class in `names`.
        scores: the model's, shape (n, k).
        said: the model's answers; by default the class with the best score.
    """
    k = len(names)
    answers = scores.argmax(axis=1) if said is None else said
    confusion = np.bincount(truth * k + answers, minlength=k * k).reshape(k, k)
    confidence = scores[np.arange(len(answers)), answers]
    right = answers == truth
    hot = np.eye(k, dtype=bool)
    classes = _class_scores(names, hot[truth], hot[answers], scores)
    occurring = confusion.sum(axis=1) > 0
    recalls = np.array([each.recall for each in classes.values()])
    shares = confusion.sum(axis=1) / max(1, len(truth))
    most = int(shares.argmax())
    accuracy = _mean(right)
    balanced = _mean(recalls[occurring])
    constant = shown(names[int(answers[0])]) if _is_constant(answers[:, None]) else None
    return _evaluation(
        right=right,
        is_exclusive=True,
        balanced=balanced,
        majority=shown(names[most]),
        majority_accuracy=float(shares[most]),
        classes=classes,
        confusion=confusion.tolist(),
        calibration=calibrate(confidence, right),
        judged=_verdict(
            accuracy,
            balanced,
            1 / max(1, int(occurring.sum())),
            (shown(names[most]), float(shares[most])),
            constant,
        ),
    )


def evaluate_multilabel(
    names: Sequence[str], truth: Bools, scores: Floats, said: Bools
) -> Evaluation:
    """Compare any number of answers for each image with the truth.

    Args:
        names: k classes.
        truth: which of them each of n images has, shape (n, k).
        scores: the model's, shape (n, k).
        said: which the model says, shape (n, k).
    """
    classes = _class_scores(names, truth, said, scores)
    confusion = []
    both = []
    for column in range(len(names)):
        yes, told = truth[:, column], said[:, column]
        cells = [
            [int((~yes & ~told).sum()), int((~yes & told).sum())],
            [int((yes & ~told).sum()), int((yes & told).sum())],
        ]
        confusion.append(cells)
        sides = [row[place] / sum(row) for place, row in enumerate(cells) if sum(row)]
        both.append(_mean(sides))
    right = (truth == said).all(axis=1)
    rows, counts = np.unique(truth, axis=0, return_counts=True)
    most = _text(names, rows[counts.argmax()]) if len(rows) else ""
    share = float(counts.max() / len(truth)) if len(rows) else 0.0
    constant = _text(names, said[0]) if _is_constant(said) else None
    return _evaluation(
        right=right,
        is_exclusive=False,
        balanced=_mean(both),
        majority=most,
        majority_accuracy=share,
        classes=classes,
        confusion=confusion,
        calibration=calibrate(np.where(said, scores, 1 - scores).ravel(), (truth == said).ravel()),
        judged=_verdict(_mean(right), _mean(both), 0.5, (most, share), constant),
    )


def roc_auc(truth: Bools, scores: Floats) -> float | None:
    """Return the area under the ROC curve: how often a right one outranks a wrong one.

    Ties count half. None where all are right, or none is.
    """
    n_yes = int(truth.sum())
    n_no = len(truth) - n_yes
    if not n_yes or not n_no:
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[place]
    return float((ranks[truth].sum() - n_yes * (n_yes + 1) / 2) / (n_yes * n_no))


def average_precision(truth: Bools, scores: Floats) -> float | None:
    """Return the area under the precision-recall curve, as a sum of steps.

    None where all are right, or none is.
    """
    n_yes = int(truth.sum())
    if not n_yes or n_yes == len(truth):
        return None
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    # Equal scores are one step: only its last place counts.
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    precision = hits[last] / (last + 1)
    gained = np.diff(hits[last], prepend=0) / n_yes
    return float((precision * gained).sum())


def calibrate(confidence: Floats, right: Bools, n_bins: int = BINS) -> tuple[float, list[Bin]]:
    """Return the expected calibration error, and the bins of equal width that it comes from.

    Args:
        confidence: of each decision, 0-1.
        right: whether it is right.
        n_bins: bins; empty ones are left out.
    """
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    place = np.searchsorted(edges[1:-1], confidence)
    bins = []
    for number in range(n_bins):
        inside = place == number
        if inside.any():
            low, high = float(edges[number]), float(edges[number + 1])
            n = int(inside.sum())
            bins.append(Bin(low, high, n, _mean(confidence[inside]), _mean(right[inside])))
    total = max(1, len(confidence))
    return sum(abs(each.confidence - each.accuracy) * each.n for each in bins) / total, bins


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson interval of a share; (0, 1) where nothing was counted."""
    if not n:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / n
    middle = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def shown(name: str) -> str:
    """Return a class's name as people read it."""
    return name or "none of the classes"


def _class_scores(
    names: Sequence[str], truth: Bools, said: Bools, scores: Floats
) -> dict[str, ClassScore]:
    found = {}
    for column, name in enumerate(names):
        yes, told, score = truth[:, column], said[:, column], scores[:, column]
        hits, support, proposed = int((yes & told).sum()), int(yes.sum()), int(told.sum())
        found[name] = ClassScore(
            precision=hits / proposed if proposed else 0.0,
            recall=hits / support if support else 0.0,
            f1=2 * hits / (support + proposed) if support + proposed else 0.0,
            support=support,
            proposed=proposed,
            roc_auc=roc_auc(yes, score),
            pr_auc=average_precision(yes, score),
        )
    return found


def _evaluation(
    *,
    right: Bools,
    is_exclusive: bool,
    balanced: float,
    majority: str,
    majority_accuracy: float,
    classes: Mapping[str, ClassScore],
    confusion: Sequence[Any],
    calibration: tuple[float, list[Bin]],
    judged: tuple[bool, str],
) -> Evaluation:
    low, high = wilson(int(right.sum()), len(right))
    return Evaluation(
        n=len(right),
        is_exclusive=is_exclusive,
        accuracy=_mean(right),
        accuracy_low=low,
        accuracy_high=high,
        balanced_accuracy=balanced,
        macro_f1=_mean([each.f1 for each in classes.values() if each.support + each.proposed]),
        majority=majority,
        majority_accuracy=majority_accuracy,
        classes=classes,
        confusion=confusion,
        ece=calibration[0],
        bins=calibration[1],
        is_useless=judged[0],
        verdict=judged[1],
    )


def _verdict(
    accuracy: float,
    balanced: float,
    chance: float,
    majority: tuple[str, float],
    constant: str | None,
) -> tuple[bool, str]:
    """Return whether the model is useless, and what is to be said of its accuracy."""
    name, share = majority
    if constant is not None and chance < 1:
        return True, (
            f"Useless: it says {constant!r} for every image. Its accuracy of {accuracy:.1%} is the "
            f"share of such images; its balanced accuracy is {balanced:.1%}, that of guessing."
        )
    if chance < 1 and balanced <= chance + HARDLY:
        return True, (
            f"Useless: its balanced accuracy of {balanced:.1%} is hardly better than guessing "
            f"({chance:.1%}), whatever its accuracy of {accuracy:.1%} seems to say: always saying "
            f"{name!r} gives {share:.1%}."
        )
    if accuracy <= share:
        return False, (
            f"Its accuracy of {accuracy:.1%} is no better than always saying {name!r} "
            f"({share:.1%}); its balanced accuracy is {balanced:.1%}."
        )
    return False, (
        f"Accuracy {accuracy:.1%}, where always saying {name!r} gives {share:.1%}; balanced "
        f"accuracy {balanced:.1%}."
    )


def _text(names: Sequence[str], row: Bools) -> str:
    return ", ".join(name for name, yes in zip(names, row, strict=True) if yes) or shown("")


def _is_constant(answers: NDArray[Any]) -> bool:
    return len(answers) > 1 and bool((answers == answers[0]).all())


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else 0.0
