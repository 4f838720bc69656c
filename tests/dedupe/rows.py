"""A catalog of images that exist as hashes only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from curate.catalog.candidates import signed64
from curate.catalog.database import Database

PLAIN = b"\x55" * 32


@dataclass(frozen=True, slots=True)
class Image:
    """What a test says of an image; the rest is ordinary."""

    name: str
    phash: int
    phash256: bytes = PLAIN
    width_px: int = 100
    n_bytes: int = 1000
    license: str | None = None
    contrast: float = 50.0
    entropy: float = 7.0
    brightness: float = 100.0
    sharpness: float = 2000.0
    height_px: int = 100
    note: str | None = None

    @property
    def id(self) -> str:
        return hashlib.sha256(self.name.encode()).hexdigest()


def add(db: Database, images: Iterable[Image]) -> None:
    """Put images into the catalog as a fetch would."""
    with db.transaction():
        db.execute(
            "INSERT OR IGNORE INTO searches (id, source, request, created_at) "
            "VALUES (1, 'test', '{}', 0)"
        )
        for each in images:
            cursor = db.execute(
                "INSERT INTO candidates (source, source_id, search_id, url, license, state, "
                "image_id) VALUES ('test', ?, 1, 'https://example.org', ?, 'stored', ?)",
                (each.name, each.license, each.id),
            )
            db.execute(
                "INSERT INTO images VALUES "
                "(?, ?, 'jpeg', ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, 0, NULL, NULL)",
                (
                    each.id,
                    cursor.lastrowid,
                    each.n_bytes,
                    each.width_px,
                    each.height_px,
                    signed64(each.phash),
                    each.phash256,
                    each.brightness,
                    each.contrast,
                    each.sharpness,
                    each.entropy,
                    each.note,
                ),
            )


def left_out(db: Database) -> dict[str, str]:
    """Images excluded as near-duplicates, with the image kept in their place."""
    return dict(
        db.all("SELECT image_id, excluded_for FROM images WHERE excluded = 'near_duplicate'")
    )
