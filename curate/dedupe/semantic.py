"""Groups of images whose embeddings are alike.

Up to `EXACT_IMAGES` every pair is compared (`curate.dedupe.cosine`); beyond that faiss, where it
is installed, looks for the nearest of each image in a graph, which misses some. Images that a
chain of pairs links share a split. Of each chain the best image takes those like itself, then
the best of the rest does: nobody is left out for an image that it does not resemble.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.catalog.groups import Member
from curate.catalog.semantic import SemanticPlace
from curate.dedupe.cosine import Similar, similar_within
from curate.dedupe.forest import Forest
from curate.dedupe.keepers import ranks
from curate.errors import UsageError

EXACT_IMAGES = 100_000
NEAREST = 32
"""Neighbours that an approximate index is asked for."""


@dataclass(frozen=True, slots=True)
class SemanticResult:
    """What a comparison of embeddings found and did."""

    images: int
    """Images compared."""
    unreadable: int
    """Images that gave no embedding."""
    groups: int
    """Groups of two images or more that resemble the same one."""
    largest_group: int
    """Images in the largest of them."""
    linked: int
    """Images that stay on one side of a split with another."""
    excluded: int
    """Images left out for them."""

    def to_json(self) -> dict[str, Any]:
        """Return the document that `curate dedupe --semantic --json` prints."""
        return {name: getattr(self, name) for name in self.__slots__}


def similar(
    embeddings: NDArray[np.float32], threshold: float, exact_images: int = EXACT_IMAGES
) -> Iterator[Similar]:
    """Find pairs of similar embeddings: all of them, or by an index where they are too many.

    Args:
        embeddings: one row for each image, shape (n, d).
        threshold: smallest cosine wanted, above 0.
        exact_images: largest n for which everything is compared.

    Raises:
        UsageError: there are more, and faiss is not installed.
    """
    if len(embeddings) <= exact_images:
        yield from similar_within(embeddings, threshold)
        return
    try:
        import faiss
    except ImportError:
        raise UsageError(
            f"{len(embeddings):,} images are more than the {exact_images:,} that are compared "
            "one by one",
            "pip install faiss-cpu, for an index",
        ) from None
    length = np.linalg.norm(embeddings, axis=1, keepdims=True)
    unit = (embeddings / np.where(length > 0, length, 1)).astype(np.float32)
    index = faiss.IndexHNSWFlat(unit.shape[1], NEAREST, faiss.METRIC_INNER_PRODUCT)
    index.add(unit)
    cosine, found = index.search(unit, min(NEAREST + 1, len(unit)))
    left = np.repeat(np.arange(len(unit)), found.shape[1])
    right, near = found.ravel().astype(np.int64), cosine.ravel()
    good = (right >= 0) & (left != right) & (near >= threshold)
    yield Similar(left[good], right[good], near[good])


def semantic_places(
    image_ids: Sequence[str],
    embeddings: NDArray[np.float32],
    threshold: float,
    members: Callable[[Sequence[str]], list[Member]],
    keep: Sequence[str],
) -> list[SemanticPlace]:
    """Group images by embedding.

    Args:
        image_ids: n images.
        embeddings: their rows, shape (n, d).
        threshold: smallest cosine of a pair, above 0.
        members: looks up what decides who is kept.
        keep: the order of preferences.

    Returns:
        A place for each image that resembles another.
    """
    forest = Forest(len(image_ids))
    for block in similar(embeddings, threshold):
        forest.join(block.left, block.right)
    part = forest.find(np.arange(len(image_ids)))
    company = np.flatnonzero(np.bincount(part, minlength=len(image_ids))[part] > 1)
    looked_up = members([image_ids[place] for place in company.tolist()])
    rank = dict(
        zip((each.image_id for each in looked_up), ranks(looked_up, keep).tolist(), strict=True)
    )
    ordered = sorted(company.tolist(), key=lambda place: (part[place], rank[image_ids[place]]))
    places: list[SemanticPlace] = []
    if not ordered:
        return places
    for chain in np.split(np.array(ordered), np.flatnonzero(np.diff(part[ordered])) + 1):
        linked = min(image_ids[place] for place in chain.tolist())
        for keeper, mates, cosine in _stars(embeddings, chain, threshold):
            places += [
                SemanticPlace(image_ids[mate], linked, image_ids[keeper], round(float(value), 4))
                for mate, value in zip(mates.tolist(), cosine.tolist(), strict=True)
            ]
    return places


def _stars(
    embeddings: NDArray[np.float32], chain: NDArray[np.int64], threshold: float
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float32]]]:
    """Divide a chain, best image first, into images and those like them."""
    rows = embeddings[chain]
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    free = np.arange(len(chain))
    while len(free):
        cosine = rows[free] @ rows[free[0]]
        cosine[0] = 1.0
        near = cosine >= threshold
        yield int(chain[free[0]]), chain[free[near]], cosine[near]
        free = free[~near]
