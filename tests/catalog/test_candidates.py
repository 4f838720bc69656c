"""The queue: what is pending, what becomes of it, and what is put back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.catalog import candidates, errands, hosts, images, searches
from curate.catalog.candidates import CHOSEN, EVERY, UNMETERED, Outcome, of_class, pending, record
from curate.catalog.database import Database
from curate.records import Reason
from tests.catalog.rows import candidate, contents, failed, filled, image, image_id, stored


def states(db: Database) -> list[tuple[str, str | None, int, str | None]]:
    return db.all("SELECT state, reason, tries, image_id FROM candidates ORDER BY id")  # type: ignore[return-value] # four columns


def ids(db: Database, choice: candidates.Choice, now: float = 100.0) -> list[int]:
    return [each.id for each in pending(db, now, choice)]


def test_the_first_candidate_in_the_catalog_is_stored_whichever_arrives_first() -> None:
    db = filled(*(candidate(n) for n in range(3)))
    record(db, [stored(2, 7)], 10.0)
    assert states(db)[1][0] == "stored"
    record(db, [stored(1, 7), stored(3, 7)], 11.0)
    assert [state for state, *_ in states(db)] == ["stored", "duplicate", "duplicate"]
    assert db.one("SELECT first_id FROM images") == (1,)


@given(
    bytes_of=st.lists(st.integers(0, 3), min_size=1, max_size=7),
    data=st.data(),
)
def test_the_result_of_a_run_does_not_depend_on_its_timing(
    bytes_of: list[int], data: st.DataObject
) -> None:
    everyone = range(1, len(bytes_of) + 1)
    results = []
    for order in (list(everyone), data.draw(st.permutations(list(everyone)))):
        db = filled(*(candidate(n, f"class {n % 3}") for n in everyone))
        size = data.draw(st.integers(1, len(order)))
        for start in range(0, len(order), size):
            group = order[start : start + size]
            record(db, [stored(n, bytes_of[n - 1]) for n in group], 10.0)
        results.append(contents(db))
    assert results[0] == results[1]
    assert {name for (name, *_) in results[0]["images"]} == {image_id(n) for n in bytes_of}


def test_a_failure_keeps_its_reason_and_whether_it_is_tried_again() -> None:
    db = filled(candidate(1), candidate(2))
    record(db, [failed(1, Reason.NOT_FOUND), failed(2, Reason.TIMEOUT, due_at=50.0)], 10.0)
    assert states(db) == [("failed", "not_found", 1, None), ("pending", "timeout", 1, None)]
    assert candidates.last_reason(db, 2) is Reason.TIMEOUT
    assert candidates.next_due(db, 0.0, EVERY) == 50.0
    assert candidates.next_due(db, 50.0, EVERY) is None
    assert ids(db, EVERY, now=49.0) == []
    assert ids(db, EVERY, now=50.0) == [2]
    record(db, [stored(2, 1)], 51.0)
    assert states(db)[1] == ("stored", None, 2, image_id(1))
    assert candidates.last_reason(db, 2) is None


def test_outcomes_are_recorded_all_or_none() -> None:
    db = filled(candidate(1), candidate(2))
    before = contents(db)
    broken = Outcome(2, image(2, format=None))
    with pytest.raises(Exception, match="NOT NULL"):
        record(db, [stored(1, 1), broken], 10.0)
    assert contents(db) == before


def test_every_measure_of_an_image_is_kept() -> None:
    db = filled(candidate(1))
    whole = image(1, orientation=6, phash=(1 << 64) - 1, note="bytes after the end")
    record(db, [Outcome(1, whole, http_status=200)], 12.5)
    [row] = db.all("SELECT * FROM images")
    assert row == (
        *(whole.image_id, 1, "jpeg", 1001, 800, 600, 6, -1, whole.phash256),
        *(120.0, 40.0, 300.0, 7.0, "bytes after the end", 12.5, None, None),
    )


@given(st.integers(0, (1 << 64) - 1))
def test_64_bits_survive_as_a_signed_integer(value: int) -> None:
    signed = candidates.signed64(value)
    assert -(1 << 63) <= signed < 1 << 63
    assert candidates.unsigned64(signed) == value


def test_pending_rows_come_page_by_page_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "PAGE_ROWS", 3)
    db = filled(*(candidate(n) for n in range(10)))
    record(db, [stored(4, 1), failed(7, Reason.HTML)], 1.0)
    assert ids(db, EVERY) == [1, 2, 3, 5, 6, 8, 9, 10]
    seen = []
    for each in pending(db, 1.0, EVERY):
        seen.append(each.id)
        if each.id == 3:  # becomes undone behind and ahead of the place reached
            record(db, [failed(1, Reason.DNS, 0.5), stored(6, 2)], 1.0)
    assert seen == [1, 2, 3, 5, 8, 9, 10]


def test_choices_mean_what_they_say() -> None:
    db = filled(
        candidate(1, "beach"), candidate(2, "beach", "city"), candidate(3, ""), candidate(4)
    )
    again = searches.open_search(db, "urls", '{"b": 1}', "", 0.0)
    searches.add_page(db, again.id, [candidate(1, "beach")], None)
    searches.set_quota(db, 5, ["beach"])
    beach, city = (
        db.one("SELECT id FROM classes WHERE name = ?", (name,))[0] for name in ("beach", "city")
    )
    assert ids(db, of_class(beach)) == [1, 2]
    assert ids(db, of_class(city)) == [2]
    assert ids(db, UNMETERED) == [3, 4]
    assert ids(db, EVERY) == [1, 2, 3, 4]
    candidates.choose(db, [4, 2, 2])
    assert ids(db, CHOSEN) == [2, 4]
    record(db, [failed(2, Reason.TIMEOUT, due_at=60.0)], 1.0)
    for choice, n in ((of_class(beach), 2), (of_class(city), 1), (UNMETERED, 2), (CHOSEN, 2)):
        assert candidates.count_pending(db, choice) == n
    dues = [candidates.next_due(db, 0.0, each) for each in (of_class(beach), UNMETERED, CHOSEN)]
    assert dues == [60.0, None, 60.0]
    candidates.choose_source(db, "nobody")
    assert ids(db, CHOSEN) == []


@pytest.mark.parametrize("choice", [EVERY, UNMETERED, CHOSEN, of_class(1)])
def test_a_page_of_the_queue_is_found_without_sorting_it(choice: candidates.Choice) -> None:
    db = filled(candidate(1, "beach"))
    candidates.choose(db, [1])
    asked: list[str] = []
    db._connection.set_trace_callback(asked.append)
    assert ids(db, choice) == [1]
    db._connection.set_trace_callback(None)
    for sql in asked:
        steps = " ".join(row[3] for row in db.all(f"EXPLAIN QUERY PLAN {sql}"))
        assert "TEMP B-TREE" not in steps
        assert "SCAN candidates" not in steps


def test_failures_are_put_back_by_reason() -> None:
    db = filled(*(candidate(n) for n in range(4)))
    reasons = (Reason.HTML, Reason.NOT_FOUND, Reason.HTML)
    record(db, [failed(n, reason) for n, reason in enumerate(reasons, start=1)], 1.0)
    assert candidates.requeue(db, [Reason.HTML, Reason.DNS]) == 2
    assert [state for state, *_ in states(db)] == ["pending", "failed", "pending", "pending"]
    assert ids(db, EVERY) == [1, 3, 4]
    assert candidates.requeue(db, [Reason.HTML]) == 0
    assert candidates.requeue(db, []) == 0


def test_is_due_tells_what_may_be_tried_now() -> None:
    db = filled(candidate(1), candidate(2), candidate(3))
    record(db, [stored(2, 1), failed(3, Reason.DNS, due_at=20.0)], 1.0)
    assert [candidates.is_due(db, n, 10.0) for n in (1, 2, 3, 4)] == [True, False, False, False]
    assert candidates.is_due(db, 3, 20.0)


def test_an_image_that_is_taken_back_makes_all_its_candidates_pending() -> None:
    db = filled(candidate(1), candidate(2), candidate(3))
    record(db, [stored(1, 7), stored(2, 8), stored(3, 7)], 1.0)
    assert images.take_back(db, image_id(7)).ids == [1, 3]
    assert images.known_format(db, image_id(7)) is None
    assert images.known_format(db, image_id(8)) == "jpeg"
    assert states(db) == [
        ("pending", None, 0, None),
        ("stored", None, 1, image_id(8)),
        ("pending", None, 0, None),
    ]
    assert images.take_back(db, image_id(9)) == images.TakenBack([], None)


def test_pauses_of_hosts_only_grow_and_end() -> None:
    db = filled()
    hosts.pause(db, "example.org", 50.0, "it answered 429")
    hosts.pause(db, "example.org", 40.0, "again")
    hosts.pause(db, "other.org", 20.0, "it answered 429")
    assert hosts.paused(db, 10.0) == {"example.org": 50.0, "other.org": 20.0}
    assert hosts.paused(db, 20.0) == {"example.org": 50.0}
    assert hosts.paused(db, 50.0) == {}


def test_pings_are_noted_once_and_sent_once() -> None:
    location = {"download_location": "https://example.org/ping/1"}
    db = filled(
        candidate(1, source="unsplash", meta=location),
        candidate(2, source="unsplash", meta={"download_location": "https://example.org/ping/2"}),
        candidate(3, source="unsplash", meta={"width": "9"}),
        candidate(4, source="gbif", meta=location),
    )
    record(db, [stored(1, 1), stored(3, 3), stored(4, 4)], 1.0)
    errands.queue_pings(db, "unsplash")
    assert errands.unsent_pings(db, 10) == ["https://example.org/ping/1"]
    errands.mark_pinged(db, "https://example.org/ping/1", 2.0)
    errands.queue_pings(db, "unsplash")
    assert errands.unsent_pings(db, 10) == []


def test_a_notice_is_told_once() -> None:
    db = filled()
    assert [errands.tell_once(db, "terms", float(n)) for n in range(3)] == [True, False, False]
    assert errands.tell_once(db, "other", 1.0)
