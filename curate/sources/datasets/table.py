"""A table of files (or URLs) and labels: CSV, TSV, JSON Lines or Parquet.

Columns are found by their usual names, and what is in them decides: classes are names in one
column, or columns of 0 and 1, one for each class. A row without any 1 says "none of the
classes". A file that is there is taken; where it is not, but the row has a URL, that is left
for `curate fetch`. All other columns are kept as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.errors import SourceError
from curate.sources import tables
from curate.sources.datasets.base import (
    Entry,
    Files,
    Found,
    Left,
    Options,
    files_with,
    is_file,
    is_image,
    is_url,
    split_of,
    with_license,
)
from curate.sources.tables import Batch
from curate.sources.urls import ALIASES

FILE = (
    *("file", "filename", "filepath", "path", "imagepath", "imagefile", "imagefilename"),
    *("relativepath", "localpath", "image", "img", "imagename", "imageid", "name", "id"),
)
_UNMISTAKABLE = 8
"""The first of them mean a file whatever they hold."""
LABEL = (*ALIASES["class"], "target", "targets", "tag", "tags", "y", "species", "breed")
SPLIT = ("split", "subset", "set", "partition", "fold", "phase")
_FACTS = ("license", "license_url", "author", "rights_holder", "page_url", "attribution", "group")
_SUFFIXES = {".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".parquet", ".pq", ".txt"}
_IGNORED = re.compile(r"[^a-z0-9]")
_SEPARATORS = re.compile(r"\s*[|;]\s*")
_YES, _NO = {"1", "1.0", "true", "yes", "t"}, {"0", "0.0", "false", "no", "f", "", "-1", "-1.0"}
_CHOSEN_ROWS = 200
"""Rows that are looked at, to tell which column has the files."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column says what."""

    file: str | None
    """Names of files, or URLs."""
    url: str | None
    """URLs, for rows whose file is not here."""
    label: str | None
    """Names of classes."""
    flags: tuple[str, ...]
    """Columns of 0 and 1, each of them a class."""
    split: str | None
    """Sides of a split."""
    facts: Mapping[str, str]
    """Column by the candidate's field."""
    rest: tuple[str, ...]
    """All others."""


class Table:
    """See the module."""

    name = "table"
    about = "CSV, TSV, JSON Lines or Parquet with files or URLs and their labels"

    def detects(self, path: Path) -> bool:
        """A file of such a table; a folder with one of them that names files and labels."""
        chosen = path if is_file(path) else _only_table(path)
        if chosen is None or not _is_table(chosen):
            return False
        if chosen is path:
            return True
        try:
            batch = next(tables.read(chosen), None)
            columns = None if batch is None else find(chosen, batch, Options())
        except SourceError:
            return False
        return columns is not None and bool(columns.label or columns.flags)

    def entries(self, path: Path, options: Options) -> Found:
        """Yield the rows in order.

        Raises:
            SourceError: the table cannot be read, or has no such column.
        """
        chosen = path if is_file(path) else _only_table(path)
        if chosen is None:
            raise SourceError(f"{path} holds no table, or several", "give the file itself")
        yield from rows(chosen, tables.read(chosen), options)


def _is_table(path: Path) -> bool:
    parts = [each.lower() for each in path.suffixes]
    if parts[-1:] == [".gz"]:
        parts.pop()
    return bool(parts) and parts[-1] in _SUFFIXES


def _only_table(path: Path) -> Path | None:
    # A text file beside images is a licence or a readme more often than a table.
    named = files_with(path, {*_SUFFIXES, ".gz"} - {".txt"})
    found = [each for each in named if _is_table(each)]
    return found[0] if len(found) == 1 else None


def rows(path: Path, batches: Iterable[Batch], options: Options) -> Found:
    """Yield the entries of a table that is read in batches.

    Args:
        path: the table, whose folder file names start from.
        batches: its rows.
        options: what the user says of it.

    Raises:
        SourceError: it has no rows, or no such column.
    """
    columns: Columns | None = None
    files = Files(path.parent, options, _image_folders(path.parent))
    for batch in batches:
        if columns is None:
            columns = find(path, batch, options)
        yield from (Left("bad_row", f"{path.name}: a row") for _ in range(batch.n_bad))
        yield from _entries(batch, columns, files)
    if columns is None:
        raise SourceError(f"{path} holds no rows")


def _image_folders(folder: Path) -> list[Path]:
    usual = ("images", "image", "img", "imgs", "photos", "data")
    return [folder / name for name in usual if (folder / name).is_dir()]


def find(path: Path, batch: Batch, options: Options) -> Columns:
    """Find out which column says what.

    Raises:
        SourceError: a column that was asked for is not there, or none has files or URLs.
    """
    names = list(batch.columns)
    for wanted in (*options.label_columns, *filter(None, (options.file_column,))):
        if wanted not in names:
            raise SourceError(f"{path} has no column {wanted!r}; its columns are: {_listed(names)}")
    plain = {_IGNORED.sub("", name.lower()): name for name in reversed(names)}
    free = [name for name in names if name not in options.label_columns]
    file = options.file_column or _file_column(batch, plain, free)
    url = next((plain[each] for each in ALIASES["url"] if plain.get(each) in free), None)
    url = url if url != file and url is not None and _has_urls(batch.columns[url]) else None
    if file is None and url is None:
        raise SourceError(
            f"{path} has no column with files or URLs; its columns are: {_listed(names)}",
            "say which one it is with --file-column NAME",
        )
    free = [name for name in free if name not in (file, url)]
    split = next((plain[each] for each in SPLIT if plain.get(each) in free), None)
    if split is not None and not any(map(split_of, map(_text, batch.columns[split]))):
        split = None
    facts = {}
    for role in _FACTS:
        found = next((plain[each] for each in ALIASES[role] if plain.get(each) in free), None)
        if found is not None and found != split:
            facts[role] = found
    free = [name for name in free if name != split and name not in facts.values()]
    label, flags = _labels(path, batch, options, plain, free)
    rest = tuple(name for name in free if name != label and name not in flags)
    return Columns(file, url, label, flags, split, facts, rest)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _file_column(batch: Batch, plain: Mapping[str, str], free: Sequence[str]) -> str | None:
    """Return the column that a usual name, and values that look like files, speak for."""
    for alias in FILE:
        name = plain.get(alias)
        if name is None or name not in free:
            continue
        values = [_text(each) for each in batch.columns[name][:_CHOSEN_ROWS]]
        if any(value and not is_url(value) and is_image(Path(value)) for value in values):
            return name
    named = (plain.get(alias) for alias in FILE[:_UNMISTAKABLE])
    return next((name for name in named if name is not None and name in free), None)


