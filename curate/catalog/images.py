"""Images as rows: for manifests, for checking the store, and for taking damaged ones back."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from curate.catalog.candidates import unsigned64
from curate.catalog.database import Database
from curate.records import State, Verified

PAGE_ROWS = 5000
LONGEST_STEP_S = 60.0
"""A longer time without an image is a pause between two runs."""
SEPARATOR = "\x1f"
"""Between the parts of a concatenated list (the ASCII unit separator)."""
_UNIT = "\x1e"
"""Between a class and whether the source itself knows it."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What the catalog says of one file of the store."""

    image_id: str
    """SHA-256 of its bytes."""
    format: str
    """Its true format, which gives the extension."""
    n_bytes: int
    """Its length."""


@dataclass(frozen=True, slots=True)
class KeptImage:
    """A kept image with all that a manifest says of it."""

    image_id: str
    """SHA-256 of the bytes."""
    format: str
    """True format."""
    n_bytes: int
    """Length of the file."""
    width_px: int
    """Stored width."""
    height_px: int
    """Stored height."""
    phash: int
    """64-bit perceptual hash, unsigned."""
    fetched_at: float
    """Unix seconds."""
    source: str
    """Source of the first candidate."""
    source_id: str
    """Its id there."""
    url: str
    """Its URL."""
    page_url: str | None
    """The page a person would open."""
    author: str | None
    """Who made it."""
    license: str | None
    """SPDX id or the source's own words."""
    license_url: str | None
    """Where the licence can be read."""
    rights_holder: str | None
    """Who holds the rights."""
    attribution: str | None
    """Credit line."""
    meta: str | None
    """JSON object of texts."""
    classes: tuple[str, ...]
    """Class hints of all its candidates, sorted; an empty text stands for "none of them"."""
    from_query: bool
    """Every hint comes from a search text, none from the source's own knowledge."""
    groups: tuple[str, ...]
    """Group hints of all its candidates, and of its near-duplicates, sorted."""
    queries: tuple[str, ...]
    """Search texts that found it, sorted."""
    source_classes: tuple[str, ...] = ()
    """Those of `classes` that a source itself knows, not only a search text."""
    disputed: bool = False
    """One table, folder or search gives this image different classes in different places."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the images that are there say of those to come."""

    n: int
    """Images."""
    mean_bytes: float | None
    """Mean size; None without images."""
    sd_bytes: float | None
    """Standard deviation of the size; None without images."""
    seconds_each: float | None
    """Time from one image to the next while fetching; None with fewer than two."""


_KEPT = """
SELECT images.image_id, format, n_bytes, width_px, height_px, phash, fetched_at,
    first.source, first.source_id, first.url, first.page_url, first.author, first.license,
    first.license_url, first.rights_holder, first.attribution,
    (SELECT whole FROM whole_meta WHERE candidate_id = first_id),
    (SELECT GROUP_CONCAT(part, char(31)) FROM (
        SELECT DISTINCT classes.name || char(30) || (searches.query = ''
            OR searches.request ->> '$.class_by' IS NOT NULL) AS part FROM candidates AS every
        JOIN hints ON hints.candidate_id = every.id JOIN classes ON classes.id = class_id
        JOIN searches ON searches.id = hints.search_id
        WHERE every.image_id = images.image_id ORDER BY 1)),
    (SELECT GROUP_CONCAT(part, char(31)) FROM (
        SELECT group_hint AS part FROM candidates AS every
        WHERE every.image_id = images.image_id AND group_hint IS NOT NULL
        UNION SELECT 'near:' || linked FROM near_groups
        WHERE near_groups.image_id = images.image_id
        UNION SELECT 'semantic:' || linked FROM semantic_groups
        WHERE semantic_groups.image_id = images.image_id ORDER BY 1)),
    (SELECT GROUP_CONCAT(part, char(31)) FROM (
        SELECT searches.query AS part FROM candidates AS every
        JOIN searches ON searches.id = every.search_id
        WHERE every.image_id = images.image_id AND searches.query != ''
        UNION SELECT searches.query FROM candidates AS every
        JOIN hints ON hints.candidate_id = every.id JOIN searches ON searches.id = hints.search_id
        WHERE every.image_id = images.image_id AND searches.query != '' ORDER BY 1))
FROM {rows}
"""
_PAGE = _KEPT.format(
    rows="images JOIN candidates AS first ON first.id = first_id "
    "WHERE excluded IS NULL AND images.image_id > ? ORDER BY images.image_id LIMIT ?"
)
_CHOSEN = _KEPT.format(
    rows="json_each(?) AS wanted CROSS JOIN images ON images.image_id = wanted.value "
    "CROSS JOIN candidates AS first ON first.id = first_id WHERE excluded IS NULL"
)

