from __future__ import annotations

import resource
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.dedupe import bands, neighbours
from curate.dedupe.bands import Band, choose_bands
from curate.dedupe.neighbours import Hashes, Pairs, pairs_between, pairs_within

HASHES = st.integers(0, 2**64 - 1)
Found = dict[tuple[int, int], int]


def collected(blocks: list[Pairs]) -> Found:
    """All pairs with their distances; fails if one comes twice."""
    rows = [
        row
        for block in blocks
        for row in zip(
            block.left.tolist(), block.right.tolist(), block.distance.tolist(), strict=True
        )
    ]
    found = {(left, right): distance for left, right, distance in rows}
    assert len(found) == len(rows)
    return found


def brute(hashes: Hashes, radius: int) -> Found:
    """What a comparison of everything with everything gives."""
    distance = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    left, right = np.nonzero(np.triu(distance <= radius, 1))
    return {
        (int(i), int(j)): int(distance[i, j])
        for i, j in zip(left.tolist(), right.tolist(), strict=True)
    }


def crowded(rng: np.random.Generator, n: int, n_centres: int, flips: int) -> Hashes:
    """Hashes that lie around a few centres, as those of real collections do."""
    hashes = rng.choice(rng.integers(0, 2**64, n_centres, dtype=np.uint64), n)
    for _ in range(flips):
        hashes = hashes ^ (np.uint64(1) << rng.integers(0, 64, n).astype(np.uint64))
    return hashes


@given(st.lists(HASHES, max_size=40), st.integers(0, 64))
def test_few_hashes_give_what_comparing_all_gives(values: list[int], radius: int) -> None:
    hashes = np.array(values, dtype=np.uint64)
    assert collected(list(pairs_within(hashes, radius))) == brute(hashes, radius)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([(3, 0), (40, 3), (400, 4), (1200, 8)]),
    st.sampled_from(
        [
            (Band(0, 11, 2), Band(11, 12, 1), Band(23, 12, 1), Band(35, 29, 1)),
            (Band(0, 8, 3), Band(8, 9, 3), Band(17, 10, 3), Band(27, 11, 3)),
            (Band(0, 10, 0), Band(10, 10, 0), Band(20, 10, 0), Band(30, 10, 0), Band(40, 10, 0)),
        ]
    ),
)
def test_every_band_layout_gives_what_comparing_all_gives(
    seed: int, crowd: tuple[int, int], layout: tuple[Band, ...]
) -> None:
    """The radius is what the layout's flips guarantee, over the bits that it looks at."""
    rng = np.random.default_rng(seed)
    radius = sum(band.flips + 1 for band in layout) - 1
    n_centres, flips = crowd
    hashes = crowded(rng, 800, n_centres, flips)
    layout = tuple(band for band in layout if band.width <= 12)
    radius = min(radius, sum(band.flips + 1 for band in layout) - 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "choose_bands", lambda _n, _radius: layout)
        assert collected(list(pairs_within(hashes, radius))) == brute(hashes, radius)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 12), st.integers(1, 7000))
def test_the_chosen_layout_gives_what_comparing_all_gives(seed: int, radius: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    hashes = np.concatenate([crowded(rng, n // 3, 20, 3), rng.integers(0, 2**64, n, np.uint64)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bands, "_COMPARED", 1e-6)  # so that small sets use bands too
        assert collected(list(pairs_within(hashes, radius))) == brute(hashes, radius)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 12), st.integers(0, 60), st.integers(0, 3000))
def test_pairs_between_two_sets_are_those_of_the_union_that_cross(
    seed: int, radius: int, n_new: int, n_old: int
) -> None:
    rng = np.random.default_rng(seed)
    every = crowded(rng, n_new + n_old, 30, 4)
    expected = {(i, j - n_new): d for (i, j), d in brute(every, radius).items() if i < n_new <= j}
    for limit in (0, 1 << 31):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(neighbours, "_BRUTE_PAIRS", limit)
            blocks = list(pairs_between(every[:n_new], every[n_new:], radius))
        assert collected(blocks) == expected


@given(st.integers(2, 2_000_000), st.integers(1, 30))
def test_bands_are_disjoint_and_their_flips_guarantee_the_radius(n: int, radius: int) -> None:
    chosen = choose_bands(n, radius)
    used = [bit for band in chosen for bit in range(band.shift, band.shift + band.width)]
    assert len(used) == len(set(used))
    assert all(0 <= bit < 64 for bit in used)
    # If each band differed in more than its flips, the hashes would differ in more than this.
    assert not chosen or sum(band.flips + 1 for band in chosen) > radius


def test_equal_hashes_are_all_paired_with_each_other() -> None:
    hashes = np.array([7, 9, 7, 7, 9], dtype=np.uint64)
    assert collected(list(pairs_within(hashes, 0))) == {
        (0, 2): 0,
        (0, 3): 0,
        (2, 3): 0,
        (1, 4): 0,
    }


def test_blocks_of_pairs_stay_small_when_hashes_crowd() -> None:
    rng = np.random.default_rng(5)
    hashes = np.concatenate([crowded(rng, 3000, 1, 1), np.full(2500, 3, np.uint64)])
    sizes = [len(block.left) for block in pairs_within(hashes, 4)]
    assert sum(sizes) > 4_000_000
    assert max(sizes) <= neighbours.PAIRS_A_BLOCK


MEMORY_PROGRAM = """
import numpy as np
from curate.dedupe.neighbours import pairs_within
rng = np.random.default_rng(11)
hashes = rng.integers(0, 2**64, 1_000_000, dtype=np.uint64)
near = hashes[:2000].copy()
for row in range(2000):
    for bit in rng.choice(64, row % 9, replace=False):
        near[row] ^= np.uint64(1) << np.uint64(bit)
hashes[-2000:] = near
found = {(i, j) for block in pairs_within(hashes, RADIUS)
         for i, j in zip(block.left.tolist(), block.right.tolist())}
planted = [(row, 998_000 + row) for row in range(2000) if row % 9 <= RADIUS]
sample = rng.choice(1_000_000, 300, replace=False)
for row in sample.tolist():
    distance = np.bitwise_count(hashes ^ hashes[row])
    planted += [(min(row, int(k)), max(row, int(k)))
                for k in np.flatnonzero(distance <= RADIUS) if k != row]
print(len(planted), sum(pair in found for pair in planted))
# Not ru_maxrss: a new process inherits the parent's.
status = open("/proc/self/status").read()
print(int(status.partition("VmHWM:")[2].split()[0]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("radius", [4, 8])
def test_a_million_hashes_lose_no_neighbour_and_stay_below_500_mb(radius: int) -> None:
    program = MEMORY_PROGRAM.replace("RADIUS", str(radius))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    counted, peak_mb = done.stdout.splitlines()
    expected, found = map(int, counted.split())
    assert found == expected > 900
    assert int(peak_mb) < 500


def test_memory_does_not_grow_with_the_number_of_pairs() -> None:
    """Half a gigabyte of pairs passes through: 6,000 equal hashes give 18 million."""
    hashes = np.full(6000, 12345, dtype=np.uint64)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    n = sum(len(block.left) for block in pairs_within(hashes, 2))
    assert n == 6000 * 5999 // 2
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kb < 250_000
