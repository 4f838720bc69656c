"""Rows of a table file as column-wise batches: CSV, TSV, JSON Lines or Parquet.

Batches of at most 10,000 rows keep memory flat whatever the file's length, and columns
(not rows of dicts) keep Parquet fast. A place in a file is its row number: Parquet skips
whole row groups to reach it, text is read over. Text is UTF-8 with or without a mark,
UTF-16 with one, and line by line cp1252 where a line is not UTF-8. A tab-separated file
whose lines all have the header's number of tabs is taken line by line: such files are
often not quoted, and one stray quote would swallow the rows up to the next. Where every
line begins with a URL and what follows a separator looks like more of it, lines are URLs.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from curate.errors import SourceError

BATCH_ROWS = 10_000
MAX_FIELD_CHARS = 16 << 20
"""A longer field is taken for a quote that never closes."""
_PROBE_CHARS = 1 << 20
_DELIMITERS = (",", ";", "\t", "|")
_WEB = ("http://", "https://")
_TABS = {".tsv", ".tab", ".tsv000"}
_JSON_LINES = {".jsonl", ".ndjson", ".jsonlines"}
_PARQUET = {".parquet", ".pq", ".parq"}
_OTHERS = {".json", ".xlsx", ".xls", ".ods", ".zip", ".feather", ".arrow", ".sqlite", ".db"}


@dataclass(frozen=True, slots=True)
class Batch:
    """Some neighbouring rows of a table."""

    first_row: int
    """Number of the first row, from 0, header not counted."""
    n_rows: int
    """Rows of the file that it covers, those that were bad included."""
    columns: Mapping[str, Sequence[Any]]
    """Values by column, all of one length."""
    n_bad: int
    """Rows left out because they do not have the header's shape."""


def read(path: Path, first_row: int = 0) -> Iterator[Batch]:
    """Yield the rows of a file in batches, from a row on.

    Raises:
        SourceError: it cannot be opened or is not what its name says.
    """
    suffix = _suffix(path)
    try:
        if suffix in _PARQUET:
            yield from _parquet(path, first_row)
        elif suffix in _JSON_LINES or (suffix == ".json" and _begins_with_object(path)):
            yield from _json_lines(path, first_row)
        elif suffix in _OTHERS:
            raise SourceError(
                f"{path} is not a table that curate reads",
                "It reads CSV, TSV, JSON Lines (one object a line) and Parquet.",
            )
        else:
            yield from _delimited(path, first_row, suffix in _TABS)
    except FileNotFoundError as error:
        raise SourceError(f"there is no file {path}") from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
    except (csv.Error, UnicodeError, EOFError) as error:
        raise SourceError(f"{path} is not a readable table: {error}") from error


def count_rows(path: Path) -> int | None:
    """Return the number of rows where the file says it (Parquet); else None."""
    if _suffix(path) not in _PARQUET:
        return None
    with _open_parquet(path) as file:
        return int(file.metadata.num_rows)


