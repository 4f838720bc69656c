"""GBIF's protocol: occurrence search with facets, and name matching, over `Occurrences`.

Status codes, clamps and bodies follow recorded answers of the real API: `limit` is silently
reduced to 300, offset + limit beyond 100,000 is a plain-text 400, facet names are UPPER_SNAKE,
a 429 has a Retry-After and a JSON array as its body.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from curate.demo.gbif_records import RecordWriter, v1_match, v1_usage, v2_match
from curate.demo.messages import Pause, Reply, Request, as_json, as_text
from curate.demo.occurrences import FIRST_KEY, LICENSES, Mask, Occurrences
from curate.demo.options import SampleOptions
from curate.demo.taxonomy import Taxon, Taxonomy

_TOO_MANY = [
    "To download many occurrences, please request a download instead of searching page by page.",
    "The sample source answers again after the pause in the Retry-After header.",
]
_BASES = {
    "HUMAN_OBSERVATION", "PRESERVED_SPECIMEN", "MACHINE_OBSERVATION", "OBSERVATION", "OCCURRENCE",
    "FOSSIL_SPECIMEN", "LIVING_SPECIMEN", "MATERIAL_SAMPLE", "MATERIAL_CITATION", "MATERIAL_ENTITY",
}  # fmt: skip
_KNOWN: dict[str, tuple[str, Callable[[str], bool]]] = {
    "basisOfRecord": ("BasisOfRecord", lambda v: v.upper() in _BASES),
    "country": ("Country", lambda v: re.fullmatch("[A-Za-z]{2}", v) is not None),
    "license": ("License", lambda v: v.upper() in {*LICENSES, "UNSPECIFIED", "UNSUPPORTED"}),
    "mediaType": ("MediaType", lambda v: v.lower() in {"stillimage", "sound", "movingimage"}),
    "month": ("Integer", lambda v: _range(v) is not None),
    "year": ("Integer", lambda v: _range(v) is not None),
    "taxonKey": ("Integer", lambda v: v.isdigit()),
}
_FACET_PARTS = ("facetLimit", "facetOffset")


class BadRequestError(Exception):
    """A parameter that GBIF refuses; the message is the body."""


class GbifApi:
    """Answers what api.gbif.org would.

    Args:
        options: limits and sizes.
        taxonomy: the names.
        occurrences: the records.
        base_url: gives the server's own address, for the URLs of media.
        clock: seconds that only grow; pauses are measured by it.
    """

    def __init__(
        self,
        options: SampleOptions,
        taxonomy: Taxonomy,
        occurrences: Occurrences,
        base_url: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        self._options = options
        self._taxonomy = taxonomy
        self._occurrences = occurrences
        self._pause = Pause(options.gbif_limit, options.gbif_retry_after_s, clock)
        self.records = RecordWriter(taxonomy, occurrences, base_url)

    def answer(self, request: Request) -> Reply:
        """The reply to any request under /v1 and /v2."""
        try:
            return self._route(request)
        except BadRequestError as error:
            return as_text(str(error), 400)

    def _route(self, request: Request) -> Reply:
        path = request.path
        if path == "/v1/occurrence/search":
            if wait_s := self._pause.wait_s():
                return as_json(_TOO_MANY, 429, {"Retry-After": str(wait_s)})
            return as_json(self._search(request))
        if path in ("/v1/species/match", "/v2/species/match"):
            return self._match(request, path.startswith("/v2"))
        if path in ("/v1/species/suggest", "/v1/species/search"):
            return self._names(request, path.endswith("suggest"))
        if match := re.fullmatch(r"/v1/(occurrence|species)/(\d+)", path):
            found = self._one(match[1], int(match[2]))
            if found is not None:
                return as_json(found)
        message = f"Entity not found for uri: {path.removeprefix('/v1')}"
        return as_json({"status": 404, "error": "", "message": message}, 404)

    def _search(self, request: Request) -> dict[str, object]:
        offset = _natural(request, "offset", 0)
        limit = min(self._options.max_limit, _natural(request, "limit", 20))
        if offset + limit > self._options.max_offset:
            most = self._options.max_offset
            raise BadRequestError(f"Max offset of {most} exceeded: {offset} + {limit}")
        masks = self._masks(request)
        chosen = self._together(masks)
        found = np.flatnonzero(chosen)
        results = [self.records.occurrence(int(i)) for i in found[offset : offset + limit]]
        return {
            "offset": offset,
            "limit": limit,
            "endOfRecords": offset + limit >= len(found),
            "count": len(found),
            "results": results,
            "facets": self._facets(request, masks, chosen),
        }

    def _together(self, masks: dict[str, Mask]) -> Mask:
        chosen = np.ones(self._occurrences.n_occurrences, dtype=np.bool_)
        for mask in masks.values():
            chosen &= mask
        return chosen

    def _masks(self, request: Request) -> dict[str, Mask]:
        """Which occurrences pass each filter of the query; unknown parameters are ignored."""
        masks: dict[str, Mask] = {}
        for name, values in request.params.items():
            given = [value for value in values if value]
            if not given:
                continue
            kind, fits = _KNOWN.get(name, ("", bool))
            for value in given:
                if not fits(value):
                    raise BadRequestError(f"Cannot parse {value} into a known {kind}")
            mask = self._mask(name, given)
            if mask is not None:
                masks[name] = mask
        return masks

    def _mask(self, name: str, values: list[str]) -> Mask | None:
        world = self._occurrences
        if name == "taxonKey":
            places = {n for value in values for n in self._taxonomy.below(int(value))}
            return world.species_mask(places.__contains__)
        if name == "scientificName":
            taxa = [self._taxonomy.match(value, strict=True).taxon for value in values]
            places = {n for t in taxa if t is not None for n in self._taxonomy.below(t.key)}
            return world.species_mask(places.__contains__)
        if name == "q":
            words = " ".join(values).lower().split()
            names = [species.taxon.name.lower() for species in self._taxonomy.species]
            return world.species_mask(lambda n: all(word in names[n] for word in words))
        if name == "mediaType":
            wanted = {value.lower() for value in values}
            still = world.n_media > (0 if "stillimage" in wanted else 99)
            return np.asarray(still | world.has_sound if "sound" in wanted else still)
        if name in ("year", "month"):
            return self._ranges(name, values)
        column = world.columns.get(name)
        if column is None:
            return None
        upper = {value.upper() for value in values}
        codes = [n for n, label in enumerate(column.labels) if label.upper() in upper]
        return np.isin(column.codes, codes)

    def _ranges(self, name: str, values: list[str]) -> Mask:
        column = self._occurrences.columns[name]
        numbers = np.array([int(label) for label in column.labels] + [-1])[column.codes]
        mask = np.zeros(len(numbers), dtype=np.bool_)
        for value in values:
            low, high = _range(value) or (1, 0)
            mask |= (numbers >= low) & (numbers <= high)
        return mask & (column.codes >= 0)

    def _facets(
        self, request: Request, masks: dict[str, Mask], chosen: Mask
    ) -> list[dict[str, object]]:
        several = request.first("facetMultiselect").lower() == "true"
        least = _natural(request, "facetMincount", 1)
        facets: list[dict[str, object]] = []
        for name in dict.fromkeys(request.params.get("facet", [])):
            if several and name in masks:
                chosen_here = self._together({k: m for k, m in masks.items() if k != name})
            else:
                chosen_here = chosen
            counts = [one for one in self._counts(name, chosen_here) if one[1] >= least]
            counts.sort(key=lambda one: (-one[1], one[0]))
            limit, offset = (_facet_part(request, name, part) for part in _FACET_PARTS)
            page = [{"name": n, "count": c} for n, c in counts[offset : offset + limit]]
            field = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
            facets.append({"field": field, "counts": page})
        return facets

    def _counts(self, name: str, chosen: Mask) -> list[tuple[str, int]]:
        world = self._occurrences
        if name == "mediaType":
            still, sound = chosen & (world.n_media > 0), chosen & world.has_sound
            return [("StillImage", int(still.sum())), ("Sound", int(sound.sum()))]
        if name == "taxonKey":
            ranks = [key for key in world.columns if key.endswith("Key") and key != "datasetKey"]
            return [one for rank in ranks for one in self._counts(rank, chosen)]
        column = world.columns.get(name)
        if column is None:
            raise BadRequestError(f"Cannot parse {name} into a known OccurrenceSearchParameter")
        codes = column.codes[chosen]
        counts = np.bincount(codes[codes >= 0], minlength=len(column.labels))
        return [(label, int(n)) for label, n in zip(column.labels, counts, strict=False)]

    def _match(self, request: Request, v2: bool) -> Reply:
        name = request.first("scientificName") or request.first("name")
        match = self._taxonomy.match(name, strict=request.first("strict").lower() == "true")
        if kingdom := request.first("kingdom"):
            taxon = match.taxon
            top = self._taxonomy.taxa[taxon.lineage[0]].canonical if taxon else ""
            if top.lower() != kingdom.lower():
                match = replace(match, kind="NONE", confidence=100, taxon=None)
        return as_json((v2_match if v2 else v1_match)(self._taxonomy, match))

    def _names(self, request: Request, suggest: bool) -> Reply:
        wanted = request.first("q").lower()
        limit, offset = _natural(request, "limit", 20), _natural(request, "offset", 0)
        common = request.first("qField").upper() == "VERNACULAR"
        taxa = [
            taxon
            for taxon in self._taxonomy.taxa.values()
            if any(wanted in name.lower() for name in self._called(taxon, common))
        ]
        page = [v1_usage(self._taxonomy, taxon) for taxon in taxa[offset : offset + limit]]
        if suggest:
            return as_json(page)
        end = offset + limit >= len(taxa)
        whole = {"offset": offset, "limit": limit, "endOfRecords": end, "count": len(taxa)}
        return as_json({**whole, "results": page, "facets": []})

    def _called(self, taxon: Taxon, common: bool) -> list[str]:
        return self._taxonomy.common_names(taxon.key) if common else [taxon.name]

    def _one(self, kind: str, key: int) -> dict[str, object] | None:
        if kind == "species":
            taxon = self._taxonomy.taxa.get(key)
            return None if taxon is None else v1_usage(self._taxonomy, taxon)
        index = key - FIRST_KEY
        if not 0 <= index < self._occurrences.n_occurrences:
            return None
        return self.records.occurrence(index)


def _natural(request: Request, name: str, default: int) -> int:
    text = request.first(name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit()):
        raise BadRequestError(f"Cannot parse {text} into a known Integer")
    return int(text)


def _facet_part(request: Request, facet: str, part: str) -> int:
    """`year.facetLimit` for one facet, else `facetLimit` for all, else GBIF's default."""
    own = f"{facet}.{part}"
    default = 10 if part == "facetLimit" else 0
    return _natural(request, own if own in request.params else part, default)


def _range(text: str) -> tuple[int, int] | None:
    """`2001`, `2001,2005`, `2001,*` or `*,2005` as first and last value."""
    low, comma, high = text.partition(",")
    if not comma:
        return (int(text), int(text)) if text.isdigit() else None
    ends = [(low, 0), (high, 9999)]
    if not all(end == "*" or end.isdigit() for end, _ in ends):
        return None
    first, last = (default if end == "*" else int(end) for end, default in ends)
    return first, last
