"""Stand-in pictures of hosts: set aside, remembered, and brought back.

Setting one aside excludes the image, and lets its candidates be failures that still know
their bytes. So the same bytes are known when they come again, and everything can be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from curate.catalog.database import Database
from curate.records import Reason, State

REASON = str(Reason.PLACEHOLDER)
SIGHTINGS = 1000
"""Candidates of one image that are looked at, at most."""

Row: TypeAlias = tuple[str, str, str | None]
"""URL, what it illustrates, and author."""
Judge: TypeAlias = Callable[[Sequence[Row]], str | None]
"""Returns the host whose stand-in an image is; None if it is none's."""


def repeated(db: Database, least: int) -> list[str]:
    """Return the images that at least so many candidates have, and that are not excluded."""
    rows = db.all(
        "SELECT image_id FROM candidates INDEXED BY candidates_state WHERE state = ? "
        "GROUP BY image_id HAVING COUNT(*) + 1 >= ?",
        (State.DUPLICATE, least),
    )
    return [image_id for (image_id,) in rows]


def look(db: Database, image_ids: Iterable[str], judge: Judge) -> dict[str, str]:
    """Set aside those of some images that are stand-ins; return image id to host.

    Args:
        db: the catalog.
        image_ids: images that have been seen several times.
        judge: tells what is one.
    """
    found = {}
    for image_id in image_ids:
        kept = db.execute(
            "SELECT 1 FROM images WHERE image_id = ? AND excluded IS NULL "
            "AND image_id NOT IN (SELECT image_id FROM included)",
            (image_id,),
        ).fetchone()
        host = judge(_sightings(db, image_id)) if kept else None
        if host is not None:
            set_aside(db, image_id, host)
            found[image_id] = host
    return found


def _sightings(db: Database, image_id: str) -> list[Row]:
    return db.all(
        "SELECT url, COALESCE(group_hint, page_url, source_id), author FROM candidates "
        "WHERE image_id = ? ORDER BY id LIMIT ?",
        (image_id, SIGHTINGS),
    )


def set_aside(db: Database, image_id: str, host: str) -> None:
    """Exclude an image, and let its candidates be failures."""
    with db.transaction():
        db.execute(
            "UPDATE images SET excluded = ?, excluded_for = NULL WHERE image_id = ?",
            (REASON, image_id),
        )
        db.execute(
            "UPDATE candidates SET state = ?, reason = ?, detail = ?, due_at = 0 "
            "WHERE image_id = ? AND state IN (?, ?)",
            (
                State.FAILED,
                REASON,
                f"{host} has the same picture under many URLs",
                image_id,
                State.STORED,
                State.DUPLICATE,
            ),
        )


def bring_back(db: Database, image_id: str) -> int:
    """Let an image that was set aside be one of its candidates' again; return how many.

    Call when it is not excluded any more.
    """
    with db.transaction():
        cursor = db.execute(
            "UPDATE candidates SET state = ?, reason = NULL, detail = NULL "
            "WHERE image_id = ? AND state = ? AND reason = ?",
            (State.DUPLICATE, image_id, State.FAILED, REASON),
        )
        if cursor.rowcount:
            (first,) = db.one("SELECT MIN(id) FROM candidates WHERE image_id = ?", (image_id,))
            db.execute("UPDATE images SET first_id = ? WHERE image_id = ?", (first, image_id))
            db.execute("UPDATE candidates SET state = ? WHERE id = ?", (State.STORED, first))
    return cursor.rowcount
