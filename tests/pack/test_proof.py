from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.dedupe.neighbours import pairs_within
from curate.pack import Recipe, pack
from curate.pack.proof import Hashes, alike_across
from tests.pack.rows import row, table


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.none() | st.sampled_from([0, 1, 3, 7, 2**64 - 1]), st.integers(0, 2)),
        max_size=40,
    )
)
def test_pairs_that_look_alike_on_two_sides_are_all_counted(
    images: list[tuple[int | None, int]],
) -> None:
    expected = sum(
        left[1] != right[1]
        and left[0] is not None
        and right[0] is not None
        and (left[0] ^ right[0]).bit_count() <= 2
        for left, right in itertools.combinations(images, 2)
    )
    phash = pa.chunked_array([pa.array([bits for bits, _ in images], pa.uint64())])
    sides = np.array([side for _, side in images], dtype=np.int64)
    assert alike_across(Hashes.of(phash, sides), pairs_within) == expected


def test_images_that_look_alike_on_two_sides_are_told_on_the_card(tmp_path: Path) -> None:
    rows = [row(n, ["city"], phash=5) for n in range(10)]
    result = pack(table(rows), Recipe(), tmp_path, neighbours=pairs_within)
    assert result.alike_across == 8 + 8 + 1
    assert result.path is not None
    assert "look alike (hashes that differ in at most 2 of 64 bits): 17" in (
        result.path / "README.md"
    ).read_text(encoding="utf-8")
