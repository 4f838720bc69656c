"""Handing out images: nobody waits, nobody gets one twice, no image goes to too many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.carriers.people import People
from curate.catalog.queues import Queued, in_queue, queue_sizes, read_queue, write_queue
from curate.project import Project
from curate.records import Annotation, Kind
from tests.catalog.rows import image_id
from tests.label.ledgers import add, label, project, undo


def decide(people: People, who: str, ids: list[str], queue: str = "") -> None:
    with people.ledger() as ledger:
        ledger.add(
            [
                Annotation(f"{who}-{each}-{queue}", Kind.LABEL, who, 1.0, each, (), queue=queue)
                for each in ids
            ]
        )


def test_two_people_share_the_work_and_come_to_an_end(tmp_path: Path) -> None:
    with project(tmp_path, 10) as here:
        people, done = here.people, []
        while batch := [(who, people.next_batch(who, 3)) for who in ("ada", "bob")]:
            if not any(ids for _, ids in batch):
                break
            for who, ids in batch:
                decide(people, who, ids)
                done += ids
        assert sorted(done) == sorted(image_id(k) for k in range(10))


def test_what_was_given_and_not_done_is_given_again(tmp_path: Path) -> None:
    with project(tmp_path, 5) as here:
        first = here.people.next_batch("ada", 2)
        decide(here.people, "ada", first[:1])
        again = here.people.next_batch("ada", 2)
        assert again[0] == first[1]
        assert first[0] not in again


def test_every_image_goes_to_as_many_people_as_wanted(tmp_path: Path) -> None:
    with project(tmp_path, 4) as here:
        everybody = [here.people.next_batch(who, 9, overlap=2) for who in ("ada", "bob", "eve")]
        assert [len(each) for each in everybody] == [4, 4, 0]
        assert len(here.people.next_batch("eve", 9, overlap=3)) == 4


def test_what_is_held_too_long_is_free_again(tmp_path: Path) -> None:
    with project(tmp_path, 2) as here:
        now = [1000.0]
        here.clock = lambda: now[0]
        assert len(here.people.next_batch("ada", 2, hold_s=60)) == 2
        assert here.people.next_batch("bob", 2, hold_s=60) == []
        now[0] += 61
        assert len(here.people.next_batch("bob", 2, hold_s=60)) == 2


def test_an_undone_decision_is_to_be_made_again(tmp_path: Path) -> None:
    with project(tmp_path, 1) as here:
        add(here.people, label(0, "a"))
        assert here.people.next_batch("ada", 1) == []
        add(here.people, undo("ada-0-a"))
        assert here.people.next_batch("ada", 1) == [image_id(0)]


def test_a_queue_is_worked_off_in_its_order_whatever_was_decided_before(tmp_path: Path) -> None:
    with project(tmp_path, 5) as here:
        decide(here.people, "ada", [image_id(k) for k in range(5)])
        order = [image_id(k) for k in (3, 1, 4)]
        write_queue(here.db, "suspects", (Queued(each) for each in order))
        assert here.people.next_batch("ada", 2, "suspects") == order[:2]
        decide(here.people, "ada", order[:2], "suspects")
        assert here.people.next_batch("ada", 2, "suspects") == order[2:]
        assert here.people.next_batch("bob", 2, "suspects") == []


def test_a_filter_is_followed_in_its_order_and_excluded_images_never_come(tmp_path: Path) -> None:
    with project(tmp_path, 5) as here:
        here.db.execute("UPDATE images SET excluded = 'x' WHERE image_id = ?", (image_id(2),))
        among = [image_id(k) for k in (4, 2, 0)]
        assert here.people.next_batch("ada", 5, among=among) == [image_id(4), image_id(0)]
        assert image_id(2) not in here.people.next_batch("bob", 5)


@pytest.mark.parametrize("overlap", [1, 2])
def test_people_who_ask_at_the_same_moment_get_no_more_than_wanted(
    tmp_path: Path, overlap: int
) -> None:
    project(tmp_path, 40).close()

    def work(number: int) -> list[str]:
        got: list[str] = []
        with Project(tmp_path) as here:
            while ids := here.people.next_batch(f"p{number}", 3, overlap=overlap):
                decide(here.people, f"p{number}", ids)
                got += ids
        assert len(got) == len(set(got)), "the same image twice"
        return got

    with ThreadPoolExecutor(4) as pool:
        everything = [each for got in pool.map(work, range(4)) for each in got]
    assert sorted(everything) == sorted([image_id(k) for k in range(40)] * overlap)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4), st.booleans()), max_size=20))
@settings(max_examples=15)
def test_no_order_of_asking_gives_an_image_to_too_many(asks: list[tuple[str, int, bool]]) -> None:
    with TemporaryDirectory() as folder, project(Path(folder), 6) as here:
        holders: dict[str, set[str]] = {}
        for who, n, is_done in asks:
            ids = here.people.next_batch(who, n, overlap=2)
            assert len(ids) == len(set(ids)) <= n
            for each in ids:
                holders.setdefault(each, set()).add(who)
            if is_done:
                decide(here.people, who, ids)
        assert all(len(people) <= 2 for people in holders.values())


def test_a_queue_is_written_as_a_whole_and_read_in_order(tmp_path: Path) -> None:
    with project(tmp_path, 3) as here:
        a, b, c = (image_id(k) for k in range(3))
        rows = [Queued(b, ("x", "y"), 0.5), Queued(a, blind=True), Queued(b)]
        assert write_queue(here.db, "q", rows) == 2
        assert read_queue(here.db, "q") == [Queued(b, ("x", "y"), 0.5), Queued(a, blind=True)]
        assert read_queue(here.db, "q", limit=1, offset=1) == [Queued(a, blind=True)]
        assert in_queue(here.db, "q", [a, c]) == {a: Queued(a, blind=True)}
        assert write_queue(here.db, "q", [Queued(c)]) == 1
        assert queue_sizes(here.db) == {"q": 1}
