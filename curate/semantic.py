"""Carries embeddings from the assist room to the dedupe room, and groups to the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from curate.assist.embed import Embedder
from curate.catalog import semantic as rows
from curate.catalog.database import MEMORY
from curate.dedupe.semantic import EXACT_IMAGES, SemanticResult, semantic_places, similar
from curate.errors import UsageError
from curate.models import embedded
from curate.store import Store

if TYPE_CHECKING:
    from curate.duplicates import Duplicates


def group_by_embedding(
    duplicates: Duplicates,
    model: Path,
    *,
    similarity: float,
    preset: str | None,
    exclude: bool,
    dry_run: bool,
) -> SemanticResult:
    """Embed all kept images and group those that are alike. See `Duplicates.semantic`."""
    if not 0 < similarity <= 1:
        raise UsageError(f"--similarity {similarity:g} is not between 0 and 1")
    db = duplicates.db
    embedder = Embedder(model, preset)
    images = rows.eligible(db)
    if len(images) > EXACT_IMAGES:
        next(similar(np.zeros((len(images), 1), dtype=np.float32), similarity), None)
    embeddings = _embedded(duplicates, embedder, images)
    places = semantic_places(
        [image_id for image_id, _ in images],
        embeddings,
        similarity,
        lambda ids: rows.members(db, ids),
        duplicates.settings.dedupe.keep,
    )
    excluded = len([each for each in places if each.image_id != each.keeper]) if exclude else 0
    if not dry_run and images:
        with duplicates.writing("dedupe --semantic"):
            excluded = rows.replace(db, places, exclude=exclude)
    sizes = np.unique([each.keeper for each in places], return_counts=True)[1]
    return SemanticResult(
        images=len(images),
        unreadable=int((~embeddings.any(axis=1)).sum()),
        groups=int((sizes > 1).sum()),
        largest_group=int(sizes.max(initial=0)),
        linked=len(places),
        excluded=excluded,
    )


def _embedded(
    duplicates: Duplicates, embedder: Embedder, images: list[tuple[str, str]]
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    is_kept = duplicates.db.path is not MEMORY and bool(images)
    store = Store(duplicates.folder / "images")
    return embedded(
        embedder,
        {image_id: store.path(image_id, kind) for image_id, kind in images},
        duplicates.folder if is_kept else None,
        duplicates.progress,
    )
