"""From a name to a taxon key: scientific names by the match service, others by vernacular.

A name that is exact, or off by a letter, is taken (and said); a synonym is replaced by
the accepted taxon, whose records include the synonym's. A name that only its genus or
family is known for is refused with suggestions, because searching the whole family for
one misspelt species would fill a dataset with the wrong thing. Keys are text, and belong
to a checklist: GBIF's backbone by default (match v1), another one by `checklistKey` (v2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from curate.errors import SourceError

BACKBONE_KEY = "d7dddbf4-2cf0-4f39-9b2a-bb099caae36c"
"""The checklist that GBIF's keys belong to where no other is named."""
_GOOD_MATCHES = ("EXACT", "FUZZY", "VARIANT", "CANONICAL")

Ask = Callable[[str, Mapping[str, str | int]], Any]
"""Get the JSON at a path of the API, e.g. `v1/species/match`."""


@dataclass(frozen=True, slots=True)
class Taxon:
    """One taxon of a checklist."""

    key: str
    """Its key in the checklist."""
    name: str
    """Its scientific name."""
    rank: str
    """Its rank, lower case; empty if unknown."""
    match: str
    """How it was found: `EXACT`, `FUZZY`, `HIGHERRANK`, `VERNACULAR`, …"""


def find_taxon(
    ask: Ask, name: str, checklist_key: str | None, notify: Callable[[str], None]
) -> Taxon:
    """Return the taxon that a person means by `name`.

    Args:
        ask: gets JSON from the API.
        name: a scientific or vernacular name.
        checklist_key: another checklist than the backbone; then only scientific names.
        notify: told whenever the name was not taken literally.

    Raises:
        SourceError: no taxon, only a higher one, or several; the hint lists suggestions.
    """
    if checklist_key is not None and checklist_key != BACKBONE_KEY:
        params = {"scientificName": name, "checklistKey": checklist_key}
        taxon = parse_match_v2(ask("v2/species/match", params))
    else:
        taxon = parse_match_v1(ask("v1/species/match", {"name": name, "verbose": "false"}))
    if taxon is not None and taxon.match in _GOOD_MATCHES:
        if taxon.match != "EXACT" or not taxon.name.startswith(name):
            notify(f"GBIF: {name!r} is taken as {taxon.name} ({taxon.rank}, key {taxon.key}).")
        return taxon
    if checklist_key is None or checklist_key == BACKBONE_KEY:
        common = _by_vernacular(ask, name)
        if len(common) == 1:
            notify(f"GBIF: {name!r} is taken as {common[0].name} (key {common[0].key}).")
            return common[0]
        if common:
            raise _unclear(name, "is the common name of several taxa", common)
    suggestions = _suggest(ask, name)
    if taxon is not None:
        raise _unclear(name, f"is not known, only its {taxon.rank} {taxon.name}", suggestions)
    raise _unclear(name, "is not known", suggestions)


def parse_match_v1(body: Any) -> Taxon | None:
    """Read an answer of `v1/species/match`; None where nothing matched."""
    if not isinstance(body, dict) or "usageKey" not in body:
        return None
    key = body.get("acceptedUsageKey") or body["usageKey"]
    return Taxon(
        key=str(key),
        name=str(body.get("scientificName") or ""),
        rank=str(body.get("rank") or "").lower(),
        match=str(body.get("matchType") or "NONE"),
    )


def parse_match_v2(body: Any) -> Taxon | None:
    """Read an answer of `v2/species/match`; None where nothing matched."""
    if not isinstance(body, dict) or not isinstance(body.get("usage"), dict):
        return None
    usage = body.get("acceptedUsage") or body["usage"]
    return Taxon(
        key=str(usage["key"]),
        name=str(usage.get("name") or ""),
        rank=str(usage.get("rank") or "").lower(),
        match=str((body.get("diagnostics") or {}).get("matchType") or "NONE"),
    )


def _by_vernacular(ask: Ask, name: str) -> list[Taxon]:
    """Return the accepted taxa that have exactly this common name, species before others."""
    body = ask(
        "v1/species/search",
        {"q": name, "qField": "VERNACULAR", "datasetKey": BACKBONE_KEY, "limit": 50},
    )
    rows = body.get("results") if isinstance(body, dict) else None
    found = {
        taxon.key: taxon
        for row in rows or ()
        if not row.get("synonym") and _has_vernacular(row, name)
        for taxon in [_from_usage(row, "VERNACULAR")]
    }
    # The varieties of a species often carry its common name: the species is meant.
    species = [taxon for taxon in found.values() if taxon.rank == "species"]
    return species if len(species) == 1 else list(found.values())


def _has_vernacular(row: Mapping[str, Any], name: str) -> bool:
    names = (one.get("vernacularName") or "" for one in row.get("vernacularNames") or ())
    return any(one.casefold() == name.casefold() for one in names)


def _suggest(ask: Ask, name: str) -> list[Taxon]:
    body = ask("v1/species/suggest", {"q": name, "limit": 5})
    return [_from_usage(row, "SUGGESTED") for row in body] if isinstance(body, list) else []


def _from_usage(row: Mapping[str, Any], match: str) -> Taxon:
    return Taxon(
        key=str(row.get("nubKey") or row.get("key") or ""),
        name=str(row.get("scientificName") or row.get("canonicalName") or ""),
        rank=str(row.get("rank") or "").lower(),
        match=match,
    )


def _unclear(name: str, what: str, suggestions: list[Taxon]) -> SourceError:
    hint = "Check the spelling, or search the full text with the parameter q."
    if suggestions:
        listed = "; ".join(f"{one.name} (taxonKey={one.key})" for one in suggestions[:5])
        hint = f"Did you mean: {listed}? Name the taxon by the parameter taxonKey."
    return SourceError(f"GBIF: the name {name!r} {what}", hint)
