"""Pages and their cursor go in together; offering a page again changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.catalog import searches
from curate.catalog.candidates import record
from curate.catalog.database import MEMORY, Database
from curate.catalog.searches import Search
from curate.catalog.text import exact_json
from curate.records import Candidate
from tests.catalog.rows import candidate, contents, filled, stored

CLASSES = ("", "beach", "city", "sunset")


def ask(db: Database, request: str = "{}", query: str = "", **options: Any) -> Search:
    return searches.open_search(db, "urls", request, query, 5.0, **options)


def hints(db: Database) -> set[tuple[str, str, int]]:
    """Source id, class and search of every hint."""
    return set(
        db.all(
            "SELECT source_id, name, hints.search_id FROM hints "
            "JOIN candidates ON candidates.id = candidate_id JOIN classes ON classes.id = class_id"
        )
    )


def test_the_same_request_is_the_same_search() -> None:
    db = Database(MEMORY)
    first = ask(db, query="beach", wanted=10)
    assert ask(db, query="beach", wanted=10) == first
    assert first == Search(1, "urls", "{}", None, False, None, 0, 10)
    assert ask(db, '{"other": 1}').id != first.id
    assert searches.open_search(db, "gbif", "{}", "beach", 5.0).id != first.id


def test_a_page_moves_the_cursor_and_counts() -> None:
    db = Database(MEMORY)
    search = ask(db)
    page = [candidate(1, "beach"), candidate(2)]
    assert searches.add_page(db, search.id, page, "2", total=9, skipped={"no_url": 2}) == 2
    assert searches.by_id(db, search.id) == Search(1, "urls", "{}", "2", False, 9, 2, None)
    page = [candidate(2, "city"), candidate(3)]
    assert searches.add_page(db, search.id, page, None, skipped={"no_url": 1, "license": 4}) == 1
    assert searches.by_id(db, search.id) == Search(1, "urls", "{}", None, True, 9, 4, None)
    assert searches.skipped_rows(db) == {"no_url": 3, "license": 4}
    assert hints(db) == {("1", "beach", 1), ("2", "city", 1)}


def test_all_that_a_source_says_of_a_candidate_is_kept() -> None:
    whole = Candidate(
        source="gbif",
        source_id="4102:0",
        url="https://example.org/ü.jpg",
        classes=("Amanita muscaria",),
        query="Amanita",
        group="occurrence:4102",
        page_url="https://example.org/4102",
        author="Ada",
        license="CC-BY-4.0",
        license_url="https://creativecommons.org/licenses/by/4.0/",
        rights_holder="A museum",
        attribution="Ada, CC BY 4.0",
        meta={"country": "DK", "place": "Ærø"},
    )
    db = filled(whole)
    [row] = db.all(
        "SELECT source, source_id, url, group_hint, page_url, author, license, license_url, "
        "rights_holder, attribution, meta, state, tries FROM candidates"
    )
    assert row[:10] == (
        *("gbif", "4102:0", "https://example.org/ü.jpg", "occurrence:4102"),
        *("https://example.org/4102", "Ada", "CC-BY-4.0", whole.license_url, "A museum"),
        "Ada, CC BY 4.0",
    )
    assert json.loads(row[10]) == whole.meta
    assert row[11:] == ("pending", 0)


def test_a_candidate_that_two_queries_offer_gets_both_class_hints_and_keeps_its_state() -> None:
    db = filled(candidate(1, "beach"))
    record(db, [stored(1, 7)], 10.0)
    before = db.all("SELECT * FROM candidates")
    second = ask(db, '{"text": "sunset"}', "sunset")
    assert searches.add_page(db, second.id, [candidate(1, "sunset")], None) == 0
    assert db.all("SELECT * FROM candidates") == before
    assert hints(db) == {("1", "beach", 1), ("1", "sunset", second.id)}


def test_the_same_number_at_two_sources_is_two_candidates() -> None:
    db = filled(candidate(1), candidate(1, source="gbif"))
    assert db.one("SELECT COUNT(*) FROM candidates") == (2,)


def test_a_page_that_fails_half_way_leaves_neither_rows_nor_cursor() -> None:
    db = Database(MEMORY)
    search = ask(db)
    searches.add_page(db, search.id, [candidate(1, "beach")], "1")
    before = contents(db)

    class BrokenError(Exception):
        """Raised in the middle of a page."""

    class Page(list[Candidate]):
        def __iter__(self) -> Any:
            yield candidate(2, "city")
            yield candidate(3, "beach")
            raise BrokenError

    with pytest.raises(BrokenError):
        searches.add_page(db, search.id, Page(), "2")
    assert contents(db) == before


PAGES = st.lists(
    st.lists(
        st.builds(
            lambda number, classes: candidate(number, *sorted(classes)),
            st.integers(1, 8),
            st.frozensets(st.sampled_from(CLASSES), max_size=3),
        ),
        max_size=5,
    ),
    min_size=1,
    max_size=5,
)


@given(pages=PAGES, again=st.lists(st.integers(0, 4), max_size=8))
def test_pages_offered_again_in_any_order_change_no_candidate(
    pages: list[list[Candidate]], again: list[int]
) -> None:
    db = Database(MEMORY)
    search = ask(db)
    for number, page in enumerate(pages):
        searches.add_page(db, search.id, page, str(number))
    before = contents(db)
    for number in again:
        assert searches.add_page(db, search.id, pages[number % len(pages)], str(number)) == 0
    after = contents(db)
    assert {**after, "searches": None} == {**before, "searches": None}


@given(pages=PAGES, data=st.data())
def test_what_a_catalog_knows_does_not_depend_on_the_order_of_pages(
    pages: list[list[Candidate]], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(pages))))
    facts = []
    for numbers in (range(len(pages)), order):
        db = Database(MEMORY)
        search = ask(db)
        for number in numbers:
            searches.add_page(db, search.id, pages[number], str(number))
        ids = set(db.all("SELECT source, source_id, url FROM candidates"))
        names = {name for (name,) in db.all("SELECT name FROM classes")}
        facts.append((ids, names, hints(db)))
    assert facts[0] == facts[1]


def test_a_search_wants_more_until_it_is_done_or_has_given_enough() -> None:
    db = Database(MEMORY)
    first, second = ask(db, wanted=2), ask(db, '{"b": 1}')
    searches.add_page(db, first.id, [candidate(1)], "1")
    searches.add_page(db, second.id, [candidate(1)], "1")
    assert [each.id for each in searches.unfinished(db)] == [first.id, second.id]
    searches.add_page(db, first.id, [candidate(2)], "2")
    searches.add_page(db, second.id, [], None)
    assert searches.unfinished(db) == []
    assert ask(db, wanted=3).wants_more
    assert [each.wanted for each in searches.unfinished(db)] == [3]


def test_a_restarted_search_begins_at_its_first_page_and_keeps_its_candidates() -> None:
    db = filled(candidate(1, "beach"))
    searches.restart(db, 1)
    assert searches.by_id(db, 1) == Search(1, "urls", "{}", None, False, None, 0, None)
    assert db.one("SELECT COUNT(*) FROM candidates") == (1,)


def test_only_a_search_that_never_answered_is_forgotten() -> None:
    db = filled(candidate(1, "beach"))
    searches.forget_unanswered(db, 1)
    searches.restart(db, 1)
    searches.forget_unanswered(db, 1)
    assert db.one("SELECT COUNT(*) FROM searches") == (1,)
    empty = ask(db, '{"b": 1}')
    searches.forget_unanswered(db, empty.id)
    assert db.one("SELECT COUNT(*) FROM searches") == (1,)


def test_quotas_are_given_by_name_to_all_or_to_what_a_search_named() -> None:
    db = filled(candidate(1, "beach"), candidate(2, ""))
    second = ask(db, '{"b": 1}')
    searches.add_page(db, second.id, [candidate(3, "city"), candidate(4, "")], None)

    def quotas() -> dict[str, int | None]:
        return dict(db.all("SELECT name, quota FROM classes"))

    searches.set_quota(db, 5, ["sunset"])
    assert quotas() == {"": None, "beach": None, "city": None, "sunset": 5}
    searches.set_quota_of_search(db, 7, second.id)
    assert quotas() == {"": None, "beach": None, "city": 7, "sunset": 5}
    searches.set_quota_of_all(db, 9)
    assert quotas() == {"": None, "beach": 9, "city": 9, "sunset": 9}


def test_halves_of_characters_do_not_stop_a_page() -> None:
    half = "abc\ud83d"
    whole = Candidate(
        "urls",
        half,
        half,
        (half, "beach"),
        *(half,) * 8,
        {half: half},
    )
    db = Database(MEMORY)
    search = ask(db, exact_json({"text": half}), half)
    assert json.loads(search.request) == {"text": half}
    assert searches.add_page(db, search.id, [whole], None) == 1
    assert hints(db) == {("abc\ufffd", "abc\ufffd", 1), ("abc\ufffd", "beach", 1)}
    (meta,) = db.one("SELECT meta FROM candidates")
    assert json.loads(meta) == {"abc\ufffd": "abc\ufffd"}
    searches.set_quota(db, 3, [half])
    assert db.all("SELECT quota FROM classes WHERE name LIKE 'abc%'") == [(3,)]


def test_a_known_candidate_without_an_image_gets_the_new_url() -> None:
    db = Database(MEMORY)
    search = ask(db)
    searches.add_page(db, search.id, [candidate(n) for n in (1, 2, 3)], None)
    record(db, [stored(1, 1)], 6.0)
    db.execute("UPDATE candidates SET state = 'failed' WHERE source_id = '2'")
    page = [replace(candidate(n), url=f"https://example.org/large/{n}") for n in (1, 2, 3)]
    assert searches.add_page(db, search.id, page, None) == 0
    assert db.all("SELECT state, url LIKE '%/large/%' FROM candidates ORDER BY id") == [
        ("stored", 0),
        ("failed", 1),
        ("pending", 1),
    ]
