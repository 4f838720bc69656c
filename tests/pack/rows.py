"""Synthetic tables of kept images, as the project hands them to the pack room."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pyarrow as pa

from curate.pack import INPUT

START = datetime(2024, 5, 1, tzinfo=UTC)


def image_id(number: int) -> str:
    return sha256(f"image {number}".encode()).hexdigest()


def row(
    number: int, labels: Sequence[str] = (), hints: Sequence[str] = (), **changes: Any
) -> dict[str, Any]:
    """One image with every column filled; `changes` overrides any of them."""
    name = image_id(number)
    return {
        "image_id": name,
        "path": f"images/{name[:2]}/{name}.jpg",
        "n_bytes": 40_000 + number,
        "width_px": 1024,
        "height_px": 768 + number % 5,
        "format": "jpeg",
        "phash": int(name[:16], 16),
        "labels": list(labels),
        "label_origin": "source",
        "annotators": [],
        "score": None,
        "proposed_labels": [],
        "proposed_score": None,
        "proposed_by": None,
        "audited": False,
        "set_aside": None,
        "quality_flags": None,
        "group_hints": list(hints),
        "source": "gbif",
        "source_id": f"{4000 + number}:0",
        "url": f"https://example.org/media/{number}.jpg",
        "page_url": f"https://example.org/occurrence/{4000 + number}",
        "author": f"Observer {number % 7}",
        "license": "CC-BY-4.0",
        "license_url": "https://creativecommons.org/licenses/by/4.0/",
        "rights_holder": None,
        "attribution": f"Observer {number % 7}, CC BY 4.0",
        "query": ["fungi"],
        "meta": {"country": "DK", "year": str(2015 + number % 9)},
        "fetched_at": START + timedelta(seconds=number),
        **changes,
    }


def table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    plain = [{**r, "meta": None if r["meta"] is None else list(r["meta"].items())} for r in rows]
    return pa.Table.from_pylist(plain, schema=INPUT)
