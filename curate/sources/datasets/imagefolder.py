"""A Hugging Face imagefolder with metadata: `metadata.csv` or `.jsonl` beside the images.

`file_name` starts from the metadata's own folder. The class is a column's, as in any table,
else the name of the folder that holds the file. Without metadata such a folder is an
ordinary tree (`curate.sources.folder`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from curate.sources import tables
from curate.sources.datasets import table
from curate.sources.datasets.base import Entry, Found, Options, folders_in, is_file, split_of
from curate.sources.folder import SPLITS

_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_FILE = "file_name"


class ImageFolder:
    """See the module."""

    name = "imagefolder"
    about = "a Hugging Face imagefolder with metadata.csv, .jsonl or .parquet"

    def detects(self, path: Path) -> bool:
        """A metadata file stands in the folder, or in one of its splits."""
        return any(True for _ in _metadata(path))

    def entries(self, path: Path, options: Options) -> Found:
        """Yield the rows of all metadata files.

        Raises:
            SourceError: one cannot be read, or has no such column.
        """
        for each in _metadata(path):
            side = split_of(each.parent.relative_to(path).as_posix())
            asked = replace(options, file_column=options.file_column or _FILE)
            for entry in table.rows(each, tables.read(each), asked):
                yield _completed(entry, each.parent, side) if isinstance(entry, Entry) else entry


def _metadata(path: Path) -> Iterator[Path]:
    folders = [path, *folders_in(path), *folders_in(path / "data")]
    paths = (folder / name for folder in folders for name in _NAMES)
    yield from (each for each in paths if is_file(each))


def _completed(entry: Entry, folder: Path, side: str | None) -> Entry:
    """Add what the folders say, where the table does not."""
    classes = entry.classes
    if classes is None and entry.path is not None and entry.path.is_relative_to(folder):
        parts = entry.path.relative_to(folder).parts[:-1]
        named = [part for part in parts if part.lower() not in SPLITS]
        classes = (named[-1],) if named else None
        sides = [SPLITS[part.lower()] for part in parts if part.lower() in SPLITS]
        side = side or next(iter(sides), None)
    return replace(entry, classes=classes, split=entry.split or side)