def _has_urls(values: Sequence[Any]) -> bool:
    return any(is_url(_text(value)) for value in values[:_CHOSEN_ROWS])


def _labels(
    path: Path,
    batch: Batch,
    options: Options,
    plain: Mapping[str, str],
    free: Sequence[str],
) -> tuple[str | None, tuple[str, ...]]:
    """Return the column with names of classes, or those of 0 and 1."""
    asked = options.label_columns
    if asked:
        flags = tuple(name for name in asked if _is_flag(batch.columns[name]))
        if len(asked) > 1 and flags != asked:
            named = next(name for name in asked if name not in flags)
            raise SourceError(
                f"{path}: the column {named!r} holds other values than 0 and 1",
                "several label columns are one for each class",
            )
        return (None, flags) if flags else (asked[0], ())
    label = next((plain[each] for each in LABEL if plain.get(each) in free), None)
    if label is not None:
        return label, ()
    return None, tuple(name for name in free if _is_flag(batch.columns[name]))


def _is_flag(values: Sequence[Any]) -> bool:
    found = {_text(value).lower() for value in values}
    return found <= _YES | _NO and not found <= {""}


def _entries(batch: Batch, columns: Columns, files: Files) -> Found:
    n = len(next(iter(batch.columns.values()), ()))
    for i in range(n):
        row = {name: values[i] for name, values in batch.columns.items()}
        number = batch.first_row + i + 1
        classes = _classes(row, columns)
        if classes == _BAD:
            yield Left("bad_label", f"row {number}")
            continue
        yield _entry(row, number, classes, columns, files)


_BAD = ("\0",)
"""Stands for a cell that is neither 0 nor 1: no class is called so."""


def _classes(row: Mapping[str, Any], columns: Columns) -> tuple[str, ...] | None:
    if columns.flags:
        values = {name: _text(row.get(name)).lower() for name in columns.flags}
        if any(value not in _YES and value not in _NO for value in values.values()):
            return _BAD
        return tuple(name for name, value in values.items() if value in _YES)
    if columns.label is None:
        return None
    return class_names(row.get(columns.label))


def class_names(value: Any) -> tuple[str, ...] | None:
    """Return the classes in one cell: a list, or text with `|` or `;`; None if it is empty.

    Example:
        >>> class_names("beach|sunset")
        ('beach', 'sunset')
    """
    if isinstance(value, str) and value.strip()[:1] == "[" and value.strip()[-1:] == "]":
        value = _listed_names(value.strip())
    if isinstance(value, list | tuple):
        return tuple(dict.fromkeys(text for one in value if (text := _text(one))))
    return tuple(dict.fromkeys(one for one in _SEPARATORS.split(_text(value)) if one)) or None


def _listed_names(text: str) -> Any:
    """Read `["a", "b"]`, also as Python prints a list; anything else is a name."""
    try:
        return json.loads(text)
    except ValueError:
        inner = text[1:-1]
    found = re.findall(r"'([^']*)'|\"([^\"]*)\"", inner)
    return [one or other for one, other in found] if found or not inner.strip() else text


def _entry(
    row: Mapping[str, Any],
    number: int,
    classes: tuple[str, ...] | None,
    columns: Columns,
    files: Files,
) -> Entry | Left:
    name = _text(row.get(columns.file)) if columns.file else ""
    url = _text(row.get(columns.url)) if columns.url else ""
    found: Path | Left = Left("no_file", f"row {number}")
    if is_url(name):
        url = url or name
    elif name:
        found = files.find(name)
    if isinstance(found, Left):
        if not is_url(url):
            return Left("bad_url", url) if url and not name else found
        if found.reason == "outside":
            return found
    facts = {role: _text(row.get(column)) for role, column in columns.facts.items()}
    meta = {column: text for column in columns.rest if (text := _text(row.get(column)))}
    if name and not isinstance(found, Path) and name != url:
        meta = {str(columns.file): name, **meta}
    return Entry(
        name or url,
        found if isinstance(found, Path) else None,
        None if isinstance(found, Path) else url,
        classes=classes,
        split=split_of(_text(row.get(columns.split))) if columns.split else None,
        facts=with_license({key: text for key, text in facts.items() if text}),
        meta=meta,
    )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if value is None or value != value:  # noqa: PLR0124 -- only NaN is not itself
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def frame_batches(frame: Any) -> Iterator[Batch]:
    """Yield a pandas table in batches; an index with a name is a column too."""
    if frame.index.name is not None:
        frame = frame.reset_index()
    for first in range(0, max(1, len(frame)), tables.BATCH_ROWS):
        part = frame.iloc[first : first + tables.BATCH_ROWS]
        columns = {str(name): part[name].tolist() for name in part.columns}
        yield Batch(first, len(part), columns, 0)