def _suffix(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _open_parquet(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except FileNotFoundError:
        raise SourceError(f"there is no file {path}") from None
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path} is not a readable Parquet file: {error}") from error


def _parquet(path: Path, first_row: int) -> Iterator[Batch]:
    import pyarrow as pa

    with _open_parquet(path) as file:
        row, groups = 0, list(range(file.metadata.num_row_groups))
        while groups and row + file.metadata.row_group(groups[0]).num_rows <= first_row:
            row += file.metadata.row_group(groups.pop(0)).num_rows
        # Bytes (an image inside the table) are not text, and would not leave memory flat.
        names = [one.name for one in file.schema_arrow if "binary" not in str(one.type)]
        try:
            for table in file.iter_batches(BATCH_ROWS, groups, columns=names):
                skip = min(max(0, first_row - row), table.num_rows)
                row += table.num_rows
                if skip == table.num_rows and skip:
                    continue
                rest = table.slice(skip)
                columns = {
                    name: rest.column(i).to_pylist() for i, name in enumerate(rest.schema.names)
                }
                yield Batch(row - rest.num_rows, rest.num_rows, columns, 0)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{path} is damaged near row {row}: {error}") from error


def _begins_with_object(path: Path) -> bool:
    with _open_text(path) as file:
        return file.read(64).lstrip().startswith("{")


def _json_lines(path: Path, first_row: int) -> Iterator[Batch]:
    with _open_text(path) as file:
        lines = islice((line for line in _repaired(file) if line.strip()), first_row, None)
        row = first_row
        while chunk := list(islice(lines, BATCH_ROWS)):
            rows = [_json_row(line) for line in chunk]
            good = [one for one in rows if one is not None]
            names = dict.fromkeys(name for one in good for name in one)
            columns = {name: [one.get(name) for one in good] for name in names}
            yield Batch(row, len(chunk), columns, len(chunk) - len(good))
            row += len(chunk)


def _json_row(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _delimited(path: Path, first_row: int, tabs: bool) -> Iterator[Batch]:
    # The limit is the csv module's, for the whole process; it only ever has to be raised.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD_CHARS))
    delimiter, line_by_line = _dialect(path, tabs)
    with _open_text(path) as file:
        quotes = _Quotes()
        if line_by_line:
            rows: Iterator[list[str]] = (_fields(line, delimiter) for line in _repaired(file))
        else:
            rows = csv.reader(quotes.counted(_repaired(file)), delimiter=delimiter)
        header, rows = _header(path, (row for row in rows if row))
        number, last = first_row, [""]
        rows = islice(rows, first_row, None)
        while (chunk := list(islice(rows, BATCH_ROWS))) or number == 0:
            good = [_fitted(row, len(header)) for row in chunk if len(row) <= len(header)]
            values = zip(*good, strict=True) if good else ([] for _ in header)
            columns = dict(zip(header, values, strict=True))
            yield Batch(number, len(chunk), columns, len(chunk) - len(good))
            if not chunk:
                return
            number, last = number + len(chunk), chunk[-1]
        if quotes.are_odd and "\n" in last[-1].strip():
            raise SourceError(
                f"{path}: a quote that opens in row {number} never closes; "
                "the rows after it were read as one field",
                "Close the quote, and read the list again.",
            )


class _Quotes:
    """Counts the quotes of a file while it is read: an odd one may have swallowed its end."""

    are_odd = False

    def counted(self, lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            if '"' in line and line.count('"') % 2:
                self.are_odd = not self.are_odd
            yield line


def _header(path: Path, rows: Iterator[list[str]]) -> tuple[list[str], Iterator[list[str]]]:
    """Return the column names and the rows; a list that begins with a URL has no header."""
    first = next(rows, None)
    if first is None:
        raise SourceError(f"{path} is empty: it has no header line")
    names = [name.strip() for name in first]
    web = [name.lower().startswith(_WEB) for name in names]
    if not any(web):
        return names, rows
    made = [f"column_{n}" for n in range(1, len(names) + 1)]
    made[web.index(True)] = "url"
    return made, chain([first], rows)


def _fitted(row: list[str], n_columns: int) -> list[str]:
    """Fill a short row with empty fields: programs leave trailing ones out."""
    return row if len(row) == n_columns else row + [""] * (n_columns - len(row))


def _dialect(path: Path, tabs: bool) -> tuple[str, bool]:
    """Return the delimiter, and whether each line is one row."""
    with _open_text(path) as file:
        probe = list(_repaired(file.readlines(_PROBE_CHARS)))
    if not probe:
        return ",", False
    if not tabs and _begin_with_urls(probe):
        fitting = [each for each in _DELIMITERS if _is_table(probe, each)]
        if not fitting:
            return "\n", True  # each line is one URL, and a comma in it separates nothing
    else:
        fitting = ["\t"] if tabs else list(_DELIMITERS)
    delimiter = max(fitting, key=probe[0].count)
    n = probe[0].count(delimiter)
    is_whole = delimiter == "\t" and n > 0
    return delimiter, is_whole and all(line.count("\t") == n for line in probe if line.strip())


def _begin_with_urls(lines: Sequence[str]) -> bool:
    full = [line.strip().lower() for line in lines if line.strip()]
    return bool(full) and all(line.startswith(_WEB) for line in full)


def _is_table(lines: Sequence[str], delimiter: str) -> bool:
    """Whether lines that begin with a URL go on with fields, as many on each, not with its end."""
    n = 0
    for row in csv.reader((line for line in lines if line.strip()), delimiter=delimiter):
        n = n or len(row)
        if len(row) != n or n == 1:
            return False
        if any("/" in field and not field.lower().startswith(_WEB) for field in row[1:]):
            return False
    return n > 1


def _fields(line: str, delimiter: str) -> list[str]:
    line = line.rstrip("\r\n")
    if not line:
        return []
    fields = line.split(delimiter)
    return [_unquoted(one) for one in fields] if '"' in line else fields


def _unquoted(field: str) -> str:
    if len(field) >= 2 and field[0] == field[-1] == '"':
        return field[1:-1].replace('""', '"')
    return field


def _open_text(path: Path) -> IO[str]:
    with path.open("rb") as file:
        head = file.read(4)
    is_gzip = head.startswith(b"\x1f\x8b")
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    # Bytes that are not UTF-8 survive as surrogates until `_repaired` reads their line again.
    errors = "surrogateescape" if encoding == "utf-8-sig" else "strict"
    if is_gzip:
        return gzip.open(path, "rt", encoding=encoding, errors=errors, newline="")
    return path.open(encoding=encoding, errors=errors, newline="")


def _repaired(lines: IO[str] | Sequence[str]) -> Iterator[str]:
    for line in lines:
        if line.isascii():
            yield line
            continue
        try:
            line.encode()
        except UnicodeEncodeError:
            yield line.encode(errors="surrogateescape").decode("cp1252", errors="replace")
        else:
            yield line
