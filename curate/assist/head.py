"""A linear head on frozen embeddings: logistic regression, regularised by cross-validation.

Embeddings are standardised, so that one scale of regularisation fits every backbone; the
standardisation is folded into the weights, and the head is one matrix in the end. Classes
weigh the same in training, however many images they have. The regularisation is the one with
the least loss over held-out folds (each class counting the same there too), and the scores of
those folds are kept: they come from heads that have not seen the image, and so say how good
the head is, where its thresholds lie, and which labels are suspect.

That the same folds choose the regularisation and measure the result makes the measure a
little too kind; with five values to choose from it is little.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.assist.evaluate import shown
from curate.assist.folds import deal, groups_per_class
from curate.errors import UsageError, install_hint
from curate.progress import Progress, silent

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

LEAST_IMAGES = 5
"""Labelled images that a class needs, in two groups at least."""
MOST_FOLDS = 5
STRENGTHS = (1.0, 10.0, 100.0, 1_000.0, 10_000.0)
"""Inverse regularisation to choose from (`C` of scikit-learn, on inputs of unit mean length)."""
MOST_AXES = 256
"""Main axes of the embeddings that are kept: what is beyond them is noise, and costs time."""
TINY = 1e-6


@dataclass(frozen=True, slots=True)
class Head:
    """A trained head."""

    names: tuple[str, ...]
    """The k classes; the empty text is "none of them"."""
    is_exclusive: bool
    """One class each (softmax); else each class is a question of its own (sigmoid)."""
    weights: Singles
    """Shape (k, d)."""
    bias: Singles
    """Shape (k,)."""
    thresholds: tuple[float, ...]
    """For each class the score from which its F1 is best on held-out folds."""

    def scores(self, embeddings: Singles) -> Floats:
        """Return probabilities, shape (n, k)."""
        return _probabilities(
            embeddings.astype(np.float64) @ self.weights.T.astype(np.float64) + self.bias,
            is_exclusive=self.is_exclusive,
        )


@dataclass(frozen=True, slots=True)
class Fitted:
    """A head and what was learned about it on the way."""

    head: Head
    """Trained on all images."""
    held_out: Floats
    """Scores of each image by a head that was trained without it, shape (n, k)."""
    folds: Ints
    """Which fold each image was held out with."""
    strength: float
    """The chosen inverse regularisation."""
    losses: tuple[float, ...]
    """Loss over held-out folds for each of `STRENGTHS`, classes counting the same."""


def fit(
    embeddings: Singles,
    labels: Bools,
    names: Sequence[str],
    groups: Sequence[int],
    *,
    is_exclusive: bool,
    is_weighted: bool = True,
    seed: int = 0,
    progress: Progress = silent,
) -> Fitted:
    """Train a head.

    Args:
        embeddings: of n images, shape (n, d).
        labels: which classes each has, shape (n, k); exclusive: one each.
        names: the classes.
        groups: what each image belongs to; a group is never on two sides of a fold.
        is_exclusive: one class each.
        is_weighted: classes count the same, however many images they have.
        seed: of the folds.
        progress: told of fits.

    Raises:
        UsageError: scikit-learn is not installed, or there is too little to learn from.
    """
    check_enough(labels, names, groups)
    with _one_thread():
        return _fit(
            embeddings, labels, tuple(names), groups, is_exclusive, is_weighted, seed, progress
        )


def _fit(
    embeddings: Singles,
    labels: Bools,
    names: tuple[str, ...],
    groups: Sequence[int],
    is_exclusive: bool,
    is_weighted: bool,
    seed: int,
    progress: Progress,
) -> Fitted:
    n_folds = min(MOST_FOLDS, int(groups_per_class(labels, groups).min()))
    folds = deal(labels, groups, n_folds, seed)
    fitter = _Fitter(embeddings, is_exclusive=is_exclusive, is_weighted=is_weighted)
    n_fits = len(STRENGTHS) * n_folds + 1
    losses: list[float] = []
    tried: list[Floats] = []
    for strength in STRENGTHS:
        held_out = np.zeros(labels.shape)
        for fold in range(n_folds):
            progress("train", len(losses) * n_folds + fold, n_fits)
            out = folds == fold
            weights, bias = fitter.fit(~out, labels, strength)
            held_out[out] = _probabilities(
                fitter.inputs[out] @ weights.T + bias, is_exclusive=is_exclusive
            )
        losses.append(_loss(held_out, labels, is_exclusive=is_exclusive))
        tried.append(held_out)
    best = int(np.argmin(losses))
    whole = np.ones(len(labels), dtype=bool)
    plain = fitter.unscaled(*fitter.fit(whole, labels, STRENGTHS[best]))
    progress("train", n_fits, n_fits)
    thresholds = tuple(
        best_threshold(labels[:, column], tried[best][:, column]) for column in range(len(names))
    )
    head = Head(names, is_exclusive, *plain, thresholds)
    return Fitted(head, tried[best], folds, STRENGTHS[best], tuple(losses))


def check_enough(labels: Bools, names: Sequence[str], groups: Sequence[int]) -> None:
    """Refuse what nothing can be learned from, in words.

    Raises:
        UsageError: fewer than two kinds of images, or too few of a class.
    """
    hint = "label more, or leave small classes out with --min-per-class"
    if len(names) < 1 or not len(labels):
        raise UsageError(
            "there are no labelled images to train on",
            "run `curate label` or `curate audit`, or let what sources say count: --trust source",
        )
    counts = labels.sum(axis=0)
    few = [
        f"{shown(name)} has {int(n):,}"
        for name, n in zip(names, counts.tolist(), strict=True)
        if n < LEAST_IMAGES
    ]
    if few:
        listed = ", ".join(few[:10]) + (f" and {len(few) - 10:,} more" if len(few) > 10 else "")
        raise UsageError(
            f"too few labelled images: {listed}, at least {LEAST_IMAGES} of each are needed", hint
        )
    for name, n, apart in zip(
        names, counts.tolist(), groups_per_class(labels, groups).tolist(), strict=True
    ):
        if n == len(labels):
            raise UsageError(
                f"all {n:,} labelled images are {shown(name)}: there is nothing to tell it from",
                "label images of other classes, or of none",
            )
        if apart < 2:
            raise UsageError(
                f"all {n:,} labelled images of {shown(name)} are of one group (copies of one "
                "photo, or photos of one occasion): a second one is needed to check against",
                hint,
            )


def best_threshold(truth: Bools, scores: Floats) -> float:
    """Return the score from which saying yes has the best F1, between two scores that occur."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    hits = np.cumsum(truth[order])
    f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + truth.sum())
    # Between equal scores there is no threshold.
    f1[np.append(ranked[:-1] == ranked[1:], False)] = -1
    last = int(f1.argmax())
    below = float(ranked[last + 1]) if last + 1 < len(ranked) else 0.0
    return round(min(1.0, max(TINY, (float(ranked[last]) + below) / 2)), 6)


