"""What a split is checked for before anybody sees it: groups, hints and copies on two sides.

Nothing here trusts the plan. Groups and hints are looked up in the written files: one of
them on two sides is a leak, and no manifest is published with one. Images that look alike
although no group links them are only counted: a hash cannot tell a copy from another photo
of the same wall, but a count that is not zero is worth a look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.errors import PackError
from curate.pack.groups import Ints, pairs_of
from curate.pack.manifest import leaks
from curate.pack.recipe import SPLITS

ALIKE_BITS = 2
"""Images whose 64-bit hashes differ in at most so many bits look alike."""
_NAMED = 5


class Pairs(Protocol):
    """Some pairs of hashes, by their places."""

    @property
    def left(self) -> Ints:
        """Place of one hash of each pair."""

    @property
    def right(self) -> Ints:
        """Place of the other."""


Neighbours = Callable[[npt.NDArray[np.uint64], int], Iterator[Pairs]]
"""Gives all pairs of n hashes within a Hamming radius, each pair once, in blocks."""


def refuse_leaks(found: list[str]) -> None:
    """Refuse a split with something on two sides.

    Raises:
        PackError: there is something; its hint names the first few.
    """
    if found:
        named = ", ".join(found[:_NAMED]) + (", …" if len(found) > _NAMED else "")
        what = "thing that belongs" if len(found) == 1 else "things that belong"
        raise PackError(
            f"the split would leak, so no manifest was written: {len(found):,} {what} "
            f"together on two sides ({named})",
            "this is a fault of curate: please report it with the recipe",
        )


def written_leaks(draft: Path, ids: pa.ChunkedArray, group_hints: pa.ChunkedArray) -> list[str]:
    """Name what stands on two sides of the written files.

    Args:
        draft: the folder with the files.
        ids: image ids of every input row.
        group_hints: hints of every input row.
    """
    return [*leaks(draft), *torn_hints(group_hints, _sides(draft, ids))]


def torn_hints(group_hints: pa.ChunkedArray, sides: Ints) -> list[str]:
    """Name group hints whose images stand on two sides, from the hints themselves.

    Args:
        group_hints: hints of every input row.
        sides: split of every input row; -1 where it was not taken.
    """
    rows, hints = pairs_of(group_hints)
    taken = sides[rows] >= 0
    encoded = hints.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)[taken]
    if not len(codes):
        return []
    seen = np.unique(codes.astype(np.int64) * len(SPLITS) + sides[rows[taken]])
    torn = np.flatnonzero(np.bincount(seen // len(SPLITS)) > 1)
    return [f"hint {name}" for name in encoded.dictionary.take(pa.array(torn)).to_pylist()]


def _sides(draft: Path, ids: pa.ChunkedArray) -> Ints:
    """Find the split of every input row in the written files; -1 where it is in none."""
    sides = np.full(len(ids), -1, dtype=np.int64)
    for number, split in enumerate(SPLITS):
        written = pq.read_table(draft / f"{split}.parquet", columns=["image_id"])
        here = pc.is_in(ids, value_set=written.column("image_id"))
        sides[here.to_numpy().astype(np.bool_)] = number
    return sides


def alike_across(phash: pa.ChunkedArray, sides: Ints, neighbours: Neighbours) -> int:
    """Count pairs of images on two sides that look alike.

    Equal hashes are counted, not listed: a thousand blank pages are half a million pairs.

    Args:
        phash: n 64-bit hashes; those that are null look like nothing.
        sides: split of each, 0, 1 or 2.
        neighbours: finds pairs of hashes within a radius.
    """
    known = pc.is_valid(phash).to_numpy().astype(np.bool_)
    values: Any = pc.drop_null(phash).to_numpy()
    hashes, place = np.unique(values.astype(np.uint64), return_inverse=True)
    n_sides = len(SPLITS)
    cells = np.bincount(place * n_sides + sides[known], minlength=len(hashes) * n_sides)
    on_side = cells.reshape(len(hashes), n_sides)
    total = on_side.sum(axis=1)
    found = int((total**2 - (on_side**2).sum(axis=1)).sum()) // 2
    for pairs in neighbours(hashes, ALIKE_BITS):
        left, right = pairs.left, pairs.right
        same_side = (on_side[left] * on_side[right]).sum(axis=1)
        found += int((total[left] * total[right] - same_side).sum())
    return found
