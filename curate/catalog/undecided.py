"""Which images still wait for a person: in the usual order, or in that of a queue."""

from __future__ import annotations

import json
from collections.abc import Iterator

from curate.catalog.database import Database
from curate.catalog.queues import Queued

PAGE_ROWS = 1000

_USUAL = """
SELECT image_id FROM images WHERE excluded IS NULL AND image_id > ?
AND NOT EXISTS (SELECT 1 FROM decisions WHERE decisions.image_id = images.image_id)
ORDER BY image_id LIMIT ?
"""
_QUEUED = """
FROM queues CROSS JOIN images ON images.image_id = queues.image_id
WHERE queue = ? AND excluded IS NULL AND NOT EXISTS (
    SELECT 1 FROM decisions JOIN annotations ON annotations.id = annotation_id
    WHERE decisions.image_id = queues.image_id AND decisions.annotator = ?
    AND annotations.queue = queues.queue)
"""


def undecided(db: Database) -> Iterator[str]:
    """Yield the kept images that nobody has decided about, ordered by image id.

    That order is one of chance, for an id is a hash: the first few stand for all.
    """
    after = ""
    while rows := db.all(_USUAL, (after, PAGE_ROWS)):
        after = rows[-1][0]
        yield from (image_id for (image_id,) in rows)


def undecided_in(db: Database, queue: str, annotator: str) -> Iterator[Queued]:
    """Yield the images of a queue that this person has not decided about in it, in its order."""
    sql = f"SELECT queues.image_id, suggested, score, blind, place {_QUEUED} AND place > ? "
    after = -1
    while rows := db.all(f"{sql} ORDER BY place LIMIT ?", (queue, annotator, after, PAGE_ROWS)):
        after = rows[-1][4]
        for image_id, names, score, blind, _ in rows:
            suggested = None if names is None else tuple(json.loads(names))
            yield Queued(image_id, suggested, score, bool(blind))


def count_undecided(db: Database) -> int:
    """Return how many kept images nobody has decided about."""
    sql = (
        "SELECT COUNT(*) FROM images WHERE excluded IS NULL AND NOT EXISTS "
        "(SELECT 1 FROM decisions WHERE decisions.image_id = images.image_id)"
    )
    return int(db.one(sql)[0])


def count_undecided_in(db: Database, queue: str, annotator: str) -> int:
    """Return how many images of a queue this person has not decided about in it."""
    return int(db.one(f"SELECT COUNT(*) {_QUEUED}", (queue, annotator))[0])


def any_kept(db: Database) -> bool:
    """Return whether there is an image at all."""
    return bool(db.one("SELECT EXISTS (SELECT 1 FROM images WHERE excluded IS NULL)")[0])
