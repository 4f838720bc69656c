"""What is in force, and what classes are called now."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from curate.label.replay import Renames, Row, in_force, newest
from curate.records import Annotation
from tests.label.ledgers import label, rename, undo

NAMES = st.sampled_from("abcde")
PAIRS = st.lists(st.tuples(NAMES, NAMES).filter(lambda pair: pair[0] != pair[1]), max_size=8)


def numbered(*annotations: Annotation) -> list[Row]:
    return list(enumerate(annotations, 1))


def keys(rows: list[Row]) -> list[str]:
    return [each.key for _, each in rows]


def test_an_undo_takes_back_and_its_undo_brings_back() -> None:
    rows = numbered(label(1, "a", key="x"), undo("x", own="u1"))
    assert keys(in_force(rows)) == []
    rows = numbered(label(1, "a", key="x"), undo("x", own="u1"), undo("u1", own="u2"))
    assert keys(in_force(rows)) == ["x"]
    rows += [(4, undo("u2", own="u3"))]
    assert keys(in_force(rows)) == []


def test_an_undo_that_comes_before_what_it_names_takes_nothing_back() -> None:
    assert keys(in_force(numbered(undo("x"), label(1, "a", key="x")))) == ["x"]


def test_undoing_the_newest_brings_back_the_one_before() -> None:
    rows = numbered(label(1, "a", key="x"), label(1, "b", key="y"))
    assert keys(newest(rows)) == ["y"]
    assert keys(newest([*rows, (3, undo("y"))])) == ["x"]


def test_each_person_has_a_decision_of_their_own() -> None:
    rows = numbered(label(1, "a"), label(1, "b", by="bob"), label(2, "a"))
    assert keys(newest(rows)) == ["ada-1-a", "bob-1-b", "ada-2-a"]


@given(st.lists(st.integers(0, 30), max_size=30))
def test_taking_back_and_bringing_back_again_changes_nothing(targets: list[int]) -> None:
    rows = numbered(*(label(k, "a", key=f"k{k}") for k in range(4)))
    for target in targets:
        aim = rows[target % len(rows)][1].key
        rows.append((len(rows) + 1, undo(aim, own=f"u{len(rows)}")))
    before = in_force(rows)
    last = rows[targets[0] % len(rows) if targets else 0][1].key
    n = len(rows)
    again = [*rows, (n + 1, undo(last, own="back")), (n + 2, undo("back", own="forth"))]
    assert in_force(again) == before


def test_a_rename_applies_to_what_was_said_before_and_to_what_still_says_so() -> None:
    renames = Renames([(5, rename("cat", "feline"))])
    assert renames.name("cat", 3) == "feline"
    assert renames.name("cat", 9) == "feline"
    assert renames.name("dog", 3) == "dog"


def test_a_name_that_is_given_again_is_another_class() -> None:
    renames = Renames([(5, rename("a", "b")), (8, rename("c", "a"))])
    assert renames.name("a", 3) == "b"
    assert renames.name("c", 3) == "a"
    assert renames.name("a", 9) == "a"
    assert renames.names(("a", "c"), 3) == ("a", "b")


def test_a_rename_there_and_back_leaves_all_as_it_was() -> None:
    renames = Renames([(5, rename("a", "b")), (8, rename("b", "a"))])
    assert [renames.name("a", after) for after in (3, 6, 9)] == ["a", "a", "a"]


def test_two_classes_that_become_one_count_once() -> None:
    renames = Renames([(5, rename("tabby", "cat")), (6, rename("persian", "cat"))])
    assert renames.names(("persian", "tabby")) == ("cat",)
    assert renames.ordered(("dog", "persian", "tabby")) == ("dog", "cat")


@given(PAIRS)
def test_an_undone_rename_never_was(pairs: list[tuple[str, str]]) -> None:
    rows = numbered(*(rename(*pair, key=f"r{n}") for n, pair in enumerate(pairs)))
    undone = [*rows, (99, rename("a", "z", key="last")), (100, undo("last"))]
    for name, after in itertools.product("abcde", range(len(rows) + 1)):
        assert Renames(undone).name(name, after) == Renames(rows).name(name, after)


@given(PAIRS)
def test_what_is_said_before_all_renames_follows_them_one_by_one(
    pairs: list[tuple[str, str]],
) -> None:
    renames = Renames(numbered(*(rename(*pair, key=f"r{n}") for n, pair in enumerate(pairs))))
    for name in "abcde":
        expected = name
        for old, new in pairs:
            expected = new if expected == old else expected
        assert renames.name(name) == expected


@given(PAIRS)
def test_a_name_of_now_is_never_one_that_was_given_up(pairs: list[tuple[str, str]]) -> None:
    renames = Renames(numbered(*(rename(*pair, key=f"r{n}") for n, pair in enumerate(pairs))))
    gone: set[str] = set()
    for old, new in pairs:
        gone = (gone | {old}) - {new}
    for name, after in itertools.product("abcde", range(len(pairs) + 1)):
        assert renames.name(name, after) not in gone
