"""From pairs to groups, each with the one image that is kept.

Groups are the connected components of the confirmed pairs, with a guard against chaining:
no member is further than a limit from its group's keeper. A component that obeys the guard
is one group. A longer chain is divided: its best image takes every image that it reaches
through others within the limit, then the best of those left over does the same, and so on.
Two images that were declared different never share a group.

The pairs that are handed in need only hold the components together; where a component has to
be divided, who is a pair with whom is asked again (`near`), one image against the others still
open. So the result depends on the images, their ranks and decisions alone: not on the order
in which any of them come, on when they were added, nor on which pairs were recorded.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Near = Callable[[int, Ints], NDArray[np.bool_]]
"""Which of some places are a pair with one place."""
Denied = Mapping[int, set[int]]


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
    near: Near | None = None,
) -> Groups:
    """Group n images.

    Args:
        phash: 64-bit hashes, shape (n,) for one variant, or (v, n): the first row as they
            are, the others turned.
        rank: distinct numbers, the best image has the smallest; shape (n,).
        pairs: places of confirmed pairs, shape (p, 2): all of them, or as many as connect
            what all of them would.
        limit: largest distance of a member from its keeper, in any variant.
        not_same: pairs of places that must not share a group, and count as no pairs.
        near: tells all pairs of a place; by default, those in `pairs`.
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
        if linked[one] == linked[other]:
            denied.setdefault(one, set()).add(other)
            denied.setdefault(other, set()).add(one)
    far[list(denied)] = True
    torn = np.flatnonzero(np.isin(linked, linked[far]))
    if len(torn):
        asked = _without(near or _listed(pairs), denied)
        if denied:
            _relink(asked, torn, linked)
        for places in _parts(linked, torn):
            _divide(variants, rank, asked, limit, denied, places, keeper)
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


def _listed(pairs: Ints) -> Near:
    """Answer from a list of pairs."""
    mates: dict[int, list[int]] = {}
    for one, other in pairs.tolist():
        mates.setdefault(one, []).append(other)
        mates.setdefault(other, []).append(one)
    return lambda place, others: np.isin(others, mates.get(place, []))


def _without(near: Near, denied: Denied) -> Near:
    """Take the pairs away that were declared different."""

    def asked(place: int, others: Ints) -> NDArray[np.bool_]:
        found = near(place, others)
        if place in denied:
            found &= ~np.isin(others, list(denied[place]))
        return found

    return asked


def _parts(linked: Ints, places: Ints) -> list[Ints]:
    """Divide places by component."""
    ordered = places[np.argsort(linked[places], kind="stable")]
    cuts = np.flatnonzero(np.diff(linked[ordered])) + 1
    return np.split(ordered, cuts)


def _relink(near: Near, places: Ints, linked: Ints) -> None:
    """Find components anew by asking; writes into `linked`."""
    for part in _parts(linked, places):
        left = np.sort(part)
        while len(left):
            first, left = int(left[0]), left[1:]
            waiting = [first]
            while waiting:
                place = waiting.pop()
                linked[place] = first
                found = near(place, left)
                waiting += left[found].tolist()
                left = left[~found]


def _divide(
    variants: NDArray[np.uint64],
    rank: Ints,
    near: Near,
    limit: int,
    denied: Denied,
    places: Ints,
    keeper: Ints,
) -> None:
    """Give the images of one component their keepers, best image first; writes into `keeper`."""
    free = places[np.argsort(rank[places])]
    while len(free):
        best, others = int(free[0]), free[1:]
        within = _distance(variants, np.full(len(others), best), others) <= limit
        members = _reached(rank, near, denied, best, others[within])
        keeper[members] = best
        free = free[~np.isin(free, members)]


def _reached(rank: Ints, near: Near, denied: Denied, best: int, others: Ints) -> list[int]:
    """Return `best` and which of the others it reaches through others, best first."""
    members: list[int] = []
    barred: set[int] = set()
    waiting = [(-1, best)]
    while waiting:
        _, place = heapq.heappop(waiting)
        if place in barred:
            continue
        members.append(place)
        barred |= denied.get(place, set())
        found = near(place, others)
        for each in others[found].tolist():
            heapq.heappush(waiting, (int(rank[each]), each))
        others = others[~found]
    return members
