"""Projects to label, and the real Labelme with somebody at its window."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from curate.catalog import class_lists
from curate.catalog.annotations import history
from curate.catalog.candidates import Outcome, record
from curate.catalog.database import Database
from curate.flags import REVIEWED
from curate.label.labelme_file import SUFFIX
from curate.label.labelme_folder import INDEX
from curate.records import Annotation
from curate.store import Store
from tests.catalog.rows import candidate, filled, image
from tests.fetch.command import Said, curate, environment

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("labelme_driver.py")


def picture(number: int, side_px: int = 48) -> bytes:
    """A small JPEG, another one for each number."""
    made = io.BytesIO()
    colour = (number * 37 % 256, number * 91 % 256, number * 151 % 256)
    Image.new("RGB", (side_px, side_px * 3 // 4), colour).save(made, "JPEG", comment=str(number))
    return made.getvalue()


def make_project(
    path: Path,
    hints: Sequence[Sequence[str]],
    classes: Sequence[str] = ("beach", "city", "trees"),
    *,
    exclusive: bool = False,
) -> list[str]:
    """Make a project with an image for each list of class hints; return the image ids."""
    path.mkdir(exist_ok=True)
    offered = [candidate(number, *names) for number, names in enumerate(hints)]
    db = filled(*offered, path=path / "catalog.db")
    store = Store(path / "images")
    ids = [add_image(db, store, n + 1, picture(n), "jpeg") for n in range(len(hints))]
    if classes:
        class_lists.add(db, classes, exclusive=exclusive, now=0.0)
    db.close()
    return ids


def add_image(db: Database, store: Store, candidate_id: int, data: bytes, image_format: str) -> str:
    """Put bytes into the store, and their row into the catalog."""
    image_id = hashlib.sha256(data).hexdigest()
    stored = store.path(image_id, image_format)
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_bytes(data)
    verified = image(candidate_id, image_id=image_id, format=image_format, n_bytes=len(data))
    record(db, [Outcome(candidate_id, verified, http_status=200)], 1.0)
    return image_id


def propose(path: Path, proposals: Mapping[str, tuple[Sequence[str], float]]) -> str:
    """Let a model propose classes; return its SHA-256."""
    model = hashlib.sha256(b"model").hexdigest()
    with sqlite3.connect(path / "catalog.db") as db:
        db.execute(
            "INSERT INTO models (sha256, name, classes, exclusive, settings, added_at) "
            "VALUES (?, 'm.onnx', '[]', 0, '{}', 1.0)",
            (model,),
        )
        db.executemany(
            "INSERT INTO proposals VALUES (?, 1, ?, ?, ?, 1.0)",
            [
                (image_id, json.dumps(list(names)), score, json.dumps(dict.fromkeys(names, score)))
                for image_id, (names, score) in proposals.items()
            ],
        )
    db.close()
    return model


def ledger(path: Path) -> list[Annotation]:
    """All rows of the ledger, in order of arrival."""
    db = Database(path / "catalog.db")
    found = [row for page in history(db) for _, row in page]
    db.close()
    return found


def said(path: Path) -> list[tuple[str, str, tuple[str, ...] | None]]:
    """Image (its first characters), annotator and classes of each row of the ledger."""
    return [(str(row.image_id)[:8], row.annotator, row.classes) for row in ledger(path)]


def folders(path: Path) -> list[Path]:
    """The working folders of a project, the oldest first."""
    return sorted(each for each in (path / "labeling").iterdir() if not each.name.startswith("."))


def index(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / INDEX).read_text())
    return document


def save(folder: Path, image_id: str, *flags: str, later_s: float = 0.0, **changes: Any) -> Path:
    """Save a file as Labelme does, with these flags ticked."""
    name = next(each for each in index(folder)["images"] if image_id in each)
    path = folder / f"{Path(name).stem}{SUFFIX}"
    known = [REVIEWED, *index(folder)["flags"]]
    document = {
        "version": "6.3.1",
        "flags": {**dict.fromkeys(known, False), **dict.fromkeys(flags, True)},
        "shapes": [],
        "imagePath": name,
        "imageData": None,
        "imageHeight": 36,
        "imageWidth": 48,
        **changes,
    }
    path.write_text(json.dumps(document, indent=2))
    if later_s:
        at = path.stat().st_mtime + later_s
        os.utime(path, (at, at))
    return path


# The real one


def labelme_python(version: str) -> Path:
    """The Python that this version of Labelme is installed in; skips where it is not."""
    python = ROOT / f".venv-labelme-{version}" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"Labelme {version} is not installed here: `make labelme`")
    return python


def person(folder: Path, version: str, steps: Sequence[object]) -> dict[str, str]:
    """An environment in which Labelme starts offscreen and is used in these steps."""
    python = labelme_python(version)
    program = folder / f"labelme-{version}"
    program.write_text(f'#!/bin/sh\nexec "{python}" "{DRIVER}" "$@"\n')
    program.chmod(0o755)
    return {
        **environment(),
        "CURATE_LABELME": str(program),
        "QT_QPA_PLATFORM": "offscreen",
        "LABELME_SCRIPT": json.dumps(steps),
        "CURATE_LEARNING_BLIND": "0",
    }


def label(project: Path, *arguments: object, env: dict[str, str] | None = None) -> Said:
    """Run `curate label` to its end."""
    return curate("label", *arguments, "-C", project, "--json", env=env)


def fake_labelme(folder: Path, body: str) -> dict[str, str]:
    """An environment with a program of ours in Labelme's place; its folder is `argv[1]`."""
    program = folder / "labelme"
    program.write_text(f"#!{sys.executable}\nimport os, sys, time\nfolder = sys.argv[1]\n{body}\n")
    program.chmod(0o755)
    return {**environment(), "CURATE_LABELME": str(program), "DISPLAY": ":99"}
