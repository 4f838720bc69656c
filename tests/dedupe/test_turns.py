from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.dedupe.turns import turned64, turned256, turns_of
from curate.errors import UsageError
from curate.fetch.hashes import phash64, phash256

TURNED = {
    1: lambda small: small[:, ::-1],
    2: lambda small: small[::-1],
    3: lambda small: small[::-1, ::-1],
    4: lambda small: small.T,
    5: lambda small: small.T[:, ::-1],
    6: lambda small: small.T[::-1],
    7: lambda small: small.T[::-1, ::-1],
}


def picture(seed: int) -> np.ndarray:
    """Smooth noise: most of its energy is in the low frequencies, as in photos."""
    rng = np.random.default_rng(seed)
    small = np.zeros((32, 32))
    for size, weight in pairwise((1, 2, 4, 8, 16, 32)):
        small += np.kron(rng.normal(size=(weight, weight)), np.ones((32 // weight,) * 2)) / size
    return (128 + 30 * small).astype(np.float32)


@pytest.mark.parametrize("turn", TURNED)
def test_a_turned_hash_is_nearly_the_hash_of_the_turned_picture(turn: int) -> None:
    distances = []
    for seed in range(200):
        small = picture(seed)
        other = TURNED[turn](small)
        short = turned64(np.array([phash64(small)], dtype=np.uint64), turn)[0]
        long = turned256(np.frombuffer(phash256(small), np.uint64).reshape(1, 4), turn)
        distances.append(
            (
                int(np.bitwise_count(short ^ np.uint64(phash64(other)))),
                int(np.bitwise_count(long ^ np.frombuffer(phash256(other), np.uint64)).sum()),
            )
        )
    short_bits, long_bits = np.array(distances).T
    assert np.percentile(short_bits, 95) <= 10
    assert np.percentile(long_bits, 95) <= 40


@given(st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=2), st.sampled_from([*TURNED]))
def test_turning_both_keeps_their_distance(values: list[int], turn: int) -> None:
    hashes = np.array(values, dtype=np.uint64)
    both = turned64(hashes, turn)
    assert (int(both[0]) ^ int(both[1])).bit_count() == (values[0] ^ values[1]).bit_count()
    four = np.tile(hashes[:, None], (1, 4))
    turned = turned256(four, turn)
    assert (
        np.bitwise_count(turned[0] ^ turned[1]).sum() == np.bitwise_count(four[0] ^ four[1]).sum()
    )


def test_flips_and_turns_together_are_all_seven() -> None:
    assert turns_of(()) == ()
    assert len(turns_of(["flip"])) == 2
    assert len(turns_of(["rotate"])) == 3
    assert turns_of(["rotate", "flip"]) == (1, 2, 3, 4, 5, 6, 7)


def test_an_unknown_invariance_is_refused() -> None:
    with pytest.raises(UsageError, match="'shear'"):
        turns_of(["flip", "shear"])
