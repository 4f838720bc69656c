"""The ledger: what it takes, what it refuses, and that live state is what a replay gives."""

from __future__ import annotations

import math
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.carriers.people import People
from curate.catalog import annotations as rows
from curate.catalog.database import MEMORY, Database
from curate.errors import CatalogError, UsageError
from curate.label.ledger import Ledger
from curate.label.replay import Renames, newest
from curate.records import Annotation, Kind
from tests.catalog.rows import image_id
from tests.label.ledgers import add, classes_of, decisions_table, label, project, rename, said, undo


def test_what_is_added_is_in_force_and_the_same_key_is_the_same_decision(tmp_path: Path) -> None:
    with project(tmp_path, 2) as here:
        first = label(0, "beach", "sunset", seconds=1.5, shown=("city",), queue="q", mode="one")
        assert add(here.people, first) == [True]
        assert add(here.people, replace(first, classes=("city",)), label(1)) == [False, True]
        assert here.people.current([image_id(0)]) == {image_id(0): [first]}
        assert classes_of(here.people, [0, 1]) == {
            0: {"ada": ("beach", "sunset")},
            1: {"ada": ()},
        }


def test_a_saved_decision_is_flushed_to_the_disk(tmp_path: Path) -> None:
    with project(tmp_path, 1) as here, here.people.ledger() as ledger:
        assert ledger._db.one("PRAGMA synchronous") == (2,)
        assert ledger._db.one("PRAGMA journal_mode") == ("wal",)


def test_classes_are_kept_sorted_and_once(tmp_path: Path) -> None:
    with project(tmp_path, 1) as here:
        add(here.people, label(0, "b", "a", "b"))
        assert classes_of(here.people, [0])[0]["ada"] == ("a", "b")


def test_undo_redo_and_the_decision_before(tmp_path: Path) -> None:
    with project(tmp_path, 1) as here:
        add(here.people, label(0, "a", key="x"), label(0, "b", key="y"), undo("y", own="u"))
        assert classes_of(here.people, [0])[0] == {"ada": ("a",)}
        add(here.people, undo("u", own="v"))
        assert classes_of(here.people, [0])[0] == {"ada": ("b",)}
        add(here.people, undo("y", own="w"), undo("x", own="z"))
        assert classes_of(here.people, [0])[0] == {}


def test_a_rename_changes_what_is_read_and_no_row(tmp_path: Path) -> None:
    with project(tmp_path, 2, "cat") as here:
        add(here.people, label(0, "cat"), label(1, "dog", shown=("cat",)))
        before = here.db.all("SELECT * FROM annotations")
        here.people.rename({"cat": "feline"}, "ada")
        assert here.db.all("SELECT * FROM annotations")[:2] == before
        assert classes_of(here.people, [0])[0] == {"ada": ("feline",)}
        [other] = here.people.current([image_id(1)])[image_id(1)]
        assert other.shown == ("feline",)
        assert here.people.class_list().names == ("feline", "dog")
        [key] = [each.key for _, each in rows.rename_rows(here.db)]
        add(here.people, undo(key, by="bob"))
        assert classes_of(here.people, [0])[0] == {"ada": ("cat",)}
        assert here.people.class_list().names == ("cat", "dog")


def test_a_class_list_follows_later_renames_only(tmp_path: Path) -> None:
    with project(tmp_path, 1) as here:
        here.people.rename({"a": "b"}, "ada")
        with pytest.raises(UsageError, match="'a' is called 'b' now"):
            here.people.set_classes(["a", "c"], exclusive=True)
        here.people.set_classes(["b", "c"], exclusive=True)
        assert here.people.class_list().names == ("b", "c")
        here.people.rename({"c": "a"}, "ada")
        assert here.people.class_list().names == ("b", "a")
        here.people.rename({"b": "a"}, "ada")
        assert here.people.class_list().names == ("a",)
        again = here.people.set_classes(["x", "y"], exclusive=True)
        assert (again.version, again.names) == (2, ("x", "y"))
        assert here.people.set_classes(["x", "y"], exclusive=True).version == 2
        assert here.people.set_classes(["x", "y"], exclusive=False).version == 3


