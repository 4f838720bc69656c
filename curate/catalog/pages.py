"""What the audit page reads: all kept images with what is proposed for them, and their details.

The page filters and sorts in memory (`curate.label.grid`), so the catalog gives every image
once, in pages by image id, and afterwards only what has changed. Nothing here uses OFFSET.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from curate.catalog.database import Database

PAGE_ROWS = 10_000
Names: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offered:
    """Kept images with what is proposed for them, as columns: there may be a million."""

    image_ids: list[str]
    """SHA-256 of the bytes."""
    classes: list[Names | None]
    """What the newest model proposes, else the hints; None: nothing, or a queue hides it."""
    scores: list[float | None]
    """The model's score, 0-1; None without a model, or where it is hidden."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one image, for whoever looks at it closely."""

    image_id: str
    """SHA-256 of the bytes."""
    format: str
    """True format."""
    n_bytes: int
    """Length of the file."""
    width_px: int
    """Stored width."""
    height_px: int
    """Stored height."""
    source: str
    """Where it was found first."""
    source_id: str
    """Its id there."""
    url: str
    """Where it was fetched from; of a local file, its path."""
    page_url: str | None
    """The page a person would open."""
    author: str | None
    """Who made it."""
    license: str | None
    """SPDX id or the source's own words."""
    attribution: str | None
    """Credit line."""
    meta: dict[str, str]
    """Whatever else the source says."""


_HINTS = """(SELECT json_group_array(name) FROM (
    SELECT DISTINCT classes.name AS name FROM candidates
    JOIN hints ON hints.candidate_id = candidates.id JOIN classes ON classes.id = class_id
    WHERE candidates.image_id = images.image_id AND classes.name != '' ORDER BY 1))"""
_NEGATIVE = """EXISTS (SELECT 1 FROM candidates
    JOIN hints ON hints.candidate_id = candidates.id JOIN classes ON classes.id = class_id
    WHERE candidates.image_id = images.image_id AND classes.name = '')"""

_OFFERED = f"""
SELECT images.image_id, proposals.classes, score,
    CASE WHEN proposals.classes IS NULL THEN {_HINTS} END,
    CASE WHEN proposals.classes IS NULL THEN {_NEGATIVE} END,
    EXISTS (SELECT 1 FROM queues INDEXED BY queues_blind
        WHERE queues.image_id = images.image_id AND blind = 1)
FROM images
LEFT JOIN proposals ON proposals.image_id = images.image_id AND model_id =
    (SELECT model_id FROM proposals AS every WHERE every.image_id = images.image_id
    ORDER BY made_at DESC, model_id DESC LIMIT 1)
WHERE excluded IS NULL AND images.image_id > ? ORDER BY images.image_id LIMIT ?
"""  # noqa: S608 - our own words


def offered(db: Database) -> Iterator[Offered]:
    """Yield all kept images in pages, ordered by image id."""
    after = ""
    read = cache(_names)  # a few lists of classes make up all rows
    while rows := db.all(_OFFERED, (after, PAGE_ROWS)):
        after = rows[-1][0]
        yield Offered(
            image_ids=[row[0] for row in rows],
            classes=[None if row[5] else read(row[1], row[3], row[4]) for row in rows],
            scores=[None if row[5] else row[2] for row in rows],
        )


def _names(proposed: str | None, hinted: str | None, is_negative: int | None) -> Names | None:
    """Return the classes proposed, else those hinted at; None if neither says anything."""
    names: Names = tuple(json.loads(hinted or "[]" if proposed is None else proposed))
    return None if proposed is None and not names and not is_negative else names


def hints(db: Database, image_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the class hints of some images; those without any are absent.

    No names: the hint says that the image shows none of the classes.
    """
    found: dict[str, set[str]] = {}
    for image_id, name in db.all(
        "SELECT wanted.value, name FROM json_each(?) AS wanted "
        "CROSS JOIN candidates ON candidates.image_id = wanted.value "
        "CROSS JOIN hints ON hints.candidate_id = candidates.id "
        "CROSS JOIN classes ON classes.id = class_id",
        (json.dumps(list(image_ids)),),
    ):
        found.setdefault(image_id, set()).add(name)
    return {image_id: tuple(sorted(names - {""})) for image_id, names in found.items()}


def blind(db: Database, image_ids: Sequence[str]) -> set[str]:
    """Return those of some images that a queue wants to be shown without a proposal."""
    rows = db.all(
        "SELECT DISTINCT image_id FROM json_each(?) AS wanted "
        "CROSS JOIN queues INDEXED BY queues_blind "
        "ON image_id = wanted.value AND blind = 1",
        (json.dumps(list(image_ids)),),
    )
    return {image_id for (image_id,) in rows}


def signature(db: Database) -> tuple[Any, ...]:
    """Return something that differs when images, proposals or blind queues have changed."""
    return db.one(
        "SELECT (SELECT COUNT(*) FROM images), "
        "(SELECT COUNT(*) FROM images WHERE excluded IS NOT NULL), "
        "(SELECT COUNT(*) FROM proposals), (SELECT MAX(made_at) FROM proposals), "
        "(SELECT COUNT(*) FROM hints), "
        "(SELECT COUNT(*) || MIN(image_id) || MAX(image_id) FROM queues WHERE blind = 1)"
    )


def queue_signatures(db: Database) -> dict[str, tuple[Any, ...]]:
    """Return for each queue something that differs when it was made anew."""
    rows = db.all(
        "SELECT queue, COUNT(*), MIN(image_id), MAX(image_id), TOTAL(score), "
        "TOTAL(place * LENGTH(suggested)) FROM queues GROUP BY queue ORDER BY queue"
    )
    return {queue: tuple(rest) for queue, *rest in rows}


def data_version(db: Database) -> int:
    """Return a number that changes when another connection has written."""
    return int(db.one("PRAGMA data_version")[0])


def places(db: Database, queue: str) -> list[str]:
    """Return the images of a queue, most urgent first."""
    rows = db.all("SELECT image_id FROM queues WHERE queue = ? ORDER BY place", (queue,))
    return [image_id for (image_id,) in rows]


def upright_sizes(db: Database, image_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return width and height as displayed, by image id."""
    rows = db.all(
        "SELECT image_id, width_px, height_px, orientation FROM json_each(?) AS wanted "
        "CROSS JOIN images ON image_id = wanted.value",
        (json.dumps(list(image_ids)),),
    )
    return {
        image_id: (height, width) if orientation >= 5 else (width, height)
        for image_id, width, height, orientation in rows
    }


def facts(db: Database, image_id: str) -> Facts | None:
    """Return what is known of an image; None if the catalog does not have it."""
    row = db.execute(
        "SELECT images.image_id, format, n_bytes, width_px, height_px, source, source_id, url, "
        "page_url, author, license, attribution, whole FROM images "
        "JOIN candidates ON candidates.id = first_id "
        "JOIN whole_meta ON candidate_id = first_id WHERE images.image_id = ?",
        (image_id,),
    ).fetchone()
    if row is None:
        return None
    values: list[Any] = list(row)
    values[-1] = json.loads(values[-1] or "{}")
    return Facts(*values)
