"""Moves what is committed from the log into the catalog's file, while more is committed.

SQLite does that at the end of a commit and waits for the disk meanwhile, a fifth of the time
that a large archive takes. Here a thread with a connection of its own does it beside the
writer, who waits only where the log has become long. Commits are as safe as ever: until they
are moved, they are read from the log.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from curate.catalog.database import MEMORY, Database, catalog_error, uri

LOG_PAGES = 32_768
"""With more pages in the log (256 MB) the writer waits until they are moved."""
MOST_BEHIND = 4
"""So many commits may follow while earlier ones are moved, then the writer waits too."""


@contextlib.contextmanager
def beside(db: Database) -> Iterator[None]:
    """Let a second thread move commits, as long as the context lasts.

    Raises:
        CatalogError, StoreError: they could not be moved; they stay in the log.
    """
    if db.path is MEMORY:
        yield
        return
    (automatic,) = db.one("PRAGMA wal_autocheckpoint")
    connection = sqlite3.connect(uri(db.path), uri=True, check_same_thread=False)
    with contextlib.closing(connection), ThreadPoolExecutor(1, "checkpoint") as thread:
        mover = _Mover(db, connection, thread)
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.after_commit = mover.begin
        try:
            yield
        finally:
            db.after_commit = None
            db.execute(f"PRAGMA wal_autocheckpoint = {automatic}")
        mover.wait()


class _Mover:
    """Moves commits, once at a time.

    Args:
        db: the catalog.
        connection: another one to the same file, for `thread` alone.
        thread: where it is done.
    """

    def __init__(
        self, db: Database, connection: sqlite3.Connection, thread: ThreadPoolExecutor
    ) -> None:
        self._db = db
        self._connection = connection
        self._thread = thread
        self._moving: Future[int] | None = None
        self._n_behind = 0

    def begin(self) -> None:
        """Begin to move what is committed, unless that is being done."""
        self._n_behind += 1
        is_moving = self._moving is not None and not self._moving.done()
        if is_moving and self._n_behind < MOST_BEHIND:
            return
        n_pages, self._n_behind = self.wait(), 0
        self._moving = self._thread.submit(self._move)
        if n_pages > LOG_PAGES:
            self.wait()  # nothing is left to move: the next commit begins the log anew

    def wait(self) -> int:
        """Wait for the move that was begun last; return how many pages the log had."""
        return 0 if self._moving is None else self._moving.result()

    def _move(self) -> int:
        try:
            row = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.DatabaseError as error:
            raise catalog_error(self._db.path, error) or error from error
        return int(row[1])
