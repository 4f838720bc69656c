"""Ledgers to test with: images without pictures, decisions, and a simple model of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curate.carriers.people import People
from curate.catalog.candidates import record
from curate.catalog.database import Database
from curate.project import Project
from curate.records import Annotation, Kind
from tests.catalog.rows import candidate, filled, image_id, stored


def project(folder: Path, n: int, *classes: str, **settings: Any) -> Project:
    """A project of `n` images without pictures; number k has the id `image_id(k)`."""
    folder.mkdir(parents=True, exist_ok=True)
    db = filled(*(candidate(k, *classes) for k in range(n)), path=folder / "catalog.db")
    record(db, [stored(k + 1, k) for k in range(n)], 1.0)
    db.close()
    return Project(folder, flags={key.replace("__", "."): each for key, each in settings.items()})


def label(
    number: int, *classes: str, by: str = "ada", key: str | None = None, **changes: Any
) -> Annotation:
    name = key or f"{by}-{number}-{'-'.join(classes)}"
    return Annotation(name, Kind.LABEL, by, 10.0, image_id(number), tuple(classes), **changes)


def said(number: int, kind: Kind, *, by: str = "ada", key: str | None = None) -> Annotation:
    return Annotation(key or f"{by}-{number}-{kind}", kind, by, 10.0, image_id(number))


def undo(key: str, *, by: str = "ada", own: str | None = None) -> Annotation:
    return Annotation(own or f"undo-{key}", Kind.UNDO, by, 11.0, undoes=key)


def rename(old: str, new: str, *, key: str | None = None, by: str = "ada") -> Annotation:
    return Annotation(key or f"{old}-to-{new}", Kind.RENAME, by, 12.0, classes=(old, new))


def add(people: People, *annotations: Annotation) -> list[bool]:
    with people.ledger() as ledger:
        return ledger.add(annotations)


def classes_of(people: People, numbers: Sequence[int]) -> dict[int, dict[str, tuple[str, ...]]]:
    """What people say now: number to annotator to classes; other kinds of answer by name."""
    current = people.current([image_id(k) for k in numbers])
    return {
        k: {
            each.annotator: (each.kind,) if each.classes is None else each.classes
            for each in current.get(image_id(k), [])
        }
        for k in numbers
    }


def decisions_table(db: Database) -> list[tuple[Any, ...]]:
    return db.all("SELECT * FROM decisions ORDER BY image_id, annotator")
