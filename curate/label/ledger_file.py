"""The ledger as a file: JSON Lines out and in, and dated copies.

One line for each row, in order of arrival, with all that the row holds: what is exported,
imported into an empty project and exported again is the same byte for byte. An import is all
or nothing: a line that says nothing that can be kept stops it before anything is written.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from curate.catalog import annotations as rows
from curate.catalog.database import Database
from curate.errors import SourceError, StoreError, UsageError
from curate.label.ledger import Ledger
from curate.progress import Progress, silent
from curate.records import Annotation, Kind

LONGEST_LINE = 1 << 20
"""Bytes of one line."""
_LISTS = ("classes", "shown")
_NUMBERS = ("decided_at", "shown_score", "seconds")
_NAMES = tuple(each.name for each in fields(Annotation))
_NEEDED = ("key", "kind", "annotator", "decided_at")


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    lines: int
    """Rows in the file."""
    added: int
    """Those that were new."""
    unknown_images: int
    """Images that new rows are about and that are not in this project (yet)."""


def to_line(each: Annotation) -> str:
    """Return a row as one line of JSON without its end: what is None is left out."""
    held = {name: getattr(each, name) for name in _NAMES}
    return json.dumps(
        {name: value for name, value in held.items() if value is not None}, ensure_ascii=False
    )


def export(db: Database, write: Callable[[str], object]) -> int:
    """Write all rows, in order of arrival; return how many."""
    n = 0
    for page in rows.history(db):
        write("".join(to_line(each) + "\n" for _, each in page))
        n += len(page)
    return n


def export_file(db: Database, path: Path) -> int:
    """Write all rows into a file that is there as a whole or not at all; return how many.

    Raises:
        StoreError: it cannot be written.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with aside.open("w", encoding="utf-8", newline="\n") as file:
            n = export(db, file.write)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise StoreError(f"cannot write {path}: {error.strerror}") from error
    return n


def import_file(
    db: Database,
    path: Path,
    ledger: Ledger,
    *,
    progress: Progress = silent,
    dry_run: bool = False,
) -> Imported:
    """Add the rows of a file that are not known yet; all of them or none.

    Args:
        db: the catalog.
        path: what `export_file` wrote.
        ledger: where the rows go.
        progress: told of rows.
        dry_run: check every line and count, then take all back.

    Raises:
        SourceError: the file cannot be read, or a line of it cannot be kept; it says which.
    """
    where = _Where(path)
    images: set[str] = set()

    def taken() -> Iterator[Annotation]:
        with _opened(path) as file:
            for each in where.rows(file):
                if each.image_id is not None:
                    images.add(each.image_id)
                progress("annotations", where.line, None)
                yield each

    try:
        added = ledger.take(taken(), dry_run=dry_run)
    except SourceError:
        raise
    except UsageError as error:
        raise where.error(error.message) from error
    known = {key for key in images if _is_image(db, key)}
    return Imported(len(added), sum(added), len(images - known) if sum(added) else 0)


def back_up(db: Database, folder: Path, now: float) -> Path:
    """Write a dated copy of the ledger; today's takes the place of an earlier one of today.

    Its name holds the project's folder and a mark of where that is, so that projects do not
    overwrite each other. A copy that holds more than the ledger does now is never replaced:
    somebody may have lost the catalog in between.

    Args:
        db: the catalog.
        folder: where copies go, made if need be.
        now: Unix seconds.

    Returns:
        The copy.

    Raises:
        StoreError: it cannot be written.
    """
    project = db.path.parent.resolve()
    mark = sha256(os.fsencode(project)).hexdigest()[:8]
    stem = f"{project.name or 'project'}-{mark}-{time.strftime('%Y-%m-%d', time.gmtime(now))}"
    path = folder / f"{stem}.jsonl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists() and _n_lines(path) > rows.count(db):
            path = folder / f"{stem}-{time.strftime('%H%M%S', time.gmtime(now))}.jsonl"
    except OSError as error:
        raise StoreError(f"cannot write into {folder}: {error.strerror}") from error
    export_file(db, path)
    return path


@dataclass(slots=True)
class _Where:
    """The place reached in a file, for messages."""

    path: Path
    line: int = 0

    def rows(self, file: IO[bytes]) -> Iterator[Annotation]:
        while raw := file.readline(LONGEST_LINE + 1):
            self.line += 1
            if len(raw) > LONGEST_LINE:
                raise self.error(f"more than {LONGEST_LINE} bytes")
            if not raw.strip():
                continue
            try:
                yield from_line(raw.decode("utf-8"))
            except (ValueError, UsageError) as error:
                raise self.error(str(error)) from error

    def error(self, why: str) -> SourceError:
        return SourceError(f"{self.path}, line {self.line}: {why}", "nothing was imported")


def from_line(line: str) -> Annotation:
    """Return the row that a line holds.

    Raises:
        ValueError: it holds none; the message says why.
    """
    try:
        held = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(held, dict):
        raise ValueError("not a JSON object")
    if unknown := sorted(set(held) - set(_NAMES)):
        raise ValueError(f"unknown key {unknown[0]!r}")
    if missing := [name for name in _NEEDED if held.get(name) is None]:
        raise ValueError(f"{missing[0]!r} is missing")
    return Annotation(**{name: _value(name, value) for name, value in _given(held)})


def _given(held: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in held.items() if value is not None)


def _value(name: str, value: Any) -> Any:
    if name in _LISTS:
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ValueError(f"{name}: {value!r} is not a list of texts")
        return tuple(value)
    if name in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name}: {value!r} is not a number")
        try:
            return float(value)
        except OverflowError:
            raise ValueError(f"{name}: {value!r} is too large") from None
    if not isinstance(value, str):
        raise ValueError(f"{name}: {value!r} is not a text")
    if name == "kind":
        if value not in tuple(Kind):
            raise ValueError(f"kind: {value!r} is none of {', '.join(Kind)}")
        return Kind(value)
    return value


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error


def _is_image(db: Database, image_id: str) -> bool:
    sql = "SELECT EXISTS (SELECT 1 FROM images WHERE image_id = ?)"
    return bool(db.one(sql, (image_id,))[0])


def _n_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)
