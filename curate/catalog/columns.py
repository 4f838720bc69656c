"""Many candidates of one source as columns: the fast way into the catalog.

A million `Candidate` objects cost more time than the rows they become. A source that reads
tables hands over columns instead; they are a sequence of candidates all the same, made one
by one for whoever looks at them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import overload

from curate.records import Candidate

Texts = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class CandidateColumns(Sequence[Candidate]):
    """Candidates of one source; all columns have the same length and hold valid text."""

    source: str
    """Name of the source."""
    source_id: Sequence[str]
    """The source's own ids."""
    url: Sequence[str]
    """Where the images are."""
    class_: Texts
    """The class hint of each; None: no class."""
    group: Texts
    """Group hints."""
    page_url: Texts
    """Pages that a person would open."""
    author: Texts
    """Who made them."""
    license: Texts
    """SPDX ids, or the source's own words."""
    license_url: Texts
    """Where the licences can be read."""
    rights_holder: Texts
    """Who holds the rights."""
    attribution: Texts
    """Credit lines."""
    meta: Texts
    """JSON objects of texts."""
    query: str | None = None
    """The search text that found them."""

    def __len__(self) -> int:
        return len(self.source_id)

    @overload
    def __getitem__(self, place: int) -> Candidate: ...

    @overload
    def __getitem__(self, place: slice) -> CandidateColumns: ...

    def __getitem__(self, place: int | slice) -> Candidate | CandidateColumns:
        if isinstance(place, slice):
            cut = {name: getattr(self, name)[place] for name in (*_COLUMNS, "class_")}
            return replace(self, **cut)
        values = {name: getattr(self, name)[place] for name in _COLUMNS[:-1]}
        name, meta = self.class_[place], self.meta[place]
        return Candidate(
            source=self.source,
            classes=() if name is None else (name,),
            query=self.query,
            meta=json.loads(meta) if meta else {},
            **values,
        )

    def rows(self, search_id: int) -> Iterator[tuple[object, ...]]:
        """Yield the rows that the catalog keeps: source, id, search, and the other columns."""
        first, *others = (getattr(self, name) for name in _COLUMNS)
        return zip(repeat(self.source, len(self)), first, repeat(search_id), *others)


_COLUMNS = (
    "source_id",
    "url",
    "group",
    "page_url",
    "author",
    "license",
    "license_url",
    "rights_holder",
    "attribution",
    "meta",
)
"""In the order of the catalog's columns."""
