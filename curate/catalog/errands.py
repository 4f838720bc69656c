"""Small duties beside the images: pings that a source requires, notices told once."""

from __future__ import annotations

from curate.catalog.database import Database


def queue_pings(db: Database, source: str) -> None:
    """Note the required download pings of a source's stored images that were not noted yet."""
    with db.transaction():
        db.execute(
            "INSERT OR IGNORE INTO pings (url) "
            "SELECT whole ->> '$.download_location' AS place FROM candidates "
            "JOIN whole_meta ON candidate_id = candidates.id "
            "WHERE source = ? AND state IN ('stored', 'duplicate') AND place IS NOT NULL",
            (source,),
        )


def unsent_pings(db: Database, limit: int) -> list[str]:
    """Return some pings that are still to be sent."""
    rows = db.all("SELECT url FROM pings WHERE sent_at IS NULL ORDER BY url LIMIT ?", (limit,))
    return [url for (url,) in rows]


def mark_pinged(db: Database, url: str, now: float) -> None:
    """Note that a ping was sent, or that there is no sending it."""
    with db.transaction():
        db.execute("UPDATE pings SET sent_at = ? WHERE url = ?", (now, url))


def tell_once(db: Database, name: str, now: float) -> bool:
    """Return whether this notice has not been told in this project yet, and note it as told."""
    with db.transaction():
        cursor = db.execute(
            "INSERT OR IGNORE INTO notices (name, told_at) VALUES (?, ?)", (name, now)
        )
        return cursor.rowcount == 1
