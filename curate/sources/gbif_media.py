"""From one GBIF occurrence to its candidates: one for each image that it shows.

Licence, rights holder and creator are the medium's: the record's licence covers the
record. An occurrence is a group, since several photos of one mushroom must stay on one
side of a split. The id of a candidate is the occurrence's key plus the MD5 of the
medium's identifier, because the order of media changes when a record is indexed again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curate.licenses import matches, normalise
from curate.records import Candidate
from curate.sources.base import Query, hints
from curate.sources.gbif_taxa import BACKBONE_KEY
from curate.sources.variants import gbif_variant, inaturalist_variant, md5_hex

DEFAULT_CLASS_BY = "species"
META_FIELDS = (
    "taxonKey",
    "speciesKey",
    "scientificName",
    "species",
    "genus",
    "family",
    "order",
    "class",
    "phylum",
    "kingdom",
    "taxonRank",
    "country",
    "countryCode",
    "year",
    "eventDate",
    "recordedBy",
    "decimalLatitude",
    "decimalLongitude",
    "datasetKey",
    "basisOfRecord",
)


def candidates(
    occurrence: Mapping[str, Any], query: Query, api_url: str
) -> tuple[list[Candidate], dict[str, int]]:
    """Return the candidates of an occurrence, and why its other media are none.

    Args:
        occurrence: one of the API's results.
        query: class hints, size, licences.
        api_url: base URL of the API, for its image cache.
    """
    found: list[Candidate] = []
    skipped: dict[str, int] = {}
    seen: set[str] = set()
    media = [one for one in occurrence.get("media") or () if isinstance(one, dict)]
    if not media:
        return [], {"no_media": 1}
    shared = _shared(occurrence, query)
    for medium in media:
        made = _candidate(medium, shared, query, api_url)
        if not isinstance(made, str) and made.source_id in seen:
            made = "repeated"
        if isinstance(made, str):
            skipped[made] = skipped.get(made, 0) + 1
            continue
        seen.add(made.source_id)
        found.append(made)
    return found, skipped


def _shared(occurrence: Mapping[str, Any], query: Query) -> tuple[str, tuple[str, ...], Any]:
    """What all media of an occurrence have in common: key, class hints, meta."""
    key = str(occurrence.get("key") or occurrence.get("gbifID") or "")
    value = _text(occurrence.get(query.class_by or DEFAULT_CLASS_BY))
    meta = {"gbifID": key, "checklistKey": query.params.get("checklistKey", (BACKBONE_KEY,))[0]}
    for name in META_FIELDS:
        text = _text(occurrence.get(name))
        if text:
            meta[name] = text
    return key, hints(query, (value,) if value else ()), meta


def _candidate(
    medium: Mapping[str, Any],
    shared: tuple[str, tuple[str, ...], Mapping[str, str]],
    query: Query,
    api_url: str,
) -> Candidate | str:
    """Turn one medium into a candidate, or the reason why it is none."""
    key, classes, meta = shared
    identifier = _text(medium.get("identifier"))
    if not identifier:
        return "no_url"
    if not is_image(medium):
        return "not_image"
    if not identifier.lower().startswith(("http://", "https://")):
        return "bad_url"
    license_ = normalise(_text(medium.get("license")))
    if not matches(license_.id, query.licenses):
        return "license"
    author = _text(medium.get("creator"))
    holder = _text(medium.get("rightsHolder"))
    extra = {"identifier": identifier}
    for name in ("references", "publisher", "format"):
        text = _text(medium.get(name))
        if text:
            extra[name] = text
    return Candidate(
        source="gbif",
        source_id=f"{key}:{md5_hex(identifier)[:12]}",
        url=_url(api_url, key, identifier, query.side_px),
        classes=classes,
        query=query.text,
        group=f"occurrence:{key}",
        page_url=f"https://www.gbif.org/occurrence/{key}",
        author=author or None,
        license=license_.id,
        license_url=license_.url,
        rights_holder=holder or None,
        attribution=_attribution(author or holder, license_.id, key),
        meta={**meta, **extra},
    )


def is_image(medium: Mapping[str, Any]) -> bool:
    """Tell whether a medium is a still image; a missing type is judged by the format."""
    kind = _text(medium.get("type")).lower()
    if kind:
        return kind in ("stillimage", "image")
    form = _text(medium.get("format")).lower()
    return not form or form.startswith("image")


def _url(api_url: str, key: str, identifier: str, side_px: int | None) -> str:
    if side_px is None:
        return identifier
    own = inaturalist_variant(identifier, side_px)
    return own if own is not None else gbif_variant(api_url, key, identifier, side_px)


def _attribution(who: str, license_id: str | None, key: str) -> str:
    licence = f", {license_id}" if license_id else ""
    return f"{who or 'unknown author'}{licence}, via GBIF occurrence {key}"


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
