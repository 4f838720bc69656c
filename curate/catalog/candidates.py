"""Candidates in the queue, and what becomes of them.

The table is the queue: what is pending and due is read in pages, outcomes are written in
groups, and nothing else remembers, so a killed run goes on where its last commit stood.
Which candidate of equal bytes counts as "stored" and which as "duplicate" is decided by
their order in the catalog, not by which arrived first: the result of a run does not depend
on its timing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

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
    limited: int = 0
    """How many of those tries a 429 answered, which says nothing about the candidate."""


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


@dataclass(frozen=True, slots=True)
class Choice:
    """Which pending candidates are meant. Its texts are fixed; what varies is in `values`."""

    tables: str
    """What stands between FROM and the next AND."""
    id_column: str = "candidates.id"
    """The column to page by, which has an index with the condition."""
    values: tuple[int, ...] = ()
    """Values for the question marks in `tables`."""


# Left to itself, SQLite may read all rows in order, those that are done too.
EVERY = Choice("candidates INDEXED BY candidates_state WHERE state = 'pending'")
"""All of them."""

UNMETERED = Choice(
    "candidates INDEXED BY candidates_state WHERE state = 'pending' "
    "AND NOT EXISTS (SELECT 1 FROM hints JOIN classes ON classes.id = class_id "
    "LEFT JOIN minimums USING (class_id) WHERE candidate_id = candidates.id "
    "AND (quota NOT NULL OR minimum NOT NULL) AND name != '')"
)
"""Those without a class hint that has a quota or a minimum."""

CHOSEN = Choice("temp.chosen CROSS JOIN candidates USING (id) WHERE state = 'pending'", "chosen.id")
"""Those that `choose` or `choose_source` named."""


def of_class(class_id: int) -> Choice:
    """Return the choice of candidates with this class hint."""
    return Choice(
        "hints CROSS JOIN candidates ON candidates.id = candidate_id "
        "WHERE class_id = ? AND state = 'pending'",
        "candidate_id",
        (class_id,),
    )


def in_turns(class_id: int) -> Choice:
    """Return the choice of candidates of this class that have a place in its turns."""
    return Choice(
        "turns CROSS JOIN candidates ON candidates.id = turns.candidate_id "
        "WHERE turns.class_id = ? AND state = 'pending'",
        "place",
        (class_id,),
    )


def has_turns(db: Database) -> set[int]:
    """Return the classes whose candidates are taken in turns."""
    return {each for (each,) in db.all("SELECT DISTINCT class_id FROM turns")}


def choose(db: Database, ids: Iterable[int]) -> None:
    """Name the candidates that `CHOSEN` means from now on, on this connection."""
    _clear_chosen(db)
    with db.transaction():
        db.many("INSERT OR IGNORE INTO temp.chosen VALUES (?)", ((each,) for each in ids))


def choose_source(db: Database, source: str) -> None:
    """Let `CHOSEN` mean the pending candidates of a source."""
    _clear_chosen(db)
    with db.transaction():
        db.execute(
            "INSERT INTO temp.chosen SELECT id FROM candidates "
            "WHERE state = 'pending' AND source = ?",
            (source,),
        )


def _clear_chosen(db: Database) -> None:
    with db.transaction():
        db.execute("CREATE TEMP TABLE IF NOT EXISTS chosen (id INTEGER PRIMARY KEY)")
        db.execute("DELETE FROM temp.chosen")


def pending(
    db: Database, now: float, choice: Choice, page_rows: int | None = None
) -> Iterator[Pending]:
    """Yield what is pending and due, in order; each page is read when it is reached.

    Rows that become pending behind the place reached are left to the next call.

    Args:
        db: the catalog.
        now: Unix seconds.
        choice: which candidates.
        page_rows: rows held at a time; `PAGE_ROWS` by default.
    """
    after = -1
    limit = PAGE_ROWS if page_rows is None else page_rows
    key = choice.id_column
    sql = (
        f"SELECT {key}, candidates.id, source, url, tries, limited FROM {choice.tables} "  # noqa: S608 - fixed texts
        f"AND {key} > ? AND due_at <= ? GROUP BY {key} ORDER BY {key} LIMIT ?"
    )
    while rows := db.all(sql, (*choice.values, after, now, limit)):
        after = rows[-1][0]
        for row in rows:
            yield Pending(*row[1:])


def is_due(db: Database, candidate_id: int, now: float) -> bool:
    """Return whether a candidate is still pending and due."""
    row = db.execute(
        "SELECT state, due_at FROM candidates WHERE id = ?", (candidate_id,)
    ).fetchone()
    return row is not None and row[0] == State.PENDING and row[1] <= now


def is_pending(db: Database, candidate_id: int) -> bool:
    """Return whether a candidate may be tried, now or later."""
    row = db.execute("SELECT state FROM candidates WHERE id = ?", (candidate_id,)).fetchone()
    return row is not None and row[0] == State.PENDING


def class_ids(db: Database, candidate_id: int) -> list[int]:
    """Return the classes that a candidate hints at."""
    sql = "SELECT DISTINCT class_id FROM hints WHERE candidate_id = ?"
    return [each for (each,) in db.all(sql, (candidate_id,))]


def last_reason(db: Database, candidate_id: int) -> Reason | None:
    """Return why the last try of a candidate failed; None if none did."""
    (reason,) = db.one("SELECT reason FROM candidates WHERE id = ?", (candidate_id,))
    return None if reason is None else Reason(reason)


def count_pending(db: Database, choice: Choice) -> int:
    """Count the pending candidates of a choice."""
    sql = f"SELECT COUNT(DISTINCT {choice.id_column}) FROM {choice.tables}"  # noqa: S608 - fixed texts
    return int(db.one(sql, choice.values)[0])


def next_due(db: Database, after: float, choice: Choice) -> float | None:
    """Return when the next of them is due, later than `after` (at least 0); None if none is."""
    (due_at,) = db.one(
        "SELECT MIN(due_at) FROM candidates INDEXED BY candidates_due "
        "WHERE state = 'pending' AND due_at > 0 AND due_at > ?",
        (after,),
    )
    if due_at is None or choice is EVERY:
        return None if due_at is None else float(due_at)
    sql = f"SELECT MIN(due_at) FROM {choice.tables} AND due_at > ?"  # noqa: S608 - fixed texts
    (due_at,) = db.one(sql, (*choice.values, after))
    return None if due_at is None else float(due_at)


def record(db: Database, outcomes: Sequence[Outcome], now: float) -> set[str]:
    """Write what became of a group of candidates, all or nothing.

    Bytes that are known to be a host's stand-in are a failure.

    Args:
        db: the catalog.
        outcomes: at most one for each candidate.
        now: Unix seconds, kept as the time of fetching.

    Returns:
        The images that have come again.
    """
    again = set()
    with db.transaction():
        for each in outcomes:
            if each.verified is None:
                _record_failure(db, each)
            elif _record_image(db, each, each.verified, now):
                again.add(each.verified.image_id)
    return again


def _record_failure(db: Database, each: Outcome) -> None:
    state = State.FAILED if each.due_at is None else State.PENDING
    db.execute(
        "UPDATE candidates SET state = ?, reason = ?, detail = ?, http_status = ?, "
        "tries = tries + 1, limited = limited + ?, due_at = ? WHERE id = ?",
        (
            state,
            each.reason,
            each.detail,
            each.http_status,
            each.reason is Reason.RATE_LIMITED,
            each.due_at or 0.0,
            each.candidate_id,
        ),
    )


def _record_image(db: Database, each: Outcome, image: Verified, now: float) -> bool:
    """Record an image; return whether another candidate had brought it already."""
    known = db.execute(
        "SELECT first_id, excluded FROM images WHERE image_id = ?", (image.image_id,)
    ).fetchone()
    if known is not None and known[1] == Reason.PLACEHOLDER:
        detail = "the same bytes as a host's stand-in"
        _record_failure(db, replace(each, reason=Reason.PLACEHOLDER, detail=detail))
        db.execute(
            "UPDATE candidates SET image_id = ? WHERE id = ?", (image.image_id, each.candidate_id)
        )
        return False
    state = State.STORED
    if known is None:
        _insert_image(db, each.candidate_id, image, now)
    elif known[0] < each.candidate_id:
        state = State.DUPLICATE
    elif known[0] > each.candidate_id:
        db.execute("UPDATE candidates SET state = ? WHERE id = ?", (State.DUPLICATE, known[0]))
        db.execute(
            "UPDATE images SET first_id = ? WHERE image_id = ?",
            (each.candidate_id, image.image_id),
        )
    db.execute(
        "UPDATE candidates SET state = ?, reason = NULL, detail = NULL, http_status = ?, "
        "tries = tries + 1, due_at = 0, image_id = ? WHERE id = ?",
        (state, each.http_status, image.image_id, each.candidate_id),
    )
    return known is not None


def _insert_image(db: Database, candidate_id: int, image: Verified, now: float) -> None:
    db.execute(
        "INSERT INTO images (image_id, first_id, format, n_bytes, width_px, height_px, "
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
            "UPDATE candidates SET state = 'pending', tries = 0, limited = 0, due_at = 0, "  # noqa: S608 - marks
            f"image_id = NULL WHERE state = 'failed' AND reason IN ({marks})",
            chosen,
        )
        return cursor.rowcount


def signed64(value: int) -> int:
    """Return unsigned 64 bits as the signed integer that SQLite can hold."""
    return value - (1 << 64) if value >= 1 << 63 else value


def unsigned64(value: int) -> int:
    """Return the unsigned 64 bits behind a signed integer."""
    return value & ((1 << 64) - 1)
