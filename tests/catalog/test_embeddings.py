"""Embeddings come back as they were kept, and a damaged cache says what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from curate.catalog.embeddings import FOLDER, EmbeddingCache
from curate.errors import StoreError
from tests.catalog.rows import image_id


def test_what_is_kept_comes_back_in_the_order_asked_for(tmp_path: Path) -> None:
    ids = [image_id(number) for number in range(5)]
    rows = np.arange(20, dtype=np.float32).reshape(5, 4)
    with EmbeddingCache(tmp_path, "model", 4) as cache:
        cache.add(ids, rows)
    with EmbeddingCache(tmp_path, "model", 4) as cache:
        assert cache.missing([*ids, image_id(9)]) == [image_id(9)]
        assert (cache.read(ids[::-1]) == rows[::-1]).all()


def test_a_file_that_is_damaged_inside_is_named(tmp_path: Path) -> None:
    ids = [image_id(number) for number in range(2000)]
    with EmbeddingCache(tmp_path, "model", 16) as cache:
        cache.add(ids, np.ones((2000, 16), dtype=np.float32))
    path = tmp_path / FOLDER / "model.db"
    data = bytearray(path.read_bytes())
    data[8192:-8192] = b"\xff" * (len(data) - 16384)
    path.write_bytes(data)
    with EmbeddingCache(tmp_path, "model", 16) as cache:
        for ask in (cache.missing, cache.read):
            with pytest.raises(StoreError, match=r"model\.db") as caught:
                ask(ids)
            assert "delete it" in caught.value.hint
