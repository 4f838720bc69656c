"""Pairs of similar embeddings: exact, by blocked matrix products.

Everything is compared with everything, a block of rows with a block of rows, so memory
stays bounded whatever the number of images; a hundred thousand of 1,024 dimensions take
some minutes on one core. Beyond that a library's approximate index is the better tool.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK_ROWS = 2048


@dataclass(frozen=True, slots=True)
class Similar:
    """Some pairs; all arrays have the same length."""

    left: NDArray[np.int64]
    """Row of one embedding."""
    right: NDArray[np.int64]
    """Row of the other."""
    cosine: NDArray[np.float32]
    """Cosine of the angle between them, -1 to 1."""


def similar_within(embeddings: NDArray[np.float32], threshold: float) -> Iterator[Similar]:
    """Find all pairs of embeddings with at least this cosine.

    Args:
        embeddings: one row for each image, shape (n, d), of any length; a row of zeros is
            similar to nothing.
        threshold: smallest cosine wanted, above 0.

    Yields:
        Blocks of pairs with `left < right`, each pair once.
    """
    unit = _unit(embeddings)
    for top in range(0, len(unit), BLOCK_ROWS):
        for start in range(top, len(unit), BLOCK_ROWS):
            for block in _near(unit, unit, top, start, threshold):
                later = block.right > block.left
                if later.any():
                    yield Similar(block.left[later], block.right[later], block.cosine[later])


def similar_between(
    new: NDArray[np.float32], old: NDArray[np.float32], threshold: float
) -> Iterator[Similar]:
    """Find all pairs of one embedding of each side with at least this cosine.

    Args:
        new: embeddings, shape (n, d).
        old: embeddings, shape (m, d).
        threshold: smallest cosine wanted, above 0.

    Yields:
        Blocks of pairs, `left` a row of `new`, `right` a row of `old`; each pair once.
    """
    ours, theirs = _unit(new), _unit(old)
    for top in range(0, len(ours), BLOCK_ROWS):
        for start in range(0, len(theirs), BLOCK_ROWS):
            yield from _near(ours, theirs, top, start, threshold)


def _near(
    ours: NDArray[np.float32], theirs: NDArray[np.float32], top: int, start: int, threshold: float
) -> Iterator[Similar]:
    cosine = ours[top : top + BLOCK_ROWS] @ theirs[start : start + BLOCK_ROWS].T
    left, right = np.nonzero(cosine >= threshold)
    if len(left):
        yield Similar(left + top, right + start, cosine[left, right])


def _unit(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    rows = np.asarray(embeddings, dtype=np.float32)
    length = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
    unit: NDArray[np.float32] = (rows / np.where(length > 0, length, 1)).astype(np.float32)
    return unit