def _one_thread() -> AbstractContextManager[Any]:
    """Keep BLAS to one thread: on matrices of this size more only wait for each other."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:  # scikit-learn brings it; without that nothing is trained anyway
        return nullcontext()
    limits: AbstractContextManager[Any] = threadpool_limits(1)
    return limits


class _Fitter:
    """Fits heads on one set of embeddings, brought to a common scale once.

    Scale and main axes follow from the embeddings alone, no label has a part in them, so that
    all folds may share them.
    """

    def __init__(self, embeddings: Singles, *, is_exclusive: bool, is_weighted: bool) -> None:
        try:
            from sklearn.linear_model import LogisticRegression
        except ImportError:
            raise UsageError(
                "training needs scikit-learn and onnx", install_hint("train")
            ) from None
        self._kind: Any = LogisticRegression
        self._is_exclusive = is_exclusive
        self._weight = "balanced" if is_weighted else None
        self._mean = embeddings.mean(axis=0, dtype=np.float64)
        deviation = embeddings.std(axis=0, dtype=np.float64)
        # What never changes tells nothing, and must not be blown up by its own noise.
        is_flat = deviation < TINY * (1 + np.abs(self._mean))
        scale = np.where(is_flat, 0, 1 / np.where(is_flat, 1, deviation))
        scale /= np.sqrt(max(1, embeddings.shape[1]))
        scaled = (embeddings - self._mean.astype(np.float32)) * scale.astype(np.float32)
        spread = (scaled.T @ scaled).astype(np.float64)
        axes = np.linalg.eigh(spread)[1][:, ::-1][:, :MOST_AXES]
        self.inputs = (scaled @ axes.astype(np.float32)).astype(np.float64)
        self._back = scale[:, None] * axes

    def fit(self, chosen: Bools, labels: Bools, strength: float) -> tuple[Floats, Floats]:
        """Fit on the chosen rows; return weights (k, axes) and bias (k,) for `inputs`."""
        inputs, labels = self.inputs[chosen], labels[chosen]
        if self._is_exclusive:
            return self._softmax(inputs, labels, strength)
        pairs = [self._sigmoid(inputs, column, strength) for column in labels.T]
        return np.stack([each for each, _ in pairs]), np.array([each for _, each in pairs])

    def unscaled(self, weights: Floats, bias: Floats) -> tuple[Singles, Singles]:
        """Return weights (k, d) and bias for embeddings as they come from the model."""
        whole = weights @ self._back.T
        return whole.astype(np.float32), (bias - whole @ self._mean).astype(np.float32)

    def _softmax(self, inputs: Floats, labels: Bools, strength: float) -> tuple[Floats, Floats]:
        model = self._fitted(inputs, labels.argmax(axis=1), strength)
        coefficients, intercept = model.coef_, model.intercept_
        if len(coefficients) == 1:  # of two classes only the second has weights
            coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
            intercept = np.concatenate([[0.0], intercept])
        return coefficients, intercept

    def _sigmoid(self, inputs: Floats, truth: Bools, strength: float) -> tuple[Floats, float]:
        model = self._fitted(inputs, truth, strength)
        return model.coef_[0], float(model.intercept_[0])

    def _fitted(self, inputs: Floats, truth: Any, strength: float) -> Any:
        from sklearn.exceptions import ConvergenceWarning

        model = self._kind(C=strength, class_weight=self._weight, max_iter=1000, tol=1e-3)
        with warnings.catch_warnings():
            # Weak regularisation of separable classes need not converge: its loss decides.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(inputs, truth)


def _probabilities(values: Floats, *, is_exclusive: bool) -> Floats:
    if not is_exclusive:
        return np.asarray(0.5 * (1 + np.tanh(values / 2)))  # the sigmoid, without overflow
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _loss(scores: Floats, labels: Bools, *, is_exclusive: bool) -> float:
    """Return the mean over classes of the mean log loss of their images."""
    likely = np.clip(scores, TINY, 1 - TINY)
    yes = -np.log(likely)
    per_class = (yes * labels).sum(axis=0) / np.maximum(labels.sum(axis=0), 1)
    if not is_exclusive:
        no = -np.log(1 - likely)
        rest = (no * ~labels).sum(axis=0) / np.maximum((~labels).sum(axis=0), 1)
        per_class = (per_class + rest) / 2
    return float(per_class.mean())
