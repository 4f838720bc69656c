"""Quality flags, from the measures that the one decode left in the catalog.

A flag is a question asked of stored numbers with the thresholds of the moment: nothing is
decoded again, and a changed threshold shows at once. No flag excludes anything by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from curate.catalog.database import Database
from curate.config import QualitySettings
from curate.errors import UsageError
from curate.records import DAMAGED

FLAGS = {
    "dark": "brightness < ?",
    "bright": "brightness > ?",
    "blurry": "sharpness < ?",
    "small": "MIN(width_px, height_px) < ?",
    "odd_aspect": "MAX(width_px, height_px) > ? * MIN(width_px, height_px)",
    "low_information": "entropy < ?",
    "damaged": f"COALESCE(note, '') GLOB '{DAMAGED}*'",
}
"""What each flag asks, with its threshold as the one parameter, if it has one."""


def _thresholds(settings: QualitySettings) -> dict[str, float]:
    return {
        "dark": settings.dark,
        "bright": settings.bright,
        "blurry": settings.blurry,
        "small": settings.small_px,
        "odd_aspect": settings.aspect,
        "low_information": settings.low_information,
    }


def quality_counts(db: Database, settings: QualitySettings) -> dict[str, int]:
    """Count the kept images under each flag; `none` are those under no flag.

    An image may stand under several flags.
    """
    limits = _thresholds(settings)
    sums = ", ".join(f"COALESCE(SUM({question}), 0)" for question in FLAGS.values())
    any_flag = " OR ".join(FLAGS.values())
    values = [limits[name] for name in FLAGS if name in limits]
    row = db.one(
        f"SELECT {sums}, COALESCE(SUM(NOT ({any_flag})), 0) FROM images WHERE excluded IS NULL",  # noqa: S608 - our own questions
        [*values, *values],
    )
    return dict(zip([*FLAGS, "none"], row, strict=True))


def flag_counts(db: Database, settings: QualitySettings, first: str, last: str) -> dict[str, int]:
    """Count the flags of each kept image that has any, between two ids, both included."""
    limits = _thresholds(settings)
    total = " + ".join(f"({question})" for question in FLAGS.values())
    rows = db.all(
        f"SELECT image_id, {total} AS n FROM images "  # noqa: S608 - our own questions
        "WHERE excluded IS NULL AND image_id BETWEEN ? AND ? AND n",
        [*(limits[name] for name in FLAGS if name in limits), first, last],
    )
    return dict(rows)


def flagged(db: Database, settings: QualitySettings, flag: str) -> list[str]:
    """Return the kept images under a flag, ordered by id.

    Raises:
        UsageError: there is no such flag.
    """
    check_flags([flag])
    rows = db.all(
        f"SELECT image_id FROM images WHERE excluded IS NULL AND {FLAGS[flag]} ORDER BY image_id",  # noqa: S608 - our own questions
        [least for name, least in _thresholds(settings).items() if name == flag],
    )
    return [image_id for (image_id,) in rows]


def has_damaged(db: Database) -> bool:
    """Tell whether there are images that have lost pixels, also excluded ones."""
    return bool(db.one(f"SELECT EXISTS (SELECT 1 FROM images WHERE {FLAGS['damaged']})")[0])  # noqa: S608 - our own question


def check_flags(names: Sequence[str]) -> None:
    """Refuse words that are no flags.

    Raises:
        UsageError: there is no such flag.
    """
    for name in names:
        if name not in FLAGS:
            raise UsageError(f"{name!r} is not a quality flag", f"known are: {', '.join(FLAGS)}")
