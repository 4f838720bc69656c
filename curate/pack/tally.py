"""What every split has and lacks of each class, while members of cells move between splits."""

from __future__ import annotations

import numpy as np

from curate.pack.cells import Cells, Floats
from curate.pack.groups import Ints
from curate.pack.labels import Mask

NUDGE = 1e-6
"""Below that, differences come from rounding."""
_PRESENCE = 10.0
"""What it counts that a plain class is in a split; two images that move gain 4 at most."""


class Tally:
    """Where the members of cells are, and how far classes and sizes are off their shares.

    The distance to be lowered is that of chi-square: squared images off, over the images of the
    class. A class is plain if all its groups are of this class alone. For such a class, to be in a
    split counts for more than distance, and no group that moves takes it off its share by its size.
    """

    def __init__(
        self, cells: Cells, dealt: Ints, placed: Ints, shares: Floats, n_train: int
    ) -> None:
        self.cells = cells
        self.dealt = dealt
        """Free members of each cell in each split; changed in place."""
        self.cell_of_entry: Ints = np.repeat(np.arange(len(cells.sizes)), cells.n_classes_in)
        """Cell of each entry of the cells."""
        self.is_free: Mask = dealt.sum(axis=1) > 0
        """Cells with free members."""
        self.weight: Floats = 1 / np.maximum(cells.totals, 1)
        """Weight of each class in the distance."""
        self.is_plain: Mask = cells.totals > 0
        """Classes all of whose groups have one class."""
        self.is_plain[cells.codes[cells.n_classes_in[self.cell_of_entry] > 1]] = False
        every = placed + dealt
        self.over: Floats = every - cells.n_members[:, None] * shares
        """Members of each cell in each split beyond its share."""
        n_images = every.T @ cells.sizes
        self.lacking: Floats = shares * n_images.sum() - n_images
        """Images that each split lacks of its share."""
        self.has: Floats = cells.images(every)
        """Images of each class in each split, shape (splits, classes)."""
        self.short: Floats = shares[:, None] * cells.totals - self.has
        """Images that each split lacks of its share of each class, of the same shape."""
        self.ways = [(i, j) for i in range(len(shares)) for j in range(len(shares)) if i != j]
        """Moves from a split to another; none to or from those without a share."""
        self.ways = [(i, j) for i, j in self.ways if shares[i] > 0 and shares[j] > 0]
        self._any_plain = bool(self.is_plain.any())
        self._n_train = n_train

    def uneven(self) -> Ints:
        """Return the classes that are not at their nearest counts, but for plain ones."""
        used = self.short[sorted({i for i, _ in self.ways})]
        return np.flatnonzero(~self.is_plain & (np.ptp(used, axis=0) > 1 + NUDGE))

    def distance(self) -> float:
        """Return the chi-square distance of all classes."""
        return float((self.short**2 * self.weight).sum())

    def gaps(self, short: Floats) -> list[tuple[float, int, int]]:
        """Return by how much more split j lacks than i, for each way, the widest first."""
        lacking = short.tolist()
        return sorted(((lacking[j] - lacking[i], i, j) for i, j in self.ways), reverse=True)

    def n_to_move(self, i: int, j: int) -> float:
        """Return how many images to move from split i to j, so that sizes come closer at once."""
        lacks, has_over = self.lacking[j], -self.lacking[i]
        if min(lacks, has_over) > 0:
            return float(min(lacks, has_over))
        return float(lacks + has_over) / 2  # both lack images, or neither: they become alike

    def gain(self, i: int, j: int, codes: Ints | slice, counts: Ints | int) -> Floats:
        """Return by how much the distance falls if images of a class move from split i to j.

        Minus infinity if they may not: because the class has no others in train, or because a
        plain class would come to be off its share by as many images.

        Args:
            i: where they are.
            j: where they would go.
            codes: classes.
            counts: images of each.
        """
        apart = self.short[j][codes] - self.short[i][codes]
        gain: Floats = 2 * self.weight[codes] * counts * (apart - counts)
        if self._any_plain:
            has_here, has_there = self.has[i][codes], self.has[j][codes]
            new = np.maximum(self.short[i][codes] + counts, counts - self.short[j][codes])
            breaks = (new > counts - NUDGE) & (gain <= 0)
            leaves, arrives = has_here < counts + 0.5, has_there < 0.5
            presence = _PRESENCE * (arrives.astype(np.int64) - leaves)
            gain += np.where(self.is_plain[codes], np.where(breaks, -np.inf, presence), 0)
        if i < self._n_train <= j:
            gain[self.has[: self._n_train].sum(axis=0)[codes] < counts + 0.5] = -np.inf
        return gain

    def may_leave(self, code: int, i: int, j: int) -> bool:
        """Tell whether an image of a class may go from split i to j: the last in train may not."""
        if not i < self._n_train <= j:
            return True
        return bool(self.has[: self._n_train, code].sum() > 1.5)

    def gain_of_cells(self, chosen: Ints, i: int, j: int) -> Floats:
        """Return the gain of moving a member of each cell; minus infinity where there is none."""
        at, lengths = self.cells.entries(chosen)
        each = self.gain(i, j, self.cells.codes[at], self.cells.counts[at])
        gain: Floats = np.add.reduceat(each, np.cumsum(lengths) - lengths)
        gain[self.dealt[chosen, i] <= 0] = -np.inf
        return gain

    def move(self, chosen: Ints, i: int, j: int, n: Ints | int = 1) -> None:
        """Move n members of each of the cells, all different, from split i to split j."""
        cells = self.cells
        for counts in (self.dealt, self.over):
            counts[chosen, i] -= n
            counts[chosen, j] += n
        at, lengths = cells.entries(chosen)
        moved = cells.counts[at] * (n if isinstance(n, int) else np.repeat(n, lengths))
        images = np.bincount(cells.codes[at], moved, len(self.weight))
        self.has[i] -= images
        self.has[j] += images
        self.short[i] += images
        self.short[j] -= images
        n_images = int((cells.sizes[chosen] * n).sum())
        self.lacking[i] += n_images
        self.lacking[j] -= n_images
