"""Opens the catalog: WAL, schema and migrations, transactions, and the writer's lock.

One process at a time changes the state of fetching (`writer_lock`); any number may read
meanwhile. Commits use `synchronous=NORMAL`: a killed process loses nothing that was
committed, a power cut at most the last moments, and never the file's integrity.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from curate.errors import CatalogError, CatalogTooNewError, LockedError, StoreError

SCHEMA_VERSION = 3
APPLICATION_ID = 0x63757261
"""Marks the file as ours, the letters "cura": other programs number their schemas too."""
BUSY_TIMEOUT_S = 30.0
CACHE_BYTES = 32 * 1024 * 1024
PAGE_BYTES = 8192
"""Of a new file. A candidate has half a kilobyte: larger pages leave less of themselves empty."""
MEMORY = Path(":memory:")
NAME = "catalog.db"
Values = Sequence[Any] | Mapping[str, Any]
"""What a statement's question marks, or its names, stand for."""


class Database:
    """An open catalog.

    Args:
        path: the SQLite file, made with its tables if absent, only read where nothing can
            be written; `MEMORY` for an empty catalog that leaves no trace.
        any_thread: let other threads than this one use it; they must take turns.

    Raises:
        CatalogTooNewError: a newer curate wrote it. The file is left as it is.
        CatalogError: it is not a catalog, or cannot be opened.
    """

    def __init__(self, path: Path, *, any_thread: bool = False) -> None:
        self.path = path
        self.after_commit: Callable[[], None] | None = None
        try:
            self._connection = sqlite3.connect(
                uri(path),
                uri=True,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=not any_thread,
            )
        except sqlite3.Error as error:
            raise _cannot_open(path, error) from error
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._connection.close()
            raise _cannot_open(path, error) from error
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        self._check_owner()
        self.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        self.execute("PRAGMA journal_mode = WAL")
        self.execute("PRAGMA synchronous = NORMAL")
        self.execute(f"PRAGMA cache_size = -{CACHE_BYTES // 1024}")
        if self.version() != SCHEMA_VERSION:
            with self.transaction():
                self._migrate()

    def _check_owner(self) -> None:
        """Refuse what is not ours, or too new, before anything is written."""
        version = self.version()
        (application,) = self.one("PRAGMA application_id")
        (n_tables,) = self.one("SELECT COUNT(*) FROM sqlite_master")
        if application != APPLICATION_ID and (version or n_tables):
            raise CatalogError(
                f"{self.path} is a database of another program", "move it away, and run it again"
            )
        if version > SCHEMA_VERSION:
            raise CatalogTooNewError(
                f"{self.path} was written by a newer curate "
                f"(schema {version}, this one knows {SCHEMA_VERSION})",
                "upgrade curate; nothing was changed",
            )

    def version(self) -> int:
        """Return the schema version of the file; 0 for a new one."""
        (version,) = self.one("PRAGMA user_version")
        return int(version)

    def _migrate(self) -> None:
        # Read again under the write lock: another process may have migrated meanwhile.
        version = self.version()
        self._check_owner()
        scripts = ["schema.sql"] if version == 0 else _migrations(version)
        for script in scripts:
            for statement in _statements(_read_sql(script)):
                self.execute(statement)
        self.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[None]:
        """Everything inside commits together, or not at all.

        Args:
            durable: wait until it is on the disk: not even a power cut takes it back.

        Raises:
            CatalogError, StoreError: SQLite could not write.
        """
        if durable:
            self.execute("PRAGMA synchronous = FULL")
        try:
            self.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        finally:
            if durable:
                self.execute("PRAGMA synchronous = NORMAL")
        if self.after_commit is not None:
            self.after_commit()

    def execute(self, sql: str, values: Values = ()) -> sqlite3.Cursor:
        """Run one statement; return its cursor.

        Raises:
            CatalogError, StoreError: the file is damaged or busy, or the disk is full.
        """
        try:
            return self._connection.execute(sql, values)
        except sqlite3.DatabaseError as error:
            known = catalog_error(self.path, error)
            if known is None:
                raise
            raise known from error

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for every row. Raises as `execute` does."""
        try:
            self._connection.executemany(sql, rows)
        except sqlite3.DatabaseError as error:
            known = catalog_error(self.path, error)
            if known is None:
                raise
            raise known from error

    def one(self, sql: str, values: Values = ()) -> tuple[Any, ...]:
        """Return the first row of a query that always has one."""
        row: tuple[Any, ...] = self.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, values: Values = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query that has few."""
        return self.execute(sql, values).fetchall()

    def shut_out(self) -> bool:
        """Keep everybody else out, until `let_in`; return False if somebody has it open."""
        try:
            self.execute("PRAGMA busy_timeout = 0")
            if self.one("PRAGMA journal_mode = DELETE") == ("delete",):
                self.execute("BEGIN EXCLUSIVE")
                return True
        except (CatalogError, sqlite3.OperationalError):
            pass
        self.let_in()
        return False

    def let_in(self) -> None:
        """Work on with others, as before `shut_out`."""
        if self._connection.in_transaction:
            self.execute("ROLLBACK")
        self.execute(f"PRAGMA busy_timeout = {round(BUSY_TIMEOUT_S * 1000)}")
        self.execute("PRAGMA journal_mode = WAL")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


