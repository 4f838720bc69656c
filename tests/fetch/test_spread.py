"""Turns: every value of a column gives one before any gives a second."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from curate.catalog import limits, searches
from curate.catalog.counts import class_counts
from curate.fetch.quota import Quota
from curate.fetch.spread import by_columns, in_turns
from curate.records import Candidate
from tests.fetch.runs import Folder

KEYS = st.tuples(st.sampled_from("abcdef"), st.sampled_from("xy"))


@given(st.lists(KEYS))
def test_turns_are_an_order_of_what_there_is(keys: list[tuple[str, str]]) -> None:
    rows = [(key, number) for number, key in enumerate(keys)]
    assert sorted(in_turns(rows)) == list(range(len(keys)))


@given(st.lists(KEYS), st.integers(0, 40))
def test_no_value_is_two_turns_ahead_of_one_that_has_more(
    keys: list[tuple[str, str]], n: int
) -> None:
    taken = in_turns([(key, number) for number, key in enumerate(keys)])[:n]
    given_ = [keys[number][0] for number in taken]
    for value in {key[0] for key in keys}:
        held = sum(key[0] == value for key in keys)
        if given_.count(value) < held:
            assert max((given_.count(other) for other in given_), default=0) <= (
                given_.count(value) + 1
            )


def test_a_column_that_a_candidate_lacks_is_a_value_of_its_own() -> None:
    rows = [
        (1, None, json.dumps({"recordedBy": "Ada"})),
        (2, None, json.dumps({"recordedBy": "Ada"})),
        (3, None, None),
    ]
    first_two = by_columns(["RecordedBy"])(rows)[:2]
    assert 3 in first_two


def test_photos_of_one_record_come_last(tmp_path: Path) -> None:
    rows = [(1, "occurrence:1", None), (2, "occurrence:1", None), (3, "occurrence:2", None)]
    assert 3 in by_columns([])(rows)[:2]


def test_candidates_are_handed_out_in_their_turns(tmp_path: Path) -> None:
    made = Folder(tmp_path)
    search = searches.open_search(made.db, "dwca", "{}", "", 0.0)
    observers = ["Ada", "Ada", "Ada", "Bo", "Cy"]
    rows = [
        Candidate("dwca", str(i), f"https://x.example/{i}", ("cap",), meta={"recordedBy": who})
        for i, who in enumerate(observers)
    ]
    searches.add_page(made.db, search.id, rows, None)
    made.db.execute("UPDATE classes SET quota = 3")
    limits.set_turns(made.db, limits.crowded(made.db), by_columns(["recordedBy"]))
    taken = Quota(class_counts(made.db)).take(made.db, 1.0)
    urls = [each[0].url for _ in range(3) if (each := next(taken)) is not None]
    assert {observers[int(url.rpartition("/")[2])] for url in urls} == {"Ada", "Bo", "Cy"}
    made.close()
