from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curate.dedupe.grouping import Groups, Ints, components, group


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, Ints]:
    n = draw(st.integers(1, 40))
    place = st.integers(0, n - 1)
    edges = draw(st.lists(st.tuples(place, place), max_size=60))
    return n, np.array(edges, dtype=np.int64).reshape(-1, 2)


def reached(n: int, pairs: Ints) -> list[set[int]]:
    """The component of each place, by walking."""
    near: list[set[int]] = [{place} for place in range(n)]
    for one, other in pairs.tolist():
        near[one].add(other)
        near[other].add(one)
    found = []
    for place in range(n):
        seen: set[int] = set()
        waiting = [place]
        while waiting:
            here = waiting.pop()
            if here not in seen:
                seen.add(here)
                waiting += near[here]
        found.append(seen)
    return found


def made(phash: list[int], pairs: list[tuple[int, int]], limit: int, **more: object) -> Groups:
    n = len(phash)
    rank = np.arange(n, dtype=np.int64)
    edges = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return group(np.array(phash, dtype=np.uint64), rank, edges, limit, **more)  # type: ignore[arg-type]


@given(graphs())
def test_components_are_what_walking_finds(graph: tuple[int, Ints]) -> None:
    n, pairs = graph
    assert components(n, pairs).tolist() == [min(each) for each in reached(n, pairs)]


def test_a_chain_of_a_hundred_thousand_is_one_component() -> None:
    n = 100_000
    order = np.random.default_rng(3).permutation(n)
    chain = np.stack([order[:-1], order[1:]], axis=1)
    assert not components(n, chain).any()


@st.composite
def worlds(
    draw: st.DrawFn,
) -> tuple[list[int], list[int], list[tuple[int, int]], list[tuple[int, int]]]:
    """Images along lines of drifting hashes, with ranks, pairs and refusals."""
    n = draw(st.integers(1, 24))
    phash = draw(st.lists(st.integers(0, 255), min_size=n, max_size=n))
    rank = draw(st.permutations(range(n)))
    near = [
        (i, j) for i in range(n) for j in range(i + 1, n) if (phash[i] ^ phash[j]).bit_count() <= 2
    ]
    pairs = [pair for pair in near if draw(st.booleans())]
    refused = draw(st.lists(st.sampled_from(near), max_size=3)) if near else []
    return phash, list(rank), [pair for pair in pairs if pair not in refused], refused


@given(worlds(), st.randoms(use_true_random=False))
def test_groups_obey_the_guard_and_no_order_matters(world, chance) -> None:  # type: ignore[no-untyped-def]
    phash, rank, pairs, refused = world
    n, limit = len(phash), 4
    edges = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    result = group(np.array(phash, np.uint64), np.array(rank), edges, limit, not_same=refused)
    keeper = result.keeper.tolist()
    for place, kept in enumerate(keeper):
        assert keeper[kept] == kept
        assert rank[kept] <= rank[place]
        assert (phash[place] ^ phash[kept]).bit_count() <= limit
        assert result.linked[place] == result.linked[kept]
    for one, other in refused:
        assert keeper[one] != keeper[other]
    # Within a group everything is linked by pairs inside the group.
    inside = np.array([pair for pair in pairs if keeper[pair[0]] == keeper[pair[1]]]).reshape(-1, 2)
    parts = components(n, inside.astype(np.int64))
    assert all(parts[place] == parts[kept] for place, kept in enumerate(keeper))

    moved = list(range(n))
    chance.shuffle(moved)  # image `i` now stands at place moved[i]
    back = np.argsort(moved)
    shuffled = [(moved[j], moved[i]) for i, j in pairs]
    chance.shuffle(shuffled)
    again = group(
        np.array(phash, np.uint64)[back],
        np.array(rank)[back],
        np.array(shuffled, dtype=np.int64).reshape(-1, 2),
        limit,
        not_same=[(moved[j], moved[i]) for i, j in refused],
    )
    assert [int(back[again.keeper[moved[place]]]) for place in range(n)] == keeper


def test_a_chain_is_divided_at_the_distance_from_its_keeper() -> None:
    drift = [(1 << place) - 1 for place in range(10)]
    result = made(drift, [(place, place + 1) for place in range(9)], limit=3)
    assert result.keeper.tolist() == [0, 0, 0, 0, 4, 4, 4, 4, 8, 8]
    assert not result.linked.any()


def test_an_image_is_not_grouped_through_one_that_is_too_far() -> None:
    """0 and 2 are close by hash, but only 1, which is far, was found to be like both."""
    result = made([0b0, 0b11111, 0b1], [(0, 1), (1, 2)], limit=3)
    assert result.keeper.tolist() == [0, 1, 2]


def test_two_that_were_declared_different_never_share_a_group() -> None:
    result = made([0, 0, 0], [(0, 1), (1, 2)], limit=3, not_same=[(0, 2)])
    assert result.keeper.tolist() == [0, 0, 2]


def test_a_mirrored_member_is_measured_as_its_mirror_image() -> None:
    mirrored = np.array([[0, 2**40 - 1], [2**40 - 1, 0]], dtype=np.uint64)
    pairs = np.array([[0, 1]])
    result = group(mirrored, np.array([0, 1]), pairs, 4)
    assert result.keeper.tolist() == [0, 0]
