"""From media rows and the records they belong to, to candidates: column by column.

A medium is a candidate if it is a still image, has a web address, belongs to a record that is
in the archive and, where classes come from a column, has one. Licence and holder are the
medium's own, since the record's licence covers the record; what a publisher wrote freely is
kept beside the id that it was read as. Photos of one record, and photos that one observer
took on one day, are groups: a split must not tear them apart.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.catalog.columns import CandidateColumns
from curate.catalog.images import SEPARATOR
from curate.licenses import matches, normalise
from curate.sources.base import Query
from curate.sources.dwca_records import META_FIELDS, Records, fragments, merged
from curate.sources.dwca_tables import ID, Table
from curate.sources.gbif_media import is_image
from curate.sources.variants import gbif_variant, inaturalist_variant

ROLES = {
    "url": ("accessuri", "identifier"),
    "type": ("type", "typeliteral"),
    "format": ("format",),
    "license": ("license", "rights", "usageterms", "webstatement"),
    "holder": ("rightsholder", "owner"),
    "creator": ("creator",),
    "page": ("references", "furtherinformationurl"),
    "publisher": ("publisher", "providerliteral"),
    "record": ("occurrenceid",),
}
"""Columns that may play a role, in Simple Multimedia and Audiovisual; the first that is there."""
_FULL_DATE = r"^\d{4}-\d{2}-\d{2}"


@dataclass(frozen=True, slots=True)
class Job:
    """What stays the same for all media of an archive."""

    query: Query
    """Classes, size and licences."""
    records: Records | None
    """What media are joined with; None: nothing but the media is there."""
    pieces: Sequence[pa.DictionaryArray]
    """The records' columns as pieces of JSON."""
    observers: tuple[pa.DictionaryArray, pa.DictionaryArray] | None
    """Who saw each record, and on which day; null where that is not known."""
    api_url: str
    """GBIF's API, for its image cache."""
    is_gbif: bool
    """Whether ids are GBIF's."""


def make_job(query: Query, records: Records | None, api_url: str, is_gbif: bool) -> Job:
    """Prepare the records' columns for many media."""
    if records is None:
        return Job(query, None, (), None, api_url, is_gbif)
    by_name = {name.lower(): name for name in META_FIELDS}
    if query.class_by is not None:
        by_name.setdefault(query.class_by.lower(), query.class_by)
    pieces = [
        fragments(by_name[name], column)
        for name, column in records.columns.items()
        if name in by_name
    ]
    return Job(query, records, merged(pieces), _observers(records), api_url, is_gbif)


def _observers(records: Records) -> tuple[pa.DictionaryArray, pa.DictionaryArray] | None:
    """Return who saw each record and on which day, as parts of a group's name."""
    who, when = records.columns.get("recordedby"), records.columns.get("eventdate")
    if who is None or when is None or records.kind == "taxon":
        return None
    dates = when.dictionary
    full = pc.match_substring_regex(dates, _FULL_DATE)
    days = pc.if_else(full, pc.utf8_slice_codeunits(dates, 0, 10), None)
    names = who.dictionary
    said = pc.if_else(pc.equal(names, ""), pa.scalar(None, pa.string()), names)
    names = pc.binary_join_element_wise(f"{SEPARATOR}observer:", said, " ", "")
    return (
        pa.DictionaryArray.from_arrays(who.indices, names),
        pa.DictionaryArray.from_arrays(when.indices, days),
    )


def roles(table: Table) -> dict[str, str]:
    """Return which column of a media table plays which role."""
    found = {
        role: next((name for name in names if table.has(name)), "") for role, names in ROLES.items()
    }
    return {role: name for role, name in found.items() if name}


class Media:
    """Some rows of a media table, by role.

    Args:
        names: the roles, `ID` among them.
        columns: strings without outer blanks, one array for each.
    """

    def __init__(self, names: Sequence[str], columns: Sequence[pa.Array]) -> None:
        self._columns = dict(zip(names, columns, strict=True))
        self.n = len(columns[0])
        self._blank = pa.array([""], pa.string())

    def text(self, role: str) -> pa.Array:
        """Return a column; of a role that no column plays, empty texts."""
        column = self._columns.get(role)
        if column is None:
            return self._blank.take(pa.array([0] * self.n, pa.int32()))
        return column

    def filter(self, mask: pa.Array) -> Media:
        """Return the rows where the mask is true."""
        return Media(list(self._columns), [each.filter(mask) for each in self._columns.values()])

    def take(self, places: pa.Array) -> Media:
        """Return the rows at these places."""
        return Media(list(self._columns), [each.take(places) for each in self._columns.values()])


