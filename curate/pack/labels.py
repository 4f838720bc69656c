"""Labels as arrays: (row, class) pairs that numpy can count and filter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curate.pack.groups import Ints, pairs_of

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Labels:
    """Which row has which classes; each pair once, ordered by row, then class."""

    classes: tuple[str, ...]
    """Names, sorted; a class is known by its place here."""
    n_rows: int
    """Rows there are, with and without labels."""
    rows: Ints
    """Row of each pair."""
    codes: Ints
    """Class of each pair."""

    @classmethod
    def of(cls, column: pa.ChunkedArray | pa.Array) -> Labels:
        """Read a column of lists of class names; a name given twice counts once."""
        rows, names = pairs_of(column)
        encoded = names.dictionary_encode()
        found = encoded.dictionary.to_pylist()
        classes = sorted(found)
        place = {name: number for number, name in enumerate(classes)}
        rank = np.array([place[name] for name in found], dtype=np.int64)
        codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        width = max(1, len(classes))
        pairs = np.unique(rows * width + (rank[codes] if len(codes) else codes))
        return cls(tuple(classes), len(column), pairs // width, pairs % width)

    def keep(self, rows: Mask | None = None, classes: Mask | None = None) -> Labels:
        """Drop the pairs of other rows and classes; numbers of both stay as they are."""
        mask = np.ones(len(self.rows), dtype=np.bool_)
        if rows is not None:
            mask &= rows[self.rows]
        if classes is not None:
            mask &= classes[self.codes]
        return Labels(self.classes, self.n_rows, self.rows[mask], self.codes[mask])

    def per_class(self) -> Ints:
        """Count the rows of each class."""
        return np.bincount(self.codes, minlength=len(self.classes))

    def per_row(self) -> Ints:
        """Count the classes of each row."""
        return np.bincount(self.rows, minlength=self.n_rows)

    def starts(self) -> Ints:
        """Where each row's pairs begin, with the end after the last; shape (n_rows + 1,)."""
        return np.searchsorted(self.rows, np.arange(self.n_rows + 1))

    def combinations(self) -> Ints:
        """Number the rows so that those with the same classes have the same number.

        Sets are refined class by class: as many passes as the richest row has classes.
        """
        starts, lengths = self.starts()[:-1], self.per_row()
        number = np.zeros(self.n_rows, dtype=np.int64)
        width = len(self.classes) + 1
        for place in range(int(lengths.max(initial=0))):
            code = np.full(self.n_rows, width - 1, dtype=np.int64)
            has = lengths > place
            code[has] = self.codes[starts[has] + place]
            number = np.unique(number * width + code, return_inverse=True)[1].astype(np.int64)
        return number

    def take(self, rows: Ints) -> Labels:
        """Renumber to the chosen rows (ascending), and to the classes that they still have."""
        new_row = np.full(self.n_rows, -1, dtype=np.int64)
        new_row[rows] = np.arange(len(rows))
        kept = new_row[self.rows] >= 0
        present, codes = np.unique(self.codes[kept], return_inverse=True)
        names = tuple(self.classes[code] for code in present)
        return Labels(names, len(rows), new_row[self.rows[kept]], codes.astype(np.int64))

    def to_arrow(self) -> pa.Array:
        """Return the lists of class names, one for each row, each sorted."""
        names = pa.array(self.classes, type=pa.string()).take(pa.array(self.codes))
        return pa.ListArray.from_arrays(pa.array(self.starts(), type=pa.int32()), names)

    def first(self) -> pa.Array:
        """Return the only (or alphabetically first) class of each row; null where none is."""
        has = self.per_row() > 0
        at = np.where(has, self.starts()[:-1], 0)
        codes = self.codes[at] if len(self.codes) else at
        return pa.array(self.classes, type=pa.string()).take(pa.array(codes, mask=~has))
