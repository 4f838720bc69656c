"""Many candidates of one source as columns: the fast way into the catalog.

A million `Candidate` objects cost more time than the rows they become. A source that reads
tables hands over Arrow columns instead; they are a sequence of candidates all the same, made
one by one for whoever looks at them. What several candidates share (the record that they show)
is said once, in rows of `shared` that they point to; what these share (the taxon), in `common`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, overload

from curate.records import Candidate

if TYPE_CHECKING:
    import pyarrow as pa

TEXTS = (
    "source_id",
    "url",
    "group_hint",
    "page_url",
    "author",
    "license",
    "license_url",
    "rights_holder",
    "attribution",
    "meta",
)
"""Columns of candidates, by the catalog's names: valid text, or null."""
_FIELDS = {**{name: name for name in TEXTS}, "group_hint": "group"}


@dataclass(frozen=True, slots=True)
class CandidateColumns(Sequence[Candidate]):
    """Candidates of one source; all columns hold valid text, and JSON objects of it in `meta`."""

    source: str
    """Name of the source."""
    rows: pa.RecordBatch
    """`TEXTS`; `class` (a dictionary), the class hint, null for none; and `shared` (int32), a
    row of `shared` whose `meta` holds for the candidate too, or null."""
    shared: pa.RecordBatch
    """`meta`; and `common` (int32), a row of `common` that holds too, or null."""
    common: pa.RecordBatch
    """`meta`."""
    query: str | None = None
    """The search text that found them."""

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    @overload
    def __getitem__(self, place: int) -> Candidate: ...

    @overload
    def __getitem__(self, place: slice) -> CandidateColumns: ...

    def __getitem__(self, place: int | slice) -> Candidate | CandidateColumns:
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            if step != 1:
                raise ValueError("candidates in columns are cut, not picked")
            return replace(self, rows=self.rows.slice(start, max(0, stop - start)))
        row = {name: self.rows.column(name)[place].as_py() for name in self.rows.schema.names}
        name = row["class"]
        return Candidate(
            source=self.source,
            classes=() if name is None else (name,),
            query=self.query,
            meta={**self._shared_meta(row["shared"]), **json.loads(row["meta"] or "{}")},
            **{_FIELDS[name]: row[name] for name in TEXTS if name != "meta"},
        )

    def _shared_meta(self, place: int | None) -> dict[str, str]:
        if place is None:
            return {}
        own = json.loads(self.shared.column("meta")[place].as_py())
        above = self.shared.column("common")[place].as_py()
        common = {} if above is None else json.loads(self.common.column("meta")[above].as_py())
        return {**common, **own}
