"""Writes Darwin Core Archives of any size, as GBIF ships them, with what is wrong in real ones.

A long tail of species, stray quotes in unquoted text, accents, media without an address, sounds
among the photos, one photo under two occurrences, ids with a trailing blank, licences in a
dozen spellings and in free words. The same arguments give the same bytes.
"""

from __future__ import annotations

import random
import zipfile
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Final
from xml.sax.saxutils import quoteattr

N_COLUMNS: Final = 250
N_SPECIES: Final = 15_000
DWC: Final = "http://rs.tdwg.org/dwc/terms/"
DC: Final = "http://purl.org/dc/terms/"
GBIF: Final = "http://rs.gbif.org/terms/1.0/"
FIRST: Final = (
    *("gbifID", "license", "rightsHolder", "references", "identifier", "institutionCode"),
    *("datasetName", "basisOfRecord", "occurrenceID", "catalogNumber", "recordedBy"),
    *("occurrenceStatus", "eventDate", "year", "month", "day", "habitat", "countryCode"),
    *("stateProvince", "locality", "verbatimLocality", "decimalLatitude", "decimalLongitude"),
    *("coordinateUncertaintyInMeters", "identifiedBy", "dateIdentified", "scientificName"),
    *("kingdom", "phylum", "class", "order", "family", "genus", "specificEpithet", "taxonRank"),
    *("taxonomicStatus", "datasetKey", "publishingCountry", "lastInterpreted", "issue"),
    *("mediaType", "taxonKey", "acceptedTaxonKey", "speciesKey", "species"),
    *("acceptedScientificName", "verbatimScientificName", "protocol", "lastParsed"),
)
MEDIA: Final = (
    *("gbifID", "type", "format", "identifier", "references", "title", "description"),
    *("source", "audience", "created", "creator", "contributor", "publisher", "license"),
    "rightsHolder",
)
LICENSES: Final = (
    "http://creativecommons.org/licenses/by-nc/4.0/",
    "http://creativecommons.org/licenses/by/4.0/",
    "https://creativecommons.org/licenses/by-nc/4.0/legalcode",
    "http://creativecommons.org/publicdomain/zero/1.0/",
    "CC BY-SA 3.0",
    "© All rights reserved",
    "(c) the photographer, some rights reserved (CC BY-NC-ND)",
    "",
)
_DC_TERMS: Final = {"license", "rightsHolder", "references", "identifier", *MEDIA[1:]}
_REMARKS: Final = (
    'under oak, called "penny bun" by the finder',
    '3" across, smells of flour',
    "på död ved, nära bäcken",
    "",
    "Forêt de l'Île-d'Orléans",
)


def write_archive(
    path: Path,
    n_occurrences: int,
    n_media: int,
    *,
    seed: int = 0,
    level: int = 1,
    n_species: int = N_SPECIES,
) -> None:
    """Write an archive.

    Args:
        path: the zip.
        n_occurrences: rows of occurrence.txt, each of 250 columns.
        n_media: rows of multimedia.txt.
        seed: of all chance.
        level: of compression, 0-9.
        n_species: classes that there are.
    """
    rng = random.Random(seed)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        archive.writestr("meta.xml", _meta_xml())
        archive.writestr("metadata.xml", "<eml/>")
        with archive.open("occurrence.txt", "w", force_zip64=True) as file:
            for block in _blocks(_occurrences(rng, n_occurrences, n_species)):
                file.write(block)
        with archive.open("multimedia.txt", "w", force_zip64=True) as file:
            for block in _blocks(_media(rng, n_occurrences, n_media)):
                file.write(block)


def columns() -> list[str]:
    """Return the terms of occurrence.txt."""
    return [*FIRST, *(f"measurement{i:03d}" for i in range(N_COLUMNS - len(FIRST)))]


def _blocks(lines: Iterator[str]) -> Iterator[bytes]:
    held: list[str] = []
    for line in lines:
        held.append(line)
        if len(held) == 20_000:
            yield "".join(held).encode()
            held = []
    yield "".join(held).encode()


def _species(i: int) -> tuple[str, ...]:
    """Names of the i-th species from kingdom to species, with its rank and keys."""
    genus, family = f"Genus{i // 6}", f"Family{i // 90}aceae"
    name = f"{genus.capitalize()} species{i}"
    return (
        *("Fungi", f"Phylum{i % 4}", f"Class{i % 17}", f"Order{i // 400}", family),
        *(genus, f"species{i}", name),
    )


def _occurrences(rng: random.Random, n: int, n_species: int) -> Iterator[str]:
    yield "\t".join(columns()) + "\n"
    weights = list(accumulate(1 / (i + 20) for i in range(n_species)))
    blank = "\t" * (N_COLUMNS - len(FIRST))
    taxa = [_species(i) for i in range(n_species)]
    picked = rng.choices(range(n_species), cum_weights=weights, k=n)
    for i, which in enumerate(picked):
        yield _occurrence(rng, i, which, taxa[which], blank)


