"""Who is to look at which image, handed out so that nobody waits and nobody works twice.

One transaction hands out a batch, so two people who ask at the same moment never get more of
an image between them than was wanted. What somebody was given and did not do is free for
others again after a while.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from curate.catalog.database import Database


@dataclass(frozen=True, slots=True)
class Wish:
    """What a batch is made from."""

    annotator: str
    """For whom."""
    n: int
    """Images at most."""
    queue: str = ""
    """A queue's name; empty: all kept images."""
    overlap: int = 1
    """People for each image."""
    among: Sequence[str] | None = None
    """Only these images, in this order; None: all, in the order of the queue."""
    hold_s: float = 1800.0
    """Time after which what was given and not done is free again."""


# In a queue of its own an image is looked at again, whatever was decided about it before.
_DONE = (
    "SELECT decisions.annotator FROM decisions JOIN annotations ON annotations.id = annotation_id "
    "WHERE decisions.image_id = {image} AND (:queue = '' OR annotations.queue = :queue)"
)
_DONE_BY_ME = f"EXISTS ({_DONE} AND decisions.annotator = :me)"
_PEOPLE = (
    f"SELECT COUNT(*) FROM ({_DONE} UNION SELECT annotator FROM assignments AS held "  # noqa: S608 - fixed texts
    "WHERE held.image_id = {image} AND held.queue = :queue AND given_at > :oldest)"
)
_FORGET_DONE = (
    "DELETE FROM assignments WHERE annotator = :me AND queue = :queue AND "  # noqa: S608 - fixed texts
    + _DONE_BY_ME.format(image="assignments.image_id")
)
_MINE = """
SELECT image_id FROM assignments JOIN images USING (image_id)
LEFT JOIN queues USING (queue, image_id)
WHERE annotator = :me AND queue = :queue AND excluded IS NULL
AND (:among IS NULL OR image_id IN (SELECT value FROM json_each(:among)))
ORDER BY place, image_id LIMIT :n
"""
_NEW = (
    "SELECT images.image_id FROM {tables} "  # noqa: S608 - fixed texts
    "WHERE {also} excluded IS NULL AND NOT EXISTS "
    "(SELECT 1 FROM assignments WHERE assignments.image_id = images.image_id "
    "AND annotator = :me AND assignments.queue = :queue) AND NOT "
    + _DONE_BY_ME.format(image="images.image_id")
    # Most images that are done are so by decisions alone, which are soon counted.
    + " AND (:queue != '' OR (SELECT COUNT(*) FROM decisions "
    "WHERE decisions.image_id = images.image_id) < :overlap) AND ("
    + _PEOPLE.format(image="images.image_id")
    + ") < :overlap {order} LIMIT :n"
)
_ALL = _NEW.format(tables="images", also="", order="ORDER BY images.image_id")
_QUEUED = _NEW.format(
    tables="queues INDEXED BY queues_place CROSS JOIN images USING (image_id)",
    also="queues.queue = :queue AND",
    order="ORDER BY place",
)
# In the order of the list, without sorting what need not be looked at.
_AMONG = _NEW.format(
    tables="json_each(:among) AS wanted CROSS JOIN images ON images.image_id = wanted.value",
    also="",
    order="",
)


def take(db: Database, wish: Wish, now: float) -> list[str]:
    """Hand out a batch: what the person has not done yet of earlier ones, then new images.

    Args:
        db: the catalog.
        wish: for whom, how many, from where.
        now: Unix seconds.

    Returns:
        Image ids in order; fewer than wanted if no more are free.
    """
    values = {
        "me": wish.annotator,
        "queue": wish.queue,
        "oldest": now - wish.hold_s,
        "overlap": wish.overlap,
        "n": wish.n,
        "among": None if wish.among is None else json.dumps(list(wish.among)),
    }
    new = _AMONG if wish.among is not None else _QUEUED if wish.queue else _ALL
    with db.transaction():
        db.execute(_FORGET_DONE, values)
        found = [image_id for (image_id,) in db.all(_MINE, values)]
        values["n"] = wish.n - len(found)
        found += [image_id for (image_id,) in db.all(new, values)]
        db.many(
            "INSERT INTO assignments (image_id, annotator, queue, given_at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET given_at = excluded.given_at",
            ((image_id, wish.annotator, wish.queue, now) for image_id in found),
        )
    return found


def release(db: Database, annotator: str, queue: str, image_ids: Sequence[str] | None) -> int:
    """Take images back from a person; return how many they held.

    Args:
        db: the catalog.
        annotator: the person.
        queue: the queue they were given from.
        image_ids: which; None: all.
    """
    with db.transaction():
        return db.execute(
            "DELETE FROM assignments WHERE annotator = :me AND queue = :queue AND (:ids IS NULL "
            "OR image_id IN (SELECT value FROM json_each(:ids)))",
            {
                "me": annotator,
                "queue": queue,
                "ids": None if image_ids is None else json.dumps(list(image_ids)),
            },
        ).rowcount
