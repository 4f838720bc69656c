"""How a cap shares its places among the sides on which images stand already.

A cap that took the earlier test set first would leave nothing to train on once it is smaller than
that set. So every side has a quota of a class's places: its share of them, where images that came
with a split count with the side they came on. Earlier images of val and test go first up to their
quota, since they are what must not change; then those of train up to its quota, and new images,
in the order of keeping; then what is beyond a quota, if places are left.

What the newest manifest has of a class that it holds within the cap was chosen like that already,
and is not measured again: otherwise the same images and recipe would not give the same manifest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from curate.pack.groups import Ints
from curate.pack.labels import Labels, Mask
from curate.pack.sides import Sides

_FIRST, _USUAL, _BEYOND = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Standing:
    """Where images stand before any is chosen."""

    sides: Sides
    """What they are divided among."""
    side: Ints
    """Side of each image by earlier manifests or with its group; -1: it is free."""
    given: Ints
    """Side that each image came with, if that is kept; -1: none."""
    in_newest: Mask
    """Images that the newest manifest has."""
    newest: Mapping[str, int]
    """Images of each class in the newest manifest; of no class under the empty name."""

    def order(self, labels: Labels, cap: int, rank: Ints) -> Ints:
        """Rank images anew so that each side gets its share of the places below a cap.

        Args:
            labels: classes of the images.
            cap: places of each class.
            rank: the order in which images are taken but for that.

        Returns:
            Place of each image, each once.
        """
        if not (self.side >= 0).any():
            return rank
        tier = np.full(labels.n_rows, _USUAL, dtype=np.int64)
        tier[self.side >= self.sides.n_train] = _FIRST
        tier[labels.rows[self._beyond(labels, cap, rank)]] = _BEYOND
        placed = np.empty(labels.n_rows, dtype=np.int64)
        placed[np.lexsort((rank, tier))] = np.arange(labels.n_rows)
        return placed

    def train_due(self, rows: Ints) -> float:
        """Return the share of train that is due among chosen images."""
        own = np.array(self.sides.split_shares)
        shares = np.where(self.given[rows] >= 0, self.sides.split[self.given[rows]] == 0, own[0])
        return float(shares.mean()) if len(rows) else float(own[0])

    def _beyond(self, labels: Labels, cap: int, rank: Ints) -> Mask:
        """Find the (row, class) pairs that are beyond the quota of their side in their class."""
        per_class = labels.per_class()
        side = self.side[labels.rows]
        held = np.array([0 < self.newest.get(name, 0) <= cap for name in labels.classes], np.bool_)
        settled = held[labels.codes] & self.in_newest[labels.rows]
        looked_at = np.flatnonzero((side >= 0) & (per_class[labels.codes] > cap))
        rows, codes, side = labels.rows[looked_at], labels.codes[looked_at], side[looked_at]
        n_sides = len(self.sides.shares)
        newer = ~settled[looked_at] & (side >= self.sides.n_train)
        cell = codes * n_sides + side
        order = np.lexsort((rank[rows], newer, cell))
        nth = np.empty(len(cell), dtype=np.int64)
        nth[order] = np.arange(len(cell)) - np.searchsorted(cell[order], cell[order])
        beyond = np.zeros(len(labels.rows), dtype=np.bool_)
        quota = self._quotas(labels, cap).ravel()
        beyond[looked_at] = (nth >= quota[cell]) & ~settled[looked_at]
        return beyond

    def _quotas(self, labels: Labels, cap: int) -> Ints:
        """Return the places of each side in each class, shape (classes, sides).

        Each class's add up to the cap; what is lost by rounding in one class is given in the next.
        """
        per_class = labels.per_class()
        shares = np.array(self.sides.shares)
        given = self.given[labels.rows]
        came = np.bincount(
            labels.codes[given >= 0] * len(shares) + given[given >= 0],
            minlength=len(per_class) * len(shares),
        ).reshape(len(per_class), -1)
        free = per_class - came.sum(axis=1)
        due = (came + free[:, None] * shares) / np.maximum(per_class, 1)[:, None]
        quotas = np.zeros(due.shape, dtype=np.int64)
        owed = np.zeros(len(shares))
        for code in np.flatnonzero(per_class > cap).tolist():
            wanted = due[code] * cap
            quotas[code] = np.floor(wanted + 1e-9)
            lacking = np.where(due[code] > 0, owed + wanted - quotas[code], -np.inf)
            most = np.argsort(-lacking.round(9), kind="stable")[: cap - int(quotas[code].sum())]
            quotas[code, most] += 1
            owed += wanted - quotas[code]
        return quotas