@contextlib.contextmanager
def writer_lock(folder: Path, task: str) -> Iterator[None]:
    """Hold the project's lock for changes to fetched state.

    The operating system frees the lock when the process ends, however it ends.

    Args:
        folder: the project folder.
        task: what is being done, e.g. `fetch`, shown to whoever comes second.

    Raises:
        LockedError: another process holds it; the message says which.
    """
    lock = FileLock(folder / "catalog.lock", timeout=0)
    owner = folder / "catalog.lock.owner"
    try:
        lock.acquire()
    except Timeout:
        raise LockedError(
            f"{folder} is in use by {_owner(owner)}", "wait for it to end, or stop it"
        ) from None
    except OSError as error:
        raise StoreError(f"cannot write into {folder}: {error.strerror}") from error
    try:
        held = {"pid": os.getpid(), "task": task, "since": time.time()}
        try:
            owner.write_text(json.dumps(held))
        except OSError as error:
            raise StoreError(f"cannot write into {folder}: {error.strerror}") from error
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def catalog_files(folder: Path) -> tuple[Path, ...]:
    """Return all files that a catalog may consist of, its lock included."""
    names = (NAME, f"{NAME}-wal", f"{NAME}-shm", "catalog.lock", "catalog.lock.owner")
    return tuple(folder / name for name in names)


def writing(db: Database, task: str) -> contextlib.AbstractContextManager[None]:
    """Hold the lock of a catalog's project; there is none for a catalog in memory."""
    return contextlib.nullcontext() if db.path is MEMORY else writer_lock(db.path.parent, task)


def _owner(path: Path) -> str:
    try:
        held = json.loads(path.read_text())
        since = time.strftime("%H:%M:%S", time.localtime(held["since"]))
        return f"`curate {held['task']}` (process {held['pid']}, since {since})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def uri(path: Path) -> str:
    """Return SQLite's name of the file; one that can only be read is opened so.

    A catalog in WAL mode needs a file beside it even to be read, unless SQLite is told that
    nobody writes: true where nothing can be written and no write is waiting.
    """
    if path is MEMORY:
        return "file::memory:"
    absolute = path.absolute()
    waiting = absolute.with_name(f"{absolute.name}-wal").exists()
    fixed = absolute.exists() and not os.access(absolute.parent, os.W_OK) and not waiting
    return absolute.as_uri() + ("?mode=ro&immutable=1" if fixed else "")


def _cannot_open(path: Path, error: sqlite3.Error) -> CatalogError | StoreError:
    return catalog_error(path, error) or CatalogError(
        f"cannot open {path}: {error}", "check that the folder can be written to"
    )


def catalog_error(path: Path, error: sqlite3.Error) -> CatalogError | StoreError | None:
    """Turn SQLite's words into an error that says what to do; None if it is our own fault."""
    text = str(error)
    if "disk is full" in text or "disk I/O error" in text:
        return StoreError(f"cannot write {path}: {text}", "free some space and run it again")
    if "not a database" in text or "malformed" in text:
        return CatalogError(
            f"{path} is not a catalog, or damaged: {text}",
            "restore it from a backup, or move it away",
        )
    if "locked" in text:
        return CatalogError(f"{path} is busy: {text}", "another process is writing; try again")
    if "readonly" in text:
        return StoreError(f"cannot write {path}: {text}", "check the file's permissions")
    return None


def _migrations(version: int) -> list[str]:
    return [f"migrations/{number:04d}.sql" for number in range(version + 1, SCHEMA_VERSION + 1)]


def _read_sql(name: str) -> str:
    return resources.files("curate.catalog").joinpath(name).read_text(encoding="utf-8")


def _statements(script: str) -> Iterator[str]:
    """Yield the statements one by one: `executescript` would commit in between."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
