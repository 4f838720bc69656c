"""The sides that images are divided among: train, val and test, or folds and test.

With folds, each is a side of its own. The last fold is val and the others are train, so that
whoever knows nothing of folds finds a usual split; sides stand in the order train, val, test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.pack.groups import Ints
from curate.pack.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Sides:
    """What images are divided among, in the order train, val, test."""

    shares: tuple[float, ...]
    """Share of each side, together 1."""
    split: Ints
    """Number of the split of each side: 0 train, 1 val, 2 test."""
    n_folds: int
    """Folds; 0: none."""

    @classmethod
    def of(cls, recipe: Recipe) -> Sides:
        """Return the sides of a recipe; with folds, its share of val is not used."""
        if not recipe.folds:
            return cls(recipe.splits, np.arange(3), 0)
        test = recipe.splits[2]
        each = (1 - test) / recipe.folds
        split = np.array([0] * (recipe.folds - 1) + [1, 2])
        return cls((*(each for _ in range(recipe.folds)), test), split, recipe.folds)

    @property
    def test(self) -> int:
        """The last side."""
        return len(self.shares) - 1

    @property
    def n_train(self) -> int:
        """How many of them, from the first, are train."""
        return int((self.split == 0).sum())

    @property
    def split_shares(self) -> tuple[float, float, float]:
        """Share of train, val and test."""
        sums = np.bincount(self.split, self.shares, 3).tolist()
        return sums[0], sums[1], sums[2]

    def without_test(self) -> tuple[float, ...]:
        """Return the shares of the others among themselves, and none for test."""
        rest = 1 - self.shares[-1]
        return (*(share / rest for share in self.shares[:-1]), 0.0)
