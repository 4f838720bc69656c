"""Splitting is tested on a made-up reach, so that a few rows make a deep plan."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import SourceError
from curate.sources import gbif_split
from curate.sources.gbif_split import Bin, Part, Place, Values, bins, parts, value_order

Row = dict[str, Any]
REACH = 20


class Index:
    """Counts and facets over rows."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows

    def select(self, path: Sequence[Bin]) -> list[Row]:
        return [row for row in self.rows if all(str(row[name]) in values for name, values in path)]

    def count(self, path: tuple[Bin, ...]) -> int:
        return len(self.select(path))

    def facets(self, path: tuple[Bin, ...], names: Sequence[str]) -> Mapping[str, Values]:
        rows = self.select(path)
        known = [name for name in names if rows and name in rows[0]]
        return {
            name: Counter(str(r[name]) for r in rows if r[name] is not None).most_common()
            for name in known
        }


@pytest.fixture(autouse=True)
def _small_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gbif_split, "MAX_REACH", REACH)


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "year": st.none() | st.integers(1990, 1996),
            "month": st.none() | st.integers(1, 12),
            "country": st.sampled_from(["DE", "DK", "BR"]),
            "datasetKey": st.sampled_from(["a", "b"]),
        }
    ),
    max_size=150,
)


def plan(rows: Sequence[Row], resume: Place | None = None) -> list[Part]:
    index = Index(rows)
    return list(parts(index.count, index.facets, resume))


@given(ROWS)
def test_every_row_is_in_one_part_or_counted_as_out_of_reach(rows: list[Row]) -> None:
    for key, row in enumerate(rows):
        row["key"] = key
    index = Index(rows)
    found = plan(rows)
    reached = [row["key"] for part in found for row in index.select(part.path)[:REACH]]
    assert len(reached) == len(set(reached))
    assert len(reached) + sum(part.unreachable for part in found) == len(rows)


@given(ROWS, st.data())
def test_a_plan_goes_on_from_any_of_its_places(rows: list[Row], data: st.DataObject) -> None:
    found = plan(rows)
    at = data.draw(st.integers(0, len(found) - 1))
    place = Place.load(found[at].place("1").dump())
    again = plan(rows, place)
    assert [part.path for part in again] == [part.path for part in found[at:]]
    assert [part.offset for part in again] == [0] * len(again)


def test_a_facet_that_loses_nothing_is_chosen_before_one_that_does() -> None:
    rows: list[Row] = [
        {"year": None if n % 5 == 0 else 2000 + n % 7, "country": "ABC"[n % 3]} for n in range(45)
    ]
    found = plan(rows)
    assert {name for part in found for name, _ in part.path} == {"country"}
    assert sum(part.unreachable for part in found) == 0


def test_rows_without_any_value_are_counted_once() -> None:
    rows: list[Row] = [{"year": None if n < 8 else 2000 + n % 7} for n in range(45)]
    found = plan(rows)
    assert [part.unreachable for part in found if part.unreachable] == [8]
    later = plan(rows, found[1].place(None))
    assert sum(part.unreachable for part in later) == 0


def test_what_nothing_splits_is_read_as_far_as_it_goes() -> None:
    rows: list[Row] = [{"year": 2000, "country": "DE"} for _ in range(33)]
    assert plan(rows) == [Part((), 33, 33 - REACH, 0)]


def test_values_that_come_and_go_between_runs_do_not_shift_the_place() -> None:
    rows: list[Row] = [{"year": 2000 + n // 15} for n in range(75)]
    second = plan(rows)[1]
    changed = [row for row in rows if row["year"] != 2000] + [{"year": 1950}] * 3 + [{"year": 2009}]
    again = plan(changed, second.place(None))
    assert again[0].path[0][1] == second.path[0][1]
    assert {value for part in again for value in part.path[0][1]} == {
        "2001",
        "2002",
        "2003",
        "2004",
        "2009",
    }


@given(st.lists(st.tuples(st.text(min_size=1), st.integers(1, 30)), max_size=200))
def test_bins_keep_order_and_reach(values: list[tuple[str, int]]) -> None:
    counts = [count for _, count in values]
    packed = list(bins(values))
    assert [value for one in packed for value in one] == [value for value, _ in values]
    for one in packed:
        total = sum(counts[: len(one)])
        counts = counts[len(one) :]
        assert total <= REACH or len(one) == 1
        assert len(one) <= gbif_split.MAX_BIN_VALUES


def test_numbers_are_ordered_as_numbers() -> None:
    assert sorted(["10", "9", "b", "1999", "a"], key=value_order) == ["9", "10", "1999", "a", "b"]


@pytest.mark.parametrize("cursor", ["", "3", "[]", "{}", '{"taxonKey":1,"path":3,"offset":0}'])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(SourceError, match="not a cursor of gbif"):
        Place.load(cursor)


def test_a_cursor_is_one_line_of_json() -> None:
    place = Place("5219", (("year", ("1999", "2000")), ("country", ("DE",))), 600)
    text = place.dump()
    assert "\n" not in text
    assert json.loads(text) == {
        "taxonKey": "5219",
        "path": [["year", ["1999", "2000"]], ["country", ["DE"]]],
        "offset": 600,
    }
    assert Place.load(text) == place
