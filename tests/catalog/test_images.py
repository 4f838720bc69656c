"""Images as a manifest sees them."""

from __future__ import annotations

import pytest

from curate.catalog import images, searches
from curate.catalog.candidates import record
from curate.catalog.database import Database
from curate.catalog.images import KeptImage, StoredFile
from curate.records import Candidate
from tests.catalog.rows import candidate, filled, image_id, stored


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
