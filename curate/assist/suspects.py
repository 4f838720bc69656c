"""Labels that are probably wrong: confident learning (Northcutt, Jiang and Chuang, 2021).

*How many* are wrong follows from counting: a class's own threshold is the mean score that
images labelled so get from a model that has not seen them, and an image that reaches the
threshold of another class, and none better, counts as that. The thresholds make up for a model
that is unsure, or too sure, of a class as a whole. *Which* are wrong follows from ranking: as
many as were counted are taken, by how much likelier another class is than the label. Counting
alone is right nearly always and misses a fifth; ranking alone does not know where to stop.

Scores must come from folds that the image was not trained in, else the model has learned the
errors too. In a multi-label list each class is a question of its own, yes or no.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

ROUNDING = 1e-9
"""A mean of equal scores may come out a little above them."""


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
    rows = np.arange(len(given))
    # Nothing is known of a class that no image has: it is not suggested.
    known = np.bincount(given, minlength=scores.shape[1]) > 0
    rather = np.where(known, scores, -1.0).argmax(axis=1)
    margin = scores[rows, rather] - scores[rows, given]
    order = np.argsort(-margin, kind="stable")[: errors(given, scores)]
    return [
        Suspect(int(place), (int(rather[place]),), float(margin[place]))
        for place in order
        if margin[place] > 0
    ]


def errors(given: Ints, scores: Floats) -> int:
    """Estimate how many labels are wrong; arguments are those of `suspects`."""
    k = scores.shape[1]
    rows = np.arange(len(given))
    counts = np.bincount(given, minlength=k)
    sums = np.bincount(given, weights=scores[rows, given], minlength=k)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf) - ROUNDING
    counted_as = np.where(scores >= thresholds, scores, -1.0).argmax(axis=1)
    is_counted = scores[rows, counted_as] >= thresholds[counted_as]
    joint = np.zeros((k, k))
    np.add.at(joint, (given[is_counted], counted_as[is_counted]), 1)
    # Images that reach no threshold are taken to be as the others of their label.
    joint *= (counts / np.maximum(joint.sum(axis=1), 1))[:, None]
    total = joint.sum()
    return round(float((total - np.trace(joint)) / total * len(given))) if total else 0


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
