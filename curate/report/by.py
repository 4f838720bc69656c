"""Kept images counted by one property of theirs: the tables of `curate status --by`."""

from __future__ import annotations

from collections.abc import Mapping

from curate.catalog.database import Database
from curate.catalog.quality import quality_counts
from curate.config import QualitySettings
from curate.errors import UsageError

_FIELDS = {
    "license": "COALESCE(license, 'unknown')",
    "source": "source",
    "format": "format",
    "excluded": "COALESCE(excluded, 'kept')",
}
PROPERTIES = ("quality", *_FIELDS)
"""What images can be counted by."""


def count_by(db: Database, by: str, quality: QualitySettings) -> Mapping[str, int]:
    """Count images by a property, the most frequent value first.

    Only kept images are counted, but by `excluded`. By `quality` an image may count several
    times; `none` are the images under no flag.

    Args:
        db: the catalog.
        by: one of `PROPERTIES`.
        quality: thresholds of the quality flags.

    Raises:
        UsageError: no such property.
    """
    if by == "quality":
        return quality_counts(db, quality)
    if by not in _FIELDS:
        raise UsageError(f"{by!r} is nothing to count by", f"known are: {', '.join(PROPERTIES)}")
    kept = "" if by == "excluded" else "WHERE excluded IS NULL"
    rows = db.all(
        f"SELECT {_FIELDS[by]}, COUNT(*) FROM images JOIN candidates ON candidates.id = first_id "  # noqa: S608 - our own words
        f"{kept} GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    return dict(rows)
