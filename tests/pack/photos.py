"""A project folder with pictures and a manifest, small enough to make for each test."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from curate.pack import Manifest, Recipe, pack, read_manifest
from tests.pack.rows import row, table

ONE = (["beach"], ["city"], ["Aux"], ["trees / dunes"])
SEVERAL = (["beach"], ["city"], ["beach", "sunset"], [], ["city", "trees"])
FORMATS = {"jpeg": "jpg", "png": "png", "webp": "webp"}


def picture(number: int, kind: str = "jpeg", size: tuple[int, int] = (32, 24)) -> bytes:
    image = Image.new("RGB", size, ((number * 37) % 256, (number * 91) % 256, number % 256))
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def photo(folder: Path, number: int, labels: Sequence[str], **changes: Any) -> dict[str, Any]:
    """Store a picture in a project, and return its row."""
    kind = changes.pop("format", list(FORMATS)[number % 3])
    data = changes.pop("data", None) or picture(number, kind)
    name = hashlib.sha256(data).hexdigest()
    path = folder / "images" / name[:2] / f"{name}.{FORMATS.get(kind, kind)}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    with Image.open(io.BytesIO(data)) as image:
        width_px, height_px = image.size
    facts = {
        "image_id": name,
        "path": str(path.relative_to(folder)),
        "n_bytes": len(data),
        "width_px": width_px,
        "height_px": height_px,
        "format": kind,
        "audited": number % 2 == 0,
    }
    return row(number, labels, **{**facts, **changes})


def project(
    folder: Path,
    labels: Sequence[Sequence[str]] = ONE,
    n: int = 60,
    change: Callable[[list[dict[str, Any]]], None] = lambda _rows: None,
) -> Manifest:
    """Make a project folder with `n` pictures, and a manifest of them."""
    rows = [photo(folder, number, labels[number % len(labels)]) for number in range(n)]
    change(rows)
    made = pack(table(rows), Recipe(splits=(0.6, 0.2, 0.2)), folder)
    assert made.path is not None
    return read_manifest(made.path)


def truth(manifest: Manifest) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return split and labels of every image."""
    return {
        each["image_id"]: (each["split"], tuple(each["labels"]))
        for each in manifest.table(columns=["image_id", "split", "labels"]).to_pylist()
    }
