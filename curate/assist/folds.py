"""Folds for cross-validation: no group on two sides, every class spread over all of them.

Whole groups are dealt out, the rarest class first, each to the fold that still lacks most of
its classes; ties go by chance. Works alike for one class each and for any number.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


def deal(labels: Bools, groups: Sequence[int], n_folds: int, seed: int) -> Ints:
    """Return the fold of each image.

    Args:
        labels: which classes each of n images has, shape (n, k).
        groups: what each image belongs to; a group is never divided.
        n_folds: how many folds.
        seed: of the order among equals.
    """
    chance = np.random.default_rng(seed)
    names, place = np.unique(np.asarray(groups), return_inverse=True)
    counts = np.zeros((len(names), labels.shape[1] + 1))
    # The last column counts images, so that those of no class are spread too.
    np.add.at(counts, place, np.column_stack([labels, np.ones(len(labels))]))
    total = counts.sum(axis=0)
    rarity = np.where(counts > 0, total, np.inf).min(axis=1)
    order = np.lexsort((chance.random(len(names)), -counts[:, -1], rarity))
    weight = 1 / np.maximum(total, 1)
    has = np.zeros((n_folds, counts.shape[1]))
    fold = np.zeros(len(names), dtype=np.int64)
    luck = chance.random((len(names), n_folds)) * 1e-9
    for group in order.tolist():
        wanted = counts[group] > 0
        load = (has[:, wanted] * weight[wanted]).sum(axis=1)
        chosen = int(np.argmin(load + luck[group]))
        fold[group] = chosen
        has[chosen] += counts[group]
    return fold[place]


def groups_per_class(labels: Bools, groups: Sequence[int]) -> Ints:
    """Return in how many groups each class occurs: more folds than that leave one without it."""
    numbers = np.asarray(groups)
    return np.array(
        [len(np.unique(numbers[labels[:, column]])) for column in range(labels.shape[1])]
    )
