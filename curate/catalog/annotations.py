"""The ledger: what people decided, row by row, and who decided what in the end.

Rows are only ever added. Beside them stands `decisions`, the newest annotation in force of
each person for each image: it is written in the same transaction, saves reading the whole
ledger to find out what was undone, and can be made again from the ledger at any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from curate.catalog.database import Database
from curate.catalog.text import clean, cleaned
from curate.records import Annotation, Kind, Proposal

PAGE_ROWS = 5000
_COLUMNS = (
    "key, kind, annotator, decided_at, image_id, classes, undoes, shown, shown_score, shown_by, "
    "tool, queue, mode, seconds"
)
_PREFIXED = ", ".join(f"annotations.{each}" for each in _COLUMNS.split(", "))


def insert(db: Database, each: Annotation) -> bool:
    """Add a row; return False, and change nothing, where its key is known.

    What it says is taken as it is: `curate.carriers.people.Ledger` checks it first.
    """
    marks = ", ".join("?" * (_COLUMNS.count(",") + 1))
    cursor = db.execute(
        f"INSERT INTO annotations ({_COLUMNS}) VALUES ({marks}) ON CONFLICT (key) DO NOTHING",  # noqa: S608 - our own columns
        _values(each),
    )
    return cursor.rowcount > 0


def decide(db: Database, image_id: str, annotator: str) -> None:
    """Find out again what a person's decision about an image is."""
    rows = db.all(
        "SELECT id, key, kind, undoes FROM annotations WHERE image_id = ? AND annotator = ? "
        "ORDER BY id DESC",
        (image_id, annotator),
    )
    dead: set[str] = set()
    for number, key, kind, undoes in rows:
        if key in dead:
            continue
        if kind == Kind.UNDO:
            dead.add(undoes)
            continue
        db.execute(
            "INSERT INTO decisions (image_id, annotator, annotation_id) VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET annotation_id = excluded.annotation_id",
            (image_id, annotator, number),
        )
        return
    db.execute("DELETE FROM decisions WHERE image_id = ? AND annotator = ?", (image_id, annotator))


def decisions(db: Database, image_ids: Iterable[str]) -> list[tuple[int, Annotation]]:
    """Return what is in force for some images: row numbers and rows, in order of arrival."""
    rows = db.all(
        f"SELECT annotations.id, {_PREFIXED} FROM json_each(?) AS wanted "  # noqa: S608 - our own columns
        "CROSS JOIN decisions ON decisions.image_id = wanted.value "
        "CROSS JOIN annotations ON annotations.id = annotation_id ORDER BY annotations.id",
        (json.dumps(list(image_ids)),),
    )
    return [(row[0], _annotation(row[1:])) for row in rows]


def all_decisions(db: Database) -> Iterator[list[tuple[int, Annotation]]]:
    """Yield what is in force in pages, ordered by image id; no image is on two pages."""
    after = ""
    while rows := db.all(
        f"SELECT annotations.id, {_PREFIXED} FROM decisions "  # noqa: S608 - our own columns
        "CROSS JOIN annotations ON annotations.id = annotation_id "
        "WHERE decisions.image_id IN (SELECT DISTINCT image_id FROM decisions "
        "WHERE image_id > ? ORDER BY image_id LIMIT ?) "
        "ORDER BY decisions.image_id, annotations.id",
        (after, PAGE_ROWS),
    ):
        page = [(row[0], _annotation(row[1:])) for row in rows]
        after = str(page[-1][1].image_id)
        yield page


def labelled(db: Database) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    """Yield image id, row number and classes of each label in force, ordered by image id."""
    for image_id, number, text in db.execute(
        "SELECT decisions.image_id, annotation_id, classes FROM decisions CROSS JOIN annotations "
        "ON annotations.id = annotation_id WHERE kind = 'label' ORDER BY decisions.image_id"
    ):
        yield image_id, number, _names(text) or ()


def history(db: Database, after: int = 0) -> Iterator[list[tuple[int, Annotation]]]:
    """Yield every row of the ledger in pages, in order of arrival, with its number."""
    sql = f"SELECT id, {_COLUMNS} FROM annotations WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - our own columns
    while rows := db.all(sql, (after, PAGE_ROWS)):
        after = rows[-1][0]
        yield [(row[0], _annotation(row[1:])) for row in rows]


