"""As many pairs as hold everything together, and no more.

Ten thousand encodings of one picture have fifty million pairs, and 9,999 of them say all that
grouping needs to start from. A union-find over places takes pairs as they come, in blocks, and
keeps those that join two parts which were apart: n images never leave more than n - 1 pairs,
however crowded they are. Which pairs are kept depends on their order; what they connect
does not, and nothing else is read from them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

CHUNK = 1 << 12
"""Pairs taken one by one before the rest is looked at again, most of it joined by then."""


class Forest:
    """Parts of n places, each part a tree of the pairs that were kept.

    Args:
        n: how many places there are; all apart at first.
    """

    def __init__(self, n: int) -> None:
        self._root = np.arange(n, dtype=np.int64)

    def find(self, places: Ints) -> Ints:
        """Return one place for each place's part, the same for all of that part."""
        root: Ints = self._root[places]
        while True:
            above = self._root[root]
            if np.array_equal(above, root):
                break
            root = above
        self._root[places] = root
        return root

    def apart(self, left: Ints, right: Ints) -> NDArray[np.bool_]:
        """Return which pairs would join two parts."""
        apart: NDArray[np.bool_] = self.find(left) != self.find(right)
        return apart

    def join(self, left: Ints, right: Ints) -> Ints:
        """Join the parts of pairs, one pair after the other.

        Args:
            left: one place of each pair.
            right: the other.

        Returns:
            Which of the pairs joined what was apart (places in `left` and `right`).
        """
        kept = []
        for start in range(0, len(left), CHUNK):
            stop = start + CHUNK
            open_ = np.flatnonzero(self.apart(left[start:stop], right[start:stop])) + start
            for place, one, other in zip(
                open_.tolist(), left[open_].tolist(), right[open_].tolist(), strict=True
            ):
                low, high = sorted((self._find(one), self._find(other)))
                if low != high:
                    self._root[high] = low
                    kept.append(place)
        return np.array(kept, dtype=np.int64)

    def _find(self, place: int) -> int:
        root = self._root
        while (above := int(root[place])) != place:
            root[place] = root[above]
            place = above
        return place
