"""Which images still wait for a person, read only: for counting, and for trying things out.

Who gets which of them is decided in `curate.catalog.assignments`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from curate.catalog.assignments import Wish
from curate.catalog.database import Database

# In a queue an image is looked at again, whatever was decided about it elsewhere.
_WAITING = """
WHERE excluded IS NULL
AND NOT EXISTS (SELECT 1 FROM decisions JOIN annotations ON annotations.id = annotation_id
    WHERE decisions.image_id = images.image_id AND decisions.annotator = :me
    AND (:queue = '' OR annotations.queue = :queue))
AND (SELECT COUNT(*) FROM decisions JOIN annotations ON annotations.id = annotation_id
    WHERE decisions.image_id = images.image_id
    AND (:queue = '' OR annotations.queue = :queue)) < :overlap
AND (:among IS NULL OR images.image_id IN (SELECT value FROM json_each(:among)))
"""
_ALL = f"FROM images {_WAITING}"
_QUEUED = f"FROM queues CROSS JOIN images USING (image_id) {_WAITING} AND queues.queue = :queue"


def first_waiting(db: Database, wish: Wish) -> list[str]:
    """Return the first images that wait for a person, whoever holds them now.

    Args:
        db: the catalog.
        wish: for whom, how many, from where; a queue has its own order, all others come by
            image id.
    """
    rest = f"{_QUEUED} ORDER BY place" if wish.queue else f"{_ALL} ORDER BY images.image_id"
    rows = db.all(f"SELECT images.image_id {rest} LIMIT :n", {**_values(wish), "n": wish.n})
    return [image_id for (image_id,) in rows]


def count_waiting(db: Database, wish: Wish) -> int:
    """Return how many images wait for a person, however many are wished for."""
    rest = _QUEUED if wish.queue else _ALL
    return int(db.one(f"SELECT COUNT(*) {rest}", _values(wish))[0])


def any_kept(db: Database) -> bool:
    """Return whether there is an image at all."""
    return bool(db.one("SELECT EXISTS (SELECT 1 FROM images WHERE excluded IS NULL)")[0])


def hold(db: Database, annotator: str, queue: str, image_ids: Sequence[str], now: float) -> None:
    """Note that a person is at work on some images, so that nobody else is given them."""
    with db.transaction():
        db.execute(
            "INSERT INTO assignments (image_id, annotator, queue, given_at) "
            "SELECT value, ?, ?, ? FROM json_each(?) WHERE true "
            "ON CONFLICT DO UPDATE SET given_at = excluded.given_at",
            (annotator, queue, now, json.dumps(list(image_ids))),
        )


def _values(wish: Wish) -> dict[str, str | int | None]:
    return {
        "me": wish.annotator,
        "queue": wish.queue,
        "overlap": wish.overlap,
        "among": None if wish.among is None else json.dumps(list(wish.among)),
    }