def by_key(db: Database, key: str) -> Annotation | None:
    """Return the row with this key; None if there is none."""
    sql = f"SELECT {_COLUMNS} FROM annotations WHERE key = ?"  # noqa: S608 - our own columns
    row = db.execute(sql, (clean(key),)).fetchone()
    return None if row is None else _annotation(row)


def of_image(db: Database, image_id: str) -> list[Annotation]:
    """Return all that was ever said of an image, undone or not, in order of arrival."""
    sql = f"SELECT {_COLUMNS} FROM annotations WHERE image_id = ? ORDER BY id"  # noqa: S608 - our own columns
    return [_annotation(row) for row in db.all(sql, (image_id,))]


def rename_rows(db: Database) -> list[tuple[int, Annotation]]:
    """Return the renames, and what undoes them, in order of arrival."""
    rows = db.all(
        f"SELECT id, {_COLUMNS} FROM annotations INDEXED BY annotations_general "  # noqa: S608 - our own columns
        "WHERE image_id IS NULL ORDER BY id"
    )
    return [(row[0], _annotation(row[1:])) for row in rows]


def last_id(db: Database) -> int:
    """Return the number of the newest row; 0 for an empty ledger."""
    return int(db.one("SELECT COALESCE(MAX(id), 0) FROM annotations")[0])


def count(db: Database) -> int:
    """Return how many rows the ledger has."""
    return int(db.one("SELECT COUNT(*) FROM annotations")[0])


def last_rename(db: Database) -> int:
    """Return the number of the newest row about the names of classes; 0 if there is none."""
    sql = (
        "SELECT COALESCE(MAX(id), 0) FROM annotations INDEXED BY annotations_general "
        "WHERE image_id IS NULL"
    )
    return int(db.one(sql)[0])


def rebuild(db: Database) -> None:
    """Make `decisions` again from the ledger."""
    with db.transaction():
        db.execute("DELETE FROM decisions")
        for image_id, annotator in db.all(
            "SELECT DISTINCT image_id, annotator FROM annotations WHERE image_id NOT NULL"
        ):
            decide(db, image_id, annotator)


def newest_proposals(db: Database, image_ids: Iterable[str]) -> dict[str, Proposal]:
    """Return the newest proposal for each of some images; absent where there is none."""
    rows = db.all(
        "SELECT image_id, sha256, proposals.classes, score, scores, made_at "
        "FROM json_each(?) AS wanted CROSS JOIN proposals ON image_id = wanted.value "
        "CROSS JOIN models ON models.id = model_id ORDER BY made_at, model_id",
        (json.dumps(list(image_ids)),),
    )
    return {
        row[0]: Proposal(row[0], row[1], _names(row[2]) or (), row[3], json.loads(row[4]), row[5])
        for row in rows
    }


def thresholds(db: Database) -> dict[str, dict[str, float]]:
    """Return each model's own thresholds by its SHA-256: class to smallest score that counts.

    The class "" stands for all that are not named.
    """
    found: dict[str, dict[str, float]] = {}
    for sha256, text in db.all("SELECT sha256, settings FROM models"):
        given = json.loads(text).get("thresholds") or {}
        limits = given if isinstance(given, dict) else {"": given}
        found[sha256] = {str(name): float(least) for name, least in limits.items()}
    return found


def _values(each: Annotation) -> tuple[Any, ...]:
    return (
        clean(each.key),
        each.kind,
        clean(each.annotator),
        each.decided_at,
        each.image_id,
        _json(each.classes),
        cleaned(each.undoes),
        _json(each.shown),
        each.shown_score,
        cleaned(each.shown_by),
        clean(each.tool),
        clean(each.queue),
        clean(each.mode),
        each.seconds,
    )


def _json(names: Sequence[str] | None) -> str | None:
    return (
        None if names is None else json.dumps([clean(name) for name in names], ensure_ascii=False)
    )


def _annotation(row: tuple[Any, ...]) -> Annotation:
    key, kind, annotator, decided_at, image_id, classes, undoes, shown, *rest = row
    return Annotation(
        key, Kind(kind), annotator, decided_at, image_id, _names(classes), undoes, _names(shown),
        *rest,
    )  # fmt: skip


@lru_cache(maxsize=4096)  # a few lists of classes make up all rows
def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(json.loads(text))
