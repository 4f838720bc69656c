"""Models and what they propose, as rows. A new model adds rows; those of older ones stay."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curate.catalog.annotations import newest_proposals as newest
from curate.catalog.database import Database
from curate.catalog.text import clean
from curate.records import Proposal

__all__ = [
    "ModelRow",
    "by_model",
    "count_to_propose",
    "find_model",
    "models",
    "newest",
    "record_model",
    "record_proposals",
    "to_propose",
]

PAGE_ROWS = 2_000
_COLUMNS = "image_id, sha256, proposals.classes, score, scores, made_at"


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model that has proposed something."""

    sha256: str
    """Of its file."""
    name: str
    """The file's name."""
    classes: tuple[str, ...]
    """What it can propose."""
    exclusive: bool
    """One class each."""
    settings: Mapping[str, Any]
    """Preset, map, thresholds: what else decides what it proposes."""
    added_at: float
    """Unix seconds: since when it proposes with these settings."""


def record_model(db: Database, model: ModelRow) -> ModelRow:
    """Note a model; return it as it stands.

    With other settings than before it counts as added now: what it proposed until then stays,
    until it is proposed anew.

    Args:
        db: the catalog.
        model: the model; `added_at` is now.
    """
    row = (
        clean(model.name),
        json.dumps([clean(each) for each in model.classes], ensure_ascii=False),
        int(model.exclusive),
        json.dumps(dict(model.settings), ensure_ascii=False, sort_keys=True),
    )
    known = db.execute(
        "SELECT classes, exclusive, settings, added_at FROM models WHERE sha256 = ?",
        (model.sha256,),
    ).fetchone()
    if known is None or tuple(known[:3]) != row[1:]:
        db.execute(
            "INSERT INTO models (sha256, name, classes, exclusive, settings, added_at) "
            "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (sha256) DO UPDATE SET name = excluded.name, "
            "classes = excluded.classes, exclusive = excluded.exclusive, "
            "settings = excluded.settings, added_at = excluded.added_at",
            (model.sha256, *row, model.added_at),
        )
    found = find_model(db, model.sha256)
    assert found is not None
    return found


def find_model(db: Database, sha256: str) -> ModelRow | None:
    """Return a model by the SHA-256 of its file; None if it never proposed anything."""
    return next((each for each in models(db) if each.sha256 == sha256), None)


def models(db: Database) -> list[ModelRow]:
    """Return all models, the newest first."""
    sql = (
        "SELECT sha256, name, classes, exclusive, settings, added_at FROM models "
        "ORDER BY added_at DESC, id DESC"
    )
    return [
        ModelRow(
            sha256, name, tuple(json.loads(classes)), bool(exclusive), json.loads(settings), at
        )
        for sha256, name, classes, exclusive, settings, at in db.all(sql)
    ]


def record_proposals(db: Database, proposals: Sequence[Proposal]) -> None:
    """Write proposals, in one transaction; a model's earlier ones for the same images go.

    Args:
        db: the catalog.
        proposals: all by models that were recorded.
    """
    ids = dict(db.all("SELECT sha256, id FROM models"))
    with db.transaction():
        db.many(
            "INSERT OR REPLACE INTO proposals "
            "(image_id, model_id, classes, score, scores, made_at) VALUES (?, ?, ?, ?, ?, ?)",
            (
                (
                    each.image_id,
                    ids[each.model],
                    json.dumps([clean(name) for name in each.classes], ensure_ascii=False),
                    each.score,
                    json.dumps(dict(each.scores), ensure_ascii=False),
                    each.made_at,
                )
                for each in proposals
            ),
        )


def to_propose(
    db: Database,
    model: ModelRow,
    *,
    anew: bool = False,
) -> Iterator[list[tuple[str, str]]]:
    """Yield pages of the kept images that a model has to look at, ordered by image id.

    Args:
        db: the catalog.
        model: the model; what it proposed before `added_at` does not count.
        anew: all images, whatever it proposed before.

    Yields:
        Pairs of image id and format.
    """
    sql = (
        "SELECT image_id, format FROM images WHERE excluded IS NULL AND image_id > ? AND (? OR "
        "NOT EXISTS (SELECT 1 FROM proposals JOIN models ON models.id = model_id "
        "WHERE proposals.image_id = images.image_id AND sha256 = ? AND made_at >= ?)) "
        "ORDER BY image_id LIMIT ?"
    )
    after = ""
    while rows := db.all(sql, (after, anew, model.sha256, model.added_at, PAGE_ROWS)):
        after = rows[-1][0]
        yield [(image_id, image_format) for image_id, image_format in rows]


def count_to_propose(db: Database, model: ModelRow, *, anew: bool = False) -> int:
    """Count the images that `to_propose` yields."""
    (total,) = db.one("SELECT COUNT(*) FROM images WHERE excluded IS NULL")
    if anew:
        return int(total)
    (done,) = db.one(
        "SELECT COUNT(*) FROM proposals JOIN models ON models.id = model_id "
        "JOIN images USING (image_id) WHERE sha256 = ? AND made_at >= ? AND excluded IS NULL",
        (model.sha256, model.added_at),
    )
    return int(total) - int(done)


def by_model(db: Database, sha256: str, image_ids: Iterable[str]) -> dict[str, Proposal]:
    """Return what one model proposes for some images; those without a proposal are absent."""
    sql = (
        f"SELECT {_COLUMNS} FROM json_each(?) AS wanted "  # noqa: S608 - a constant
        "JOIN proposals ON proposals.image_id = wanted.value "
        "JOIN models ON models.id = model_id WHERE sha256 = ?"
    )
    rows = db.all(sql, (json.dumps(list(image_ids)), sha256))
    return {row[0]: _proposal(row) for row in rows}


def _proposal(row: tuple[Any, ...]) -> Proposal:
    image_id, sha256, classes, score, scores, made_at = row
    return Proposal(
        image_id, sha256, tuple(json.loads(classes)), score, json.loads(scores), made_at
    )
