"""What datasets that were imported say: their searches, their splits, their contradictions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from curate.catalog.database import Database
from curate.catalog.searches import Search, by_id

SOURCES = ("dataset", "folder")
PAGE_ROWS = 5000


@dataclass(frozen=True, slots=True)
class Waiting:
    """A candidate without an image, of which its dataset says different things."""

    source_id: str
    """What its source calls it."""
    url: str
    """Where it is."""
    classes: tuple[str, ...]
    """All that was said, sorted; "" stands for "none of the classes"."""


def retract(db: Database, path: str, search_id: int, *, own: bool) -> None:
    """Forget what earlier imports of a path said: what it says now takes its place.

    Candidates and images stay; hints, splits and contradictions of those imports go.

    Args:
        db: the catalog.
        path: the dataset, as the searches have it.
        search_id: the search of the import that begins.
        own: forget what this search itself has said, too.
    """
    ids = [
        (number,)
        for number, request in db.all(
            "SELECT id, request FROM searches WHERE source IN (?, ?)", SOURCES
        )
        if json.loads(request).get("path") == path and (own or number != search_id)
    ]
    with db.transaction():
        for table in ("hints", "given_splits", "disputes"):
            db.many(f"DELETE FROM {table} WHERE search_id = ?", ids)  # noqa: S608 - our own names
        db.many(
            "UPDATE searches SET done = 1, cursor = NULL, skipped = '{}' WHERE id = ?",
            [each for each in ids if each != (search_id,)],
        )


def given_splits(db: Database) -> Mapping[str, str]:
    """Return the sides on which datasets have put images; the stricter where several have.

    Test goes before val, and val before train: what was once kept for testing stays so.
    """
    rows = db.all(
        "SELECT image_id, MIN(CASE split WHEN 'test' THEN 0 WHEN 'val' THEN 1 ELSE 2 END) "
        "FROM given_splits JOIN candidates ON candidates.id = candidate_id "
        "WHERE image_id IS NOT NULL GROUP BY image_id"
    )
    return {image_id: ("test", "val", "train")[rank] for image_id, rank in rows}


def disputed_waiting(db: Database) -> list[Waiting]:
    """Return the candidates without an image that one table gives different classes."""
    rows = db.all(
        "SELECT source_id, url, (SELECT json_group_array(name) FROM (SELECT DISTINCT name "
        "FROM hints JOIN classes ON classes.id = class_id "
        "WHERE hints.candidate_id = candidates.id ORDER BY name)) "
        "FROM candidates WHERE image_id IS NULL AND state = 'pending' "
        "AND id IN (SELECT candidate_id FROM disputes) ORDER BY id"
    )
    return [Waiting(source_id, url, tuple(json.loads(names))) for source_id, url, names in rows]


def disputing(db: Database) -> list[Search]:
    """Return the searches of datasets that contradict themselves, the oldest first."""
    ids = db.all(
        "SELECT DISTINCT search_id FROM disputes JOIN searches ON searches.id = search_id "
        "WHERE source = 'dataset' ORDER BY search_id"
    )
    return [by_id(db, number) for (number,) in ids]


def disputed_ids(db: Database, search_id: int) -> set[tuple[str, str]]:
    """Return source and id of what a search gives different classes in different places."""
    rows = db.all(
        "SELECT source, source_id FROM disputes JOIN candidates ON candidates.id = candidate_id "
        "WHERE disputes.search_id = ?",
        (search_id,),
    )
    return {(source, source_id) for source, source_id in rows}


def said_of_images(db: Database, search_id: int) -> Iterator[list[tuple[str, tuple[str, ...]]]]:
    """Yield the images that a search gives classes, with them, in pages ordered by image id.

    Images of which it says different things are left out. No classes stand for none of them.
    """
    after = ""
    while rows := db.all(
        "SELECT image_id, json_group_array(DISTINCT name) FROM candidates "
        "JOIN hints ON candidate_id = candidates.id JOIN classes ON classes.id = class_id "
        "WHERE image_id > ? AND hints.search_id = ? AND state IN ('stored', 'duplicate') "
        "GROUP BY image_id ORDER BY image_id LIMIT ?",
        (after, search_id, PAGE_ROWS),
    ):
        after = rows[-1][0]
        yield [
            (image_id, tuple(sorted(name for name in json.loads(names) if name)))
            for image_id, names in rows
        ]


def count_waiting(db: Database, search_id: int) -> int:
    """Count the pending candidates of a search that are downloads."""
    (n,) = db.one(
        "SELECT COUNT(*) FROM candidates WHERE state = 'pending' AND source != 'folder' "
        "AND (search_id = ? OR EXISTS (SELECT 1 FROM hints "
        "WHERE candidate_id = candidates.id AND hints.search_id = ?))",
        (search_id, search_id),
    )
    return int(n)
