"""Quotas: exactly as many images as asked for, whatever becomes of the candidates."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.catalog import candidates
from curate.catalog.candidates import Outcome
from curate.catalog.counts import class_counts, image_classes
from curate.fetch.quota import Quota
from curate.records import Reason, Verified
from tests.fetch.runs import Folder

CLASSES = ("beach", "city", "trees")


def image(number: int) -> Verified:
    return Verified(f"{number:064x}", "jpeg", 10, 5, 5, 1, number, bytes(32), 0.0, 0.0, 0.0, 0.0)


def make(folder: Path, sizes: dict[str, int], quotas: dict[str, int | None]) -> Folder:
    """Candidates `NAME-NUMBER` of each class, the classes in turns."""
    made = Folder(folder)
    for number in range(max(sizes.values(), default=0)):
        for name, size in sizes.items():
            if number < size:
                made.add([f"{name}-{number}"], (name,) if name else ())
    for name, quota in quotas.items():
        made.db.execute("UPDATE classes SET quota = ? WHERE name = ?", (quota, name))
    return made


def names(made: Folder, quota: Quota, n: int) -> list[str | None]:
    """The next URLs that are handed out; None where the hands are full."""
    taken: Iterator[object] = quota.take(made.db, 1.0)
    return [None if each is None else each[0].url for each in islice(taken, n)]  # type: ignore[index]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_classes_take_turns_and_hand_out_what_they_need(folder: Path) -> None:
    made = make(folder, {"beach": 9, "city": 9}, {"beach": 3, "city": 2})
    quota = Quota(class_counts(made.db))
    assert quota.missing == 5
    expected = ["beach-0", "city-0", "beach-1", "city-1", "beach-2", None, None]
    assert names(made, quota, 7) == expected
    made.close()


def test_what_has_no_quota_comes_after_as_it_stands(folder: Path) -> None:
    made = make(folder, {"beach": 4, "city": 2, "": 2}, {"beach": 1})
    quota = Quota(class_counts(made.db))
    taken = quota.take(made.db, 1.0)
    first = next(taken)
    assert first is not None
    assert first[0].url == "beach-0"
    assert next(taken) is None
    quota.add_image([first[1] or 0])
    quota.release(first[1])
    assert quota.open_classes() == []
    rest = [each and (each[0].url, each[1]) for each in taken]
    assert rest == [("city-0", None), ("-0", None), ("city-1", None), ("-1", None)]
    made.close()


def test_a_place_that_is_given_back_is_handed_out_again(folder: Path) -> None:
    made = make(folder, {"beach": 4}, {"beach": 1})
    quota = Quota(class_counts(made.db))
    taken = quota.take(made.db, 1.0)
    for number in range(4):
        each = next(taken)
        assert each is not None
        assert each[0].url == f"beach-{number}"
        quota.release(each[1])
    assert list(taken) == []
    assert quota.missing == 1
    made.close()


def test_a_candidate_of_a_met_and_an_open_class_is_taken_for_the_open_one(folder: Path) -> None:
    made = make(folder, {"beach": 1}, {})
    made.add(["both"], ("beach", "city"))
    made.db.execute("UPDATE classes SET quota = 1")
    candidates.record(made.db, [Outcome(1, image(1))], 1.0)
    met = Quota(class_counts(made.db))
    assert names(made, met, 2) == ["both", None]
    made.close()


N_CLASSES = 2000
MOST_MB = 25.0


def test_thousands_of_classes_hold_little_of_their_reserve_in_memory(folder: Path) -> None:
    made = make(folder, {}, {})
    made.add(["first"], tuple(f"class {number}" for number in range(N_CLASSES)))
    with made.db.transaction():
        made.db.execute("UPDATE classes SET quota = 100")
        made.db.execute(
            "WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n LIMIT 120) "
            "INSERT INTO candidates (source, source_id, search_id, url) SELECT 'urls', "
            "classes.id || '-' || value, 1, 'http://example.com/' || classes.id || '/' || value "
            "FROM classes CROSS JOIN n"
        )
        made.db.execute(
            "INSERT INTO hints SELECT CAST(source_id AS INTEGER), id, 1 FROM candidates "
            "WHERE id > 1"
        )
    quota = Quota(class_counts(made.db))
    tracemalloc.start()
    taken = names(made, quota, 2 * N_CLASSES)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert None not in taken
    assert len(set(taken)) > N_CLASSES
    assert peak_bytes / 1e6 < MOST_MB
    made.close()


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.fixed_dictionaries({name: st.integers(0, 25) for name in CLASSES}),
    quotas=st.fixed_dictionaries({name: st.integers(1, 12) for name in CLASSES}),
    n_distinct=st.integers(1, 40),
    seed=st.integers(0, 1 << 20),
)
def test_no_class_ever_gets_more_than_its_quota_and_all_get_what_there_is(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: dict[str, int],
    quotas: dict[str, int],
    n_distinct: int,
    seed: int,
) -> None:
    """Candidates fail, repeat images and are put back at random; ends come in any order."""
    rng = random.Random(seed)
    made = make(tmp_path_factory.mktemp("quota"), sizes, dict(quotas))
    quota = Quota(class_counts(made.db))
    under_way: list[tuple[candidates.Pending, int | None]] = []
    taken = quota.take(made.db, 1.0)
    done = False
    while not done or under_way:
        each = None if done else next(taken, "end")
        done = done or each == "end"
        if isinstance(each, tuple):
            under_way.append(each)
        if under_way and (each is None or done or rng.random() < 0.5):
            pending, class_id = under_way.pop(rng.randrange(len(under_way)))
            finish(made, quota, rng, pending, n_distinct)
            quota.release(class_id)
        for kept in class_counts(made.db):
            assert kept.quota is None or kept.images <= kept.quota
    for kept in class_counts(made.db):
        if kept.quota is not None and kept.images < kept.quota:
            assert kept.pending == 0
            assert kept.id in quota.open_classes()
    made.close()


def finish(
    made: Folder, quota: Quota, rng: random.Random, pending: candidates.Pending, n_distinct: int
) -> None:
    """Let a candidate end: as an image of its class, old or new, or as a failure."""
    if rng.random() < 0.3:
        candidates.record(made.db, [Outcome(pending.id, reason=Reason.NOT_FOUND)], 1.0)
        return
    name = CLASSES.index(pending.url.partition("-")[0])
    seen = image(1000 * name + rng.randrange(n_distinct))
    before = image_classes(made.db, seen.image_id)
    candidates.record(made.db, [Outcome(pending.id, seen)], 1.0)
    quota.add_image(image_classes(made.db, seen.image_id) - before)
