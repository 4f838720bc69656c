"""Which kept images nobody has decided about, read in pages."""

from __future__ import annotations

from collections.abc import Iterator

from curate.catalog.database import Database

PAGE_ROWS = 2000
_SQL = """
SELECT image_id FROM images WHERE excluded IS NULL AND image_id > ?
AND NOT EXISTS (SELECT 1 FROM decisions WHERE decisions.image_id = images.image_id)
AND (? OR EXISTS (SELECT 1 FROM proposals WHERE proposals.image_id = images.image_id))
ORDER BY image_id LIMIT ?
"""


def unlabelled(db: Database, *, proposed: bool = False) -> Iterator[list[str]]:
    """Yield their ids in pages, ordered; that order is one of chance, for an id is a hash.

    Args:
        db: the catalog.
        proposed: only those for which a model has proposed something.
    """
    after = ""
    while rows := db.all(_SQL, (after, not proposed, PAGE_ROWS)):
        after = rows[-1][0]
        yield [image_id for (image_id,) in rows]


def waiting_scores(db: Database, score: float) -> tuple[int, int]:
    """Count the kept images without a decision that a model has an opinion of.

    Args:
        db: the catalog.
        score: what the score of the newest proposal must reach for the second number.

    Returns:
        All of them, and those whose score reaches `score`.
    """
    total, sure = db.one(
        "SELECT COUNT(*), COALESCE(SUM(score >= ?), 0) FROM images JOIN proposals USING (image_id) "
        "WHERE excluded IS NULL AND model_id = (SELECT model_id FROM proposals AS every "
        "WHERE every.image_id = images.image_id ORDER BY made_at DESC, model_id DESC LIMIT 1) "
        "AND NOT EXISTS "
        "(SELECT 1 FROM decisions WHERE decisions.image_id = images.image_id)",
        (score,),
    )
    return int(total), int(sure)
