"""A second thread moves commits into the file; the writer notices nothing but the time."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from curate.catalog import checkpoints
from curate.catalog.checkpoints import beside
from curate.catalog.database import MEMORY, Database
from curate.errors import CatalogError
from tests.catalog.rows import candidate, contents, filled


def commit(db: Database, number: int, n_bytes: int = 100_000) -> None:
    with db.transaction():
        db.execute("INSERT INTO pings (url) VALUES (?)", (f"{number:05}" + "x" * n_bytes,))


def test_commits_are_in_the_file_and_read_as_ever(tmp_path: Path) -> None:
    db = filled(candidate(1), path=tmp_path / "a.db")
    automatic = db.one("PRAGMA wal_autocheckpoint")
    before, n_threads = contents(db), threading.active_count()
    with beside(db):
        for number in range(40):
            commit(db, number)
            assert db.one("SELECT COUNT(*) FROM pings") == (number + 1,)
    assert threading.active_count() == n_threads
    assert db.one("PRAGMA wal_autocheckpoint") == automatic
    alone = tmp_path / "alone.db"
    alone.write_bytes((tmp_path / "a.db").read_bytes())  # without the log
    assert {**contents(Database(alone)), "pings": []} == before
    db.close()


def test_the_log_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "LOG_PAGES", 50)
    db = Database(tmp_path / "a.db")
    with beside(db):
        for number in range(300):
            commit(db, number)
    written = sum(path.stat().st_size for path in tmp_path.iterdir() if "-wal" in path.name)
    assert written < 10_000_000  # of 30 MB
    db.close()
    assert Database(tmp_path / "a.db").one("SELECT COUNT(*) FROM pings") == (300,)


def test_what_goes_wrong_inside_is_what_is_told(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")

    def fail() -> None:
        with beside(db):
            commit(db, 1)
            raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        fail()
    commit(db, 2)
    assert db.one("SELECT COUNT(*) FROM pings") == (2,)
    db.close()


def test_a_file_that_cannot_be_moved_into_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: object) -> int:
        raise (
            checkpoints.catalog_error(
                db.path, sqlite3.OperationalError("database disk image is malformed")
            )
            or AssertionError
        )

    db = Database(tmp_path / "a.db")
    monkeypatch.setattr(checkpoints._Mover, "_move", refuse)
    with pytest.raises(CatalogError, match="damaged"), beside(db):
        commit(db, 1)
    assert db.one("SELECT COUNT(*) FROM pings") == (1,)
    db.close()


def test_a_catalog_in_memory_has_nothing_to_move() -> None:
    db = Database(MEMORY)
    with beside(db):
        commit(db, 1)
    assert db.one("SELECT COUNT(*) FROM pings") == (1,)
