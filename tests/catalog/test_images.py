"""Images as a manifest sees them."""

from __future__ import annotations

import pytest

from curate.catalog import images, searches
from curate.catalog.candidates import record
from curate.catalog.database import Database
from curate.catalog.images import KeptImage, StoredFile
from curate.records import Candidate, Reason
from tests.catalog.rows import candidate, failed, filled, image_id, stored


def add(db: Database, request: str, query: str, *rows: Candidate) -> None:
    search = searches.open_search(db, "urls", request, query, 0.0)
    searches.add_page(db, search.id, rows, None)


def kept(db: Database) -> dict[str, KeptImage]:
    """Kept images by the source id of their first candidate."""
    return {row.source_id: row for page in images.kept(db) for row in page}


def test_a_kept_image_says_what_its_first_candidate_says_and_gathers_the_rest() -> None:
    db = filled(candidate(1, "beach", group="g2", author="Ada", meta={"a": "ü"}))
    add(db, '{"b": 1}', "sea", candidate(2, "sunset", group="g1", author="Bob"))
    record(db, [stored(1, 7), stored(2, 7)], 3.0)
    [row] = kept(db).values()
    assert (row.image_id, row.n_bytes, row.fetched_at) == (image_id(7), 1007, 3.0)
    assert (row.source_id, row.author, row.meta) == ("1", "Ada", '{"a": "ü"}')
    assert row.phash == int(image_id(7)[:16], 16)
    assert row.classes == ("beach", "sunset")
    assert row.groups == ("g1", "g2")
    assert row.queries == ("sea",)


def test_every_search_that_found_an_image_is_told() -> None:
    db = filled()
    add(db, '{"text": "sunset"}', "sunset", candidate(1, "sunset"))
    add(db, '{"text": "beach"}', "beach", candidate(1, "beach"))
    record(db, [stored(1, 1)], 1.0)
    assert kept(db)["1"].queries == ("beach", "sunset")


def test_a_hint_is_the_sources_own_unless_the_query_gave_it() -> None:
    db = filled(candidate(1, "beach"), candidate(2))
    add(db, '{"text": "city", "class_by": null}', "city", candidate(3, "city"))
    add(db, '{"text": "Amanita", "class_by": "species"}', "Amanita", candidate(4, "A. muscaria"))
    add(db, '{"text": "beach", "class_by": null}', "beach", candidate(1, "beach"))
    record(db, [stored(n, n) for n in (1, 2, 3, 4)], 1.0)
    rows = kept(db)
    assert not rows["1"].from_query, "the list said so too"
    assert rows["3"].from_query
    assert not rows["4"].from_query, "the field of the source said so"
    assert rows["2"].classes == ()


def test_an_image_of_none_of_the_classes_is_not_one_that_nobody_knows_about() -> None:
    db = filled(candidate(1, ""), candidate(2), candidate(3, "", "beach"))
    record(db, [stored(n, n) for n in (1, 2, 3)], 1.0)
    rows = kept(db)
    assert [rows[key].classes for key in "123"] == [("",), (), ("", "beach")]


def test_images_come_page_by_page_and_excluded_ones_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "PAGE_ROWS", 3)
    db = filled(*(candidate(n) for n in range(8)))
    record(db, [stored(n, n) for n in range(1, 9)], 1.0)
    db.execute("UPDATE images SET excluded = 'near' WHERE image_id = ?", (image_id(5),))
    everyone = sorted(image_id(n) for n in range(1, 9))
    found = [row.image_id for page in images.kept(db) for row in page]
    assert found == [each for each in everyone if each != image_id(5)]
    files = [file for page in images.stored_files(db) for file in page]
    assert [file.image_id for file in files] == everyone
    assert StoredFile(image_id(5), "jpeg", 1005) in files


def test_a_sample_tells_size_and_pace_without_the_pauses() -> None:
    db = filled(*(candidate(n) for n in range(4)))
    assert images.sample(db) == images.Sample(0, None, None, None)
    for n, at in ((1, 100.0), (2, 101.0), (3, 104.0), (4, 9000.0)):
        record(db, [stored(n, n)], at)
    found = images.sample(db)
    assert (found.n, found.mean_bytes, found.seconds_each) == (4, 1002.5, 2.0)
    assert found.sd_bytes == pytest.approx(1.25**0.5)


def test_an_image_that_comes_back_is_left_out_as_before() -> None:
    db = filled(candidate(1), candidate(2))
    record(db, [stored(1, 1), stored(2, 2)], 1.0)
    asked = "SELECT image_id, excluded, excluded_for FROM images ORDER BY first_id"
    before = (image_id(1), "contaminates", image_id(2))
    db.execute(
        "UPDATE images SET excluded = ?, excluded_for = ? WHERE image_id = ?",
        (*before[1:], before[0]),
    )
    for _ in range(2):
        images.take_back(db, image_id(1))
        images.take_back(db, image_id(2))
        record(db, [stored(1, 1), stored(2, 2)], 2.0)
        assert db.all(asked) == [before, (image_id(2), None, None)]
    images.take_back(db, image_id(1))
    record(db, [stored(1, 3)], 3.0)
    assert db.all(asked)[0] == (image_id(3), None, None)


def test_an_image_that_is_put_back_stands_as_before() -> None:
    db = filled(*(candidate(n) for n in range(4)))
    record(db, [stored(1, 7), stored(2, 8), stored(3, 7)], 1.0)
    db.execute("UPDATE images SET excluded = 'contaminates' WHERE image_id = ?", (image_id(7),))
    rows = "SELECT id, state, reason, image_id, due_at FROM candidates ORDER BY id"
    asked = ("SELECT * FROM images ORDER BY image_id", rows)
    before = [db.all(each) for each in asked]
    taken = images.take_back(db, image_id(7))
    record(db, [failed(1, Reason.NOT_FOUND), failed(3, Reason.TIMEOUT, 99.0)], 2.0)
    assert images.put_back(db, taken)
    assert [db.all(each) for each in asked] == before


def test_candidates_that_have_become_other_images_are_not_put_back() -> None:
    db = filled(candidate(1), candidate(2))
    record(db, [stored(1, 7), stored(2, 7)], 1.0)
    taken = images.take_back(db, image_id(7))
    record(db, [stored(1, 8), failed(2, Reason.NOT_FOUND)], 2.0)
    assert images.put_back(db, taken)
    states = "SELECT id, state, image_id FROM candidates ORDER BY id"
    assert db.all(states) == [(1, "stored", image_id(8)), (2, "stored", image_id(7))]
    taken = images.take_back(db, image_id(7))
    record(db, [stored(2, 9)], 3.0)
    assert not images.put_back(db, taken)
    assert images.known_format(db, image_id(7)) is None