@dataclass(frozen=True, slots=True)
class Joined:
    """Media that are candidates, with where their records stand."""

    media: Media
    """The rows."""
    places: pa.Array | None
    """The place of each row's record; None without records."""
    classes: pa.Array | None
    """The class of each; None where no column gives it."""


def join(media: Media, job: Job, table_has_records: bool) -> tuple[Joined, Counter[str]]:
    """Choose the media that are candidates; count the others by reason.

    Args:
        media: rows of a media table.
        job: what is asked, and the records.
        table_has_records: whether rows name their occurrence beside the event.
    """
    url = media.text("url")
    places = classes = None
    checks = {
        "no_url": pc.not_equal(url, ""),
        "not_image": _are_images(media),
        "bad_url": pc.or_(
            pc.starts_with(url, "http://", ignore_case=True),
            pc.starts_with(url, "https://", ignore_case=True),
        ),
        "license": _are_licensed(media, job.query),
    }
    if job.records is not None:
        places = job.records.find(media.text("record" if table_has_records else ID))
        checks["no_record"] = pc.is_valid(places)
        if job.records.classes is not None:
            classes = pc.fill_null(job.records.classes.take(places).cast(pa.string()), "")
            checks["no_class"] = pc.not_equal(classes, "")
    alive, skipped = _judged(checks, media.n)
    if skipped:
        media = media.filter(alive)
        places = None if places is None else places.filter(alive)
        classes = None if classes is None else classes.filter(alive)
    firsts = _firsts(media)
    if len(firsts) < media.n:
        skipped["repeated"] = media.n - len(firsts)
        media = media.take(firsts)
        places = None if places is None else places.take(firsts)
        classes = None if classes is None else classes.take(firsts)
    return Joined(media, places, classes), skipped


def _firsts(media: Media) -> pa.Array:
    """Return the rows that are not a repetition: a medium may be listed twice for a record."""
    keys = pc.binary_join_element_wise(media.text(ID), media.text("url"), "\t").dictionary_encode()
    numbers = keys.indices.to_numpy(zero_copy_only=False)
    if len(keys.dictionary) == len(numbers):
        return pa.array(np.arange(len(numbers)))
    return pa.array(np.sort(np.unique(numbers, return_index=True)[1]))


def _judged(checks: Mapping[str, pa.Array], n_rows: int) -> tuple[pa.Array, Counter[str]]:
    """Return which rows pass all checks; the others count for the first that they fail."""
    skipped: Counter[str] = Counter()
    alive, n_alive = None, n_rows
    for reason, passed in checks.items():
        alive = passed if alive is None else pc.and_(alive, passed)
        n_left = pc.sum(alive).as_py() or 0
        if n_left < n_alive:
            skipped[reason] = n_alive - n_left
        n_alive = n_left
    return alive, skipped


def _are_images(media: Media) -> pa.Array:
    both = pc.binary_join_element_wise(media.text("type"), media.text("format"), "\t")
    coded = both.dictionary_encode()
    verdicts = []
    for each in coded.dictionary.to_pylist():
        kind, _, form = each.partition("\t")
        kind = kind.rstrip("/").rpartition("/")[2]  # the Audiovisual core has URLs of types
        verdicts.append(is_image({"type": kind, "format": form}))
    return pa.array(verdicts, pa.bool_()).take(coded.indices)


def _are_licensed(media: Media, query: Query) -> pa.Array:
    if not query.licenses:
        return pa.array([True] * media.n, pa.bool_())
    coded = media.text("license").dictionary_encode()
    verdicts = [
        matches(normalise(each).id, query.licenses) for each in coded.dictionary.to_pylist()
    ]
    return pa.array(verdicts, pa.bool_()).take(coded.indices)


def candidates(joined: Joined, job: Job) -> CandidateColumns:
    """Turn joined media into candidates."""
    media = joined.media
    ids = media.text(ID)
    urls = media.text("url").to_pylist()
    digests = [hashlib.md5(each.encode(), usedforsecurity=False).hexdigest() for each in urls]
    id_texts = ids.to_pylist()
    names, links, beside = _licenses(media.text("license"))
    creators, holders = media.text("creator"), media.text("holder")
    hints: Sequence[str | None] = [None] * media.n
    if joined.classes is not None:
        hints = joined.classes.to_pylist()
    elif job.query.classes:
        hints = [job.query.classes[0]] * media.n
    return CandidateColumns(
        source="dwca",
        source_id=[f"{id_}:{digest[:12]}" for id_, digest in zip(id_texts, digests, strict=True)],
        url=_sized(urls, id_texts, job),
        class_=hints,
        group=_groups(joined, ids, job),
        page_url=_pages(media, ids, job),
        author=_none_if_blank(creators).to_pylist(),
        license=names.to_pylist(),
        license_url=links.to_pylist(),
        rights_holder=_none_if_blank(holders).to_pylist(),
        attribution=_credits(creators, holders, names, ids, job).to_pylist(),
        meta=_metas(joined, beside, job).to_pylist(),
        query=job.query.text,
    )


