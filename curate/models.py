"""What a project does with models: ties the assist room to the store and the catalog.

`Project.models` is one of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from curate.catalog.embeddings import EmbeddingCache
from curate.progress import Progress, silent

if TYPE_CHECKING:
    from curate.assist.embed import Embedder
    from curate.assist.model import Floats

KEPT_TOGETHER = 256
"""Embeddings that are written to the cache in one go."""


def embedded(
    embedder: Embedder,
    paths: Mapping[str, Path],
    folder: Path | None,
    progress: Progress = silent,
) -> Floats:
    """Return embeddings of images; those that were computed before are not computed again.

    Args:
        embedder: the model.
        paths: image id to file.
        folder: the project folder, where they are kept; None: nowhere.
        progress: told under `embed`.

    Returns:
        Shape (n, size), in the order of `paths`; a row of zeros where a file is no picture.

    Raises:
        ModelError: the model fails.
        StoreError: the cache cannot be written.
    """
    import numpy as np

    ids = list(paths)
    with EmbeddingCache(folder, embedder.key, embedder.size) as cache:
        missing = cache.missing(ids)
        done = len(ids) - len(missing)
        fresh = embedder.embed(paths[each] for each in missing)
        left = iter(missing)
        while batches := list(islice(fresh, KEPT_TOGETHER)):
            rows = np.concatenate(batches)
            cache.add(list(islice(left, len(rows))), rows)
            done += len(rows)
            progress("embed", done, len(ids))
        return cache.read(ids)
