"""What the catalog adds up to: the numbers of `curate status`."""

from __future__ import annotations

from dataclasses import dataclass

from curate.catalog.database import Database


@dataclass(frozen=True, slots=True)
class ClassCount:
    """One class and what there is of it."""

    id: int
    """Row number."""
    name: str
    """The class; empty for "none of the classes"."""
    quota: int | None
    """Images asked for; None: all."""
    images: int
    """Valid, distinct, kept images with this class hint."""
    pending: int
    """Candidates in reserve."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Where all candidates and images stand."""

    total: int
    """Candidates."""
    stored: int
    """Candidates whose bytes are the first of their image."""
    duplicate: int
    """Candidates whose bytes equal an earlier one's."""
    pending: int
    """Candidates to be tried, or tried again."""
    retrying: int
    """Those of `pending` that have failed before."""
    failed: dict[str, int]
    """Candidates given up, by reason."""
    kept: int
    """Images that are not excluded."""
    excluded: dict[str, int]
    """Images left out of datasets, by reason."""
    n_bytes: int
    """Bytes of all images."""


def counts(db: Database) -> Counts:
    """Count candidates by state and images by exclusion."""
    by_state: dict[str, int] = {}
    failed: dict[str, int] = {}
    for state, reason, n in db.all(
        "SELECT state, reason, COUNT(*) FROM candidates GROUP BY state, reason"
    ):
        by_state[state] = by_state.get(state, 0) + n
        if state == "failed":
            failed[reason] = n
    retrying = db.one("SELECT COUNT(*) FROM candidates WHERE state = 'pending' AND reason NOT NULL")
    excluded = dict(db.all("SELECT COALESCE(excluded, ''), COUNT(*) FROM images GROUP BY 1"))
    (n_bytes,) = db.one("SELECT COALESCE(SUM(n_bytes), 0) FROM images")
    return Counts(
        total=sum(by_state.values()),
        stored=by_state.get("stored", 0),
        duplicate=by_state.get("duplicate", 0),
        pending=by_state.get("pending", 0),
        retrying=retrying[0],
        failed=dict(sorted(failed.items())),
        kept=excluded.pop("", 0),
        excluded=excluded,
        n_bytes=n_bytes,
    )


def class_counts(db: Database) -> list[ClassCount]:
    """Count images and reserve by class hint, ordered by name."""
    images = dict(
        db.all(
            "SELECT class_id, COUNT(DISTINCT candidates.image_id) FROM candidates "
            "JOIN hints ON candidate_id = candidates.id "
            "JOIN images ON images.image_id = candidates.image_id "
            "WHERE candidates.image_id IS NOT NULL AND excluded IS NULL GROUP BY class_id"
        )
    )
    reserve = dict(
        db.all(
            "SELECT class_id, COUNT(DISTINCT candidate_id) FROM candidates "
            "JOIN hints ON candidate_id = candidates.id WHERE state = 'pending' GROUP BY class_id"
        )
    )
    return [
        ClassCount(number, name, quota, images.get(number, 0), reserve.get(number, 0))
        for number, name, quota in db.all("SELECT id, name, quota FROM classes ORDER BY name")
    ]


def class_count(db: Database, name: str) -> ClassCount | None:
    """Count images and reserve of one class; None if there is no such class."""
    row = db.execute("SELECT id, quota FROM classes WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    images, pending = db.one(
        "SELECT COUNT(DISTINCT images.image_id), COUNT(DISTINCT IIF(state = 'pending', id, NULL)) "
        "FROM hints JOIN candidates ON id = candidate_id "
        "LEFT JOIN images ON images.image_id = candidates.image_id AND excluded IS NULL "
        "WHERE class_id = ?",
        (row[0],),
    )
    return ClassCount(row[0], name, row[1], images, pending)


def image_classes(db: Database, image_id: str) -> set[int]:
    """Return the classes that the candidates of an image hint at."""
    rows = db.all(
        "SELECT DISTINCT class_id FROM candidates JOIN hints ON candidate_id = candidates.id "
        "WHERE image_id = ?",
        (image_id,),
    )
    return {class_id for (class_id,) in rows}
