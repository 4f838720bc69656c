"""What must be cited when data of a source are used: rows out."""

from __future__ import annotations

from curate.catalog.database import Database

_FIELDS = ("source", "key", "doi", "text")


def cited(db: Database) -> list[dict[str, str | None]]:
    """Return every citation, with `source`, `key`, `doi` (if it has one) and `text`."""
    rows = db.all("SELECT source, key, doi, text FROM citations ORDER BY source, key")
    return [dict(zip(_FIELDS, row, strict=True)) for row in rows]
