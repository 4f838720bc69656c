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
    source: str
    """Name of its source."""
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


def pending(
    db: Database, now: float, class_id: int | None = None, *, unmetered: bool = False
) -> Iterator[Pending]:
    """Yield what is pending and due, in order; each page is read when it is reached.

    Rows that become pending behind the place reached are left to the next call.

    Args:
        db: the catalog.
        now: Unix seconds.
        class_id: only candidates with this class hint.
        unmetered: only candidates without a class hint that has a quota.
    """
    after = 0
    tables, id_column, values = _choice(class_id, unmetered=unmetered)
    sql = (
        f"SELECT {id_column}, source, url, tries FROM {tables} "  # noqa: S608 - fixed texts of `_choice`
        f"AND {id_column} > ? AND due_at <= ? GROUP BY {id_column} ORDER BY {id_column} LIMIT ?"
    )
    while rows := db.all(sql, (*values, after, now, PAGE_ROWS)):
        after = rows[-1][0]
        for row in rows:
            yield Pending(*row)


def is_due(db: Database, candidate_id: int, now: float) -> bool:
    """Return whether a candidate is still pending and due."""
    row = db.execute(
        "SELECT state, due_at FROM candidates WHERE id = ?", (candidate_id,)
    ).fetchone()
    return row is not None and row[0] == State.PENDING and row[1] <= now


def count_pending(db: Database, *, unmetered: bool = False) -> int:
    """Count pending candidates; only those without a class hint that has a quota, if asked."""
    tables, _, values = _choice(None, unmetered=unmetered)
    return int(db.one(f"SELECT COUNT(*) FROM {tables}", values)[0])  # noqa: S608 - fixed texts


def next_due(
    db: Database, after: float, class_id: int | None = None, *, unmetered: bool = False
) -> float | None:
    """Return when the next of those candidates is due, later than `after`; None if none is."""
    tables, _, values = _choice(class_id, unmetered=unmetered)
    sql = f"SELECT MIN(due_at) FROM {tables} AND due_at > ?"  # noqa: S608 - fixed texts
    (due_at,) = db.one(sql, (*values, after))
    return None if due_at is None else float(due_at)


def _choice(class_id: int | None, *, unmetered: bool) -> tuple[str, str, tuple[int, ...]]:
    """Return tables with a condition, the column to page by, and the condition's values."""
    if class_id is not None:
        return (
            "hints JOIN candidates ON candidates.id = candidate_id "
            "WHERE class_id = ? AND state = 'pending'",
            "candidate_id",
            (class_id,),
        )
    if unmetered:
        return (
            "candidates WHERE state = 'pending' AND NOT EXISTS (SELECT 1 FROM hints "
            "JOIN classes ON classes.id = class_id WHERE candidate_id = candidates.id "
            "AND quota NOT NULL AND name != '')",
            "candidates.id",
            (),
        )
    return "candidates WHERE state = 'pending'", "candidates.id", ()


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
        "INSERT INTO images (image_id, candidate_id, format, n_bytes, width_px, height_px, "
        "orientation, phash, phash256, brightness, contrast, sharpness, entropy, note, fetched_at) "
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
            "UPDATE candidates SET state = 'pending', tries = 0, due_at = 0 "  # noqa: S608 - marks
            f"WHERE state = 'failed' AND reason IN ({marks})",
            chosen,
        )
        return cursor.rowcount


def signed64(value: int) -> int:
    """Return unsigned 64 bits as the signed integer that SQLite can hold."""
    return value - (1 << 64) if value >= 1 << 63 else value


def unsigned64(value: int) -> int:
    """Return the unsigned 64 bits behind a signed integer."""
    return value & ((1 << 64) - 1)