def _occurrence(rng: random.Random, i: int, which: int, names: tuple[str, ...], blank: str) -> str:
    year, month, day = 1990 + i % 35, 1 + i % 12, 1 + i % 28
    observer = int(rng.random() ** 3 * 20_000)
    kingdom, phylum, class_, order, family, genus, epithet, species = names
    is_genus_only, is_synonym = i % 23 == 0, i % 11 == 0
    scientific = f"Oldgenus{which % 40} {epithet} (Fr.) Quél." if is_synonym else f"{species} Fr."
    key = 1_000_000_000 + i
    cells = (
        *(str(key), "CC_BY_NC_4_0", f"Observer {observer}", f"https://obs.example.org/{i}", ""),
        *("iNaturalist", "research-grade observations", "HUMAN_OBSERVATION", f"obs:{i}", str(i)),
        *(f"Observer {observer}", "PRESENT", f"{year}-{month:02d}-{day:02d}T12:{i % 60:02d}:00"),
        *(str(year), str(month), str(day), _REMARKS[i % 5], ("DK", "SE", "DE", "US", "CA")[i % 5]),
        *("Region", f"Locality {i % 9973}", _REMARKS[(i + 2) % 5], f"{50 + i % 20000 / 1000:.4f}"),
        *(f"{8 + i % 30011 / 1000:.4f}", "15.0", f"Expert {i % 101}", f"{year}-12-01", scientific),
        *(kingdom, phylum, class_, order, family, genus, "" if is_genus_only else epithet),
        *("GENUS" if is_genus_only else "SPECIES", "SYNONYM" if is_synonym else "ACCEPTED"),
        *("50c9509d-22c7-4a22-a47d-8c48425ef4a7", "US", "2025-01-02T03:04:05.678Z"),
        *("COORDINATE_ROUNDED;GEODETIC_DATUM_ASSUMED_WGS84", "StillImage", str(2_000_000 + which)),
        *(str(2_000_000 + which), "" if is_genus_only else str(2_000_000 + which)),
        *("" if is_genus_only else species, f"{species} Fr.", scientific, "DWC_ARCHIVE"),
        "2025-01-02T03:04:05.678Z",
    )
    return "\t".join(cells) + blank + "\n"


def _media(rng: random.Random, n_occurrences: int, n: int) -> Iterator[str]:
    yield "\t".join(MEDIA) + "\n"
    ids = sorted(rng.randrange(n_occurrences) for _ in range(n))
    previous = ""
    for i, occurrence in enumerate(ids):
        key = f"{1_000_000_000 + occurrence}" + (" " if i % 997 == 5 else "")
        url = f"https://inaturalist-open-data.s3.amazonaws.com/photos/{i}/original.jpg"
        if i % 61 == 60:
            url = previous  # the photo of the row before, often under another occurrence
        elif i % 7 == 0:
            url = f"https://images{i % 40}.example.org/fungi/{i}/full.jpg?v=1"
        previous = url
        kind, form = ("Sound", "audio/mpeg") if i % 211 == 0 else ("StillImage", "image/jpeg")
        if i % 503 == 7:
            url = ""
        if i % 89 == 3:
            kind = ""
        title = _REMARKS[i % 5] if i % 4 == 0 else ""
        yield (
            f"{key}\t{kind}\t{form}\t{url}\thttps://obs.example.org/photos/{i}\t{title}\t\t\t\t"
            f"2020-01-01T00:00:00Z\tObserver {i % 20011}\t\tiNaturalist\t{LICENSES[i % 8]}"
            f"\tObserver {i % 20011}\n"
        )


def _meta_xml() -> str:
    def namespace(name: str) -> str:
        if name in _DC_TERMS:
            return DC
        return GBIF if name in ("gbifID", "taxonKey", "species", "mediaType") else DWC

    def table(tag: str, row: str, name: str, terms: list[str], id_: str) -> str:
        fields = "".join(
            f"<field index={quoteattr(str(i))} term={quoteattr(namespace(term) + term)}/>"
            for i, term in enumerate(terms)
        )
        return (
            f'<{tag} encoding="UTF-8" fieldsTerminatedBy="\\t" linesTerminatedBy="\\n" '
            f'fieldsEnclosedBy="" ignoreHeaderLines="1" rowType="{row}">'
            f'<files><location>{name}</location></files><{id_} index="0"/>{fields}</{tag}>'
        )

    core = table("core", f"{DWC}Occurrence", "occurrence.txt", columns(), "id")
    media = table("extension", f"{GBIF}Multimedia", "multimedia.txt", list(MEDIA), "coreid")
    return (
        '<archive xmlns="http://rs.tdwg.org/dwc/text/" metadata="metadata.xml">'
        f"{core}{media}</archive>"
    )
