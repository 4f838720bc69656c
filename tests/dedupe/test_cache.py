from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from curate.catalog.groups import Print
from curate.dedupe.cache import MAX_BLOCKS, HashCache, Hashes, hashes_of


def some(*numbers: int) -> Hashes:
    return hashes_of(
        [
            Print(f"{number:064x}", number << 50, bytes([number]) * 32, 50.0, 7.0)
            for number in numbers
        ]
    )


def ids(hashes: Hashes | None) -> list[int]:
    assert hashes is not None
    return [int(hashes.image_id(place), 16) for place in range(len(hashes))]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    token = HashCache(tmp_path, None).write(some(1, 2, 3))
    back = HashCache(tmp_path, token).load()
    assert back is not None
    assert ids(back) == [1, 2, 3]
    assert np.array_equal(back.phash, some(1, 2, 3).phash)
    assert np.array_equal(back.phash256, some(1, 2, 3).phash256)


def test_blocks_are_appended_until_there_are_many(tmp_path: Path) -> None:
    token = HashCache(tmp_path, None).write(some(1))
    sizes = []
    for number in range(2, MAX_BLOCKS + 4):
        cache = HashCache(tmp_path, token)
        known = cache.load()
        assert known is not None
        token = cache.add(known, some(number))
        sizes.append(cache.path.stat().st_size)
    assert ids(HashCache(tmp_path, token).load()) == list(range(1, MAX_BLOCKS + 4))
    assert any(later < earlier + 96 for earlier, later in pairwise(sizes))


def test_a_file_that_the_catalog_does_not_remember_is_not_used(tmp_path: Path) -> None:
    first = HashCache(tmp_path, None).write(some(1, 2))
    cache = HashCache(tmp_path, first)
    known = cache.load()
    assert known is not None
    second = cache.add(known, some(3))
    assert HashCache(tmp_path, first).load() is None
    assert HashCache(tmp_path, None).load() is None
    assert ids(HashCache(tmp_path, second).load()) == [1, 2, 3]
    cache.path.write_bytes(cache.path.read_bytes()[:-1])
    assert HashCache(tmp_path, second).load() is None


@pytest.mark.parametrize("damage", [b"", b"short", bytes(400)])
def test_a_damaged_file_of_the_right_length_is_not_used(tmp_path: Path, damage: bytes) -> None:
    cache = HashCache(tmp_path, None)
    token = cache.write(some(1, 2)).partition(":")[0]
    cache.path.write_bytes(damage)
    assert HashCache(tmp_path, f"{token}:{len(damage)}").load() is None


def test_a_deleted_file_is_not_missed(tmp_path: Path) -> None:
    token = HashCache(tmp_path, None).write(some(1))
    (tmp_path / "hashes.cache").unlink()
    assert HashCache(tmp_path, token).load() is None
