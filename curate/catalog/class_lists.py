"""The project's class lists: each change is a new version, earlier ones stay readable."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from curate.catalog.database import Database
from curate.catalog.text import clean


@dataclass(frozen=True, slots=True)
class ClassList:
    """The classes of a project."""

    version: int
    """Counts the lists set with `curate classes set`; 0: none was, the names are from
    curate.toml or from the hints."""
    names: tuple[str, ...]
    """In the order in which they are shown."""
    exclusive: bool
    """An image has one class at most."""
    is_set: bool = False
    """Somebody chose these names: others do not count. False: they are what the hints say, and
    after them what people have called images besides."""
    after_id: int = 0
    """The newest annotation when the list was set: later renames apply to its names."""


def newest(db: Database) -> ClassList | None:
    """Return the list in force; None if none was set."""
    row = db.execute(
        "SELECT version, names, exclusive, after_id FROM class_lists ORDER BY version DESC LIMIT 1"
    ).fetchone()
    return None if row is None else _class_list(row)


def versions(db: Database) -> list[ClassList]:
    """Return all lists that were set, oldest first."""
    sql = "SELECT version, names, exclusive, after_id FROM class_lists ORDER BY version"
    return [_class_list(row) for row in db.all(sql)]


def next_version(db: Database) -> int:
    """Return the number of the list that would be set next."""
    (version,) = db.one("SELECT COALESCE(MAX(version), 0) + 1 FROM class_lists")
    return int(version)


def add(db: Database, names: Sequence[str], *, exclusive: bool, now: float) -> ClassList:
    """Set a new list.

    Args:
        db: the catalog.
        names: in the order in which they are shown, each once.
        exclusive: an image has one class at most.
        now: Unix seconds.
    """
    cleaned = tuple(clean(name) for name in names)
    with db.transaction():
        version = next_version(db)
        db.execute(
            "INSERT INTO class_lists (version, names, exclusive, after_id, made_at) "
            "VALUES (?, ?, ?, (SELECT COALESCE(MAX(id), 0) FROM annotations), ?)",
            (version, json.dumps(cleaned, ensure_ascii=False), exclusive, now),
        )
    return versions(db)[-1]


def hinted(db: Database) -> list[str]:
    """Return the classes that candidates are hinted to have, sorted."""
    rows = db.all(
        "SELECT name FROM classes WHERE name != '' AND EXISTS "
        "(SELECT 1 FROM hints WHERE class_id = classes.id) ORDER BY name"
    )
    return [name for (name,) in rows]


def _class_list(row: tuple[int, str, int, int]) -> ClassList:
    version, names, exclusive, after_id = row
    return ClassList(version, tuple(json.loads(names)), bool(exclusive), True, after_id)
