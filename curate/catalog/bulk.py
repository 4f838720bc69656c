"""Columns of candidates into the catalog: many rows to a statement, no object for a row.

Python's part of a statement costs more than SQLite's of a row, so a statement takes many
rows. Of what candidates share only that is written which new candidates point to: a page of
known ones adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from itertools import chain
from typing import TYPE_CHECKING, Any

from curate.catalog.columns import TEXTS, CandidateColumns
from curate.catalog.database import Database

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

ROWS = 60
"""In one statement: below the 999 values that any SQLite takes, and more gains nothing."""
_CHUNK_ROWS = 100 * ROWS
"""Turned into Python's values at a time."""
_INTO = f"candidates (source, search_id, {', '.join(TEXTS)}, shared_id)"
_WIDTH = len(TEXTS) + 1


def insert(
    db: Database, into: str, constant: list[str], width: int, values: list[Any], tail: str = ""
) -> None:
    """Insert rows, many to a statement.

    Args:
        db: the catalog.
        into: the table, perhaps with its columns.
        constant: the first values of all rows, as SQL writes them.
        width: how many values follow in each.
        values: these, row after row, n_rows x width.
        tail: what follows the rows, e.g. what a conflict does.
    """
    step = ROWS * width
    whole = len(values) - len(values) % step
    row = f"({', '.join([*constant, *'?' * width])})"
    for n_rows, start, stop in ((ROWS, 0, whole), (1, whole, len(values))):
        length = n_rows * width
        db.many(
            f"INSERT INTO {into} VALUES {', '.join([row] * n_rows)} {tail}",  # noqa: S608 - ours
            (values[i : i + length] for i in range(start, stop, length)),
        )


def insert_candidates(db: Database, search_id: int, columns: CandidateColumns, tail: str) -> int:
    """Insert candidates and what they share; return how many were new.

    Args:
        db: the catalog, in a transaction.
        search_id: the search that they belong to.
        columns: the candidates.
        tail: what is done with those that are known.
    """
    import pyarrow.compute as pc

    before, last_shared = largest_id(db, "candidates"), largest_id(db, "shared_meta")
    source = "'" + columns.source.replace("'", "''") + "'"
    for values in _values(columns, last_shared + 1):
        insert(db, _INTO, [source, str(search_id)], _WIDTH, values, tail)
    n_new = largest_id(db, "candidates") - before
    if n_new == len(columns):
        used = pc.unique(columns.rows.column("shared")).drop_null().to_pylist()
    else:
        sql = "SELECT DISTINCT shared_id FROM candidates WHERE id > ? AND shared_id NOT NULL"
        used = [number - last_shared - 1 for (number,) in db.all(sql, (before,))]
    _insert_shared(db, columns, sorted(used), last_shared + 1)
    return n_new


def _values(columns: CandidateColumns, first_shared: int) -> Iterator[list[Any]]:
    """Yield values of candidates, row after row, some thousand rows at a time."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for start in range(0, len(columns), _CHUNK_ROWS):
        rows = columns.rows.slice(start, _CHUNK_ROWS)
        shared = pc.add(rows.column("shared").cast(pa.int64()), first_shared)
        texts = (rows.column(name).to_pylist() for name in TEXTS)
        yield list(chain.from_iterable(zip(*texts, shared.to_pylist(), strict=True)))


def _insert_shared(db: Database, columns: CandidateColumns, used: list[int], first: int) -> None:
    """Insert the rows that are used, under ids from `first` on, and those that they point to."""
    import pyarrow as pa

    rows = columns.shared.take(pa.array(used, pa.int32()))
    above = rows.column("common").unique().drop_null()
    texts = columns.common.column("meta").take(above).to_pylist()
    ids = dict(zip(above.to_pylist(), map(_content_id, texts), strict=True))
    common = chain.from_iterable(zip(ids.values(), texts, strict=True))
    insert(db, "common_meta", [], 2, list(common), "ON CONFLICT DO NOTHING")
    values = zip(
        (first + each for each in used),
        rows.column("meta").to_pylist(),
        (ids.get(each) for each in rows.column("common").to_pylist()),
        strict=True,
    )
    insert(db, "shared_meta", [], 3, list(chain.from_iterable(values)))


def _content_id(text: str) -> int:
    """Return 63 bits of a text's SHA-256, which no other text in sight has."""
    return int.from_bytes(sha256(text.encode()).digest()[:8]) >> 1


def hints_of(columns: CandidateColumns, class_ids: Mapping[str, int]) -> tuple[Ints, Ints]:
    """Return the places of candidates with a class hint, and the ids of their classes."""
    import numpy as np

    column = columns.rows.column("class")
    ids = [class_ids.get(name, 0) for name in column.dictionary.to_pylist()]
    places = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    codes = column.indices.drop_null().to_numpy()
    return places, np.array(ids, np.int64)[codes]


def insert_hints(
    db: Database,
    columns: CandidateColumns,
    class_ids: Mapping[str, int],
    search_id: int,
    first: int,
) -> None:
    """Insert the class hints of new candidates, whose ids follow each other from `first` on."""
    import numpy as np

    places, classes = hints_of(columns, class_ids)
    order = np.argsort(classes, kind="stable")  # the table's order: neighbours share a page
    values = np.column_stack((classes[order], places[order] + first)).ravel().tolist()
    into = "hints (search_id, class_id, candidate_id)"
    insert(db, into, [str(search_id)], 2, values, "ON CONFLICT DO NOTHING")


def class_names(columns: CandidateColumns) -> set[str]:
    """Return the classes that are hinted at."""
    column = columns.rows.column("class")
    return set(column.dictionary.take(column.indices.unique().drop_null()).to_pylist())


def largest_id(db: Database, table: str) -> int:
    """Return the id of the newest row; ids are never freed, so its growth counts new rows."""
    return int(db.one(f"SELECT COALESCE(MAX(id), 0) FROM {table}")[0])  # noqa: S608 - our own tables
