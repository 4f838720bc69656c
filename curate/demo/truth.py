"""What was found, compared with what the sample source knows to be true.

The truth is worked out from the photos that were really asked for: a quota leaves
candidates in reserve, and nobody can know what those would have been.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

from curate.catalog import groups
from curate.catalog.database import Database
from curate.demo.gbif_records import RecordWriter
from curate.demo.occurrences import FIRST_KEY
from curate.demo.photos import Photo, tally
from curate.demo.server import SampleServer

_FIRST = ("images", "duplicates", "near_duplicates")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One number, as curate found it and as it is."""

    what: str
    """`images`, `duplicates` (the same bytes), `near_duplicates` (the same photo in other
    bytes, left out for a better copy), or a reason."""
    found: int
    """What the catalog says."""
    truth: int
    """What the sample source knows."""

    @property
    def agrees(self) -> bool:
        """Whether the two are the same."""
        return self.found == self.truth


@dataclass(frozen=True, slots=True)
class Truth:
    """How well the catalog agrees with the sample source."""

    rows: tuple[Comparison, ...]
    """All numbers, images first."""

    @property
    def agrees(self) -> bool:
        """Whether every number is right."""
        return all(row.agrees for row in self.rows)


def compare(db: Database, server: SampleServer) -> Truth:
    """Compare every candidate that has an outcome with the photo behind it."""
    found: Counter[str] = Counter()
    photos: list[Photo] = []
    records = RecordWriter(server.taxonomy, server.occurrences, lambda: server.url)
    for source, source_id, url, state, reason in db.all(
        "SELECT source, source_id, url, state, COALESCE(reason, '') FROM candidates "
        "WHERE state != 'pending'"
    ):
        photo_id = source_id if source == "unsplash" else _gbif_id(records, url)
        photo = server.photo(photo_id)
        if photo is None:
            found["unknown"] += 1
            continue
        photos.append(photo)
        found[{"stored": "images", "duplicate": "duplicates"}.get(state, reason)] += 1
    true = tally(photos)
    found["near_duplicates"] = groups.count_excluded(db, groups.NEAR_DUPLICATE)
    names = sorted({*found, *true, *_FIRST}, key=lambda name: (name not in _FIRST, name))
    rows = sorted(
        (Comparison(name, found[name], true.get(name, 0)) for name in names),
        key=lambda row: row.what != "images",
    )
    return Truth(tuple(rows))


def _gbif_id(records: RecordWriter, url: str) -> str:
    """Return the id of the photo behind a URL of a medium, or of GBIF's cache of it."""
    parts = urlsplit(url).path.split("/")
    if "occurrence" not in parts:
        return parts[-2]
    index = int(parts[parts.index("occurrence") + 1]) - FIRST_KEY
    medium = records.by_digest(index, parts[-1])
    return medium.photo_id if medium else ""
