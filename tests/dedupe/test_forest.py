from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curate.dedupe.forest import CHUNK, Forest
from curate.dedupe.grouping import components


@given(st.integers(1, 40), st.data())
def test_the_pairs_kept_connect_what_all_pairs_do_and_none_is_spare(
    n: int, data: st.DataObject
) -> None:
    place = st.integers(0, n - 1)
    pairs = np.array(data.draw(st.lists(st.tuples(place, place))), dtype=np.int64).reshape(-1, 2)
    cut = data.draw(st.integers(0, len(pairs)))
    forest = Forest(n)
    first = forest.join(*pairs[:cut].T)
    kept = np.concatenate([pairs[first], pairs[forest.join(*pairs[cut:].T) + cut]])
    parts = components(n, pairs)
    assert np.array_equal(components(n, kept), parts)
    assert len(kept) == n - len(np.unique(parts))
    assert not forest.apart(*pairs.T).any()


def test_more_pairs_than_a_chunk_are_joined() -> None:
    n = 3 * CHUNK
    line = np.arange(n - 1)
    assert len(Forest(n).join(line, line + 1)) == n - 1
