"""GBIF: occurrence search for records with still images, by requests.

300 occurrences a page, never past offset + limit = 100,000: a larger search is split by
facets (`gbif_split`). pygbif is not used: it has no timeouts, retries or headers of its own
choosing, and brings matplotlib and requests-cache along; the four calls we need are plain
GETs. The cost is that API changes are ours to follow; the recorded answers in the tests
say what we rely on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import requests

from curate.errors import SourceError, UsageError
from curate.records import Candidate
from curate.sources import http
from curate.sources.base import Page, Query, SourceContext, limited
from curate.sources.gbif_media import DEFAULT_CLASS_BY, candidates
from curate.sources.gbif_split import MAX_REACH, Bin, Part, Place, Values, parts
from curate.sources.gbif_taxa import find_taxon

PER_PAGE = 300
"""The API clamps a larger limit silently."""
FACET_LIMIT = 1000
"""Values of a facet in one answer; the API's default is 10."""
MAX_NAME_LOOKUPS = 1000
"""Class counts name this many taxa at most, the most frequent ones; the rest keep their keys."""
_WHO = "GBIF"
_LIMIT = "GBIF's request"
_RANKS = ("species", "genus", "family", "order", "class", "phylum", "kingdom")
_DIRECT_FACETS = (
    "country",
    "year",
    "month",
    "datasetKey",
    "basisOfRecord",
    "speciesKey",
    "taxonKey",
)
_OURS = ("limit", "offset", "facet", "facetLimit", "facetOffset", "mediaType")

Filter = dict[str, list[str]]


