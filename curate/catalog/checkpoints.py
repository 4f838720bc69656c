"""Moves what is committed from the log into the catalog's file while more is committed.

SQLite does that at the end of a commit, and waits for the disk meanwhile. When an archive
brings gigabytes, a thread with a connection of its own does it beside the writer, who waits
only where the log has become long. Commits are as safe as ever: until they are moved, they
are read from the log.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from curate.catalog.database import MEMORY, Database, catalog_error, uri

LOG_PAGES = 32_768
"""The writer waits beyond: 256 MB."""


@contextlib.contextmanager
def beside(db: Database) -> Iterator[None]:
    """Let commits be moved by a second thread while the context lasts.

    Raises:
        CatalogError, StoreError: they could not be moved; they stay in the log.
    """
    if db.path is MEMORY:
        yield
        return
    with (
        contextlib.closing(sqlite3.connect(uri(db.path), uri=True, check_same_thread=False)) as own,
        ThreadPoolExecutor(1, "checkpoint") as thread,
    ):
        mover = _Mover(db, own, thread)
        (pages,) = db.one("PRAGMA wal_autocheckpoint")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.after_commit = mover.go_on
        try:
            yield
        finally:
            db.after_commit = None
            db.execute(f"PRAGMA wal_autocheckpoint = {pages}")


class _Mover:
    """One move at a time, begun after a commit."""

    def __init__(
        self, db: Database, connection: sqlite3.Connection, thread: ThreadPoolExecutor
    ) -> None:
        self._path = db.path
        self._connection = connection
        self._thread = thread
        self._moving: Future[int] | None = None

    def go_on(self) -> None:
        """Begin to move what was committed, unless a move is at work."""
        if self._moving is not None and not self._moving.done():
            return
        n_before = self._moving.result() if self._moving is not None else 0
        self._moving = self._thread.submit(self._move)
        if n_before > LOG_PAGES:
            self._moving.result()  # all of it is moved, so the log begins anew

    def _move(self) -> int:
        """Move all that can be moved; return how many pages the log has."""
        try:
            row = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.DatabaseError as error:
            raise catalog_error(self._path, error) or error from error
        return int(row[1])
