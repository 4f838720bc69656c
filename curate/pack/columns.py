"""The columns of the images by name: for filters, for grouping, for taking turns.

A name is a column of the table (`author`, `width_px`), `meta.KEY` for what a source told
besides, or KEY alone where no column has that name. Four words look in several places, because
sources call the same thing differently: `observer`, `date`, `year`, `country`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.errors import UsageError
from curate.pack.groups import Ints

_HIDDEN = frozenset({"set_aside", "quality_flags", "group_hints", "meta"})
"""Columns that are not for people to ask for."""
WORDS: Mapping[str, tuple[tuple[str, int | None], ...]] = {
    "observer": (("recordedBy", None), ("author", None)),
    "date": (("eventDate", 10), ("created_at", 10)),
    "year": (("year", None), ("eventDate", 4), ("created_at", 4)),
    "country": (("countryCode", None), ("country", None)),
}
"""Where each word looks: names of `meta` or columns, the first that says something; and how
many of its letters count."""
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one table of images."""

    table: pa.Table
    """Rows of schema `INPUT`."""
    keys: frozenset[str] = field(init=False)
    """Keys that some image has in `meta`."""

    def __post_init__(self) -> None:
        entries = [chunk.keys for chunk in self.table.column("meta").chunks]
        found = pa.chunked_array(entries, pa.string()).unique().to_pylist() if entries else []
        object.__setattr__(self, "keys", frozenset(found))

    @property
    def names(self) -> list[str]:
        """What may be asked for, sorted."""
        plain = set(self.table.column_names) - _HIDDEN
        return sorted(plain) + [f"meta.{key}" for key in sorted(self.keys)]

    def values(self, name: str) -> pa.ChunkedArray:
        """Return a column as it is.

        Raises:
            UsageError: there is none of that name.
        """
        if name in WORDS:
            return self._word(name)
        if name in self.table.column_names and name not in _HIDDEN:
            return self.table.column(name)
        key = name.removeprefix("meta.")
        if key in self.keys:
            return pc.map_lookup(self.table.column("meta"), pa.scalar(key), "first")
        if name == f"meta.{key}" and not self.table.num_rows:
            return pa.chunked_array([], pa.string())
        raise UsageError(f"no image has a column {name!r}", self._known())

    def texts(self, name: str) -> pa.ChunkedArray:
        """Return a column as texts, times as `2024-05-01T00:00:00Z`; empty texts are null.

        Raises:
            UsageError: there is none of that name, or it holds lists.
        """
        column = self.values(name)
        if pa.types.is_list(column.type):
            raise UsageError(f"{name} holds several values for an image", "name another column")
        if pa.types.is_timestamp(column.type):
            column = pc.strftime(column.cast(pa.timestamp("s", tz="UTC")), "%Y-%m-%dT%H:%M:%SZ")
        column = column.cast(pa.string())
        return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)

    def codes(self, name: str) -> Ints:
        """Number the values of a column, or of several joined by `+`; -1 where one is null.

        Equal rows of the table have equal numbers, whatever the order of rows makes of them.
        """
        code = np.zeros(self.table.num_rows, dtype=np.int64)
        known = np.ones(self.table.num_rows, dtype=np.bool_)
        for part in name.split("+"):
            encoded = self.texts(part.strip()).combine_chunks().dictionary_encode()
            indices = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
            known &= indices >= 0
            code = code * (len(encoded.dictionary) + 1) + indices
            code = np.unique(code, return_inverse=True)[1].astype(np.int64)
        code[~known] = -1
        return code

    def _word(self, word: str) -> pa.ChunkedArray:
        found = []
        for name, n_letters in WORDS[word]:
            if name in self.keys:
                column = pc.map_lookup(self.table.column("meta"), pa.scalar(name), "first")
            elif name in self.table.column_names and name not in _HIDDEN:
                column = self.table.column(name)
            else:
                continue
            if n_letters is not None:
                column = pc.utf8_slice_codeunits(column, 0, n_letters)
            found.append(pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column))
        if not found:
            return pa.chunked_array([pa.nulls(self.table.num_rows, pa.string())])
        return pc.coalesce(*found)

    def _known(self) -> str:
        names = [*WORDS, *self.names]
        more = ", …" if len(names) > _SHOWN else ""
        return f"known are: {', '.join(names[:_SHOWN])}{more}"
