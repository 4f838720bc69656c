"""Counts agree with the rows, whatever has happened to them."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from curate.catalog import candidates, images, searches
from curate.catalog.candidates import record
from curate.catalog.counts import class_count, class_counts, counts, image_classes, with_class
from curate.catalog.database import MEMORY, Database
from curate.records import Candidate, Reason
from tests.catalog.rows import candidate, failed, filled, image_id, stored

CLASSES = ("", "beach", "city", "sunset")


def test_an_empty_catalog_counts_nothing() -> None:
    db = Database(MEMORY)
    found = counts(db)
    assert (found.total, found.kept, found.n_bytes, found.failed) == (0, 0, 0, {})
    assert class_counts(db) == []
    assert class_count(db, "beach") is None


def test_the_classes_of_an_image_are_those_of_all_its_candidates() -> None:
    db = filled(candidate(1, "beach"), candidate(2, "sunset"), candidate(3, "city"))
    record(db, [stored(1, 7), stored(2, 7), stored(3, 8)], 1.0)
    names = dict(db.all("SELECT id, name FROM classes"))
    assert {names[each] for each in image_classes(db, image_id(7))} == {"beach", "sunset"}
    assert {each.name: each.images for each in class_counts(db)} == {
        "beach": 1,
        "city": 1,
        "sunset": 1,
    }
    [kept, other] = sorted(
        (row for page in images.kept(db) for row in page), key=lambda row: row.source_id
    )
    assert kept.classes == ("beach", "sunset")
    assert (kept.source_id, other.classes) == ("1", ("city",))


def test_a_candidate_found_twice_counts_once_in_its_class() -> None:
    db = filled(candidate(1, "beach"), candidate(2, "beach"))
    again = searches.open_search(db, "urls", '{"b": 1}', "beach", 0.0)
    searches.add_page(db, again.id, [candidate(1, "beach"), candidate(2, "beach")], None)
    record(db, [stored(1, 7)], 1.0)
    [beach] = class_counts(db)
    assert (beach.images, beach.pending) == (1, 1)
    assert class_count(db, "beach") == beach


class Histories(RuleBasedStateMachine):
    """Random lives of a catalog, beside the plainest model of one."""

    offered = Bundle("offered")

    def __init__(self) -> None:
        super().__init__()
        self.db = Database(MEMORY)
        self.rows: dict[int, dict[str, Any]] = {}
        self.excluded: dict[str, str] = {}
        self.excluded_before: dict[str, str] = {}

    @rule(
        target=offered,
        number=st.integers(1, 12),
        names=st.frozensets(st.sampled_from(CLASSES), max_size=3),
        request=st.sampled_from("ab"),
    )
    def offer(self, number: int, names: frozenset[str], request: str) -> int:
        search = searches.open_search(self.db, "urls", request, "", 0.0)
        page: list[Candidate] = [candidate(number, *sorted(names))]
        searches.add_page(self.db, search.id, page, "more")
        (row,) = self.db.one("SELECT id FROM candidates WHERE source_id = ?", (str(number),))
        known = self.rows.setdefault(row, {"classes": set(), "state": "pending", "reason": None})
        known["classes"] |= names
        known.setdefault("image", None)
        return int(row)

    @rule(row=consumes(offered), number=st.integers(0, 4))
    def store(self, row: int, number: int) -> None:
        if self.rows[row]["state"] == "pending":
            record(self.db, [stored(row, number)], 1.0)
            self.rows[row].update(state="done", reason=None, image=image_id(number))
            if image_id(number) in self.excluded_before:
                self.excluded[image_id(number)] = self.excluded_before.pop(image_id(number))

    @rule(row=offered, reason=st.sampled_from(list(Reason)), again=st.booleans())
    def fail(self, row: int, reason: Reason, again: bool) -> None:
        if self.rows[row]["state"] == "pending":
            record(self.db, [failed(row, reason, 9.0 if again else None)], 1.0)
            self.rows[row].update(state="pending" if again else "failed", reason=reason)

    @rule(reasons=st.sets(st.sampled_from(list(Reason))))
    def requeue(self, reasons: set[Reason]) -> None:
        meant = [
            row
            for row in self.rows.values()
            if row["state"] == "failed" and row["reason"] in reasons
        ]
        assert candidates.requeue(self.db, reasons) == len(meant)
        for row in meant:
            row["state"] = "pending"

    @rule(number=st.integers(0, 4))
    def take_back(self, number: int) -> None:
        meant = [n for n, row in self.rows.items() if row["image"] == image_id(number)]
        assert images.take_back(self.db, image_id(number)).ids == sorted(meant)
        if image_id(number) in self.excluded:
            self.excluded_before[image_id(number)] = self.excluded.pop(image_id(number))
        for n in meant:
            self.rows[n].update(state="pending", reason=None, image=None)

    @rule(number=st.integers(0, 4), why=st.sampled_from([None, "near", "manual"]))
    def exclude(self, number: int, why: str | None) -> None:
        sql = "UPDATE images SET excluded = ? WHERE image_id = ?"
        if self.db.execute(sql, (why, image_id(number))).rowcount:
            self.excluded.pop(image_id(number), None)
            if why is not None:
                self.excluded[image_id(number)] = why

    @invariant()
    def counts_agree(self) -> None:
        found = counts(self.db)
        rows = list(self.rows.values())
        everyone = {row["image"] for row in rows} - {None}
        assert found.total == len(rows)
        parts = (found.stored, found.duplicate, found.pending, *found.failed.values())
        assert found.total == sum(parts)
        assert found.stored == len(everyone) == found.kept + sum(found.excluded.values())
        assert found.stored + found.duplicate == sum(row["state"] == "done" for row in rows)
        assert found.pending == sum(row["state"] == "pending" for row in rows)
        assert found.retrying == sum(
            row["state"] == "pending" and row["reason"] is not None for row in rows
        )
        for reason in Reason:
            n = sum(row["state"] == "failed" and row["reason"] == reason for row in rows)
            assert found.failed.get(reason, 0) == n
        assert sum(found.excluded.values()) == len(self.excluded)
        sizes = {image_id(number): 1000 + number for number in range(5)}
        assert found.n_bytes == sum(sizes[each] for each in everyone)

    @invariant()
    def the_classes_of_images_agree(self) -> None:
        names = dict(self.db.all("SELECT id, name FROM classes"))
        for number in range(5):
            each = image_id(number)
            mine = [row["classes"] for row in self.rows.values() if row["image"] == each]
            expected = set() if each in self.excluded else set().union(*mine)
            assert {names[n] for n in image_classes(self.db, each)} == expected

    @invariant()
    def classes_agree(self) -> None:
        for each in class_counts(self.db):
            mine = [row for row in self.rows.values() if each.name in row["classes"]]
            kept = {row["image"] for row in mine} - {None, *self.excluded}
            assert each.images == len(kept)
            assert each.pending == sum(row["state"] == "pending" for row in mine)
            assert class_count(self.db, each.name) == each

    def teardown(self) -> None:
        self.db.close()


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["pending", "failed", "stored", "duplicate"]),
            st.integers(0, 2),
            st.sets(st.sampled_from(["", "a", "b"])),
        ),
        max_size=12,
    ),
    st.sets(st.integers(0, 2)),
)
def test_what_has_a_class_is_counted_once(
    rows: list[tuple[str, int, set[str]]], left_out: set[int]
) -> None:
    db = Database(MEMORY)
    wanted: set[object] = set()
    with db.transaction():
        db.execute("INSERT INTO searches (id, source, request, created_at) VALUES (1, '', '', 0)")
        db.execute("INSERT INTO classes (name) VALUES ('b'), (''), ('a')")
        for number, (state, image, classes) in enumerate(rows, 1):
            has_image = state in ("stored", "duplicate")
            db.execute(
                "INSERT INTO candidates (id, source, source_id, search_id, url, state, image_id) "
                "VALUES (?, 's', ?, 1, 'u', ?, ?)",
                (number, str(number), state, f"i{image}" if has_image else None),
            )
            if has_image:
                db.execute(
                    "INSERT OR IGNORE INTO images VALUES "
                    "(?, ?, 'jpeg', 1, 1, 1, 1, 0, x'', 0, 0, 0, 0, NULL, 0, ?, NULL)",
                    (f"i{image}", number, "dark" if image in left_out else None),
                )
            for name in classes:
                db.execute(
                    "INSERT INTO hints SELECT id, ?, 1 FROM classes WHERE name = ?", (number, name)
                )
            if classes - {""} and (state == "pending" or (has_image and image not in left_out)):
                wanted.add(number if state == "pending" else f"i{image}")
    assert with_class(db) == len(wanted)
    db.close()
