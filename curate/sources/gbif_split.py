"""Splitting a GBIF search into parts that its paging can reach.

The API answers nothing past offset + limit = 100,000. A larger search is divided by a
facet into bins of values that together stay below that (one request per part, as a
repeated parameter), and a value that is too large by itself is divided by another facet.
A search cannot ask for "no value", so a facet that every record has (dataset, basis of
record) is preferred to one that loses some (year, month, country); what is lost in the end
is counted. A place in the plan is a path of bins plus an offset: it is found again from
the facets of the day, in the order of their values, because counts change under a search
that takes hours, and a stored list of bins would be large and out of date.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from curate.errors import SourceError

MAX_REACH = 100_000
"""offset + limit may not be more than this."""
MAX_BIN_VALUES = 50
"""So that a URL with 50 dataset keys stays below 3 KB."""
FACETS = ("year", "month", "country", "datasetKey", "basisOfRecord", "license", "speciesKey")
"""Tried in this order, those that lose nothing first."""

Bin = tuple[str, tuple[str, ...]]
"""A facet's query parameter and the values of it that are asked together."""
Values = Sequence[tuple[str, int]]
"""A facet's values with their counts."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the plan a search stands."""

    taxon_key: str | None
    """The taxon that the name was resolved to; None if there was none to resolve."""
    path: tuple[Bin, ...]
    """The bins from the whole search down to the part."""
    offset: int
    """The next occurrence of the part."""

    def dump(self) -> str:
        """Return the place as one line of JSON: the cursor."""
        path = [[name, list(values)] for name, values in self.path]
        body = {"taxonKey": self.taxon_key, "path": path, "offset": self.offset}
        return json.dumps(body, separators=(",", ":"))

    @classmethod
    def load(cls, cursor: str) -> Place:
        """Read a cursor back.

        Raises:
            SourceError: it is not one of ours.
        """
        try:
            body = json.loads(cursor)
            path = tuple((str(name), tuple(map(str, values))) for name, values in body["path"])
            taxon_key = None if body["taxonKey"] is None else str(body["taxonKey"])
            return cls(taxon_key, path, int(body["offset"]))
        except (ValueError, TypeError, KeyError) as error:
            raise SourceError(f"not a cursor of gbif: {cursor!r}", "Start it again.") from error


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the search that paging can reach (or, if nothing splits it, the start of it)."""

    path: tuple[Bin, ...]
    """The bins that select it."""
    count: int
    """Occurrences in it."""
    unreachable: int
    """Occurrences that the splits just before this part lost, or that lie past its reach."""
    offset: int
    """Where to begin in it."""

    def place(self, taxon_key: str | None) -> Place:
        """Return the place where this part begins."""
        return Place(taxon_key, self.path, self.offset)


Count = Callable[[tuple[Bin, ...]], int]
Facets = Callable[[tuple[Bin, ...], Sequence[str]], Mapping[str, Values]]


def parts(count: Count, facets: Facets, resume: Place | None) -> Iterator[Part]:
    """Yield the parts in order, from a place on.

    Args:
        count: occurrences of the search narrowed by a path.
        facets: the values of several facets of the same.
        resume: where an earlier run stopped; None: from the beginning.
    """
    lost = [0]
    offset = resume.offset if resume else 0
    for part in _walk((), count, facets, resume.path if resume else (), offset, lost):
        unreachable, lost[0] = part.unreachable + lost[0], 0
        yield Part(part.path, part.count, unreachable, part.offset)


def _walk(
    path: tuple[Bin, ...],
    count: Count,
    facets: Facets,
    resume: tuple[Bin, ...],
    offset: int,
    lost: list[int],
) -> Iterator[Part]:
    """Yield the parts below one node; `resume` is what of the stored path lies below it."""
    n = count(path)
    if n <= MAX_REACH and not resume:
        yield Part(path, n, 0, offset)
        return
    used = {name for name, _ in path}
    values = facets(path, [name for name in FACETS if name not in used])
    name = resume[0][0] if resume else choose_facet(values, n)
    if name is None or name not in values:
        # On resuming, what lies past the reach was told before.
        yield Part(path, n, 0 if offset else n - MAX_REACH, offset)
        return
    todo = sorted(values[name], key=lambda item: value_order(item[0]))
    if resume:
        yield from _walk((*path, resume[0]), count, facets, resume[1:], offset, lost)
        last = max(map(value_order, resume[0][1]))
        todo = [item for item in todo if value_order(item[0]) > last]
    else:
        lost[0] += max(0, n - sum(of_value for _, of_value in todo))
    for bin_values in bins(todo):
        yield from _walk((*path, (name, bin_values)), count, facets, (), 0, lost)


def choose_facet(values: Mapping[str, Values], n: int) -> str | None:
    """Return the facet to split `n` occurrences by; None if none makes them fewer.

    Those that lose nothing come first, then those that lose least; FACETS breaks ties.
    """
    usable = [
        name
        for name in FACETS
        if values.get(name) and max(of_value for _, of_value in values[name]) < n
    ]
    if not usable:
        return None
    return min(usable, key=lambda name: max(0, n - sum(count for _, count in values[name])))


def bins(values: Values) -> Iterator[tuple[str, ...]]:
    """Pack neighbouring values into bins that paging can reach; a large value stays alone."""
    current: list[str] = []
    total = 0
    for value, count in values:
        if current and (total + count > MAX_REACH or len(current) == MAX_BIN_VALUES):
            yield tuple(current)
            current, total = [], 0
        current.append(value)
        total += count
    if current:
        yield tuple(current)


def value_order(value: str) -> tuple[int, int, str]:
    """Return the sort key of a facet's value: numbers by size, then text."""
    return (0, int(value), "") if value.isdecimal() else (1, 0, value)