# Only an image with several candidates, or a candidate that came twice, can be disputed.
_DISPUTED = """
SELECT DISTINCT image_id FROM (
    SELECT image_id, search_id FROM (
        SELECT image_id, hints.search_id, every.id,
            (SELECT GROUP_CONCAT(class_id) FROM (SELECT class_id FROM hints AS own
                WHERE own.candidate_id = every.id AND own.search_id = hints.search_id
                ORDER BY class_id)) AS named
        FROM {duplicates} AS copies
        CROSS JOIN candidates AS every INDEXED BY candidates_image USING (image_id)
        CROSS JOIN hints INDEXED BY hints_candidate ON hints.candidate_id = every.id
        CROSS JOIN searches ON searches.id = hints.search_id
        WHERE searches.query = '' OR searches.request ->> '$.class_by' IS NOT NULL
        GROUP BY every.id, hints.search_id)
    GROUP BY image_id, search_id HAVING COUNT(DISTINCT named) > 1)
UNION SELECT image_id FROM disputes JOIN candidates ON candidates.id = candidate_id
WHERE image_id {where}
"""
_EVERYWHERE = {
    "duplicates": "(SELECT DISTINCT image_id FROM candidates INDEXED BY candidates_state "
    "WHERE state = 'duplicate')",
    "where": "NOT NULL",
}
_AMONG = {
    "duplicates": "(SELECT value AS image_id FROM json_each(:ids))",
    "where": "IN (SELECT value FROM json_each(:ids))",
}


def kept(db: Database) -> Iterator[list[KeptImage]]:
    """Yield all kept images in pages, ordered by image id."""
    after = ""
    disputed = disputed_images(db)
    while rows := db.all(_PAGE, (after, PAGE_ROWS)):
        after = rows[-1][0]
        yield [_kept_image(row, disputed) for row in rows]


def some_kept(db: Database, image_ids: Sequence[str]) -> list[KeptImage]:
    """Return some kept images, in the order of the ids; unknown and excluded ones are absent."""
    disputed = disputed_images(db, image_ids)
    return [_kept_image(row, disputed) for row in db.all(_CHOSEN, (json.dumps(image_ids),))]


def disputed_images(db: Database, image_ids: Sequence[str] | None = None) -> frozenset[str]:
    """Return the images that one search gives different classes in different places.

    A table that lists a URL twice, a folder that holds a photo in two class folders, an
    archive in which one photo shows two species: the source contradicts itself. What search
    texts found, several of them perhaps, contradicts nothing.

    Args:
        db: the catalog.
        image_ids: only among these; None: among all.
    """
    if image_ids is None:
        return frozenset(image_id for (image_id,) in db.all(_DISPUTED.format(**_EVERYWHERE)))
    wanted = {"ids": json.dumps(list(image_ids))}
    return frozenset(image_id for (image_id,) in db.all(_DISPUTED.format(**_AMONG), wanted))


def _kept_image(row: tuple[Any, ...], disputed: frozenset[str]) -> KeptImage:
    plain: list[Any] = list(row[:-3])
    named, groups, queries = row[-3:]
    plain[5] = unsigned64(plain[5])
    hints = [part.split(_UNIT) for part in _parts(named)]
    own = tuple(sorted(name for name, is_own in hints if is_own == "1"))
    return KeptImage(  # type: ignore[call-arg] # sixteen plain columns, in the fields' order
        *plain,
        tuple(sorted({name for name, _ in hints})),
        not own,
        _parts(groups),
        _parts(queries),
        own,
        row[0] in disputed,
    )


def _parts(text: object) -> tuple[str, ...]:
    return () if text is None else tuple(str(text).split(SEPARATOR))


