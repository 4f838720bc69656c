"""Carries embeddings from the assist room to the dedupe room, and groups to the catalog."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from curate.assist.embed import Embedder, embedded
from curate.catalog import semantic as rows
from curate.catalog.database import MEMORY, Database, writing
from curate.dedupe.semantic import EXACT_IMAGES, SemanticResult, semantic_places, similar
from curate.errors import UsageError
from curate.progress import Progress
from curate.store import Store


def group_by_embedding(
    db: Database,
    model: Path,
    *,
    keep: tuple[str, ...],
    similarity: float,
    preset: str | None,
    exclude: bool,
    dry_run: bool,
    progress: Progress,
) -> SemanticResult:
    """Embed all kept images and group those that are alike. See `Duplicates.semantic`.

    Args:
        db: the catalog.
        model: as there.
        keep: what makes the image that is kept, most important first.
        similarity: as there.
        preset: as there.
        exclude: as there.
        dry_run: as there.
        progress: told of long work.
    """
    if not 0 < similarity <= 1:
        raise UsageError(f"--similarity {similarity:g} is not between 0 and 1")
    embedder = Embedder(model, preset)
    images = rows.eligible(db)
    if len(images) > EXACT_IMAGES:
        next(similar(np.zeros((len(images), 1), dtype=np.float32), similarity), None)
    embeddings = _embedded(db, embedder, images, progress)
    places = semantic_places(
        [image_id for image_id, _ in images],
        embeddings,
        similarity,
        lambda ids: rows.members(db, ids),
        keep,
    )
    excluded = len([each for each in places if each.image_id != each.keeper]) if exclude else 0
    if not dry_run and images:
        with writing(db, "dedupe --semantic"):
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
    db: Database, embedder: Embedder, images: list[tuple[str, str]], progress: Progress
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    folder = db.path.parent
    store = Store(folder / "images")
    return embedded(
        embedder,
        {image_id: store.path(image_id, kind) for image_id, kind in images},
        folder if db.path is not MEMORY and images else None,
        progress,
    )
