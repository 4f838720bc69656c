"""What the catalog adds up to: the numbers of `curate status`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

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
    minimum: int | None = None
    """With fewer candidates than this, nothing of it is fetched; None: no minimum."""


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
    kept_bytes: int
    """Bytes of those that are not excluded."""
    annotations: int
    """Rows of the ledger, undos and renames included."""
    annotated: int
    """Images that somebody has decided about."""
    annotators: int
    """People who have decided something."""
    proposals: int
    """Images times models that propose something for them."""
    models: int
    """Models that propose something."""


_ALL = "SELECT class_id, COUNT(DISTINCT candidate_id) FROM hints GROUP BY class_id"

_DONE = """
SELECT class_id, state, COUNT(*) FROM (
    SELECT class_id, candidates.id, state FROM candidates INDEXED BY candidates_state
    CROSS JOIN hints ON candidate_id = candidates.id
    WHERE state IN ('stored', 'duplicate', 'failed') GROUP BY candidates.id, class_id)
GROUP BY class_id, state
"""
# What is pending is the rest: most of a large catalog is, and needs no look at its rows.

_LEFT_OUT = """
SELECT class_id, COUNT(DISTINCT images.image_id) FROM images INDEXED BY images_excluded
CROSS JOIN candidates ON candidates.id = first_id AND state = 'stored'
CROSS JOIN hints ON candidate_id = first_id WHERE excluded IS NOT NULL GROUP BY class_id
"""

_ADDED = """
SELECT class_id, COUNT(DISTINCT images.image_id) FROM candidates AS later
CROSS JOIN images ON images.image_id = later.image_id
CROSS JOIN hints ON candidate_id = later.id
WHERE later.state = 'duplicate' AND excluded IS NULL AND NOT EXISTS (SELECT 1 FROM hints AS own
    WHERE own.candidate_id = first_id AND own.class_id = hints.class_id)
GROUP BY class_id
"""

_WITH_CLASS = """
SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM hints INDEXED BY hints_candidate
        WHERE class_id != :none GROUP BY candidate_id)),
    (SELECT COUNT(*) FROM candidates INDEXED BY candidates_state
        WHERE state IN ('stored', 'duplicate', 'failed') AND EXISTS (
            SELECT 1 FROM hints WHERE candidate_id = candidates.id AND class_id != :none)),
    (SELECT COUNT(*) FROM images WHERE excluded IS NULL AND EXISTS (
        SELECT 1 FROM candidates JOIN hints ON candidate_id = candidates.id
        WHERE candidates.image_id = images.image_id AND class_id != :none))
