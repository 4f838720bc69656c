"""Images inside tables: the bytes in one row of a Parquet or an Arrow file.

A dataset may hold its images itself. They are taken out when they are stored, by a worker,
which keeps the few rows that it read last and goes on from there: rows come in order, so each
part is read about once per worker, and none is ever on the disk twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from curate.records import Reason, Refused

_ARROW = ".arrow"
_BATCH_ROWS = 32
"""Rows in memory at a time: each may hold an image of some megabytes."""
_BUFFER_BYTES = 1024 * 1024
"""Read at a time; without a bound, it would be a row group. A page of it is the least there is."""


def take_out(path: Path, inside: str, staged: Path, max_bytes: int) -> Refused | None:
    """Write the image of one row to a file.

    Args:
        path: the table.
        inside: `row=N&column=NAME`.
        staged: the file to write.
        max_bytes: larger images are refused.

    Returns:
        Why there is no image; None if there is.

    Raises:
        OSError: the file cannot be written.
    """
    import pyarrow as pa

    said = dict(parse_qsl(inside))
    state = path.stat()
    try:
        data = _cell(path, (state.st_mtime_ns, state.st_size), said["column"], int(said["row"]))
    except (pa.ArrowException, OSError, KeyError, IndexError, ValueError) as error:
        return Refused(Reason.UNREADABLE, f"{inside}: {str(error).splitlines()[0][:200]}")
    if not data:
        return Refused(Reason.EMPTY, f"{inside}: no bytes")
    if len(data) > max_bytes:
        return Refused(Reason.TOO_BIG, f"more than {max_bytes} bytes")
    staged.write_bytes(data)
    return None


def _cell(path: Path, stamp: tuple[int, int], column: str, row: int) -> bytes | None:
    if path.suffix == _ARROW:
        parts = _arrow_batches(path, stamp)
        number, first = _part_of([len(each) for each in parts], row)
        value = parts[number].column(column)[row - first].as_py()
    else:
        value = _parquet_column(path, stamp, column).value(row)
    data: bytes | None = value.get("bytes") if isinstance(value, dict) else value
    return data


def _part_of(lengths: Sequence[int], row: int) -> tuple[int, int]:
    """Return which part holds a row, and the number of its first row."""
    first = 0
    for number, n in enumerate(lengths):
        if row < first + n:
            return number, first
        first += n
    raise IndexError(f"there are only {first} rows")


class _Column:
    """One column of a Parquet file, read forward a few rows at a time.

    Args:
        path: the file.
        name: the column.
    """

    def __init__(self, path: Path, name: str) -> None:
        import pyarrow.parquet as pq

        self._file = pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False)
        self._name = name
        groups = range(self._file.num_row_groups)
        self._lengths = [self._file.metadata.row_group(each).num_rows for each in groups]
        self._group = -1
        self._batches: Iterator[Any] = iter(())
        self._cells: Any = ()
        self._first = 0

    def value(self, row: int) -> Any:
        """Return the value of a row.

        Raises:
            IndexError: there are not so many.
        """
        group, first = _part_of(self._lengths, row)
        if group != self._group or row < self._first:
            self._batches = self._file.iter_batches(
                _BATCH_ROWS, row_groups=[group], columns=[self._name]
            )
            self._group, self._first, self._cells = group, first, ()
        while row >= self._first + len(self._cells):
            self._first += len(self._cells)
            self._cells = next(self._batches).column(self._name)
        return self._cells[row - self._first].as_py()


@lru_cache(maxsize=1)
def _parquet_column(path: Path, _stamp: tuple[int, int], name: str) -> _Column:
    return _Column(path, name)


@lru_cache(maxsize=1)
def _arrow_batches(path: Path, _stamp: tuple[int, int]) -> list[Any]:
    """Return the parts of an Arrow file, mapped: nothing is read before it is asked for."""
    import pyarrow as pa

    with pa.memory_map(os.fspath(path)) as memory:
        return list(pa.ipc.open_stream(memory))
