"""Writes the ledger: the one door through which annotations come in.

A connection of its own, whose commits reach the disk (`synchronous=FULL`) before anyone is
told "saved": slower than the catalog's other commits, by the time of one disk flush, and
worth it. Each row is checked here, so that whoever reads the ledger need not.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from curate.catalog import annotations as rows
from curate.catalog.database import MEMORY, Database
from curate.errors import CatalogError, UsageError
from curate.records import Annotation, Kind

_IMAGE_ID = re.compile("[0-9a-f]{64}")
_UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters and halves of characters."""
LONGEST_NAME = 500
"""Characters of a class, an annotator or a key."""
_DECISIONS = (Kind.LABEL, Kind.REJECT, Kind.UNSURE)


class _TakenBack(Exception):  # noqa: N818 - not an error: it ends a transaction
    """What was tried is not kept."""


class Ledger:
    """An open ledger; a context manager. Any thread may use it, one at a time gets in.

    Args:
        path: the catalog.
        backup: called after each session and whenever `backup_every` rows have come in.
        backup_every: rows between two backups.

    Raises:
        CatalogError: there is no project, so no place to keep anything.
    """

    def __init__(
        self, path: Path, backup: Callable[[], object] | None = None, backup_every: int = 0
    ) -> None:
        if path == MEMORY:
            raise CatalogError("there is no project here yet", "fetch or import images first")
        self._db = Database(path, any_thread=True)
        self._db.execute("PRAGMA synchronous = FULL")
        self._lock = threading.Lock()
        self._backup = backup
        self._backup_every = backup_every
        self._unsaved = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the session: write a backup if one is wanted, and close."""
        if self._unsaved and self._backup is not None:
            self._unsaved = 0
            self._backup()
        self._db.close()

    def add(self, annotations: Sequence[Annotation]) -> list[bool]:
        """Add rows, all of them or none; they are on the disk when this returns.

        Args:
            annotations: in the order in which they were decided.

        Returns:
            For each, True; False where its key was known already, and nothing was added.

        Raises:
            UsageError: one of them says nothing that can be kept; no row was added.
            CatalogError, StoreError: the catalog cannot be written.
        """
        with self._lock:
            with self._db.transaction():
                added = [self._add(each) for each in annotations]
            self._count(sum(added))
        return added

    def take(self, annotations: Iterable[Annotation], *, dry_run: bool = False) -> list[bool]:
        """Add rows of another ledger, as `add` does; a known key must say the same again.

        Args:
            annotations: in their order of arrival.
            dry_run: find out what would be added, then take all back.

        Raises:
            UsageError: also where a key is known with another content; no row was added.
        """
        added: list[bool] = []
        with self._lock:
            try:
                with self._db.transaction():
                    added.extend(self._add(each, is_same=True) for each in annotations)
                    if dry_run:
                        raise _TakenBack
            except _TakenBack:
                return added
            self._count(sum(added))
        return added

    def _count(self, n: int) -> None:
        self._unsaved += n
        if self._backup is not None and 0 < self._backup_every <= self._unsaved:
            self._unsaved = 0
            self._backup()

    def _add(self, each: Annotation, *, is_same: bool = False) -> bool:
        known = rows.by_key(self._db, each.key)
        if known is not None and not is_same:
            return False
        row = checked(each)
        if row.kind is Kind.UNDO:
            row = self._aimed(row)
        if known is not None:
            if known != row:
                raise UsageError(f"key {each.key!r} is known, and says something else")
            return False
        rows.insert(self._db, row)
        if row.image_id is not None:
            rows.decide(self._db, row.image_id, row.annotator)
        return True

    def _aimed(self, row: Annotation) -> Annotation:
        """Return an undo with the image of what it takes back."""
        target = rows.by_key(self._db, str(row.undoes))
        if target is None:
            raise UsageError(f"there is no annotation {row.undoes!r} to undo")
        if target.image_id is None:
            return replace(row, image_id=None)
        if target.annotator != row.annotator:
            raise UsageError(f"{row.undoes!r} was decided by somebody else")
        return replace(row, image_id=target.image_id)


def checked(each: Annotation) -> Annotation:
    """Return a row as the ledger keeps it: classes sorted, each once.

    Raises:
        UsageError: it says nothing that can be kept; the message says why.
    """
    _check_text("key", each.key)
    _check_text("annotator", each.annotator)
    for what in ("undoes", "shown_by", "tool", "queue", "mode"):
        if text := getattr(each, what):
            _check_text(what, text)
    _check_number("decided_at", each.decided_at)
    if each.seconds is not None:
        _check_number("seconds", each.seconds)
    if each.shown_score is not None:
        _check_number("shown_score", each.shown_score)
    if each.kind in _DECISIONS and not _IMAGE_ID.fullmatch(each.image_id or ""):
        raise UsageError(f"{each.image_id!r} is not an image id (64 hexadecimal digits)")
    if (each.undoes is not None) != (each.kind is Kind.UNDO):
        raise UsageError("undoes: an undo names what it takes back, nothing else does")
    if each.kind is Kind.RENAME:
        return _checked_rename(each)
    if (each.classes is not None) != (each.kind is Kind.LABEL):
        raise UsageError("classes: a label has a list of classes, nothing else does")
    for name in (*(each.classes or ()), *(each.shown or ())):
        check_class(name)
    classes = None if each.classes is None else tuple(sorted(set(each.classes)))
    shown = None if each.shown is None else tuple(sorted(set(each.shown)))
    return replace(each, classes=classes, shown=shown)


def check_class(name: str) -> None:
    """Raise a UsageError unless this can be the name of a class."""
    _check_text("class", name)


def check_name(name: str) -> None:
    """Raise a UsageError unless this can be the name of a person."""
    _check_text("annotator", name)


def _checked_rename(each: Annotation) -> Annotation:
    if each.classes is None or len(each.classes) != 2 or each.classes[0] == each.classes[1]:
        raise UsageError("classes: a rename has the old and the new name, which differ")
    if each.image_id is not None:
        raise UsageError("image_id: a rename is about no single image")
    for name in each.classes:
        check_class(name)
    return each


def _check_text(what: str, text: str) -> None:
    if not text.strip() or text != text.strip():
        raise UsageError(f"{what}: {text!r} is empty or begins or ends with a blank")
    if len(text) > LONGEST_NAME:
        raise UsageError(f"{what}: more than {LONGEST_NAME} characters")
    if _UNFIT.search(text):
        raise UsageError(f"{what}: {text!r} holds a control character, or half of one")


def _check_number(what: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise UsageError(f"{what}: {value!r} is not a number of at least 0")
