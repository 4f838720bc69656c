"""Groups by embedding as rows: what shows the same thing, by a model's opinion.

They are kept apart from near-duplicates: a model's opinion is coarser, so it keeps images on
one side of a split, and excludes nothing unless asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from curate.catalog import groups
from curate.catalog.database import Database
from curate.catalog.groups import Member

SEMANTIC = "semantic_duplicate"


@dataclass(frozen=True, slots=True)
class SemanticPlace:
    """Where an image stands among those that resemble it."""

    image_id: str
    """The image."""
    linked: str
    """Smallest image id that a chain of similar pairs leads to."""
    keeper: str
    """The best image of its group."""
    cosine: float
    """Similarity to the keeper."""


def eligible(db: Database) -> list[tuple[str, str]]:
    """Return id and format of the images to compare: kept ones, and those left out for this."""
    return [
        (image_id, image_format)
        for image_id, image_format in db.all(
            "SELECT image_id, format FROM images WHERE excluded IS NULL OR excluded = ? "
            "ORDER BY image_id",
            (SEMANTIC,),
        )
    ]


def members(db: Database, image_ids: Iterable[str]) -> list[Member]:
    """Return what decides which of some images is kept, ordered by id."""
    db.execute("CREATE TEMP TABLE IF NOT EXISTS affected (image_id TEXT PRIMARY KEY) WITHOUT ROWID")
    db.execute("DELETE FROM affected")
    db.many("INSERT OR IGNORE INTO affected VALUES (?)", ((each,) for each in image_ids))
    return groups.affected_members(db)


def replace(db: Database, places: Sequence[SemanticPlace], *, exclude: bool) -> int:
    """Write all groups anew; return how many images are left out for them.

    Args:
        db: the catalog.
        places: one for each image that resembles another.
        exclude: leave out all but the keepers, except images that somebody wants to stay.
    """
    out = [
        (SEMANTIC, each.keeper, each.image_id) for each in places if each.image_id != each.keeper
    ]
    with db.transaction():
        db.execute("DELETE FROM semantic_groups")
        db.many(
            "INSERT INTO semantic_groups VALUES (?, ?, ?, ?)",
            [(each.image_id, each.linked, each.keeper, each.cosine) for each in places],
        )
        if exclude:
            db.execute(
                "UPDATE images SET excluded = NULL, excluded_for = NULL WHERE excluded = ?",
                (SEMANTIC,),
            )
            db.many(
                "UPDATE images SET excluded = ?, excluded_for = ? WHERE image_id = ? "
                "AND excluded IS NULL AND image_id NOT IN (SELECT image_id FROM included)",
                out,
            )
        return groups.count_excluded(db, SEMANTIC)
