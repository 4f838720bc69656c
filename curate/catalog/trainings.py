"""Models that were trained here, as rows: what they were made from, and on which images."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from curate.catalog.database import Database

_COLUMNS = "model, path, backbone, preset, embeddings, size, held_out, trained_at"


@dataclass(frozen=True, slots=True)
class Training:
    """One training and what came out."""

    model: str
    """SHA-256 of the file that came out."""
    path: str
    """Where it was written."""
    backbone: str
    """The file that gave the embeddings."""
    preset: str | None
    """How it wanted pixels; None: as it says itself."""
    embeddings: str
    """Name of its embeddings in the cache."""
    size: int
    """Numbers in one embedding."""
    held_out: Mapping[str, Any]
    """How good the model was on held-out folds, as `Evaluation.to_json`."""
    trained_at: float
    """Unix seconds."""


def record_training(db: Database, training: Training, image_ids: Iterable[str]) -> None:
    """Note a training, on the disk before this returns; the same model again replaces its note.

    Args:
        db: the catalog.
        training: what was done.
        image_ids: the images that it learned from.
    """
    values = (
        training.model,
        training.path,
        training.backbone,
        training.preset,
        training.embeddings,
        training.size,
        json.dumps(training.held_out, ensure_ascii=False),
        training.trained_at,
    )
    with db.transaction(durable=True):
        known = "SELECT id FROM trainings WHERE model = ?"
        db.execute(f"DELETE FROM training_images WHERE training_id = ({known})", (training.model,))  # noqa: S608 - a constant
        db.execute("DELETE FROM trainings WHERE model = ?", (training.model,))
        marks = ", ".join("?" * len(values))
        cursor = db.execute(f"INSERT INTO trainings ({_COLUMNS}) VALUES ({marks})", values)  # noqa: S608 - our own columns
        number = cursor.lastrowid
        db.many(
            "INSERT OR IGNORE INTO training_images VALUES (?, ?)",
            ((number, image_id) for image_id in image_ids),
        )


def trainings(db: Database) -> list[Training]:
    """Return all trainings, the newest first."""
    rows = db.all(f"SELECT {_COLUMNS} FROM trainings ORDER BY id DESC")  # noqa: S608 - our own columns
    return [
        Training(model, path, backbone, preset, embeddings, size, json.loads(held_out), trained_at)
        for model, path, backbone, preset, embeddings, size, held_out, trained_at in rows
    ]


def trained_on(db: Database, model: str) -> set[str]:
    """Return the images that a model has learned from here; none if it was not trained here."""
    rows = db.all(
        "SELECT image_id FROM training_images JOIN trainings ON trainings.id = training_id "
        "WHERE model = ?",
        (model,),
    )
    return {image_id for (image_id,) in rows}