class GbifSource:
    """Search GBIF for occurrences that show images.

    Args:
        context: `gbif_url` is the API, `contact` goes into the User-Agent.
    """

    name = "gbif"
    is_remote = True
    terms = ""

    def __init__(self, context: SourceContext) -> None:
        self._context = context
        self._base = context.gbif_url.rstrip("/")
        self._session: requests.Session | None = None
        self._so_far = 0
        self._names: dict[str, str] = {}

    def pages(self, query: Query, cursor: str | None = None) -> Iterator[Page]:
        """Yield the images of up to 300 occurrences a page; the cursor is a `Place` as JSON.

        `total` counts occurrences. `skipped` may have `unreachable`: occurrences that no
        split could reach, which GBIF's downloads have.

        Raises:
            SourceError: the taxon is not clear, or GBIF refuses the query in its own words.
            RateLimitedError: GBIF asks for a longer pause than may be waited for.
            UsageError: a parameter is one that the paging sets.
        """
        _check(query)
        return limited(cursor, query.limit, lambda start: self._run(query, start))

    def count(self, query: Query) -> int | None:
        """Return how many occurrences with images the search has."""
        _check(query)
        return self._count(self._filter(query, self._taxon_key(query)))

    def class_counts(self, query: Query) -> Mapping[str, int] | None:
        """Return occurrences with images per class, before anything is fetched.

        Classes are `class_by` (default species). An occurrence may have several images.

        Raises:
            UsageError: GBIF has no facet for `class_by`.
        """
        _check(query)
        class_by = query.class_by or DEFAULT_CLASS_BY
        facet = f"{class_by}Key" if class_by in _RANKS else class_by
        if class_by not in (*_RANKS, *_DIRECT_FACETS):
            allowed = ", ".join((*_RANKS, *_DIRECT_FACETS))
            raise UsageError(f"GBIF cannot count by {class_by!r}", f"It can by: {allowed}.")
        filter_ = self._filter(query, self._taxon_key(query))
        values = self._facets(filter_, [facet]).get(facet, [])
        ordered = sorted(values, key=lambda item: (-item[1], item[0]))
        if class_by not in _RANKS:
            return dict(ordered)
        counts: dict[str, int] = {}
        for i, (key, n) in enumerate(ordered):
            name = self._taxon_name(key) if i < MAX_NAME_LOOKUPS else f"taxon {key}"
            counts[name] = counts.get(name, 0) + n
        return counts

    def _run(self, query: Query, start: str | None) -> Iterator[tuple[str, Page]]:
        resume = Place.load(start) if start is not None else None
        self._so_far = 0
        taxon_key = resume.taxon_key if resume else self._taxon_key(query)
        whole = self._filter(query, taxon_key)
        total = self._count(whole)
        plan = parts(
            lambda path: total if not path else self._count(_narrow(whole, path)),
            lambda path, names: self._facets(_narrow(whole, path), names),
            resume,
        )
        part = next(plan, None)
        while part is not None:
            following: Part | None = None
            for own, next_offset, page in self._part_pages(query, whole, part, taxon_key):
                if next_offset is not None:
                    cursor: str | None = Place(taxon_key, part.path, next_offset).dump()
                else:
                    # The next part is looked for only when this one is spent, and before its
                    # last page goes out, because that page's cursor leads to it.
                    following = next(plan, None)
                    cursor = following.place(taxon_key).dump() if following else None
                found, skipped = page
                self._so_far += len(found)
                yield own, Page(tuple(found), cursor, total, skipped)
            part = following

    def _part_pages(
        self, query: Query, whole: Filter, part: Part, taxon_key: str | None
    ) -> Iterator[tuple[str, int | None, tuple[list[Candidate], dict[str, int]]]]:
        """Yield a part's pages: own cursor, next offset (None at the end), and what they hold."""
        offset, unreachable = part.offset, part.unreachable
        if unreachable:
            self._context.notify(
                f"GBIF: {unreachable} occurrences cannot be reached by searching; "
                "request a download at https://www.gbif.org/occurrence/search for all of them."
            )
        while True:
            limit = min(PER_PAGE, MAX_REACH - offset)
            body = self._search(_narrow(whole, part.path), {"limit": limit, "offset": offset})
            rows = body.get("results") or []
            end = offset + limit
            is_last = bool(body.get("endOfRecords")) or not rows or end >= MAX_REACH
            found, skipped = self._read(rows, query)
            if unreachable:
                skipped["unreachable"], unreachable = unreachable, 0
            own = Place(taxon_key, part.path, offset).dump()
            yield own, (None if is_last else end), (found, skipped)
            if is_last:
                return
            offset = end

    def _read(self, rows: Sequence[Any], query: Query) -> tuple[list[Candidate], dict[str, int]]:
        found: list[Candidate] = []
        skipped: dict[str, int] = {}
        for row in rows:
            some, dropped = candidates(row, query, self._base)
            found.extend(some)
            for reason, n in dropped.items():
                skipped[reason] = skipped.get(reason, 0) + n
        return found, skipped

    def _taxon_key(self, query: Query) -> str | None:
        """Resolve the query's text; a taxon given by key, or a full-text `q`, needs none."""
        if not query.text or {"taxonKey", "q", "scientificName"} & set(query.params):
            return None
        checklist = query.params.get("checklistKey")
        taxon = find_taxon(
            self._json,
            query.text.strip(),
            checklist[0] if checklist else None,
            self._context.notify,
        )
        return taxon.key

    def _filter(self, query: Query, taxon_key: str | None) -> Filter:
        filter_: Filter = {"mediaType": ["StillImage"]}
        filter_.update({name: list(values) for name, values in query.params.items()})
        if taxon_key is not None:
            filter_["taxonKey"] = [taxon_key]
        return filter_

    def _count(self, filter_: Filter) -> int:
        return int(self._search(filter_, {"limit": 0, "offset": 0}).get("count") or 0)

    def _facets(self, filter_: Filter, names: Sequence[str]) -> dict[str, Values]:
        """Return all values of several facets, paging through those with very many."""
        found: dict[str, list[tuple[str, int]]] = {}
        wanted, offset = list(names), 0
        while wanted:
            body = self._search(
                filter_,
                {
                    "limit": 0,
                    "offset": 0,
                    "facet": wanted,
                    "facetLimit": FACET_LIMIT,
                    "facetOffset": offset,
                },
            )
            by_name = {
                _facet_name(one): one.get("counts") or [] for one in body.get("facets") or ()
            }
            for name in wanted:
                rows = by_name.get(_plain(name), [])
                found.setdefault(name, []).extend((str(r["name"]), int(r["count"])) for r in rows)
            wanted = [name for name in wanted if len(by_name.get(_plain(name), ())) >= FACET_LIMIT]
            offset += FACET_LIMIT
        return dict(found)

    def _taxon_name(self, key: str) -> str:
        if key not in self._names:
            body = self._json(f"v1/species/{key}", {})
            names = (body.get("canonicalName"), body.get("scientificName"))
            self._names[key] = next((str(name) for name in names if name), f"taxon {key}")
        return self._names[key]

    def _search(self, filter_: Filter, more: Mapping[str, Any]) -> dict[str, Any]:
        body = self._json("v1/occurrence/search", {**filter_, **more})
        if not isinstance(body, dict):
            raise SourceError("GBIF answered a search with JSON that is not an object")
        return body

    def _json(self, path: str, params: http.Params) -> Any:
        if self._session is None:
            self._session = http.make_session(self._context)
        session, url = self._session, f"{self._base}/{path}"
        response = http.get_patiently(
            self._context, lambda: http.get(session, url, _WHO, params), _LIMIT, self._so_far
        )
        return http.json_body(response, _WHO)


def _check(query: Query) -> None:
    taken = sorted(set(_OURS) & set(query.params))
    if taken:
        raise UsageError(f"GBIF's parameter {taken[0]} is set by curate", "Leave it out.")


def _narrow(whole: Filter, path: Sequence[Bin]) -> Filter:
    """Add the bins of a path; a bin replaces a wider filter of the same name."""
    return {**whole, **{name: list(values) for name, values in path}}


def _facet_name(facet: Mapping[str, Any]) -> str:
    return _plain(str(facet.get("field") or ""))


def _plain(name: str) -> str:
    """Names are camelCase in queries and UPPER_SNAKE in replies: compare without both."""
    return name.replace("_", "").lower()
