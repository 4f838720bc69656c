"""Images inside tables: the bytes in one row of a Parquet or an Arrow file.

A dataset may hold its images itself. They are taken out when they are stored, by a worker,
which keeps the part of the file that it read last: rows come in order, so each part is read
about once per worker, and none is ever on the disk twice.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from curate.records import Reason, Refused

_ARROW = ".arrow"


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
        cells = parts[number].column(column)
    else:
        number, first = _part_of(_group_rows(path, stamp), row)
        cells = _parquet_column(path, stamp, number, column)
    value = cells[row - first].as_py()
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


@lru_cache(maxsize=4)
def _group_rows(path: Path, _stamp: tuple[int, int]) -> tuple[int, ...]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return tuple(file.metadata.row_group(i).num_rows for i in range(file.num_row_groups))


@lru_cache(maxsize=1)
def _parquet_column(path: Path, _stamp: tuple[int, int], group: int, column: str) -> Any:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return file.read_row_group(group, columns=[column]).column(column)


@lru_cache(maxsize=1)
def _arrow_batches(path: Path, _stamp: tuple[int, int]) -> list[Any]:
    """Return the parts of an Arrow file, mapped: nothing is read before it is asked for."""
    import pyarrow as pa

    with pa.memory_map(os.fspath(path)) as memory:
        return list(pa.ipc.open_stream(memory))
