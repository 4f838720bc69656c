"""The members of groups, with what a person wants to know of each: for showing side by side."""

from __future__ import annotations

from dataclasses import dataclass

from curate.catalog.candidates import unsigned64
from curate.catalog.database import Database
from curate.catalog.groups import Member


@dataclass(frozen=True, slots=True)
class GroupSize:
    """A group of two images or more."""

    linked: str
    """Smallest image id that a chain of pairs leads to."""
    keeper: str
    """The image kept."""
    n: int
    """Its images."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One member, as a page shows it."""

    member: Member
    """What decided its place; whether it is annotated is not looked up."""
    left_out: bool
    """Excluded as a near-duplicate."""
    format: str
    """Format of the file."""
    width_px: int
    """Width."""
    height_px: int
    """Height."""
    source: str
    """Where it was found first."""
    url: str
    """Its page there, or its file."""


def largest_groups(db: Database, limit: int) -> tuple[list[GroupSize], int]:
    """Return the largest groups of near-duplicates, and how many there are in all."""
    groups = "FROM near_groups GROUP BY linked, keeper HAVING COUNT(*) > 1"
    rows = db.all(
        f"SELECT linked, keeper, COUNT(*) AS n {groups} ORDER BY n DESC, keeper LIMIT ?",
        (limit,),
    )
    (total,) = db.one(f"SELECT COUNT(*) FROM (SELECT 1 {groups})")  # noqa: S608 - our own words
    return [GroupSize(*row) for row in rows], int(total)


def seen_members(db: Database, group: GroupSize, limit: int) -> list[Seen]:
    """Return members of a group, the kept one first, then the largest pictures."""
    rows = db.all(
        "SELECT images.image_id, phash, phash256, width_px * height_px, n_bytes, license, "
        "excluded, 0, EXISTS (SELECT 1 FROM included WHERE included.image_id = images.image_id), "
        "left_out, format, width_px, height_px, source, COALESCE(page_url, url) "
        "FROM near_groups JOIN images USING (image_id) JOIN candidates ON candidates.id = first_id "
        "WHERE linked = ? AND keeper = ? "
        "ORDER BY images.image_id != keeper, width_px * height_px DESC, images.image_id LIMIT ?",
        (group.linked, group.keeper, limit),
    )
    return [
        Seen(
            Member(row[0], unsigned64(row[1]), *row[2:9]),
            bool(row[9]),
            *row[10:],
        )
        for row in rows
    ]
