"""Downloads that were requested of GBIF, and what must be cited for them."""

from __future__ import annotations

from dataclasses import dataclass

from curate.catalog.database import Database


@dataclass(frozen=True, slots=True)
class Download:
    """One download, as GBIF last told of it."""

    key: str
    """GBIF's name of it."""
    predicate: str
    """JSON of what was asked."""
    status: str
    """GBIF's word: PREPARING, RUNNING, SUCCEEDED, …"""
    doi: str | None
    """Its DOI, once it is done."""
    n_bytes: int | None
    """Length of the file, once it is done."""
    n_records: int | None
    """Occurrences in it."""
    requested_at: float
    """Unix seconds."""


def keep(db: Database, download: Download) -> None:
    """Keep what is known of a download; what was asked and when stays as it was first said."""
    with db.transaction():
        db.execute(
            "INSERT INTO downloads VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
            "status = excluded.status, doi = COALESCE(excluded.doi, doi), "
            "n_bytes = excluded.n_bytes, n_records = excluded.n_records",
            (
                download.key,
                download.predicate,
                download.status,
                download.doi,
                download.n_bytes,
                download.n_records,
                download.requested_at,
            ),
        )


def known(db: Database) -> list[Download]:
    """Return all downloads, the newest first."""
    rows = db.all(
        "SELECT key, predicate, status, doi, n_bytes, n_records, requested_at "
        "FROM downloads ORDER BY requested_at DESC, key DESC"
    )
    return [Download(*row) for row in rows]


def cite(db: Database, source: str, key: str, doi: str | None, text: str) -> None:
    """Keep a citation, which manifests with images of that source then print."""
    with db.transaction():
        db.execute(
            "INSERT INTO citations VALUES (?, ?, ?, ?) ON CONFLICT (source, key) "
            "DO UPDATE SET doi = excluded.doi, text = excluded.text",
            (source, key, doi, text),
        )
