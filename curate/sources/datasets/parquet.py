"""Parquet files with images inside, as Hugging Face's hub has them.

The bytes stay where they are until they are stored: an entry points at its row, and nothing
is unpacked to the disk first. Splits are told by the names of files and folders
(`data/train-00000-of-00002.parquet`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from curate.errors import SourceError
from curate.sources.datasets.base import (
    Entry,
    Files,
    Found,
    Left,
    Options,
    files_with,
    folders_in,
    is_file,
    split_of,
)
from curate.sources.datasets.features import Roles, features_of, roles

BATCH_ROWS = 32
"""Rows in memory at a time: each may hold an image of some megabytes."""
_BUFFER_BYTES = 1024 * 1024
"""Read at a time; without a bound, it would be a row group."""
_SUFFIXES = {".parquet", ".pq"}


class ParquetImages:
    """See the module."""

    name = "parquet-images"
    about = "Parquet files with the bytes of images (Hugging Face)"

    def detects(self, path: Path) -> bool:
        """The first Parquet file has a column with images."""
        first = next(iter(_files(path)), None)
        if first is None:
            return False
        try:
            with _opened(first) as file:
                schema = file.schema_arrow
                return roles(first, schema, features_of(schema), Options()) is not None
        except SourceError:
            return False

    def entries(self, path: Path, options: Options) -> Found:
        """Yield the rows of all files.

        Raises:
            SourceError: one cannot be read, or has no images.
        """
        found = _files(path)
        if not found:
            raise SourceError(f"{path} holds no Parquet files")
        for each in found:
            below = each.relative_to(path).as_posix() if path.is_dir() else each.name
            yield from _entries(each, below, options)


def _files(path: Path) -> list[Path]:
    if is_file(path):
        return [path] if path.suffix.lower() in _SUFFIXES else []
    found = files_with(path, _SUFFIXES)
    for folder in folders_in(path, links=False):
        found += _files(folder)
    return found


def _opened(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path} is not a readable Parquet file: {error}") from error


def _entries(path: Path, below: str, options: Options) -> Found:
    import pyarrow as pa

    with _opened(path) as file:
        schema = file.schema_arrow
        found = roles(path, schema, features_of(schema), options)
        if found is None:
            raise SourceError(f"{path} has no column with images")
        try:
            yield from _rows(path, file, found, split_of(below), Files(path.parent, options))
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{path} is damaged: {error}") from error


def _rows(path: Path, file: Any, found: Roles, side: str | None, files: Files) -> Found:
    number = 0
    plain = [name for name in (found.label, *found.rest) if name]
    for group in range(file.num_row_groups):
        for batch, has, named in _batches(file, group, found.image, plain):
            values = {name: batch.column(name).to_pylist() for name in plain}
            for i in range(batch.num_rows):
                row = {name: column[i] for name, column in values.items()}
                yield row_entry(path, number, has[i], named[i], row, found, side, files)
                number += 1


def _batches(
    file: Any, group: int, image: str, plain: Sequence[str]
) -> Iterator[tuple[Any, list[bool], list[str]]]:
    """Yield some rows at a time: the batch, which rows have bytes, and what their paths are called.

    Where the file's statistics say that all of a row group have bytes, or none, these are not
    read: a row group may hold gigabytes of them.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = file.schema_arrow.field(image).type
    is_struct = pa.types.is_struct(kind)
    has_path = is_struct and kind.get_field_index("path") >= 0
    columns = [*([f"{image}.path"] if has_path else []), *plain]
    all_alike = _all_have_bytes(file.metadata.row_group(group), image, is_struct=is_struct)
    if all_alike is None or not columns:
        for batch in file.iter_batches(BATCH_ROWS, [group], columns=[image, *plain]):
            yield batch, *image_cells(batch.column(image), pa, pc)
        return
    for batch in file.iter_batches(BATCH_ROWS, [group], columns=columns):
        named = [""] * batch.num_rows
        if has_path:
            paths = pc.struct_field(batch.column(image), "path")
            named = [each or "" for each in paths.to_pylist()]
        yield batch, [all_alike] * batch.num_rows, named


def _all_have_bytes(group: Any, image: str, *, is_struct: bool) -> bool | None:
    """Return whether all rows of a group have bytes, or none has; None: not known, or neither."""
    wanted = f"{image}.bytes" if is_struct else image
    for column in (group.column(place) for place in range(group.num_columns)):
        if column.path_in_schema == wanted:
            told = column.statistics
            if told is None or not told.has_null_count:
                return None
            if told.null_count == 0:
                return True
            return False if told.null_count == group.num_rows else None
    return None


def image_cells(column: Any, pa: Any, pc: Any) -> tuple[list[bool], list[str]]:
    """Tell of each image whether it has bytes, and what its path is called; empty if nothing."""
    if not pa.types.is_struct(column.type):
        return pc.is_valid(column).to_pylist(), [""] * len(column)
    has = pc.is_valid(pc.struct_field(column, "bytes")).to_pylist()
    if column.type.get_field_index("path") < 0:
        return has, [""] * len(column)
    return has, [each or "" for each in pc.struct_field(column, "path").to_pylist()]


def row_entry(
    path: Path,
    number: int,
    has_bytes: bool,
    named: str,
    row: dict[str, Any],
    found: Roles,
    side: str | None,
    files: Files,
) -> Entry | Left:
    """Return the entry of one row.

    Args:
        path: the file that holds it.
        number: its number there, from 0.
        has_bytes: the image is in the row.
        named: the path that the row gives it.
        row: its plain values.
        found: which of them counts as what.
        side: the split of the file.
        files: finds images that are not in the row.
    """
    said = f"{path.name}, row {number + 1}"
    try:
        classes = found.classes(row.get(found.label)) if found.label else None
    except (IndexError, TypeError):
        return Left("bad_label", said)
    meta = {name: str(row[name]) for name in found.rest if row[name] is not None}
    if named:
        meta["file_name"] = named
    if has_bytes:
        inside = urlencode({"row": number, "column": found.image})
        return Entry(named or said, path, None, inside, classes, side, meta=meta)
    if not named:
        return Left("no_file", said)
    image = files.find(named)
    if isinstance(image, Left):
        return image
    return Entry(named, image, classes=classes, split=side, meta=meta)
