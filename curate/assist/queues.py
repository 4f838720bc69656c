"""Which images a person should look at next: pure functions on scores and embeddings.

*Uncertain*: where the model wavers between its two best answers (exclusive), or is nearest
to turning over one class (multi-label). *Different*: the farthest from all that is labelled,
one after the other, so that each pick makes its own neighbourhood uninteresting (farthest
first, a 2-approximation of the k-centre problem: Gonzalez, 1985). *Random*: by chance, the
yardstick of the others.

Some of what is queued is shown *blind*, without the proposal: only so can be measured how
far proposals sway people. Who is blind depends on the image and the seed alone, not on the
queue, so that nobody sees the proposal in one queue and decides without it in the next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

BLOCK_CELLS = 16 * 1024 * 1024
"""Distances that are in memory at a time."""


def uncertainty(scores: Mapping[str, float], *, is_exclusive: bool) -> float:
    """Return how unsure a model is of an image, 0 (sure) to 1.

    Args:
        scores: class to probability.
        is_exclusive: one class each, so that the two best compete; what is missing to 1 is
            the probability of "none of them", which competes too.
    """
    if not scores:
        return 1.0
    if not is_exclusive:
        return 1.0 - min(abs(2 * score - 1) for score in scores.values())
    best = sorted([*scores.values(), max(0.0, 1 - sum(scores.values()))], reverse=True)
    return 1.0 - (best[0] - best[1])


def one_of_each(order: Sequence[int], groups: Sequence[int]) -> list[int]:
    """Return the same places, those of a group that was there already after all others.

    Args:
        order: places, the most urgent first.
        groups: of each place, the group of images that show the same thing.
    """
    seen: set[int] = set()
    first: list[int] = []
    again: list[int] = []
    for place in order:
        (again if groups[place] in seen else first).append(place)
        seen.add(groups[place])
    return first + again


def farthest_first(embeddings: Floats, known: Floats, n: int) -> tuple[list[int], list[float]]:
    """Pick what differs most from what is known, and from what was picked before.

    Args:
        embeddings: of the images to choose from, shape (m, d).
        known: of the labelled images, shape (l, d); may be empty.
        n: images to pick.

    Returns:
        Their places in order, and the distance (1 - cosine, 0-2) of each to its nearest
        known or earlier picked image.
    """
    units, known = _unit(embeddings), _unit(known)
    if not len(units):
        return [], []
    if len(known):
        n_rows = max(1, BLOCK_CELLS // len(known))
        nearest = np.concatenate(
            [
                1 - (units[start : start + n_rows] @ known.T).max(axis=1)
                for start in range(0, len(units), n_rows)
            ]
        )
    else:
        # Nothing is known: begin with the image that is least like the average one.
        nearest = 1 - units @ _unit(units.mean(axis=0, keepdims=True))[0]
    picked: list[int] = []
    far: list[float] = []
    for number in range(min(n, len(units))):
        place = int(nearest.argmax())
        picked.append(place)
        far.append(float(np.clip(nearest[place], 0, 2)))
        distance = 1 - units @ units[place]
        nearest = distance if not number and not len(known) else np.minimum(nearest, distance)
        nearest[picked] = -np.inf
    return picked, far


def is_blind(image_id: str, share: float, seed: int = 0) -> bool:
    """Whether an image is among those that are decided without a proposal.

    Args:
        image_id: the image.
        share: of all images, 0-1.
        seed: another seed, another choice.
    """
    digest = hashlib.sha256(f"blind:{seed}:{image_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def shuffled(image_ids: Sequence[str], seed: int) -> list[str]:
    """Return images in an order that depends on nothing but themselves and the seed."""
    return sorted(
        image_ids, key=lambda each: hashlib.sha256(f"random:{seed}:{each}".encode()).digest()
    )


def _unit(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length > 0, length, 1), dtype=np.float32)
