"""Embeddings of pictures by an ONNX model: files in, one row of numbers for each out.

A picture is shown whole, squeezed to the model's size, so that nothing at its edges is lost;
the distortion is the same for all copies of a photo.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import numpy as np

from curate.assist.model import Floats, Model, Wish, open_model
from curate.assist.pipeline import answers
from curate.catalog.embeddings import EmbeddingCache
from curate.progress import Progress, silent

KEPT_TOGETHER = 256
"""Embeddings that are written in one go: what a kill loses at most."""


class Embedder:
    """A model of embeddings that is ready to run.

    Args:
        model: the ONNX file, or a model that is open, whose preprocessing stays as it is.
        preset: how pixels are scaled; None: as the model says, or as is guessed.
        threads: cores to use; 0: all.
        wish: what else is known of the model.

    Raises:
        ModelError, UsageError: the model or the preset cannot be used.
    """

    def __init__(
        self,
        model: Path | Model,
        preset: str | None = None,
        threads: int = 0,
        wish: Wish | None = None,
    ) -> None:
        if isinstance(model, Path):
            asked = wish or Wish()
            model = open_model(model, replace(asked, preset=preset or asked.preset, whole=True))
        self.model = model
        self._threads = threads

    @property
    def key(self) -> str:
        """Name of these embeddings: the same model and the same preparation, the same name."""
        prepared = json.dumps(self.model.preprocess.to_json(), sort_keys=True)
        digest = blake2b(prepared.encode(), digest_size=4).hexdigest()
        return f"{self.model.sha256[:32]}-{digest}"

    @property
    def size(self) -> int:
        """Numbers in one embedding."""
        return self.model.n_outputs

    def embed(self, paths: Iterable[Path]) -> Iterator[Floats]:
        """Yield embeddings a few at a time, in the order of the files.

        Args:
            paths: pictures of any format that is fetched.

        Yields:
            Rows of shape (b, size), not normalised; a row of zeros where a file is no picture.
        """
        for each in answers(self.model, paths, self._threads):
            yield np.nan_to_num(each.rows, nan=0.0, posinf=0.0, neginf=0.0)


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
