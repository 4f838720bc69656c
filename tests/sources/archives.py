"""Small Darwin Core Archives, written by hand."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

DWC = "http://rs.tdwg.org/dwc/terms/"
MULTIMEDIA = "http://rs.gbif.org/terms/1.0/Multimedia"
AUDIOVISUAL = "http://rs.tdwg.org/ac/terms/Multimedia"

OCCURRENCES = (
    "id\tspecies\trecordedBy\teventDate\n"
    "1\tAmanita muscaria\tAda\t2020-09-01\n"
    "2\tBoletus edulis\tAda\t2020-09-01T10:00\n"
    "3\t\tBo\t2021\n"
)
MEDIA = (
    "id\ttype\tformat\tidentifier\tlicense\n"
    "1\tStillImage\timage/jpeg\thttps://example.org/1.jpg\t"
    "http://creativecommons.org/licenses/by/4.0/legalcode\n"
    "2\t\timage/png\thttps://example.org/2.png\tfree for all\n"
    "2\tSound\taudio/mpeg\thttps://example.org/2.mp3\t\n"
    "3\tStillImage\timage/jpeg\thttps://example.org/3.jpg\t\n"
    "9\tStillImage\timage/jpeg\thttps://example.org/9.jpg\t\n"
)


def table(
    tag: str,
    row: str,
    name: str,
    terms: Sequence[str],
    *,
    delimiter: str = "\\t",
    quote: str = "",
    header: int = 1,
    encoding: str = "UTF-8",
) -> str:
    """One table of a meta.xml; the first column is the id."""
    fields = "".join(
        f'<field index="{i}" term="{DWC}{term}"/>' for i, term in enumerate(terms, 1) if term
    )
    id_ = "id" if tag == "core" else "coreid"
    return (
        f'<{tag} encoding="{encoding}" fieldsTerminatedBy="{delimiter}" linesTerminatedBy="\\n" '
        f'fieldsEnclosedBy="{quote}" ignoreHeaderLines="{header}" rowType="{row}">'
        f'<files><location>{name}</location></files><{id_} index="0"/>{fields}</{tag}>'
    )


def meta(*tables: str) -> str:
    return f'<archive xmlns="http://rs.tdwg.org/dwc/text/">{"".join(tables)}</archive>'


CORE = table("core", f"{DWC}Occurrence", "o.txt", ("species", "recordedBy", "eventDate"))
EXTENSION = table("extension", MULTIMEDIA, "m.txt", ("type", "format", "identifier", "license"))
FILES: Mapping[str, str | bytes] = {
    "meta.xml": meta(CORE, EXTENSION),
    "o.txt": OCCURRENCES,
    "m.txt": MEDIA,
}


def zipped(path: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write a zip of these files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path
