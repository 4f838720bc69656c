"""Labels that are probably wrong: confident learning (Northcutt, Jiang and Chuang, 2021).

A class's own threshold is the mean score that images labelled so get from a model that has
not seen them. An image that reaches the threshold of another class, and none better, is
counted there: where that differs from its label, the label is suspected and the other class
suggested. The thresholds make up for a model that is unsure, or too sure, of a class as a
whole. Scores must come from folds that the image was not trained in, else the model has
learned the errors too.

In a multi-label list each class is a question of its own, yes or no, with two thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Suspect:
    """An image whose label is suspected."""

    place: int
    """Its row."""
    suggested: tuple[int, ...]
    """Places of the classes that it rather has."""
    score: float
    """How much likelier the suggestion is, 0-1; the list is ordered by it."""


def suspects(given: Ints, scores: Floats) -> list[Suspect]:
    """Find labels that are probably wrong where an image has one class.

    Args:
        given: for each of n images the place of its label.
        scores: out-of-fold probabilities, shape (n, k).

    Returns:
        The suspects, the most certain first.
    """
    if not len(given):
        return []
    k = scores.shape[1]
    rows = np.arange(len(given))
    own = scores[rows, given]
    counts = np.bincount(given, minlength=k)
    sums = np.bincount(given, weights=own, minlength=k)
    # A class that nobody has cannot be suggested: no score reaches its threshold.
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    rather = np.where(scores >= thresholds - 1e-9, scores, -1.0).argmax(axis=1)
    confident = scores[rows, rather] >= thresholds[rather] - 1e-9
    margin = scores[rows, rather] - own
    found = np.flatnonzero(confident & (rather != given) & (margin > 0))
    ordered = found[np.argsort(-margin[found], kind="stable")]
    return [Suspect(int(place), (int(rather[place]),), float(margin[place])) for place in ordered]


def suspects_multilabel(given: Bools, scores: Floats) -> list[Suspect]:
    """Find labels that are probably wrong where an image has any number of classes.

    Args:
        given: which classes each of n images is labelled with, shape (n, k).
        scores: out-of-fold probabilities of each class on its own, shape (n, k).

    Returns:
        The suspects, the most certain first; suggested is the label with its doubtful
        classes turned over.
    """
    turned = np.zeros_like(given)
    margin = np.zeros(len(given))
    for column in range(given.shape[1]):
        two = np.stack([1 - scores[:, column], scores[:, column]], axis=1)
        for each in suspects(given[:, column].astype(np.int64), two):
            turned[each.place, column] = True
            margin[each.place] = max(margin[each.place], each.score)
    found = np.flatnonzero(turned.any(axis=1))
    ordered = found[np.argsort(-margin[found], kind="stable")]
    return [
        Suspect(
            int(place),
            tuple(np.flatnonzero(given[place] ^ turned[place]).tolist()),
            float(margin[place]),
        )
        for place in ordered
    ]