def _licenses(words: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Return ids, links, and pieces of JSON with the free text that an id was read from."""
    coded = words.dictionary_encode()
    ids, links, beside = [], [], []
    for each in coded.dictionary.to_pylist():
        found = normalise(each)
        ids.append(found.id)
        links.append(found.url)
        is_said = each in (found.id, found.url, "")
        beside.append("" if is_said else f'"licenseText": {json.dumps(each, ensure_ascii=False)}, ')
    arrays = (pa.array(each, pa.string()) for each in (ids, links, beside))
    first, second, third = (each.take(coded.indices) for each in arrays)
    return first, second, third


def _sized(urls: list[str], ids: list[str], job: Job) -> list[str]:
    side_px = job.query.side_px
    if side_px is None:
        return urls
    sized = []
    for url, id_ in zip(urls, ids, strict=True):
        found = inaturalist_variant(url, side_px) if "inaturalist" in url else None
        if found is None:
            found = gbif_variant(job.api_url, id_, url, side_px) if job.is_gbif else url
        sized.append(found)
    return sized


def _groups(joined: Joined, ids: pa.Array, job: Job) -> list[str | None]:
    """Name what must stay together: the record, and the observer's day."""
    if job.records is None and not job.is_gbif:
        return [None] * len(ids)
    kind = "occurrence" if job.records is None else job.records.kind
    if kind == "taxon":
        return [None] * len(ids)
    own = pc.binary_join_element_wise(f"{kind}:", ids, "")
    if job.observers is not None:
        who, day = (each.take(joined.places).cast(pa.string()) for each in job.observers)
        observer = pc.fill_null(pc.binary_join_element_wise(who, day, ""), "")
        own = pc.binary_join_element_wise(own, observer, "")
    groups: list[str | None] = own.to_pylist()
    return groups


def _pages(media: Media, ids: pa.Array, job: Job) -> list[str | None]:
    if job.is_gbif:
        found = pc.binary_join_element_wise("https://www.gbif.org/occurrence/", ids, "")
    else:
        found = _none_if_blank(media.text("page"))
    pages: list[str | None] = found.to_pylist()
    return pages


def _credits(
    creators: pa.Array, holders: pa.Array, names: pa.Array, ids: pa.Array, job: Job
) -> pa.Array:
    who = pc.if_else(pc.equal(creators, ""), holders, creators)
    who = pc.if_else(pc.equal(who, ""), "unknown author", who)
    licence = pc.fill_null(pc.binary_join_element_wise(", ", names, ""), "")
    if not job.is_gbif:
        return pc.binary_join_element_wise(who, licence, "")
    return pc.binary_join_element_wise(who, licence, ", via GBIF occurrence ", ids, "")


def _metas(joined: Joined, beside: pa.Array, job: Job) -> pa.Array:
    """Write what else is known as JSON objects."""
    media = joined.media
    pieces = []
    if joined.places is not None:
        pieces = [each.take(joined.places).cast(pa.string()) for each in job.pieces]
    pieces.append(beside)
    by_name = {"references": "page", "publisher": "publisher", "format": "format"}
    for name, role in by_name.items():
        pieces.append(_piece(name, media.text(role)))
    pieces.append(fragments("identifier", media.text("url").dictionary_encode()).cast(pa.string()))
    ids = pc.binary_join_element_wise(
        '"gbifID": "' if job.is_gbif else '"recordID": ', _quoted(media.text(ID), job), ""
    )
    return pc.binary_join_element_wise("{", *pieces, ids, "}", "")


def _piece(name: str, column: pa.Array) -> pa.Array:
    return fragments(name, column.dictionary_encode()).cast(pa.string())


def _quoted(ids: pa.Array, job: Job) -> pa.Array:
    if job.is_gbif:  # numbers: nothing to escape
        return pc.binary_join_element_wise(ids, '"', "")
    return pa.array([json.dumps(each, ensure_ascii=False) for each in ids.to_pylist()], pa.string())


def _none_if_blank(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
