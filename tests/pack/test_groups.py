from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.pack.groups import group_numbers

HINTS = st.lists(st.lists(st.sampled_from("abcdefghij"), max_size=3), max_size=30)


def lists(hints: list[list[str] | None]) -> pa.Array:
    return pa.array(hints, pa.list_(pa.string()))


def by_search(hints: list[list[str]]) -> list[int]:
    """The plainest way: walk from every row to all that can be reached."""
    first = [-1] * len(hints)
    for start in range(len(hints)):
        if first[start] >= 0:
            continue
        queue, first[start] = [start], start
        while queue:
            row = queue.pop()
            for other in range(len(hints)):
                if first[other] < 0 and set(hints[row]) & set(hints[other]):
                    first[other] = start
                    queue.append(other)
    return first


@settings(deadline=None)
@given(HINTS)
def test_groups_are_the_connected_components_over_shared_hints(hints: list[list[str]]) -> None:
    assert group_numbers(lists(hints)).tolist() == by_search(hints)


def test_a_long_chain_of_shared_hints_is_one_group() -> None:
    n = 20_000
    shuffled = [(number * 7919) % n for number in range(n)]
    hints = [[f"h{number}", f"h{number + 1}"] for number in shuffled]
    assert set(group_numbers(lists(hints)).tolist()) == {0}


def test_images_without_hints_are_groups_of_their_own() -> None:
    assert group_numbers(lists([None, [], ["a"], [], ["a"]])).tolist() == [0, 1, 2, 3, 2]
    assert group_numbers(lists([[], None])).tolist() == [0, 1]
