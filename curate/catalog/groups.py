"""Near-duplicates as rows: what was found, what was decided, who is kept in whose place.

Pairs and groups follow from the images and can be made again; the two kinds of decision
("these are not the same", "this one stays in") come from people and are never removed by
a search. Triggers put every image that is added, taken back, excluded or brought back into
`dedupe_queue`, so that the next search knows what to look at without reading all images.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from curate.catalog.candidates import unsigned64
from curate.catalog.database import Database
from curate.errors import UsageError

NEAR_DUPLICATE = "near_duplicate"
PAGE_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Print:
    """What the search needs of an image."""

    image_id: str
    """SHA-256 of its bytes."""
    phash: int
    """64-bit hash, unsigned."""
    phash256: bytes
    """256-bit hash, 32 bytes."""
    contrast: float
    """Standard deviation of its grey values."""
    entropy: float
    """Entropy of its grey values, bits."""


@dataclass(frozen=True, slots=True)
class Queue:
    """What has changed since the last search."""

    added: list[Print]
    """Images that were never compared."""
    gone: list[str]
    """Ids of images that were taken back (some may have come again)."""
    touched: int
    """How many images changed in any way."""


@dataclass(frozen=True, slots=True)
class Member:
    """What decides which image of a group is kept."""

    image_id: str
    """SHA-256 of its bytes."""
    phash: int
    """64-bit hash, unsigned."""
    phash256: bytes
    """256-bit hash, 32 bytes."""
    n_pixels: int
    """Width times height."""
    n_bytes: int
    """Length of the file."""
    license: str | None
    """SPDX id or the source's words."""
    excluded: str | None
    """Why it is left out at present."""
    annotated: bool
    """Somebody has labelled it."""
    included: bool
    """Somebody has decided that it stays in."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image stands among its near-duplicates."""

    image_id: str
    """The image."""
    linked: str
    """Smallest image id that a chain of pairs leads to."""
    keeper: str
    """The image kept of its group."""
    left_out: bool
    """Excluded as a near-duplicate."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What the groups add up to."""

    groups: int
    """Groups of two images or more."""
    excluded: int
    """Images left out for their group's keeper."""
    pairs: int
    """Pairs that hold the groups together: one fewer than images in each set of linked ones."""
    largest_group: int
    """Images in the largest group; 0 without any."""
    split_chains: int
    """Cuts through sets of linked images that were too long, or declared different."""


