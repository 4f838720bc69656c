"""Which kept images nobody has decided about, read in pages."""

from __future__ import annotations

from collections.abc import Iterator

from curate.catalog.database import Database

PAGE_ROWS = 2000
_SQL = """
SELECT image_id FROM images WHERE excluded IS NULL AND image_id > ?
AND NOT EXISTS (SELECT 1 FROM decisions WHERE decisions.image_id = images.image_id)
ORDER BY image_id LIMIT ?
"""


def unlabelled(db: Database) -> Iterator[list[str]]:
    """Yield their ids in pages, ordered; that order is one of chance, for an id is a hash."""
    after = ""
    while rows := db.all(_SQL, (after, PAGE_ROWS)):
        after = rows[-1][0]
        yield [image_id for (image_id,) in rows]
