"""Chance that does not depend on the order of rows, on workers or on the machine.

Each image draws its own number from a keyed hash of its id, so that shuffling the rows, or
adding others, changes no image's number. Python's `hash` is salted per process and a
generator depends on the order of calls; neither will do.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
import numpy.typing as npt


def draw(ids: Iterable[str], seed: int, purpose: str) -> npt.NDArray[np.uint64]:
    """Draw a uniform 64-bit number for each id.

    Args:
        ids: distinct names.
        seed: the recipe's seed, any integer.
        purpose: what the numbers decide; different purposes draw independently.

    Returns:
        One number for each id, in the order given.
    """
    keyed = blake2b(f"{purpose}:{seed}:".encode(), digest_size=8)

    def digest(name: str) -> bytes:
        state = keyed.copy()
        state.update(name.encode())
        return state.digest()

    return np.frombuffer(b"".join(map(digest, ids)), dtype=">u8").astype(np.uint64)
