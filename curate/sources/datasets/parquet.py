"""Parquet files with images inside, as Hugging Face's hub has them.

The bytes stay where they are until they are stored: an entry points at its row, and nothing
is unpacked to the disk first. Splits are told by the names of files and folders
(`data/train-00000-of-00002.parquet`).
"""

from __future__ import annotations

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
        return pq.ParquetFile(path)
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
    for group in range(file.num_row_groups):
        # Whether a row has bytes is asked of the row group alone, one at a time.
        columns = [name for name in (found.label, *found.rest) if name]
        has, paths = _images(file, group, found.image)
        table = file.read_row_group(group, columns=columns)
        values = {name: table.column(name).to_pylist() for name in columns}
        for i in range(len(has)):
            row = {name: column[i] for name, column in values.items()}
            yield row_entry(path, number, has[i], paths[i], row, found, side, files)
            number += 1


def _images(file: Any, group: int, name: str) -> tuple[list[bool], list[str]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = file.read_row_group(group, columns=[name]).column(name)
    return image_cells(column, pa, pc)


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
