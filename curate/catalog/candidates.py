"""Candidates in the queue, and what becomes of them.

The table is the queue: what is pending and due is read in pages, outcomes are written in
groups, and nothing else remembers, so a killed run goes on where its last commit stood.
Which candidate of equal bytes counts as "stored" and which as "duplicate" is decided by
their order in the catalog, not by which arrived first: the result of a run does not depend
on its timing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from curate.catalog.database import Database
from curate.records import Reason, State, Verified

PAGE_ROWS = 2000


@dataclass(frozen=True, slots=True)
class Pending:
    """A candidate that may be fetched now."""

    id: int
    """Row number."""
    url: str
    """Where it is."""
    tries: int
    """How often it was tried."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one try."""

    candidate_id: int
    """The candidate."""
    verified: Verified | None = None
    """The image, if it became one."""
    reason: Reason | None = None
    """Why not, otherwise."""
    detail: str = ""
    """One line for a person."""
    http_status: int = 0
    """Last HTTP status; 0 if none."""
    due_at: float | None = None
    """When to try again (Unix seconds); None: never."""


def pending(db: Database, now: float, class_id: int | None = None) -> Iterator[Pending]:
    """Yield what is pending and due, in order; each page is read when it is reached.

    Rows that become pending behind the place reached are left to the next call.

    Args:
        db: the catalog.
        now: Unix seconds.
        class_id: only candidates with this class hint.
    """
    after = 0
    while rows := _page(db, now, class_id, after):
        after = rows[-1][0]
        for row in rows:
            yield Pending(*row)


def _page(db: Database, now: float, class_id: int | None, after: int) -> list[tuple[int, str, int]]:
    if class_id is None:
        return db.all(
            "SELECT id, url, tries FROM candidates "
            "WHERE state = 'pending' AND id > ? AND due_at <= ? ORDER BY id LIMIT ?",
            (after, now, PAGE_ROWS),
        )
    return db.all(
        "SELECT DISTINCT id, url, tries FROM hints JOIN candidates ON id = candidate_id "
        "WHERE class_id = ? AND candidate_id > ? AND state = 'pending' AND due_at <= ? "
        "ORDER BY candidate_id LIMIT ?",
        (class_id, after, now, PAGE_ROWS),
    )


def next_due(db: Database) -> float | None:
    """Return when the earliest pending candidate is due; None if nothing is pending."""
    (due_at,) = db.one("SELECT MIN(due_at) FROM candidates WHERE state = 'pending'")
    return None if due_at is None else float(due_at)


def record(db: Database, outcomes: Sequence[Outcome], now: float) -> None:
    """Write what became of a group of candidates, all or nothing.

    Args:
        db: the catalog.
        outcomes: at most one for each candidate.
        now: Unix seconds, kept as the time of fetching.
    """
    with db.transaction():
        for each in outcomes:
            if each.verified is None:
                _record_failure(db, each)
            else:
                _record_image(db, each, each.verified, now)


def _record_failure(db: Database, each: Outcome) -> None:
    state = State.FAILED if each.due_at is None else State.PENDING
    db.execute(
        "UPDATE candidates SET state = ?, reason = ?, detail = ?, http_status = ?, "
        "tries = tries + 1, due_at = ? WHERE id = ?",
        (state, each.reason, each.detail, each.http_status, each.due_at or 0.0, each.candidate_id),
    )


def _record_image(db: Database, each: Outcome, image: Verified, now: float) -> None:
    known = db.execute(
        "SELECT candidate_id FROM images WHERE image_id = ?", (image.image_id,)
    ).fetchone()
    state = State.STORED
    if known is None:
        _insert_image(db, each.candidate_id, image, now)
    elif known[0] < each.candidate_id:
        state = State.DUPLICATE
    elif known[0] > each.candidate_id:
        db.execute("UPDATE candidates SET state = ? WHERE id = ?", (State.DUPLICATE, known[0]))
        db.execute(
            "UPDATE images SET candidate_id = ? WHERE image_id = ?",
            (each.candidate_id, image.image_id),
        )
    db.execute(
        "UPDATE candidates SET state = ?, reason = NULL, detail = NULL, http_status = ?, "
        "tries = tries + 1, due_at = 0, image_id = ? WHERE id = ?",
        (state, each.http_status, image.image_id, each.candidate_id),
    )


def _insert_image(db: Database, candidate_id: int, image: Verified, now: float) -> None:
    db.execute(
        "INSERT INTO images (image_id, candidate_id, format, n_bytes, width_px, height_px, orientation, "
        "phash, phash256, brightness, contrast, sharpness, entropy, note, fetched_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            image.image_id,
            candidate_id,
            image.format,
            image.n_bytes,
            image.width_px,
            image.height_px,
            image.orientation,
            signed64(image.phash),
            image.phash256,
            image.brightness,
            image.contrast,
            image.sharpness,
            image.entropy,
            image.note or None,
            now,
        ),
    )


def requeue(db: Database, reasons: Iterable[Reason]) -> int:
    """Put candidates that failed for these reasons back into the queue; return how many."""
    chosen = sorted(reasons)
    marks = ", ".join("?" * len(chosen))
    with db.transaction():
        cursor = db.execute(
            "UPDATE candidates SET state = 'pending', tries = 0, due_at = 0 "
            f"WHERE state = 'failed' AND reason IN ({marks})",  # noqa: S608 - only question marks
            chosen,
        )
        return cursor.rowcount


def signed64(value: int) -> int:
    """Return unsigned 64 bits as the signed integer that SQLite can hold."""
    return value - (1 << 64) if value >= 1 << 63 else value


def unsigned64(value: int) -> int:
    """Return the unsigned 64 bits behind a signed integer."""
    return value & ((1 << 64) - 1)
