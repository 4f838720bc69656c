"""The hashes of all compared images in one file, so that a second search reads no rows.

The file is a cache: it may be deleted at any time. Every change appends a block and gives
the file a new token, which the catalog remembers; a file whose last token or length is
another one (a kill between the two writes, a restored backup) is not used, and the next
search reads the catalog instead. Layout of a block, little-endian: `count` (8 bytes), token
(16 bytes), then `count` 64-bit hashes, 256-bit hashes and image ids, each kind together.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curate.catalog.groups import Print

NAME = "hashes.cache"
MAX_BLOCKS = 32
_HEAD = struct.Struct("<Q16s")
_ROW_BYTES = 8 + 32 + 32


@dataclass(frozen=True, slots=True)
class Hashes:
    """The hashes of n images, in any order."""

    ids: NDArray[np.uint8]
    """Image ids as bytes, shape (n, 32)."""
    phash: NDArray[np.uint64]
    """64-bit hashes, shape (n,)."""
    phash256: NDArray[np.uint64]
    """256-bit hashes as four words in no meaningful byte order, shape (n, 4)."""

    def __len__(self) -> int:
        return len(self.phash)

    def image_id(self, place: int) -> str:
        """Return one id as hexadecimal digits."""
        return bytes(self.ids[place]).hex()

    def keys(self) -> NDArray[np.void]:
        """Return the ids as single values that can be compared and sorted."""
        return np.ascontiguousarray(self.ids).view("V32").ravel()

    def take(self, places: NDArray[np.int64] | NDArray[np.bool_]) -> Hashes:
        """Return some of them."""
        return Hashes(self.ids[places], self.phash[places], self.phash256[places])


def hashes_of(prints: Sequence[Print]) -> Hashes:
    """Put rows into arrays."""
    return Hashes(
        np.frombuffer(bytes.fromhex("".join(each.image_id for each in prints)), np.uint8).reshape(
            -1, 32
        ),
        np.array([each.phash for each in prints], dtype=np.uint64),
        np.frombuffer(b"".join(each.phash256 for each in prints), np.uint64).reshape(-1, 4),
    )


def joined(parts: Iterable[Hashes]) -> Hashes:
    """Put several after each other."""
    every = [hashes_of([]), *parts]
    if len(every) == 2:
        return every[1]
    return Hashes(
        np.concatenate([part.ids for part in every]),
        np.concatenate([part.phash for part in every]),
        np.concatenate([part.phash256 for part in every]),
    )


class HashCache:
    """The file.

    Args:
        folder: the project folder.
        token: what the catalog remembers of it: token and length; None if nothing.
    """

    def __init__(self, folder: Path, token: str | None) -> None:
        self.path = folder / NAME
        self.token = token
        self._n_blocks = 0

    def load(self) -> Hashes | None:
        """Return what it holds; None if it is not there, or not what the catalog remembers."""
        token, _, length = (self.token or "").partition(":")
        try:
            if not length or self.path.stat().st_size != int(length) or int(length) < _HEAD.size:
                return None
            data = np.memmap(self.path, dtype=np.uint8, mode="r")
        except OSError:
            return None
        parts, at, seen = [], 0, b""
        while at + _HEAD.size <= len(data):
            count, seen = _HEAD.unpack(bytes(data[at : at + _HEAD.size]))
            body = data[at + _HEAD.size : at + _HEAD.size + count * _ROW_BYTES]
            at += _HEAD.size + count * _ROW_BYTES
            if at > len(data):
                return None
            ids = body[count * 40 :].reshape(-1, 32)
            phash = body[: count * 8].view(np.uint64)
            parts.append(
                Hashes(ids, phash, body[count * 8 : count * 40].view(np.uint64).reshape(-1, 4))
            )
        self._n_blocks = len(parts)
        return joined(parts) if seen.hex() == token and at == len(data) else None

    def add(self, known: Hashes, new: Hashes) -> str:
        """Append `new` to a file that holds `known`, or write both anew; return the new token.

        Raises:
            OSError: it cannot be written.
        """
        if self._n_blocks == 0 or self._n_blocks >= MAX_BLOCKS:
            return self.write(joined([known, new]))
        with self.path.open("ab") as file:
            return self._block(file.fileno(), new)

    def write(self, hashes: Hashes) -> str:
        """Replace the file; return the new token.

        Raises:
            OSError: it cannot be written.
        """
        aside = self.path.with_suffix(".part")
        with aside.open("wb") as file:
            token = self._block(file.fileno(), hashes)
        aside.replace(self.path)
        return token

    def _block(self, fd: int, hashes: Hashes) -> str:
        body = hashes.phash.tobytes() + hashes.phash256.tobytes() + hashes.ids.tobytes()
        before = (self.token or "").encode()
        token = blake2b(before + blake2b(body).digest(), digest_size=16).digest()
        view = memoryview(_HEAD.pack(len(hashes), token) + body)
        while view:
            view = view[os.write(fd, view) :]
        return f"{token.hex()}:{os.fstat(fd).st_size}"