"""
# All that have one, without those that are done, and the images that came of these.


def counts(db: Database) -> Counts:
    """Count candidates by state and images by exclusion."""
    by_state: dict[str, int] = dict(db.all("SELECT state, COUNT(*) FROM candidates GROUP BY state"))
    failed: dict[str, int] = {}
    retrying = 0
    for state, reason, n in db.all(
        "SELECT state, reason, COUNT(*) FROM candidates INDEXED BY candidates_reason "
        "WHERE reason IS NOT NULL GROUP BY reason, state"
    ):
        if state == "failed":
            failed[reason] = n
        if state == "pending":
            retrying += n
    n_images, n_bytes, kept_bytes = db.one(
        "SELECT COUNT(*), COALESCE(SUM(n_bytes), 0), "
        "COALESCE(SUM(CASE WHEN excluded IS NULL THEN n_bytes END), 0) FROM images"
    )
    excluded = dict(
        db.all(
            "SELECT excluded, COUNT(*) FROM images INDEXED BY images_excluded "
            "WHERE excluded IS NOT NULL GROUP BY excluded"
        )
    )
    annotations, annotated, annotators = db.one(
        "SELECT (SELECT COUNT(*) FROM annotations), COUNT(DISTINCT image_id), "
        "(SELECT COUNT(DISTINCT annotator) FROM decisions) FROM decisions"
    )
    proposals, models = db.one(
        "SELECT COUNT(*), (SELECT COUNT(*) FROM models WHERE EXISTS "
        "(SELECT 1 FROM proposals WHERE model_id = models.id)) FROM proposals"
    )
    return Counts(
        total=sum(by_state.values()),
        stored=by_state.get("stored", 0),
        duplicate=by_state.get("duplicate", 0),
        pending=by_state.get("pending", 0),
        retrying=retrying,
        failed=dict(sorted(failed.items())),
        kept=n_images - sum(excluded.values()),
        excluded=excluded,
        n_bytes=n_bytes,
        kept_bytes=kept_bytes,
        annotations=annotations,
        annotated=annotated,
        annotators=annotators,
        proposals=proposals,
        models=models,
    )


def class_counts(db: Database) -> list[ClassCount]:
    """Count images and reserve by class hint, ordered by name.

    An image counts for every class that any of its candidates hints at: for those of its
    first candidate, unless it is excluded, and for what its duplicates add.
    """
    all_: dict[int, int] = dict(db.all(_ALL))
    stored: dict[int, int] = {}
    for class_id, state, n in db.all(_DONE):
        all_[class_id] -= n
        if state == "stored":
            stored[class_id] = n
    left_out: dict[int, int] = dict(db.all(_LEFT_OUT))
    added: dict[int, int] = dict(db.all(_ADDED))
    return [
        ClassCount(
            id=number,
            name=name,
            quota=quota,
            images=stored.get(number, 0) - left_out.get(number, 0) + added.get(number, 0),
            pending=all_.get(number, 0),
            minimum=minimum,
        )
        for number, name, quota, minimum in db.all(
            "SELECT id, name, quota, minimum FROM classes "
            "LEFT JOIN minimums ON class_id = id ORDER BY name"
        )
    ]


def with_class(db: Database) -> int:
    """Count kept images and pending candidates that have a class, one of several once."""
    (none,) = db.one("SELECT COALESCE(MAX(id), 0) FROM classes WHERE name = ''")
    n_all, n_done, n_images = db.one(_WITH_CLASS, {"none": none})
    return int(n_all - n_done + n_images)


def merged(
    db: Database, classes: Sequence[ClassCount], now: Callable[[str], str]
) -> list[ClassCount]:
    """Return the counts under the names that classes have now, ordered by name.

    An image of two classes that have become one counts once.

    Args:
        db: the catalog.
        classes: counts by hint.
        now: a class's name now.
    """
    groups: dict[str, list[ClassCount]] = {}
    for each in classes:
        groups.setdefault(now(each.name), []).append(each)
    return [
        replace(group[0], name=name) if len(group) == 1 else _together(db, name, group)
        for name, group in sorted(groups.items())
    ]


def _together(db: Database, name: str, group: Sequence[ClassCount]) -> ClassCount:
    images, pending = db.one(
        "SELECT COUNT(DISTINCT IIF(images.image_id IS NULL OR excluded NOT NULL, NULL, "
        "images.image_id)), COUNT(DISTINCT IIF(state = 'pending', candidates.id, NULL)) "
        "FROM json_each(?) AS wanted CROSS JOIN hints ON class_id = wanted.value "
        "CROSS JOIN candidates ON candidates.id = candidate_id "
        "LEFT JOIN images ON images.image_id = candidates.image_id",
        (json.dumps([each.id for each in group]),),
    )
    quotas = [each.quota for each in group]
    quota = None if None in quotas else sum(each for each in quotas if each is not None)
    return ClassCount(group[0].id, name, quota, images, pending)


def class_count(db: Database, name: str) -> ClassCount | None:
    """Count images and reserve of one class; None if there is no such class.

    Reads the rows of this class alone, so it may be asked after every page of a search.
    """
    row = db.execute("SELECT id, quota FROM classes WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    images, pending = db.one(
        "SELECT COUNT(DISTINCT IIF(image_id IS NULL OR EXISTS (SELECT 1 FROM images "
        "INDEXED BY images_excluded WHERE images.image_id = candidates.image_id "
        "AND excluded IS NOT NULL), NULL, image_id)), "
        "COUNT(DISTINCT IIF(state = 'pending', id, NULL)) "
        "FROM hints CROSS JOIN candidates ON id = candidate_id WHERE class_id = ?",
        (row[0],),
    )
    return ClassCount(row[0], name, row[1], images, pending)


def image_classes(db: Database, image_id: str) -> set[int]:
    """Return the classes that an image counts for; none if it is excluded."""
    rows = db.all(
        "SELECT DISTINCT class_id FROM candidates JOIN hints ON candidate_id = candidates.id "
        "WHERE image_id = ? AND NOT EXISTS "
        "(SELECT 1 FROM images WHERE image_id = ? AND excluded IS NOT NULL)",
        (image_id, image_id),
    )
    return {class_id for (class_id,) in rows}


def near_duplicates_searched(db: Database) -> bool:
    """Tell whether near-duplicates were looked for among all kept images.

    What is brought back after a search stays linked, so only images that are new count.
    """
    (searched,) = db.one("SELECT COUNT(*) FROM dedupe_state WHERE name = 'settings'")
    (waiting,) = db.one(
        "SELECT EXISTS (SELECT 1 FROM dedupe_queue JOIN images USING (image_id) "
        "WHERE added AND excluded IS NULL)"
    )
    return bool(searched) and not waiting
