"""Other readers of a Darwin Core Archive: python-dwca-reader, and pandas.

python-dwca-reader gives records with their media, row by row, and leaves the rest to its
user: `feed` is what somebody would write with it to fill the same catalog with the same
candidates, through what the library offers to everybody. This module imports curate and
pandas only where they are used, so that `visit` runs wherever python-dwca-reader is.
"""

from __future__ import annotations

import hashlib
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from curate.records import Candidate

PAGE_ROWS: Final = 30_000
SIDE_PX: Final = 1024
API: Final = "https://api.gbif.org"
MEDIA_KEYS: Final = ("references", "publisher", "format", "identifier")
FULL_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def visit(archive: Path) -> None:
    """Visit every row with its extensions."""
    from dwca.read import DwCAReader

    with DwCAReader(str(archive)) as reader:
        for row in reader:
            for _ in row.extensions:
                pass


def merge(archive: Path) -> None:
    """Read both tables with pandas, and merge them. Quoting is off, or rows would be lost."""
    import pandas as pd

    with zipfile.ZipFile(archive) as opened:
        occurrences, media = (
            pd.read_csv(opened.open(name), sep="\t", quoting=3, dtype=str)
            for name in ("occurrence.txt", "multimedia.txt")
        )
    media["gbifID"] = media["gbifID"].str.strip()
    assert len(media.merge(occurrences, on="gbifID")) == len(media)


def feed(archive: Path, project: Path) -> None:
    """Fill the catalog of a new project with what python-dwca-reader reads."""
    from curate.catalog.database import NAME, Database
    from curate.catalog.searches import add_page, open_search

    db = Database(project / NAME)
    search = open_search(db, "dwca", "{}", "", now=0.0)
    every = _candidates(archive)
    while page := list(islice(every, PAGE_ROWS)):
        add_page(db, search.id, page, "more")
    add_page(db, search.id, [], None)
    db.close()


def _candidates(archive: Path) -> Iterator[Candidate]:
    from dwca.read import DwCAReader

    with DwCAReader(str(archive)) as reader:
        for row in reader:
            record = _short(row.data)
            if record["species"]:
                yield from _of_record(record, [_short(each.data) for each in row.extensions])


def _short(data: Mapping[str, str]) -> dict[str, str]:
    """Return a row by the short names of its terms, without outer blanks."""
    return {term.rpartition("/")[2]: value.strip() for term, value in data.items()}


def _of_record(record: Mapping[str, str], media: list[dict[str, str]]) -> Iterator[Candidate]:
    from curate.sources.gbif_media import is_image

    seen = set()
    said = _said(record)
    group = _group(record)
    for medium in media:
        url = medium["identifier"]
        if not url.lower().startswith(("http://", "https://")) or not is_image(medium):
            continue
        if url not in seen:
            seen.add(url)
            yield _candidate(record, medium, said, group)


def _said(record: Mapping[str, str]) -> dict[str, str]:
    from curate.sources.dwca_records import META_FIELDS

    return {name: record[name] for name in META_FIELDS if record.get(name)}


def _group(record: Mapping[str, str]) -> str:
    group = f"occurrence:{record['gbifID']}"
    date = FULL_DATE.match(record["eventDate"])
    if record["recordedBy"] and date:
        group += f"\x1fobserver:{record['recordedBy']} {date[0]}"
    return group


def _candidate(
    record: Mapping[str, str], medium: Mapping[str, str], said: Mapping[str, str], group: str
) -> Candidate:
    from curate.licenses import normalise
    from curate.records import Candidate
    from curate.sources.variants import gbif_variant, inaturalist_variant

    key, url = record["gbifID"], medium["identifier"]
    words, license_ = medium["license"], normalise(medium["license"])
    meta = {**said, **{name: medium[name] for name in MEDIA_KEYS if medium[name]}, "gbifID": key}
    if words and words not in (license_.id, license_.url):
        meta["licenseText"] = words
    who = medium["creator"] or medium["rightsHolder"] or "unknown author"
    licence = f", {license_.id}" if license_.id else ""
    digest = hashlib.md5(url.encode(), usedforsecurity=False).hexdigest()
    return Candidate(
        source="dwca",
        source_id=f"{key}:{digest[:12]}",
        url=inaturalist_variant(url, SIDE_PX) or gbif_variant(API, key, url, SIDE_PX),
        classes=(record["species"],),
        group=group,
        page_url=f"https://www.gbif.org/occurrence/{key}",
        author=medium["creator"] or None,
        license=license_.id,
        license_url=license_.url,
        rights_holder=medium["rightsHolder"] or None,
        attribution=f"{who}{licence}, via GBIF occurrence {key}",
        meta=meta,
    )


def differences(ours: Path, theirs: Path) -> tuple[int, int, int, int]:
    """Compare two catalogs candidate by candidate.

    Returns:
        Candidates that both have alike; that only ours has; that are another of two media with
        one address; that differ or only theirs has.
    """
    from curate.catalog.database import NAME, Database

    mine, other = (Database(folder / NAME) for folder in (ours, theirs))
    same = only_ours = other_medium = wrong = 0
    both = _rows(mine), _rows(other)
    a, b = (next(each, None) for each in both)
    while a is not None or b is not None:
        if b is None or (a is not None and a[0] < b[0]):
            only_ours, a = only_ours + 1, next(both[0], None)
        elif a == b:
            same, a, b = same + 1, next(both[0], None), next(both[1], None)
        else:
            if a is not None and a[0] == b[0]:
                is_other = a[-1]["references"] != b[-1]["references"]
                a = next(both[0], None)
            else:
                is_other = False
            other_medium, wrong = other_medium + is_other, wrong + (not is_other)
            b = next(both[1], None)
    mine.close()
    other.close()
    return same, only_ours, other_medium, wrong


def _rows(db: Any) -> Iterator[tuple[Any, ...]]:
    """Yield all that a catalog says of its candidates, by their ids."""
    import json

    for *row, whole in db.execute(
        "SELECT source_id, url, group_hint, page_url, author, license, license_url, "
        "rights_holder, attribution, state, name, whole FROM candidates "
        "JOIN whole_meta ON whole_meta.candidate_id = candidates.id "
        "JOIN hints ON hints.candidate_id = candidates.id JOIN classes ON classes.id = class_id "
        "WHERE source = 'dwca' ORDER BY source_id"
    ):
        yield (*row, json.loads(whole))


if __name__ == "__main__":
    visit(Path(sys.argv[1]))
