from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.dedupe import cosine
from curate.dedupe.cosine import similar_between, similar_within


@given(st.integers(0, 2**32), st.integers(0, 40), st.floats(0.1, 0.95), st.integers(1, 9))
def test_blocks_give_what_comparing_all_gives(
    seed: int, n: int, threshold: float, block: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 3)).astype(np.float32)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    every = unit @ unit.T
    clear = np.abs(every - threshold) > 1e-5
    expected = {
        (i, j) for i in range(n) for j in range(n) if clear[i, j] and every[i, j] >= threshold
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cosine, "BLOCK_ROWS", block)
        within = [
            (i, j)
            for part in similar_within(rows * 7, threshold)
            for i, j in zip(part.left.tolist(), part.right.tolist(), strict=True)
        ]
        between = [
            (i, j)
            for part in similar_between(rows, rows / 3, threshold)
            for i, j in zip(part.left.tolist(), part.right.tolist(), strict=True)
        ]
    assert len(within) == len(set(within))
    assert {pair for pair in within if clear[pair]} == {(i, j) for i, j in expected if i < j}
    assert {pair for pair in between if clear[pair]} == expected


def test_an_embedding_of_zeros_is_similar_to_nothing() -> None:
    rows = np.array([[0, 0], [1, 0], [2, 0]], dtype=np.float32)
    assert [(part.left.tolist(), part.right.tolist()) for part in similar_within(rows, 0.5)] == [
        ([1], [2])
    ]
