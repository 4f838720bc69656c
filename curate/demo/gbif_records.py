"""GBIF's JSON: occurrences with their media, and names in the forms of its two match APIs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from curate.demo.occurrences import FIRST_KEY, LICENSES, Medium, Occurrences
from curate.demo.photos import draw
from curate.demo.taxonomy import BACKBONE, Match, Taxon, Taxonomy


class RecordWriter:
    """Writes occurrences as the search returns them.

    Args:
        taxonomy: the names.
        occurrences: what is written.
        base_url: gives the address under which media are served.
    """

    def __init__(
        self, taxonomy: Taxonomy, occurrences: Occurrences, base_url: Callable[[], str]
    ) -> None:
        self._taxonomy = taxonomy
        self._occurrences = occurrences
        self._base_url = base_url

    def identifier(self, medium: Medium) -> str:
        """The URL of a medium at full size."""
        if medium.sound:
            return f"{self._base_url()}/sounds/{medium.number}.mp3"
        return f"{self._base_url()}/photos/{medium.photo_id}/original.jpg"

    def by_digest(self, index: int, digest: str) -> Medium | None:
        """The medium whose identifier has this MD5, as the image cache addresses it."""
        for medium in self._occurrences.media(index):
            url = self.identifier(medium).encode()
            if hashlib.md5(url, usedforsecurity=False).hexdigest() == digest:
                return medium
        return None

    def occurrence(self, index: int) -> dict[str, object]:
        """One occurrence."""
        world, key = self._occurrences, FIRST_KEY + index
        code = int(world.columns["scientificName"].codes[index])
        taxon = self._taxonomy.species[code].taxon
        country = world.label("country", index) or ""
        record: dict[str, object] = {
            "key": key,
            "datasetKey": world.label("datasetKey", index),
            "publishingCountry": country,
            "protocol": "DWC_ARCHIVE",
            "extensions": {},
            "basisOfRecord": world.label("basisOfRecord", index),
            "occurrenceStatus": "PRESENT",
            "classifications": {BACKBONE: self._classification(taxon)},
            "taxonKey": taxon.key,
            **self._taxonomy.lineage_fields(taxon),
            "acceptedTaxonKey": taxon.accepted,
            "scientificName": taxon.name,
            "acceptedScientificName": taxon.name,
            "taxonRank": taxon.rank,
            "taxonomicStatus": "ACCEPTED",
            "decimalLatitude": round(35 + 30 * draw("latitude", key), 5),
            "decimalLongitude": round(-10 + 40 * draw("longitude", key), 5),
            **self._date(index),
            "issues": [],
            "license": LICENSES[world.label("license", index) or ""] + "legalcode",
            "identifiers": [],
            "media": [self._medium(index, medium) for medium in world.media(index)],
            "facts": [],
            "relations": [],
            "recordedBy": world.label("recordedBy", index),
            "countryCode": country,
            "country": world.country_name(country),
            "gbifID": str(key),
            "references": f"{self._base_url()}/observations/{key}",
        }
        return record

    def _date(self, index: int) -> dict[str, object]:
        year = self._occurrences.label("year", index)
        month = self._occurrences.label("month", index)
        if year is None or month is None:
            return {}
        day = 1 + int(draw("day", index) * 28)
        date = f"{year}-{int(month):02d}-{day:02d}"
        return {"year": int(year), "month": int(month), "day": day, "eventDate": date}

    def _medium(self, index: int, medium: Medium) -> dict[str, object]:
        person = self._occurrences.label("recordedBy", index)
        record: dict[str, object] = {
            "type": "Sound" if medium.sound else "StillImage",
            "format": "audio/mpeg" if medium.sound else "image/jpeg",
            "references": f"{self._base_url()}/observations/media/{medium.number}",
            "creator": person,
            "publisher": "Sample source",
            "license": LICENSES[medium.license],
            "rightsHolder": person,
            "identifier": self.identifier(medium),
        }
        missing = {
            "no_identifier": ("identifier", "format"),
            "no_type": ("type",),
            "no_license": ("license",),
            "sparse": ("format", "references", "creator", "publisher", "rightsHolder"),
        }
        if medium.oddity == "free_license":
            record["license"] = "All rights reserved"
        for name in missing.get(medium.oddity, ()):
            del record[name]
        return record

    def _classification(self, taxon: Taxon) -> dict[str, object]:
        usage = v2_usage(taxon)
        return {
            "usage": usage,
            "acceptedUsage": usage,
            "taxonomicStatus": "ACCEPTED",
            "classification": _classification(self._taxonomy, taxon),
            "issues": [],
        }


def _classification(taxonomy: Taxonomy, taxon: Taxon) -> list[dict[str, str]]:
    above = [taxonomy.taxa[key] for key in taxon.lineage]
    return [{"key": str(one.key), "name": one.canonical, "rank": one.rank} for one in above]


def v2_usage(taxon: Taxon) -> dict[str, object]:
    """A name as the second match API writes it: keys are strings."""
    usage: dict[str, object] = {
        "key": str(taxon.key),
        "name": taxon.name,
        "canonicalName": taxon.canonical,
        "rank": taxon.rank,
        "status": "ACCEPTED" if taxon.accepted == taxon.key else "SYNONYM",
        "type": "SCIENTIFIC",
    }
    if taxon.authorship:
        usage["authorship"] = taxon.authorship
    if taxon.rank == "SPECIES":
        usage["genericName"], usage["specificEpithet"] = taxon.canonical.split(" ", 1)
    return usage


def v2_match(taxonomy: Taxonomy, match: Match) -> dict[str, object]:
    """The answer of /v2/species/match."""
    diagnostics = {"matchType": match.kind, "confidence": match.confidence, "timeTaken": 1}
    taxon = match.taxon
    if taxon is None:
        return {"diagnostics": {**diagnostics, "issues": []}, "synonym": False}
    synonym = taxon.accepted != taxon.key
    answer: dict[str, object] = {"usage": v2_usage(taxon)}
    if synonym:
        answer["acceptedUsage"] = v2_usage(taxonomy.taxa[taxon.accepted])
    answer["classification"] = _classification(taxonomy, taxon)
    return {**answer, "diagnostics": diagnostics, "synonym": synonym}


def v1_match(taxonomy: Taxonomy, match: Match) -> dict[str, object]:
    """The answer of /v1/species/match."""
    end = {"confidence": match.confidence, "matchType": match.kind}
    taxon = match.taxon
    if taxon is None:
        note = "No match because of too little confidence"
        return {**end, "note": note, "synonym": False}
    usage = v1_usage(taxonomy, taxon)
    del usage["nubKey"], usage["vernacularNames"]
    start = {"usageKey": usage.pop("key")}
    if taxon.accepted != taxon.key:
        start["acceptedUsageKey"] = taxon.accepted
    return {**start, **usage, **end}


def v1_usage(taxonomy: Taxonomy, taxon: Taxon) -> dict[str, object]:
    """A name as the first API writes it: keys are numbers."""
    synonym = taxon.accepted != taxon.key
    common = taxonomy.common_names(taxon.key)
    return {
        "key": taxon.key,
        "nubKey": taxon.key,
        "scientificName": taxon.name,
        "canonicalName": taxon.canonical,
        "rank": taxon.rank,
        "status": "SYNONYM" if synonym else "ACCEPTED",
        **taxonomy.lineage_fields(taxon),
        "synonym": synonym,
        "vernacularNames": [{"vernacularName": name, "language": "eng"} for name in common],
    }
