"""Rows to fill a catalog with, and everything that a catalog holds."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from curate.catalog import searches
from curate.catalog.candidates import Outcome
from curate.catalog.database import MEMORY, Database
from curate.records import Candidate, Reason, Verified

TABLES = ("searches", "classes", "candidates", "hints", "images", "hosts", "pings", "notices")


def candidate(number: int, *classes: str, source: str = "urls", **changes: Any) -> Candidate:
    return Candidate(
        source=source,
        source_id=str(number),
        url=f"https://example.org/{number}.jpg",
        classes=classes,
        **changes,
    )


def image_id(number: int) -> str:
    return sha256(f"image {number}".encode()).hexdigest()


def image(number: int, **changes: Any) -> Verified:
    """A verified image; `number` stands for its bytes."""
    values: dict[str, Any] = {
        "image_id": image_id(number),
        "format": "jpeg",
        "n_bytes": 1000 + number,
        "width_px": 800,
        "height_px": 600,
        "orientation": 1,
        "phash": int(image_id(number)[:16], 16),
        "phash256": bytes.fromhex(image_id(number)),
        "brightness": 120.0,
        "contrast": 40.0,
        "sharpness": 300.0,
        "entropy": 7.0,
    }
    return Verified(**{**values, **changes})


def stored(candidate_id: int, number: int) -> Outcome:
    return Outcome(candidate_id, image(number), http_status=200)


def failed(candidate_id: int, reason: Reason, due_at: float | None = None) -> Outcome:
    return Outcome(candidate_id, None, reason, "said so", 404, due_at)


def filled(*candidates: Candidate, path: Path = MEMORY) -> Database:
    """A catalog with these candidates, numbered from 1."""
    db = Database(path)
    search = searches.open_search(db, "urls", "{}", "", 0.0)
    searches.add_page(db, search.id, candidates, None)
    return db


def contents(db: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    return {table: db.all(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES}
