"""From pairs to groups, each with the one image that is kept.

Groups are the connected components of the confirmed pairs, with a guard against chaining:
no member is further than a limit from its group's keeper. A component that obeys the guard
is one group. A longer chain is divided: its best image takes every image that it reaches
through others within the limit, then the best of those left over does the same, and so on.
Two images that were declared different never share a group.

The result depends on the images, their ranks and the pairs alone: not on the order in which
any of them come, nor on when they were added.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Groups:
    """Who belongs to whom, by place."""

    linked: Ints
    """First member (the smallest place) of each image's component."""
    keeper: Ints
    """The image kept of each image's group."""


def group(
    phash: NDArray[np.uint64],
    rank: Ints,
    pairs: Ints,
    limit: int,
    not_same: Iterable[tuple[int, int]] = (),
) -> Groups:
    """Group n images.

    Args:
        phash: 64-bit hashes, shape (n,) for one variant, or (v, n): the first row as they
            are, the others turned.
        rank: distinct numbers, the best image has the smallest; shape (n,).
        pairs: places of confirmed pairs, shape (p, 2).
        limit: largest distance of a member from its keeper, in any variant.
        not_same: pairs of places that must not share a group.
    """
    variants = np.atleast_2d(phash)
    linked = components(variants.shape[1], pairs)
    best = np.full(variants.shape[1], -1, dtype=np.int64)
    order = np.argsort(-rank)
    best[linked[order]] = order  # the last one written is the one of the smallest rank
    keeper = best[linked]
    far = _distance(variants, keeper, np.arange(len(keeper))) > limit
    denied: dict[int, set[int]] = {}
    for one, other in not_same:
        denied.setdefault(one, set()).add(other)
        denied.setdefault(other, set()).add(one)
        far[[one, other]] |= linked[one] == linked[other]
    torn = np.isin(linked, linked[far])
    if torn.any():
        inside = pairs[torn[pairs[:, 0]]]
        _divide(variants, rank, inside, limit, denied, np.flatnonzero(torn), keeper)
    return Groups(linked, keeper)


def components(n: int, pairs: Ints) -> Ints:
    """Return the smallest place of each place's connected component.

    Args:
        n: how many places there are.
        pairs: undirected edges, shape (p, 2).
    """
    sources = np.concatenate([pairs[:, 0], pairs[:, 1]])
    targets = np.concatenate([pairs[:, 1], pairs[:, 0]])
    label = np.arange(n, dtype=np.int64)
    while True:
        lowest = label.copy()
        # Hook the label itself, not only its bearer, so that long chains halve each time.
        np.minimum.at(lowest, label[sources], label[targets])
        lowest = np.minimum(lowest, lowest[label])
        lowest = lowest[lowest]
        if np.array_equal(lowest, label):
            return label
        label = lowest


def _distance(variants: NDArray[np.uint64], one: Ints, other: Ints) -> Ints:
    """Smallest distance of any variant of `one` from `other` as it is."""
    distance = np.bitwise_count(variants[:, one] ^ variants[0, other])
    smallest: Ints = distance.min(axis=0).astype(np.int64)
    return smallest


def _divide(
    variants: NDArray[np.uint64],
    rank: Ints,
    pairs: Ints,
    limit: int,
    denied: dict[int, set[int]],
    places: Ints,
    keeper: Ints,
) -> None:
    """Give the images at `places` their keepers, best image first; writes into `keeper`."""
    neighbours: dict[int, list[int]] = {int(place): [] for place in places}
    for one, other in pairs.tolist():
        neighbours[one].append(other)
        neighbours[other].append(one)
    free = set(neighbours)
    for best in places[np.argsort(rank[places])].tolist():
        if best not in free:
            continue
        members = {best}
        barred = set(denied.get(best, ()))
        seen = {best}
        waiting = [(0, best)]
        while waiting:
            _, place = heapq.heappop(waiting)
            if place != best:
                if place in barred:
                    continue
                members.add(place)
                barred |= denied.get(place, set())
            fresh = [each for each in neighbours[place] if each in free and each not in seen]
            seen.update(fresh)
            if not fresh:
                continue
            ends = np.array(fresh)
            near = _distance(variants, np.full(len(ends), best), ends) <= limit
            for each in ends[near].tolist():
                heapq.heappush(waiting, (int(rank[each]), each))
        free -= members
        keeper[list(members)] = best
