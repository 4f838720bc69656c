"""Chance that does not depend on the order of rows, on workers or on the machine.

Each image draws its own number from its id and a key, so that shuffling the rows, or adding
others, changes no image's number. Python's `hash` is salted per process and a generator
depends on the order of calls; neither will do.

Image ids are SHA-256 and so random already: their first 64 bits, mixed with the key by the
finalizer of SplitMix64 (Steele, Lea, Flood 2014), are drawn for a million images in some
milliseconds. Any other name goes through BLAKE2b, a microsecond each.
"""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Keys = npt.NDArray[np.uint64]
_ID_LETTERS = 64
_USED_LETTERS = 16
_BEGINNING = re.compile(rb"[0-9a-f]{16}")
_LOWER_CASE = np.uint64(0x2020202020202020)
"""Bits that are set in digits and small letters, but not in capitals."""
_STEP = np.uint64(0x9E3779B97F4A7C15)


def draw(ids: Sequence[str] | pa.Array | pa.ChunkedArray, seed: int, purpose: str) -> Keys:
    """Draw a uniform 64-bit number for each id.

    Args:
        ids: names; equal ones draw the same.
        seed: the recipe's seed, any integer.
        purpose: what the numbers decide; different purposes draw independently.

    Returns:
        One number for each id, in the order given.
    """
    key = blake2b(f"{purpose}:{seed}:".encode(), digest_size=8)
    number = np.uint64(int.from_bytes(key.digest()))
    names = _as_array(ids)
    beginnings = _beginnings(names)
    if beginnings is not None:
        return mix(beginnings ^ number)
    drawn = np.zeros(len(names), dtype=np.uint64)
    for row, name in enumerate(map(str.encode, names.to_pylist())):
        if len(name) == _ID_LETTERS and _BEGINNING.match(name):
            drawn[row] = int(name[:_USED_LETTERS], 16)
            drawn[row : row + 1] = mix(drawn[row : row + 1] ^ number)
        else:
            state = key.copy()
            state.update(name)
            drawn[row] = int.from_bytes(state.digest())
    return drawn


def fingerprints(names: pa.Array) -> Keys:
    """Return a 64-bit number for each name; different names have the same by accident only."""
    letters = _letters(names)
    if letters is None:
        digests = (blake2b(each.encode(), digest_size=8).digest() for each in names.to_pylist())
        return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)
    words = letters.view("<u8").astype(np.uint64, copy=False)
    factors = mix(np.arange(words.shape[1], dtype=np.uint64)) | np.uint64(1)
    found: Keys = words @ factors
    return found


def mix(numbers: Keys) -> Keys:
    """Mix the bits of each number so that near numbers have nothing in common."""
    mixed = numbers + _STEP
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _as_array(ids: Sequence[str] | pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(ids, pa.ChunkedArray):
        return ids.combine_chunks()
    return ids if isinstance(ids, pa.Array) else pa.array(ids, pa.string())


def _letters(names: pa.Array) -> npt.NDArray[np.uint8] | None:
    """View names of 64 bytes each as an array of shape (n, 64); None if there are others."""
    if not len(names) or not (pa.types.is_string(names.type) or names.type == pa.large_string()):
        return None
    width = np.int32 if pa.types.is_string(names.type) else np.int64
    _, offsets, data = names.buffers()
    ends = np.frombuffer(offsets, dtype=width)[names.offset : names.offset + len(names) + 1]
    if (np.diff(ends) != _ID_LETTERS).any():
        return None
    return np.frombuffer(data, dtype=np.uint8)[ends[0] : ends[-1]].reshape(-1, _ID_LETTERS)


def _beginnings(names: pa.Array) -> Keys | None:
    """Return the first 64 bits of each image id; None if there are other names among them."""
    letters = _letters(names)
    if letters is None:
        return None
    heads = np.ascontiguousarray(letters[:, :_USED_LETTERS])
    if (~heads.view(np.uint64) & _LOWER_CASE).any():
        return None
    try:
        return np.frombuffer(unhexlify(heads.data), dtype=">u8").astype(np.uint64)
    except ValueError:
        return None
