"""What a split is checked for before anybody sees it: groups, hints and copies on two sides.

Nothing here trusts the plan. Groups and hints are looked up in the written files: one of
them on two sides is a leak, and no manifest is published with one. Images that look alike
although no group links them are only counted: a hash cannot tell a copy from another photo
of the same wall, but a count that is not zero is worth a look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
_FEW = 4096
"""Up to so many distinct hashes, everything is compared with everything."""
_RADII = (2, 4, 6, 8)
"""Distances within which the nearest pair is looked for, one after the other."""
_MANY = 200_000
_RADII_OF_MANY = (2, 4)
"""The same for more than so many hashes: further out, the search takes longer than the split."""


class Pairs(Protocol):
    """Some pairs of hashes, by their places."""

    @property
    def left(self) -> Ints:
        """Place of one hash of each pair."""

    @property
    def right(self) -> Ints:
        """Place of the other."""

    @property
    def distance(self) -> npt.NDArray[np.uint8]:
        """Bits in which they differ."""


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


def written_sides(draft: Path, ids: pa.ChunkedArray) -> tuple[Ints, list[str]]:
    """Read back which image stands in which of the written files.

    Args:
        draft: the folder with the files.
        ids: image ids of every input row.

    Returns:
        Split of every input row, -1 where it is in none; and what stands on two sides.
    """
    return _sides(draft, ids), leaks(draft)


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


def torn_values(name: str, codes: Ints, sides: Ints) -> list[str]:
    """Name a column of `--group-by` once for each of its values that stands on two sides.

    Args:
        name: the column.
        codes: number of the value of every input row, -1 for none.
        sides: split of every input row; -1 where it was not taken.
    """
    taken = (sides >= 0) & (codes >= 0)
    seen = np.unique(codes[taken] * len(SPLITS) + sides[taken])
    torn = np.flatnonzero(np.bincount(seen // len(SPLITS)) > 1)
    return [f"{name} number {code}" for code in torn.tolist()]


def _sides(draft: Path, ids: pa.ChunkedArray) -> Ints:
    """Find the split of every input row in the written files; -1 where it is in none."""
    sides = np.full(len(ids), -1, dtype=np.int64)
    for number, split in enumerate(SPLITS):
        written = pq.read_table(draft / f"{split}.parquet", columns=["image_id"])
        here = pc.is_in(ids, value_set=written.column("image_id"))
        sides[here.to_numpy().astype(np.bool_)] = number
    return sides


@dataclass(frozen=True, slots=True)
class Hashes:
    """The distinct hashes of images, with how many images of each split have them."""

    values: npt.NDArray[np.uint64]
    """Distinct hashes, ascending; shape (n,)."""
    on_side: Ints
    """Images with that hash in each split; shape (n, 3)."""

    @classmethod
    def of(cls, phash: pa.ChunkedArray, sides: Ints) -> Hashes:
        """Collect hashes; images without one look like nothing.

        Args:
            phash: n 64-bit hashes or nulls.
            sides: split of each, 0, 1 or 2.
        """
        known = pc.is_valid(phash).to_numpy().astype(np.bool_)
        given: Any = pc.drop_null(phash).to_numpy()
        values, place = np.unique(given.astype(np.uint64), return_inverse=True)
        n_sides = len(SPLITS)
        cells = np.bincount(place * n_sides + sides[known], minlength=len(values) * n_sides)
        return cls(values, cells.reshape(len(values), n_sides))

    def crossing(self, left: Ints, right: Ints) -> Ints:
        """Count the pairs of images on two sides for each pair of hashes."""
        total = self.on_side.sum(axis=1)
        same_side = (self.on_side[left] * self.on_side[right]).sum(axis=1)
        crossing: Ints = total[left] * total[right] - same_side
        return crossing


@dataclass(frozen=True, slots=True)
class Nearest:
    """The two images on two sides that look most alike."""

    bits: int | None
    """Bits in which their hashes differ; None: more than `beyond`, or there are no two sides."""
    beyond: int | None
    """How far was searched in vain; None: something was found, or there is nothing to find."""
    hashes: tuple[int, ...]
    """Their hashes, the smaller first; twice the same where they are equal."""


def alike_across(hashes: Hashes, neighbours: Neighbours) -> int:
    """Count pairs of images on two sides that look alike.

    Equal hashes are counted, not listed: a thousand blank pages are half a million pairs.
    """
    total = hashes.on_side.sum(axis=1)
    found = int((total**2 - (hashes.on_side**2).sum(axis=1)).sum()) // 2
    for pairs in neighbours(hashes.values, ALIKE_BITS):
        found += int(hashes.crossing(pairs.left, pairs.right).sum())
    return found


def nearest_across(hashes: Hashes, neighbours: Neighbours) -> Nearest:
    """Find the nearest pair of images on two sides, by their hashes.

    Exact for a few thousand distinct hashes; among more, nothing beyond 8 bits is looked for
    (4 bits among very many), where nearness says nothing any more.
    """
    n = len(hashes.values)
    both = np.flatnonzero((hashes.on_side > 0).sum(axis=1) > 1)
    if len(both):
        value = int(hashes.values[both[0]])
        return Nearest(0, None, (value, value))
    if np.count_nonzero(hashes.on_side.sum(axis=0)) < 2:
        return Nearest(None, None, ())
    if n <= _FEW:
        return _nearest_of_few(hashes)
    radii = _RADII if n <= _MANY else _RADII_OF_MANY
    for radius in radii:
        best: tuple[int, int, int] | None = None
        for pairs in neighbours(hashes.values, radius):
            far = np.where(hashes.crossing(pairs.left, pairs.right) > 0, pairs.distance, 255)
            place = np.lexsort((pairs.right, pairs.left, far))[:1]
            for at in place[far[place] < 255].tolist():
                one = int(far[at]), int(pairs.left[at]), int(pairs.right[at])
                best = one if best is None else min(best, one)
        if best is not None:
            values = sorted(int(hashes.values[place]) for place in best[1:])
            return Nearest(best[0], None, tuple(values))
    return Nearest(None, radii[-1], ())


def _nearest_of_few(hashes: Hashes) -> Nearest:
    """Compare everything with everything; no hash stands on two sides."""
    side = hashes.on_side.argmax(axis=1)
    best = 255, 0, 0
    for left, value in enumerate(hashes.values):
        distance = np.bitwise_count(hashes.values ^ value)
        distance[side == side[left]] = 255
        right = int(distance.argmin())
        best = min(best, (int(distance[right]), left, right))
    values = sorted(int(hashes.values[place]) for place in best[1:])
    return Nearest(best[0], None, tuple(values))


def deviations(
    counts: Mapping[str, Mapping[str, int]], shares: Sequence[float]
) -> dict[str, dict[str, float]]:
    """Tell how far each class is off its share in each split, as a signed share of the class.

    Args:
        counts: images of each class in each split, by name.
        shares: share of train, val and test.
    """
    found = {}
    for name, n in counts.items():
        total = max(1, sum(n[split] for split in SPLITS))
        found[name] = {
            split: round(n[split] / total - share, 6)
            for split, share in zip(SPLITS, shares, strict=True)
        }
    return found


def without_image(
    counts: Mapping[str, Mapping[str, int]], splits: Sequence[str] = SPLITS
) -> dict[str, list[str]]:
    """Name the classes that have no image in a split.

    Args:
        counts: images of each class in each split, by name.
        splits: the splits to look at.
    """
    return {split: [name for name, n in counts.items() if not n[split]] for split in splits}


def largest_deviation(
    found: Mapping[str, Mapping[str, float]], counts: Mapping[str, Mapping[str, int]]
) -> dict[str, Any] | None:
    """Pick the class and split that are furthest off, in images and as a share; None without."""
    cells = [
        (round(abs(off) * sum(counts[name][each] for each in SPLITS), 2), name, split, off)
        for name, by_split in found.items()
        for split, off in by_split.items()
    ]
    if not cells:
        return None
    images, name, split, _ = max(cells, key=lambda cell: cell[:3])
    share = max(abs(off) for _, _, _, off in cells)
    return {"images": images, "class": name, "split": split, "largest_share": share}
