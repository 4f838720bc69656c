"""Candidates as columns are kept as they would be one by one, and what they share once."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.catalog import searches
from curate.catalog.candidates import record
from curate.catalog.columns import TEXTS, CandidateColumns
from curate.catalog.database import MEMORY, Database
from curate.records import Candidate
from tests.catalog.rows import TABLES, candidate, contents, stored

SHARED = [({"year": "2020", "place": 'a "wood"'}, 0), ({"year": "2021"}, None), ({"id": "3"}, 1)]
COMMON = [{"genus": "Amanita", "year": "unknown"}, {"genus": "Boletus"}]


def columns(
    candidates: Sequence[Candidate], places: Sequence[int | None] | None = None
) -> CandidateColumns:
    """Candidates as columns; `places` are those of `SHARED`, whose texts they have besides."""
    texts = {name: [getattr(each, name, None) for each in candidates] for name in TEXTS}
    texts["group_hint"] = [each.group for each in candidates]
    texts["meta"] = [json.dumps(dict(each.meta)) if each.meta else None for each in candidates]
    hints = [each.classes[0] if each.classes else None for each in candidates]
    values = [pa.array(texts[name], pa.string()) for name in TEXTS]
    values.append(pa.array(hints, pa.string()).dictionary_encode())
    values.append(pa.array(places or [None] * len(candidates), pa.int32()))
    shared = [
        pa.array([json.dumps(meta) for meta, _ in SHARED], pa.string()),
        pa.array([above for _, above in SHARED], pa.int32()),
    ]
    return CandidateColumns(
        "urls",
        pa.RecordBatch.from_arrays(values, names=[*TEXTS, "class", "shared"]),
        pa.RecordBatch.from_arrays(shared, names=["meta", "common"]),
        pa.RecordBatch.from_arrays(
            [pa.array([json.dumps(each) for each in COMMON], pa.string())], names=["meta"]
        ),
    )


def with_shared(each: Candidate, place: int | None) -> Candidate:
    """What a candidate says in all, if it shares that row."""
    if place is None:
        return each
    meta, above = SHARED[place]
    common = {} if above is None else COMMON[above]
    return candidate(int(each.source_id), *each.classes, meta={**common, **meta, **each.meta})


def catalog(*pages: Sequence[Candidate]) -> Database:
    db = Database(MEMORY)
    search = searches.open_search(db, "urls", "{}", "", 0.0)
    for page in pages:
        searches.add_page(db, search.id, page, "more")
    return db


def said(db: Database) -> list[tuple[object, ...]]:
    """All that a catalog says of its candidates."""
    rows = db.all(
        f"SELECT {', '.join(f'candidates.{each}' for each in TEXTS[:-1])}, name, whole "
        "FROM candidates JOIN whole_meta ON whole_meta.candidate_id = candidates.id "
        "LEFT JOIN hints ON hints.candidate_id = candidates.id "
        "LEFT JOIN classes ON classes.id = class_id ORDER BY candidates.id, name"
    )
    return [(*row, json.loads(whole or "{}")) for *row, whole in rows]


OFFERS = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.sampled_from([None, "beach", "city"]),
        st.sampled_from([None, 0, 1, 2]),
        st.sampled_from([{}, {"year": "2022"}, {"note": "é \\ \x1f"}]),
    ),
    max_size=6,
)


@given(st.lists(OFFERS, min_size=1, max_size=4))
def test_columns_are_kept_as_candidates_one_by_one_would_be(
    pages: list[list[tuple[int, str | None, int | None, dict[str, str]]]],
) -> None:
    plain, by_columns = [], []
    for page in pages:
        some = [candidate(n, *([name] if name else []), meta=meta) for n, name, _, meta in page]
        places = [place for _, _, place, _ in page]
        plain.append([with_shared(each, at) for each, at in zip(some, places, strict=True)])
        by_columns.append(columns(some, places))
        assert list(by_columns[-1]) == plain[-1]
    one, other = catalog(*plain), catalog(*by_columns)
    assert said(other) == said(one)
    assert contents(other)["searches"] == contents(one)["searches"]
    # Nothing is kept that nobody points to.
    assert not other.all(
        "SELECT id FROM shared_meta WHERE id NOT IN "
        "(SELECT shared_id FROM candidates WHERE shared_id NOT NULL)"
    )
    assert not other.all(
        "SELECT id FROM common_meta WHERE id NOT IN "
        "(SELECT common_id FROM shared_meta WHERE common_id NOT NULL)"
    )


def everything(db: Database) -> dict[str, list[tuple[object, ...]]]:
    tables = ("shared_meta", "common_meta", *(each for each in TABLES if each != "searches"))
    return {each: db.all(f"SELECT * FROM {each} ORDER BY 1, 2") for each in tables}


def test_columns_that_come_again_change_nothing() -> None:
    page = columns([candidate(n, "beach") for n in range(200)], [n % 3 for n in range(200)])
    db = catalog(page)
    before = everything(db)
    assert len(before["shared_meta"]) == 3
    assert len(before["common_meta"]) == 2
    assert searches.add_page(db, 1, page, None) == 0
    assert everything(db) == before


def test_a_known_candidate_keeps_what_was_said_of_it_and_a_new_one_brings_its_own() -> None:
    db = catalog(columns([candidate(1)], [0]))
    record(db, [stored(1, 7)], 1.0)
    assert searches.add_page(db, 1, columns([candidate(1), candidate(2)], [1, 2]), None) == 1
    wholes = [json.loads(whole) for (whole,) in db.all("SELECT whole FROM whole_meta")]
    assert wholes == [
        {"genus": "Amanita", "year": "2020", "place": 'a "wood"'},
        {"genus": "Boletus", "id": "3"},
    ]
    assert db.one("SELECT COUNT(*) FROM shared_meta") == (2,)


def test_a_part_of_columns_is_columns() -> None:
    page = columns([candidate(n) for n in range(5)], [0, 1, 2, None, 0])
    part = page[1:3]
    assert isinstance(part, CandidateColumns)
    assert list(part) == list(page)[1:3]
    assert len(page[4:9]) == 1
    assert len(page[3:2]) == 0
    db = catalog(part)
    assert db.one("SELECT COUNT(*) FROM shared_meta") == (2,)
    with pytest.raises(ValueError, match="not picked"):
        page[::2]


def test_columns_of_no_candidates_move_the_cursor() -> None:
    db = catalog(columns([]))
    assert searches.by_id(db, 1).cursor == "more"
    assert db.one("SELECT COUNT(*) FROM candidates") == (0,)
