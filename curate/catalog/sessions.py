"""Sessions of the audit page: which browsers have come through a link, and as whom.

Only the SHA-256 of a cookie's secret is kept. A session outlives the server, so that a page
left open goes on working when the server is started again.
"""

from __future__ import annotations

from curate.catalog.database import Database


def begin(db: Database, secret_hash: str, annotator: str, now: float, oldest: float) -> None:
    """Keep a session, and forget those that began before `oldest`."""
    with db.transaction():
        db.execute("DELETE FROM sessions WHERE began_at < ?", (oldest,))
        db.execute(
            "INSERT OR REPLACE INTO sessions (hash, annotator, began_at) VALUES (?, ?, ?)",
            (secret_hash, annotator, now),
        )


def find(db: Database, secret_hash: str, oldest: float) -> str | None:
    """Return whose session this is; None if there is none, or it began before `oldest`."""
    row = db.execute(
        "SELECT annotator FROM sessions WHERE hash = ? AND began_at >= ?", (secret_hash, oldest)
    ).fetchone()
    return None if row is None else str(row[0])
