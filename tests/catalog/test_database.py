"""The file itself: its shape, its versions, and what happens when it is not what it should be."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from curate.catalog import counts, database, searches
from curate.catalog.candidates import EVERY, pending
from curate.catalog.database import APPLICATION_ID, SCHEMA_VERSION, Database
from curate.errors import CatalogError, CatalogTooNewError, CurateError, StoreError
from tests.catalog.rows import TABLES, candidate, contents, filled


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.db"


def make(path: Path, *statements: str) -> bytes:
    """Write a SQLite file by other means; return its bytes."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()
    return path.read_bytes()


def test_a_new_catalog_has_all_tables_and_says_whose_it_is(path: Path) -> None:
    db = Database(path)
    assert db.version() == SCHEMA_VERSION
    assert db.one("PRAGMA application_id") == (APPLICATION_ID,)
    assert db.one("PRAGMA journal_mode") == ("wal",)
    names = {name for (name,) in db.all("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert names >= {*TABLES}
    db.close()


def test_a_catalog_opens_again_with_what_it_held(path: Path) -> None:
    db = filled(candidate(1, "beach"), path=path)
    before = contents(db)
    db.close()
    db = Database(path)
    assert contents(db) == before
    db.close()


def test_a_newer_catalog_is_refused_and_left_as_it_was(path: Path) -> None:
    before = make(
        path,
        "CREATE TABLE future (x)",
        f"PRAGMA application_id = {APPLICATION_ID}",
        f"PRAGMA user_version = {SCHEMA_VERSION + 1}",
    )
    with pytest.raises(CatalogTooNewError, match=f"schema {SCHEMA_VERSION + 1}") as refused:
        Database(path)
    assert "upgrade curate" in refused.value.hint
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_the_database_of_another_program_is_refused_and_left_as_it_was(path: Path) -> None:
    before = make(path, "CREATE TABLE bookmarks (url)", "PRAGMA user_version = 1")
    with pytest.raises(CatalogError, match="another program"):
        Database(path)
    assert path.read_bytes() == before


def test_a_catalog_of_an_older_version_is_migrated_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = filled(candidate(1, "beach"), candidate(2), path=path)
    before = contents(db)
    db.close()
    scripts = {
        f"migrations/{SCHEMA_VERSION + 1:04d}.sql": "ALTER TABLE candidates "
        "ADD COLUMN colour TEXT;\n",
        f"migrations/{SCHEMA_VERSION + 2:04d}.sql": "CREATE TABLE shades (name TEXT);\n\n"
        "-- A trigger has statements inside.\n"
        "CREATE TRIGGER t AFTER INSERT ON shades BEGIN\n"
        "  UPDATE candidates SET colour = NEW.name;\nEND;\n",
    }
    monkeypatch.setattr(database, "SCHEMA_VERSION", SCHEMA_VERSION + 2)
    monkeypatch.setattr(database, "_read_sql", scripts.__getitem__)
    db = Database(path)
    assert db.version() == SCHEMA_VERSION + 2
    db.execute("INSERT INTO shades VALUES ('red')")
    assert db.all("SELECT colour FROM candidates") == [("red",), ("red",)]
    after = contents(db)
    assert [row[:-1] for row in after.pop("candidates")] == before.pop("candidates")
    assert after == before
    db.close()
    Database(path).close()  # nothing is left to migrate: each script would fail a second time


def shapes(path: Path) -> dict[str, str]:
    """Return the statements that made all of a catalog, without comments and white space."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {name: "".join(re.sub("--.*", "", sql).split()) for name, sql in rows}


def make_version(path: Path, version: int, *statements: str) -> None:
    """Write a catalog as an earlier version made it."""
    golden = Path(__file__).parents[1] / "golden" / f"catalog_v{version}.sql"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(golden.read_text())
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.commit()


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_a_catalog_of_an_earlier_version_migrates_to_the_shape_of_a_new_one(
    tmp_path: Path, version: int
) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    make_version(old, version)
    Database(old).close()
    Database(new).close()
    assert shapes(old) == shapes(new)


def test_a_catalog_of_version_2_goes_on_with_what_it_says(path: Path) -> None:
    candidates = "INSERT INTO candidates (source, source_id, search_id, url, state, reason, meta) "
    make_version(
        path,
        2,
        "INSERT INTO searches (source, request, created_at) VALUES ('urls', '{}', 0)",
        f"""{candidates} VALUES ('urls', '1', 1, 'u1', 'failed', 'html', '{{"year": "2020"}}')""",
        f"{candidates} VALUES ('urls', '2', 1, 'u2', 'pending', 'dns', NULL)",
    )
    db = Database(path)
    assert db.all("SELECT whole FROM whole_meta") == [('{"year": "2020"}',), (None,)]
    assert (
        searches.add_page(db, 1, [candidate(2, "beach"), candidate(3, meta={"a": "b"})], "4") == 1
    )
    assert db.all("SELECT state, reason, url LIKE 'https:%', whole FROM candidates "
                  "JOIN whole_meta ON candidate_id = id") == [
        ("failed", "html", 0, '{"year": "2020"}'),
        ("pending", "dns", 1, None),
        ("pending", None, 1, '{"a": "b"}'),
    ]  # fmt: skip
    found = counts.counts(db)
    assert (found.pending, found.retrying, found.failed) == (2, 1, {"html": 1})
    assert [each.id for each in pending(db, 1.0, EVERY)] == [2, 3]
    db.close()


def test_a_migration_that_fails_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = filled(candidate(1), path=path)
    before = contents(db)
    db.close()
    with monkeypatch.context() as patch:
        patch.setattr(database, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
        patch.setattr(
            database, "_read_sql", lambda _: "DROP TABLE pings;\nDROP TABLE no_such_table;\n"
        )
        with pytest.raises(CatalogError, match="no_such_table"):
            Database(path)
    db = Database(path)
    assert db.version() == SCHEMA_VERSION
    assert contents(db) == before
    db.close()


def _garbage(path: Path) -> None:
    path.write_bytes(b"these are not pages of SQLite, " * 400)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def _overwritten(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[200:] = b"\xa5" * (len(data) - 200)
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [_garbage, _cut, _overwritten])
def test_a_damaged_file_is_one_clear_error(path: Path, damage: Callable[[Path], None]) -> None:
    db = filled(*(candidate(n, "beach") for n in range(200)), path=path)
    db.close()
    damage(path)
    with pytest.raises(CatalogError, match=r"not a catalog, or damaged") as error:
        contents(Database(path))
    assert str(path) in error.value.message
    assert "\n" not in error.value.message


def test_a_folder_in_the_place_of_the_file_is_one_clear_error(path: Path) -> None:
    path.mkdir()
    with pytest.raises(CatalogError, match="cannot open"):
        Database(path)


def test_a_full_disk_is_a_store_error_and_undoes_the_transaction(path: Path) -> None:
    db = filled(candidate(1), path=path)
    before = contents(db)
    db.execute(f"PRAGMA max_page_count = {db.one('PRAGMA page_count')[0]}")

    def write() -> None:
        with db.transaction():
            db.execute("INSERT INTO hosts VALUES ('example.org', 1.0, 'first')")
            db.many("INSERT INTO pings (url) VALUES (?)", ((f"{n}" * 900,) for n in range(100)))

    with pytest.raises(StoreError, match="disk is full"):
        write()
    assert contents(db) == before
    with db.transaction():
        db.execute("UPDATE candidates SET tries = 7")
    assert db.all("SELECT tries FROM candidates") == [(7,)]
    db.close()


class UnexpectedError(Exception):
    """Something that the catalog knows nothing of."""


@pytest.mark.parametrize("kind", [UnexpectedError, KeyboardInterrupt, CurateError])
def test_a_transaction_that_ends_early_leaves_nothing(
    path: Path, kind: type[BaseException]
) -> None:
    db = filled(candidate(1), path=path)
    before = contents(db)

    def write() -> None:
        with db.transaction():
            db.execute("DELETE FROM candidates")
            raise kind("stop")

    with pytest.raises(kind):
        write()
    assert contents(db) == before
    db.close()


def test_a_statement_that_is_our_own_mistake_stays_what_it_is(path: Path) -> None:
    db = Database(path)
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        db.execute("SELECT * FROM nowhere")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        db.many("INSERT INTO nowhere VALUES (?)", [(1,)])
    db.close()


def test_readers_see_the_last_commit_while_a_writer_is_at_work(path: Path) -> None:
    writer = filled(candidate(1), path=path)
    reader = Database(path)
    with writer.transaction():
        writer.execute("DELETE FROM candidates")
        assert reader.one("SELECT COUNT(*) FROM candidates") == (1,)
    assert reader.one("SELECT COUNT(*) FROM candidates") == (0,)
    reader.close()
    writer.close()