def read_state(db: Database, name: str) -> str | None:
    """Return a remembered value; None before the first search."""
    row = db.execute("SELECT value FROM dedupe_state WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def write_state(db: Database, name: str, value: str) -> None:
    """Remember a value."""
    db.execute("INSERT OR REPLACE INTO dedupe_state VALUES (?, ?)", (name, value))


_PRINT = "images.image_id, phash, phash256, contrast, entropy"


def queue(db: Database) -> Queue:
    """Read what has changed since the last search."""
    added = db.all(f"SELECT {_PRINT} FROM dedupe_queue JOIN images USING (image_id) WHERE added")  # noqa: S608 - our own columns
    gone = db.all("SELECT image_id FROM dedupe_queue WHERE gone")
    (touched,) = db.one("SELECT COUNT(*) FROM dedupe_queue")
    return Queue([_print(row) for row in added], [row[0] for row in gone], touched)


def prints(db: Database, *, compared: bool) -> Iterator[list[Print]]:
    """Yield all images in pages; with `compared`, only those that are not waiting."""
    wanted = " AND image_id NOT IN (SELECT image_id FROM dedupe_queue WHERE added)"
    sql = (
        f"SELECT {_PRINT} FROM images WHERE image_id > ?{wanted if compared else ''} "  # noqa: S608 - our own columns
        f"ORDER BY image_id LIMIT {PAGE_ROWS}"
    )
    after = ""
    while rows := db.all(sql, (after,)):
        after = rows[-1][0]
        yield [_print(row) for row in rows]


def _print(row: Sequence[object]) -> Print:
    image_id, phash, phash256, contrast, entropy = row
    return Print(image_id, unsigned64(phash), phash256, contrast, entropy)  # type: ignore[arg-type] # SQLite's columns


def forget_pairs(db: Database, image_ids: Iterable[str] | None) -> None:
    """Remove the pairs of some images; None: all pairs."""
    if image_ids is None:
        db.execute("DELETE FROM near_pairs")
        return
    ids = [(image_id,) for image_id in image_ids]
    db.many("DELETE FROM near_pairs WHERE a = ?", ids)
    db.many("DELETE FROM near_pairs WHERE b = ?", ids)


def add_pairs(db: Database, rows: Iterable[tuple[str, str, int, int]]) -> None:
    """Record confirmed pairs: two ids, smaller first, and both distances."""
    db.many("INSERT OR REPLACE INTO near_pairs VALUES (?, ?, ?, ?)", rows)


def affected(db: Database, *, everything: bool) -> None:
    """Fill `temp.affected` with all images whose group may change, and all linked to them.

    The joins are CROSS JOINs because SQLite then keeps their order: it would otherwise
    read all pairs to look each up among the few images that are affected.

    Args:
        db: the catalog, in a transaction.
        everything: all images that have pairs or a group, whatever was touched.
    """
    db.execute("CREATE TEMP TABLE IF NOT EXISTS affected (image_id TEXT PRIMARY KEY) WITHOUT ROWID")
    db.execute("DELETE FROM affected")
    if everything:
        db.execute(
            "INSERT INTO affected SELECT a FROM near_pairs UNION SELECT b FROM near_pairs "
            "UNION SELECT image_id FROM near_groups"
        )
        return
    db.execute("INSERT INTO affected SELECT image_id FROM dedupe_queue")
    before = -1
    (now,) = db.one("SELECT COUNT(*) FROM affected")
    while now > before:
        before = now
        db.execute(
            "INSERT OR IGNORE INTO affected "
            "SELECT b FROM affected CROSS JOIN near_pairs ON a = image_id UNION "
            "SELECT a FROM affected CROSS JOIN near_pairs ON b = image_id UNION "
            "SELECT mate.image_id FROM affected CROSS JOIN near_groups AS own USING (image_id) "
            "CROSS JOIN near_groups AS mate ON mate.linked = own.linked"
        )
        (now,) = db.one("SELECT COUNT(*) FROM affected")


def affected_members(db: Database) -> list[Member]:
    """Return the affected images that are still there, ordered by id."""
    annotated = "0"
    if db.all("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'annotations'"):
        annotated = "EXISTS (SELECT 1 FROM annotations AS by WHERE by.image_id = images.image_id)"
    rows = db.all(
        "SELECT images.image_id, phash, phash256, width_px * height_px, n_bytes, "  # noqa: S608 - our own columns
        f"license, excluded, {annotated}, included.image_id NOT NULL "
        "FROM affected CROSS JOIN images USING (image_id) "
        "CROSS JOIN candidates ON candidates.id = first_id "
        "LEFT JOIN included USING (image_id) ORDER BY 1"
    )
    return [
        Member(
            image_id=row[0],
            phash=unsigned64(row[1]),
            phash256=row[2],
            n_pixels=row[3],
            n_bytes=row[4],
            license=row[5],
            excluded=row[6],
            annotated=bool(row[7]),
            included=bool(row[8]),
        )
        for row in rows
    ]


def affected_pairs(db: Database) -> list[tuple[str, str]]:
    """Return the recorded pairs of affected images, also those declared different."""
    return [
        (a, b) for a, b in db.all("SELECT a, b FROM affected CROSS JOIN near_pairs ON a = image_id")
    ]


def affected_prints(db: Database) -> list[Print]:
    """Return what a search needs of the affected images that are still there."""
    rows = db.all(f"SELECT {_PRINT} FROM affected CROSS JOIN images USING (image_id)")  # noqa: S608 - our own columns
    return [_print(row) for row in rows]


def linked_of(db: Database, image_ids: Iterable[str]) -> dict[str, str]:
    """Return, for those images that have near-duplicates, the smallest id they are linked to."""
    sql = "SELECT linked FROM near_groups WHERE image_id = ?"
    found = ((image_id, db.execute(sql, (image_id,)).fetchone()) for image_id in image_ids)
    return {image_id: row[0] for image_id, row in found if row is not None}


def affected_not_same(db: Database) -> list[tuple[str, str]]:
    """Return the pairs of affected images that were declared different."""
    return [(a, b) for a, b in db.all("SELECT a, b FROM not_same JOIN affected ON a = image_id")]


def replace_places(db: Database, places: Sequence[Place]) -> tuple[int, int]:
    """Write the places of all affected images and exclude or bring back accordingly.

    Args:
        db: the catalog, in a transaction, after `affected`.
        places: one for each affected image that has near-duplicates.

    Returns:
        How many images were excluded, and how many brought back.
    """
    before = dict(
        db.all(
            "SELECT image_id, excluded_for FROM affected CROSS JOIN images USING (image_id) "
            "WHERE excluded = ?",
            (NEAR_DUPLICATE,),
        )
    )
    after = {each.image_id: each.keeper for each in places if each.left_out}
    db.execute("DELETE FROM near_groups WHERE image_id IN (SELECT image_id FROM affected)")
    db.many(
        "INSERT INTO near_groups VALUES (?, ?, ?, ?)",
        [(each.image_id, each.linked, each.keeper, int(each.left_out)) for each in places],
    )
    db.many(
        "UPDATE images SET excluded = ?, excluded_for = ? WHERE image_id = ?",
        [
            (NEAR_DUPLICATE, keeper, image_id)
            for image_id, keeper in after.items()
            if before.get(image_id) != keeper
        ],
    )
    back = [(image_id,) for image_id in before if image_id not in after]
    db.many("UPDATE images SET excluded = NULL, excluded_for = NULL WHERE image_id = ?", back)
    return len(after.keys() - before.keys()), len(back)


def clear_queue(db: Database) -> None:
    """Everything has been looked at."""
    db.execute("DELETE FROM dedupe_queue")


def totals(db: Database) -> Totals:
    """Add up groups and pairs."""
    n_keepers, n_images, n_groups, excluded, largest = db.one(
        "SELECT COUNT(*), COALESCE(SUM(n), 0), COALESCE(SUM(n > 1), 0), COALESCE(SUM(gone), 0), "
        "COALESCE(MAX(IIF(n > 1, n, 0)), 0) FROM (SELECT COUNT(*) AS n, SUM(left_out) AS gone "
        "FROM near_groups GROUP BY linked, keeper)"
    )
    # Of each chain, exactly one image is the smallest.
    (chains,) = db.one("SELECT COUNT(*) FROM near_groups WHERE image_id = linked")
    return Totals(n_groups, excluded, n_images - chains, largest, n_keepers - chains)


def places(db: Database) -> list[Place]:
    """Return the places of all images that have near-duplicates, group by group."""
    rows = db.all(
        "SELECT image_id, linked, keeper, left_out FROM near_groups "
        "ORDER BY linked, keeper, image_id != keeper, image_id"
    )
    return [Place(image_id, linked, keeper, bool(out)) for image_id, linked, keeper, out in rows]


# Decisions


def find_image(db: Database, prefix: str) -> str:
    """Return the image whose id begins with `prefix`.

    Raises:
        UsageError: none does, or several do.
    """
    low = prefix.lower()
    rows = db.all(
        "SELECT image_id FROM images WHERE image_id >= ? AND image_id < ? LIMIT 2",
        (low, low + "g"),
    )
    if not low or not rows:
        hint = "`curate status --excluded` lists those that are left out"
        raise UsageError(f"no image has an id that begins with {prefix!r}", hint)
    if len(rows) > 1:
        raise UsageError(f"several images have ids that begin with {prefix!r}", "give more of it")
    return str(rows[0][0])


def declare_different(db: Database, one: str, other: str, now: float) -> None:
    """Record that two images are not the same, for good."""
    a, b = sorted((one, other))
    with db.transaction():
        db.execute("INSERT OR IGNORE INTO not_same VALUES (?, ?, ?)", (a, b, now))
        _touch(db, (a, b))


def why_excluded(db: Database, image_id: str) -> str | None:
    """Return why an image is out; None if it is not."""
    (reason,) = db.one("SELECT excluded FROM images WHERE image_id = ?", (image_id,))
    return None if reason is None else str(reason)


def include(db: Database, image_id: str, now: float) -> None:
    """Bring an image back, for good."""
    with db.transaction():
        db.execute("INSERT OR IGNORE INTO included VALUES (?, ?)", (image_id, now))
        db.execute(
            "UPDATE images SET excluded = NULL, excluded_for = NULL WHERE image_id = ?", (image_id,)
        )
        db.execute("UPDATE near_groups SET left_out = 0 WHERE image_id = ?", (image_id,))
        _touch(db, (image_id,))


def bring_back(db: Database, reason: str) -> int:
    """Bring all images back that were excluded for `reason`; return how many.

    Near-duplicates still belong together: they share a group hint, and the next search
    excludes them again.
    """
    with db.transaction():
        cursor = db.execute(
            "UPDATE images SET excluded = NULL, excluded_for = NULL WHERE excluded = ?", (reason,)
        )
        if reason == NEAR_DUPLICATE:
            db.execute("UPDATE near_groups SET left_out = 0 WHERE left_out")
    return cursor.rowcount


def count_excluded(db: Database, reason: str) -> int:
    """Count the images that are excluded for `reason`."""
    (n,) = db.one("SELECT COUNT(*) FROM images WHERE excluded = ?", (reason,))
    return int(n)


def included(db: Database) -> list[str]:
    """Return the images that somebody has decided to keep."""
    return [image_id for (image_id,) in db.all("SELECT image_id FROM included")]


def exclude(db: Database, image_ids: Iterable[str], reason: str) -> int:
    """Exclude images, except those that somebody has decided to keep; return how many.

    Images that are out already keep their reason.
    """
    with db.transaction():
        before = count_excluded(db, reason)
        db.many(
            "UPDATE images SET excluded = ? WHERE image_id = ? AND excluded IS NULL "
            "AND image_id NOT IN (SELECT image_id FROM included)",
            [(reason, image_id) for image_id in image_ids],
        )
        return count_excluded(db, reason) - before


def _touch(db: Database, image_ids: Iterable[str]) -> None:
    db.many(
        "INSERT INTO dedupe_queue VALUES (?, 0, 0) ON CONFLICT (image_id) DO NOTHING",
        [(image_id,) for image_id in image_ids],
    )
