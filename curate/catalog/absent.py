"""What links images to each other; also those that are left out: the links outlast them.

Two kept images that are alike only through a third stay together although the third is left
out, and a copy of an image that was in a test set belongs where the image was.
"""

from __future__ import annotations

from collections.abc import Iterator

from curate.catalog.database import Database
from curate.catalog.images import PAGE_ROWS, SEPARATOR

_LINKED = """
SELECT images.image_id,
    (SELECT GROUP_CONCAT(part, char(31)) FROM (
        SELECT group_hint AS part FROM candidates AS every
        WHERE every.image_id = images.image_id AND group_hint IS NOT NULL
        UNION SELECT 'near:' || linked FROM near_groups
        WHERE near_groups.image_id = images.image_id
        UNION SELECT 'semantic:' || linked FROM semantic_groups
        WHERE semantic_groups.image_id = images.image_id ORDER BY 1)) AS hints
FROM images WHERE {which} images.image_id > ? AND hints IS NOT NULL
ORDER BY images.image_id LIMIT ?
"""


Page = list[tuple[str, tuple[str, ...]]]
"""Images with their group hints."""


def linked_absent(db: Database) -> Iterator[Page]:
    """Yield excluded images that have group hints, with these, in pages ordered by id."""
    return _pages(db, _LINKED.format(which="excluded IS NOT NULL AND"))


def linked(db: Database) -> Iterator[Page]:
    """Yield all images that have group hints, kept or not, as `linked_absent` does."""
    return _pages(db, _LINKED.format(which=""))


def _pages(db: Database, sql: str) -> Iterator[Page]:
    after = ""
    while rows := db.all(sql, (after, PAGE_ROWS)):
        after = rows[-1][0]
        yield [(image_id, tuple(hints.split(SEPARATOR))) for image_id, hints in rows]