def test_names_that_change_places_in_one_map_are_refused_and_chains_are_not(
    tmp_path: Path,
) -> None:
    with project(tmp_path, 3) as here:
        add(here.people, label(0, "a"), label(1, "b"), label(2, "c"))
        with pytest.raises(UsageError, match="circle"):
            here.people.rename({"a": "b", "b": "a"}, "ada")
        here.people.rename({"a": "b", "b": "c"}, "ada")
        assert [classes_of(here.people, [k])[k]["ada"] for k in range(3)] == [
            ("b",),
            ("c",),
            ("c",),
        ]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (replace(label(0, "a"), key=" "), "key"),
        (replace(label(0, "a"), annotator=""), "annotator"),
        (replace(label(0, "a"), image_id="../../etc/passwd"), "not an image id"),
        (replace(label(0, "a"), image_id=None), "not an image id"),
        (replace(label(0, "a"), classes=None), "classes"),
        (label(0, "a\x1fb"), "control"),
        (label(0, "\ud800"), "control"),
        (label(0, ""), "empty"),
        (label(0, "x" * 501), "500"),
        (label(0, "a", seconds=math.nan), "seconds"),
        (label(0, "a", shown_score=-1.0), "shown_score"),
        (replace(label(0, "a"), decided_at=math.inf), "decided_at"),
        (replace(said(0, Kind.REJECT), classes=("a",)), "classes"),
        (replace(label(0, "a"), undoes="x"), "undoes"),
        (undo("unheard"), "no annotation 'unheard'"),
        (Annotation("k", Kind.UNDO, "ada", 1.0), "undoes"),
        (rename("a", "a"), "rename"),
        (replace(rename("a", "b"), image_id=image_id(0)), "no single image"),
        (undo("good", by="bob"), "somebody else"),
    ],
)
def test_a_row_that_says_nothing_is_refused_and_nothing_of_its_batch_is_kept(
    tmp_path: Path, wrong: Annotation, why: str
) -> None:
    with project(tmp_path, 1) as here:
        add(here.people, label(0, "a", key="good"))
        with pytest.raises(UsageError, match=why):
            add(here.people, label(0, "b", key="first"), wrong)
        assert rows.count(here.db) == 1
        assert classes_of(here.people, [0])[0] == {"ada": ("a",)}


def test_rows_cannot_be_changed_or_deleted_by_anybody(tmp_path: Path) -> None:
    with project(tmp_path, 1) as here:
        add(here.people, label(0, "a"))
        for sql in ("UPDATE annotations SET classes = '[]'", "DELETE FROM annotations"):
            with pytest.raises(sqlite3.IntegrityError, match="never"):
                here.db.execute(sql)


def test_there_is_no_ledger_without_a_project() -> None:
    with pytest.raises(CatalogError, match="no project"):
        Ledger(MEMORY)


def test_threads_take_turns_and_lose_nothing(tmp_path: Path) -> None:
    with project(tmp_path, 4) as here:
        with here.people.ledger() as ledger, ThreadPoolExecutor(8) as pool:
            each = [[label(n % 4, "a", by=f"p{n % 3}", key=str(n))] for n in range(60)]
            results = list(pool.map(ledger.add, [*each, *each]))
        assert sum(added for [added] in results) == 60
        assert rows.count(here.db) == 60


OPS = st.lists(
    st.tuples(st.sampled_from(["label", "reject", "undo", "rename"]), st.integers(0, 40)),
    max_size=25,
)


def perform(people: People, ops: list[tuple[str, int]]) -> None:
    """Random operations by two people on three images and four classes."""
    known: list[Annotation] = []
    with people.ledger() as ledger:
        for n, (what, k) in enumerate(ops):
            who, key = f"p{k % 2}", f"op{n}"
            if what == "label":
                each = label(k % 3, "abcd"[k % 4], by=who, key=key)
            elif what == "reject":
                each = said(k % 3, Kind.REJECT, by=who, key=key)
            elif what == "rename":
                each = rename("abcd"[k % 4], "abcd"[(k + 1 + k % 3) % 4], key=key)
            elif known:
                aim = known[k % len(known)]
                each = undo(aim.key, by=aim.annotator, own=key)
            else:
                continue
            ledger.add([each])
            known.append(each)


@given(OPS)
@settings(max_examples=25)
def test_live_state_is_what_a_replay_of_the_ledger_gives(ops: list[tuple[str, int]]) -> None:
    with TemporaryDirectory() as folder, project(Path(folder), 3) as here:
        perform(here.people, ops)
        whole = [row for page in rows.history(here.db) for row in page]
        renames = Renames([row for row in whole if row[1].image_id is None])
        replayed = [renames.apply(row) for row in newest(whole)]
        current = here.people.current(image_id(k) for k in range(3))
        key = lambda each: each.key  # noqa: E731 - a name for a sort key
        found = [each for page in current.values() for each in page]
        assert sorted(found, key=key) == sorted(replayed, key=key)
        before = decisions_table(here.db)
        rows.rebuild(here.db)
        assert decisions_table(here.db) == before


def test_pages_of_decisions_keep_an_image_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "PAGE_ROWS", 2)
    with project(tmp_path, 5) as here:
        add(here.people, *(label(n, "a", by=who) for n in range(5) for who in ("a", "b", "c")))
        groups = list(here.people.decided())
        assert [len(each) for each in groups] == [3] * 5
        assert [each[0].image_id for each in groups] == sorted(image_id(n) for n in range(5))


def test_an_older_database_object_sees_new_decisions(tmp_path: Path) -> None:
    with project(tmp_path, 1) as here:
        other = Database(tmp_path / "catalog.db")
        assert rows.last_id(other) == 0
        add(here.people, label(0, "a"))
        assert rows.last_id(other) == 1
        other.close()
