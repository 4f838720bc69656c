"""Images that are left out but linked to others: the links outlast them.

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
FROM images WHERE excluded IS NOT NULL AND images.image_id > ? AND hints IS NOT NULL
ORDER BY images.image_id LIMIT ?
"""


def linked_absent(db: Database) -> Iterator[list[tuple[str, tuple[str, ...]]]]:
    """Yield excluded images that have group hints, with these, in pages ordered by id."""
    after = ""
    while rows := db.all(_LINKED, (after, PAGE_ROWS)):
        after = rows[-1][0]
        yield [(image_id, tuple(hints.split(SEPARATOR))) for image_id, hints in rows]
