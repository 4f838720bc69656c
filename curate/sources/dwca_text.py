r"""A table of delimited text as Arrow batches of the columns that are needed.

Rows must be exact: GBIF's text is not quoted, and a reader that honours quotes all the same
loses every row between two stray ones. So quoting is what the archive says, a line ends at
`\n` alone (a lone `\r` is part of a text and becomes a blank), and rows that do not have the
header's number of fields are counted, not bent into shape. Only the columns asked for are
converted. A value that is not in UTF-8, as it claims, is read as cp1252, so one bad byte costs
a character and not the archive.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from curate.errors import SourceError
from curate.sources.dwca_meta import MAX_COLUMNS, Spec

BLOCK_BYTES = 2 << 20
"""Read at a time; a longer row ends the reading."""
_CODED = pa.dictionary(pa.int32(), pa.binary())
_TOO_MANY_BAD = 0.5
"""With more of its rows in another shape, a table is not what is said of it."""


@dataclass(slots=True)
class Tally:
    """What has been read of a table."""

    rows: int = 0
    """Rows with the right number of fields."""
    bad: int = 0
    """Rows with another number, which are left out."""


def n_columns(head: bytes, spec: Spec, where: str) -> int:
    """Return how many columns a table has, from its first line.

    Raises:
        SourceError: it has none.
    """
    fields = first_fields(head, spec)
    if not fields:
        raise SourceError(f"{where} is empty: it has no lines")
    if len(fields) > MAX_COLUMNS:
        raise SourceError(f"{where} has {len(fields):,} columns in its first line: it is no table")
    return len(fields)


def first_fields(head: bytes, spec: Spec) -> list[str]:
    """Return the fields of the first row, without their quotes; lines in quotes belong to them."""
    words = head.decode(_codec(spec), errors="replace").removeprefix("\ufeff")
    words = words.replace("\r\n", "\n").replace("\r", _alone(spec))
    if not spec.quote:
        line = words.partition("\n")[0]
        return line.split(spec.delimiter) if line else []
    lines = io.StringIO(words, newline="\n")
    try:
        return next(csv.reader(lines, delimiter=spec.delimiter, quotechar=spec.quote), [])
    except (csv.Error, ValueError) as error:
        raise SourceError(f"{spec.location} is not a readable table: {error}") from error


def batches(
    file: IO[bytes],
    spec: Spec,
    columns: Sequence[int],
    width: int,
    where: str,
    tally: Tally,
    coded: Collection[int] = (),
) -> Iterator[list[pa.Array]]:
    """Yield the columns asked for, batch by batch, as UTF-8 strings without outer blanks.

    Args:
        file: the table, at its beginning.
        spec: how it is written.
        columns: which columns, from 0.
        width: how many columns it has.
        where: the file, for messages.
        tally: counts what is read.
        coded: columns that come as dictionaries of bytes, for `text` to be called on when they
            have been put together.

    Raises:
        SourceError: it cannot be read, or most of its rows have another number of fields.
    """

    def on_bad_row(_row: Any) -> str:
        tally.bad += 1
        return "skip"

    names = [f"c{i}" for i in range(width)]
    wanted = [names[i] for i in columns] or names[:1]
    lines = _Lines(file, spec)
    source = pa.PythonFile(lines, mode="r")
    try:
        # A reader over nothing raises while it is opened.
        reader = pa_csv.open_csv(
            source,
            pa_csv.ReadOptions(
                block_size=BLOCK_BYTES, column_names=names, skip_rows=spec.header_lines
            ),
            pa_csv.ParseOptions(
                delimiter=spec.delimiter,
                quote_char=spec.quote or False,
                double_quote=bool(spec.quote),
                escape_char=False,
                newlines_in_values=bool(spec.quote),
                invalid_row_handler=on_bad_row,
            ),
            pa_csv.ConvertOptions(
                check_utf8=False,
                column_types={
                    names[i]: _CODED if i in coded else pa.binary() for i in columns or [0]
                },
                include_columns=wanted,
                strings_can_be_null=False,
                null_values=[],
            ),
        )
        for batch in reader:
            tally.rows += batch.num_rows
            if batch.num_rows:
                yield [
                    batch.column(names[i]) if i in coded else text(batch.column(names[i]))
                    for i in columns
                ]
    except pa.ArrowInvalid as error:
        if lines.error is None and "Empty CSV file" not in str(error):
            raise SourceError(f"{where} is not a readable table: {_words(error)}") from error
    if lines.error is not None:
        raise lines.error
    if tally.bad > (tally.rows + tally.bad) * _TOO_MANY_BAD:
        raise SourceError(
            f"{where}: {tally.bad:,} of {tally.rows + tally.bad:,} rows do not have the "
            f"{width} columns that its first line has"
        )


class _Lines(io.RawIOBase):
    r"""The bytes of a table, all of them UTF-8, with `\n` as the only end of each line.

    What goes wrong ends them and is kept in `error`: raised here, it would be in the hands of a
    thread of Arrow's, which may let go of it when the interpreter is gone already, and abort.
    """

    def __init__(self, file: IO[bytes], spec: Spec) -> None:
        super().__init__()
        self._file = file
        self._alone = _alone(spec).encode()
        self._delimiter = spec.delimiter.encode()
        codec = _codec(spec)
        is_utf8 = codec in ("utf-8", "ascii")
        self._decoder = None if is_utf8 else codecs.getincrementaldecoder(codec)("replace")
        self._raw = b""
        self._ready = b""
        self._begun = False
        self._ended = False
        self.error: Exception | None = None

    def readable(self) -> bool:
        """Tell that this can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return `size` bytes, fewer only at the end: a row may be cut into two, not three."""
        if size < 0:
            size = BLOCK_BYTES
        try:
            while len(self._ready) < size and not self._ended:
                self._ready += self._next(size)
        except Exception as error:  # noqa: BLE001 - raised again by `batches`
            self.error = error
            self._ready, self._ended = b"", True
        given, self._ready = self._ready[:size], self._ready[size:]
        return given

    def _next(self, size: int) -> bytes:
        more = self._file.read(size)
        self._ended = len(more) < size
        if self._decoder is not None:
            more = self._decoder.decode(more, final=self._ended).encode()
        data = self._raw + more
        self._raw = b""
        if not self._begun and data:
            self._begun = True
            data = data.removeprefix(codecs.BOM_UTF8)
        if self._begun and self._ended:
            data += b"\n"  # Arrow cannot skip a header line that does not end
        if b"\r" in data:
            if data.endswith(b"\r") and not self._ended:
                data, self._raw = data[:-1], b"\r"  # its \n may come next
            data = data.replace(b"\r\n", b"\n").replace(b"\r", self._alone)
        return data if _is_utf8(data) else self._mended(data)

    def _mended(self, data: bytes) -> bytes:
        """Return text as UTF-8, as far as its last line is known to the end."""
        cut = data.rfind(b"\n") + 1
        if cut and not self._ended:
            data, self._raw = data[:cut], data[cut:] + self._raw
            if _is_utf8(data):  # only a character at the end was cut in two
                return data
        lines = (line.split(self._delimiter) for line in data.split(b"\n"))
        return b"\n".join(self._delimiter.join(map(_in_utf8, line)) for line in lines)


def _alone(spec: Spec) -> str:
    r"""Return what a lone `\r` stands for."""
    return "\n" if spec.line_end == "\r" else " "


def _codec(spec: Spec) -> str:
    try:
        name = codecs.lookup(spec.encoding).name
        b"a".decode(name, errors="replace")
    except (LookupError, ValueError):  # codecs that unpack or escape are none of text
        raise SourceError(f"{spec.location}: there is no encoding {spec.encoding!r}") from None
    return name


def text(column: pa.Array) -> pa.Array:
    """Return bytes as strings without outer blanks; a dictionary stays one."""
    if pa.types.is_dictionary(column.type):
        return pa.DictionaryArray.from_arrays(column.indices, text(column.dictionary))
    return pc.utf8_trim_whitespace(column.cast(pa.string()))


def _is_utf8(data: bytes) -> bool:
    """Tell whether bytes are UTF-8, four times as fast as to decode them."""
    if data.isascii():
        return True
    ends = np.array([0, len(data)], np.int64)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(data)]
    try:
        pa.Array.from_buffers(pa.large_string(), 1, buffers).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _in_utf8(value: bytes) -> bytes:
    return value if _is_utf8(value) else value.decode("cp1252", errors="replace").encode()


def _words(error: Exception) -> str:
    text = str(error)
    if "straddling" in text or "out of sync" in text:
        return f"a row is longer than {BLOCK_BYTES >> 20} MB, or a quote never closes"
    return text.partition("\n")[0]
