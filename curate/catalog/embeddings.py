"""Embeddings that were computed once, one file for each model: a cache, may be deleted.

They are kept apart from the catalog, which stays small, and in SQLite, so that a kill costs at
most the last group of rows. A file that is damaged is begun anew.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from curate.errors import StoreError

Floats = NDArray[np.float32]

FOLDER = Path("cache") / "embeddings"
PAGE_ROWS = 5_000


class EmbeddingCache:
    """Embeddings of one model, by image id.

    Args:
        folder: the project folder; None: nothing is kept.
        key: name of the model and of its preparation of pictures.
        size: numbers in one embedding.

    Raises:
        StoreError: the file cannot be made.
    """

    def __init__(self, folder: Path | None, key: str, size: int) -> None:
        self._n_bytes = size * np.dtype(np.float32).itemsize
        self._path = None if folder is None else folder / FOLDER / f"{key}.db"
        try:
            self._db = self._opened()
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"cannot write {self._path}: {error}") from error

    def _opened(self) -> sqlite3.Connection:
        if self._path is None:
            return _prepared(sqlite3.connect(":memory:", isolation_level=None))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=30)
        try:
            return _prepared(connection)
        except sqlite3.DatabaseError as error:
            connection.close()
            if isinstance(error, sqlite3.OperationalError):
                raise
            for name in (self._path, *self._path.parent.glob(f"{self._path.name}-*")):
                name.unlink(missing_ok=True)
        return _prepared(sqlite3.connect(self._path, isolation_level=None, timeout=30))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._db.close()

    def missing(self, image_ids: Sequence[str]) -> list[str]:
        """Return those that are not there, in their order.

        Raises:
            StoreError: the file is damaged.
        """
        there = {
            image_id for page in _pages(image_ids) for (image_id,) in self._select("image_id", page)
        }
        return [each for each in image_ids if each not in there]

    def add(self, image_ids: Sequence[str], rows: Floats) -> None:
        """Keep some embeddings.

        Args:
            image_ids: whose they are.
            rows: shape (n, size).

        Raises:
            StoreError: they cannot be written.
        """
        values = [
            (image_id, row.astype("<f4").tobytes())
            for image_id, row in zip(image_ids, rows, strict=True)
        ]
        try:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR REPLACE INTO embeddings VALUES (?, ?)", values)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise StoreError(f"cannot write {self._path}: {error}") from error

    def read(self, image_ids: Sequence[str]) -> Floats:
        """Return embeddings of shape (n, size); rows of zeros where there is none.

        Raises:
            StoreError: the file is damaged.
        """
        rows = np.zeros((len(image_ids), self._n_bytes // 4), dtype=np.float32)
        place = {image_id: at for at, image_id in enumerate(image_ids)}
        for page in _pages(image_ids):
            for image_id, values in self._select("image_id, numbers", page):
                if len(values) == self._n_bytes:
                    rows[place[image_id]] = np.frombuffer(values, dtype="<f4")
        return rows

    def _select(self, columns: str, page: Sequence[str]) -> list[tuple[Any, ...]]:
        marks = ", ".join("?" * len(page))
        sql = f"SELECT {columns} FROM embeddings WHERE image_id IN ({marks})"  # noqa: S608 - marks
        try:
            return self._db.execute(sql, page).fetchall()
        except sqlite3.Error as error:
            hint = "it is a cache: delete it, and it is made again"
            raise StoreError(f"cannot read {self._path}: {error}", hint) from error


def _prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    with contextlib.suppress(sqlite3.OperationalError):  # a folder that can only be read
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS embeddings (image_id TEXT PRIMARY KEY, numbers BLOB NOT NULL) "
        "WITHOUT ROWID"
    )
    return connection


def _pages(image_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (image_ids[at : at + PAGE_ROWS] for at in range(0, len(image_ids), PAGE_ROWS))
