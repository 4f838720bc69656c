"""Queues: which images a person should look at next, most urgent first.

A queue is written as a whole by whoever works it out and read page by page. It is only an
order: what was decided is in the ledger, so a queue may be made again at any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from curate.catalog.database import Database


@dataclass(frozen=True, slots=True)
class Queued:
    """One image of a queue."""

    image_id: str
    """The image."""
    suggested: tuple[str, ...] | None = None
    """Another opinion on its classes, e.g. of a second model; None: there is none."""
    score: float | None = None
    """What it was ordered by."""
    blind: bool = False
    """It is shown without a proposal, to learn how far proposals sway people."""


def write_queue(db: Database, queue: str, rows: Iterable[Queued]) -> int:
    """Put these images in place of what the queue held; return how many there are.

    Args:
        db: the catalog.
        queue: its name.
        rows: the most urgent first; an image given twice keeps its first place.
    """
    with db.transaction():
        db.execute("DELETE FROM queues WHERE queue = ?", (queue,))
        db.many(
            "INSERT INTO queues (queue, image_id, place, suggested, score, blind) "
            "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                (queue, each.image_id, place, _json(each.suggested), each.score, each.blind)
                for place, each in enumerate(rows)
            ),
        )
    return int(db.one("SELECT COUNT(*) FROM queues WHERE queue = ?", (queue,))[0])


def read_queue(
    db: Database, queue: str, *, limit: int | None = None, offset: int = 0
) -> list[Queued]:
    """Return the images of a queue, most urgent first.

    Args:
        db: the catalog.
        queue: its name.
        limit: as many at most; None: all.
        offset: as many are passed over.
    """
    rows = db.all(
        "SELECT image_id, suggested, score, blind FROM queues WHERE queue = ? "
        "ORDER BY place LIMIT ? OFFSET ?",
        (queue, -1 if limit is None else limit, offset),
    )
    return [
        Queued(image_id, None if names is None else tuple(json.loads(names)), score, bool(blind))
        for image_id, names, score, blind in rows
    ]


def in_queue(db: Database, queue: str, image_ids: Sequence[str]) -> dict[str, Queued]:
    """Return what the queue says of some images; those that are not in it are absent."""
    rows = db.all(
        "SELECT image_id, suggested, score, blind FROM json_each(?) AS wanted "
        "CROSS JOIN queues ON queues.queue = ? AND image_id = wanted.value",
        (json.dumps(list(image_ids)), queue),
    )
    return {
        image_id: Queued(
            image_id, None if names is None else tuple(json.loads(names)), score, bool(blind)
        )
        for image_id, names, score, blind in rows
    }


def queue_sizes(db: Database) -> dict[str, int]:
    """Return how many images each queue holds, by name."""
    return dict(db.all("SELECT queue, COUNT(*) FROM queues GROUP BY queue ORDER BY queue"))


def _json(names: Sequence[str] | None) -> str | None:
    return None if names is None else json.dumps(list(names), ensure_ascii=False)