def stored_files(db: Database) -> Iterator[list[StoredFile]]:
    """Yield what the store should hold in pages, ordered by image id."""
    after = ""
    sql = (
        "SELECT image_id, format, n_bytes FROM images WHERE image_id > ? ORDER BY image_id LIMIT ?"
    )
    while rows := db.all(sql, (after, PAGE_ROWS)):
        after = rows[-1][0]
        yield [StoredFile(*row) for row in rows]


def sample(db: Database) -> Sample:
    """Return mean size and pace of the images; pauses between runs do not count."""
    n, mean, square = db.one(
        "SELECT COUNT(*), AVG(n_bytes), AVG(1.0 * n_bytes * n_bytes) FROM images"
    )
    sd = None if mean is None else math.sqrt(max(0.0, square - mean * mean))
    times = [at for (at,) in db.all("SELECT fetched_at FROM images ORDER BY fetched_at")]
    steps = [later - at for at, later in pairwise(times) if later - at <= LONGEST_STEP_S]
    return Sample(n, mean, sd, sum(steps) / len(steps) if steps else None)


def known_format(db: Database, image_id: str) -> str | None:
    """Return the format of an image; None if the catalog has no such image."""
    row = db.execute("SELECT format FROM images WHERE image_id = ?", (image_id,)).fetchone()
    return None if row is None else str(row[0])


def verified(db: Database, image_id: str) -> Verified | None:
    """Return what verification said of an image; None if the catalog does not have it."""
    row = db.execute(
        "SELECT image_id, format, n_bytes, width_px, height_px, orientation, phash, phash256, "
        "brightness, contrast, sharpness, entropy, COALESCE(note, '') FROM images "
        "WHERE image_id = ?",
        (image_id,),
    ).fetchone()
    if row is None:
        return None
    values: list[Any] = list(row)
    values[6] = unsigned64(values[6])
    return Verified(*values)


@dataclass(frozen=True, slots=True)
class TakenBack:
    """An image that was taken out of the catalog, as it stood."""

    ids: list[int]
    """Its candidates, in order."""
    row: tuple[Any, ...] | None
    """Its row; None if the catalog did not have it."""


def take_back(db: Database, image_id: str) -> TakenBack:
    """Forget a damaged or missing image; its candidates are pending again.

    Whether it was excluded, and for which image, holds again when the same bytes come back.
    """
    with db.transaction():
        found = db.all("SELECT id FROM candidates WHERE image_id = ? ORDER BY id", (image_id,))
        row = db.execute("SELECT * FROM images WHERE image_id = ?", (image_id,)).fetchone()
        db.execute(
            "INSERT OR REPLACE INTO left_out_before SELECT image_id, excluded, excluded_for "
            "FROM images WHERE image_id = ? AND excluded IS NOT NULL",
            (image_id,),
        )
        db.execute("DELETE FROM images WHERE image_id = ?", (image_id,))
        db.execute(
            "UPDATE candidates SET state = 'pending', image_id = NULL, tries = 0, "
            "limited = 0, due_at = 0 "
            "WHERE image_id = ?",
            (image_id,),
        )
    return TakenBack([number for (number,) in found], row)


def put_back(db: Database, taken: TakenBack) -> bool:
    """Undo `take_back` for an image that did not come back.

    Returns:
        Whether it was put back; False if each of its candidates has become another image.
    """
    if taken.row is None:
        return False
    image_id = taken.row[0]
    with db.transaction():
        ids = [
            number
            for number in taken.ids
            if db.one("SELECT image_id IS NULL FROM candidates WHERE id = ?", (number,))[0]
        ]
        if not ids:
            return False
        marks = ", ".join("?" * len(taken.row))
        db.execute(f"INSERT INTO images VALUES ({marks})", taken.row)  # noqa: S608 - marks
        db.execute("UPDATE images SET first_id = ? WHERE image_id = ?", (ids[0], image_id))
        db.many(
            "UPDATE candidates SET state = ?, reason = NULL, detail = NULL, due_at = 0, "
            "image_id = ? WHERE id = ?",
            (
                (State.STORED if number == ids[0] else State.DUPLICATE, image_id, number)
                for number in ids
            ),
        )
    return True
