"""Chance that does not depend on the order of rows, on workers or on the machine.

Each image draws its own number from its id and a key, so that shuffling the rows, or adding
others, changes no image's number. Python's `hash` is salted per process and a generator
depends on the order of calls; neither will do.

Image ids are SHA-256 and so random already: their first 64 bits, mixed with the key by the
finalizer of SplitMix64 (Steele, Lea, Flood 2014), are drawn for a million images in some
milliseconds. Any other name goes through BLAKE2b, a microsecond each.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Keys = npt.NDArray[np.uint64]
_ID_LETTERS = 64
_USED_LETTERS = 16
_NOT_HEX = 255


def _nibbles() -> npt.NDArray[np.uint8]:
    """Value of each byte as a lower-case hexadecimal digit."""
    values = np.full(256, _NOT_HEX, dtype=np.uint8)
    for value, letter in enumerate(b"0123456789abcdef"):
        values[letter] = value
    return values


def draw(ids: Sequence[str] | pa.Array | pa.ChunkedArray, seed: int, purpose: str) -> Keys:
    """Draw a uniform 64-bit number for each id.

    Args:
        ids: distinct names.
        seed: the recipe's seed, any integer.
        purpose: what the numbers decide; different purposes draw independently.

    Returns:
        One number for each id, in the order given.
    """
    key = blake2b(f"{purpose}:{seed}:".encode(), digest_size=8)
    names = _as_array(ids)
    beginning, is_id = _beginnings(names)
    drawn = mix(beginning ^ np.uint64(int.from_bytes(key.digest())))
    others = np.flatnonzero(~is_id)
    if len(others):

        def digest(name: str) -> bytes:
            state = key.copy()
            state.update(name.encode())
            return state.digest()

        rest = names.take(pa.array(others)).to_pylist()
        drawn[others] = np.frombuffer(b"".join(map(digest, rest)), dtype=">u8")
    return drawn


def mix(numbers: Keys) -> Keys:
    """Mix the bits of each number so that near numbers have nothing in common."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: Keys = mixed ^ (mixed >> np.uint64(31))
    return result


def _as_array(ids: Sequence[str] | pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(ids, pa.ChunkedArray):
        return ids.combine_chunks()
    return ids if isinstance(ids, pa.Array) else pa.array(ids, pa.string())


def _beginnings(names: pa.Array) -> tuple[Keys, npt.NDArray[np.bool_]]:
    """Return the first 64 bits of each image id, and which names are image ids at all."""
    numbers = np.zeros(len(names), dtype=np.uint64)
    # As many bytes as letters: each letter is one byte.
    lengths = pc.binary_length(names), pc.utf8_length(names)
    fits = pc.and_(*(pc.equal(length, _ID_LETTERS) for length in lengths))
    is_id = fits.to_numpy(zero_copy_only=False).astype(np.bool_)
    rows = np.flatnonzero(is_id)
    if not len(rows):
        return numbers, is_id
    heads = pc.utf8_slice_codeunits(names.take(pa.array(rows)), 0, _USED_LETTERS)
    data = np.frombuffer(heads.buffers()[2], dtype=np.uint8)[: len(rows) * _USED_LETTERS]
    digits = _nibbles()[data].reshape(-1, _USED_LETTERS)
    good = (digits != _NOT_HEX).all(axis=1)
    high, low = digits[:, ::2], digits[:, 1::2]
    packed = np.ascontiguousarray((high << 4) | (low & 15))
    numbers[rows] = np.where(good, packed.view(">u8").ravel(), 0)
    is_id[rows] = good
    return numbers, is_id
