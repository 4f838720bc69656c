"""From media rows and the records they belong to, to candidates: column by column.

A medium is a candidate if it is a still image, has a web address, belongs to a record that is
in the archive and, where classes come from a column, has one. Licence and holder are the
medium's own, since the record's licence covers the record; what a publisher wrote freely is
kept beside the id that it was read as. Photos of one record, and photos that one observer
took on one day, are groups: a split must not tear them apart. What they say of their record
they share, and records what they say of their taxon. The only step that is not one for whole
columns is the MD5 of an address.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from curate.catalog.columns import CandidateColumns
from curate.catalog.images import SEPARATOR
from curate.licenses import matches, normalise
from curate.sources.base import Query
from curate.sources.dwca_json import objects
from curate.sources.dwca_records import Described, Records
from curate.sources.dwca_tables import ID, Table
from curate.sources.gbif_media import is_image
from curate.sources.variants import gbif_variants, inaturalist_variants, md5_hexes

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
_DIGITS = 12
"""Of the MD5, in the name of a candidate."""
_SCHEME_LETTERS = 8
"""As many as `https://` has."""


@dataclass(frozen=True, slots=True)
class Job:
    """What stays the same for all media of an archive."""

    query: Query
    """Classes, size and licences."""
    records: Records | None
    """What media are joined with; None: nothing but the media is there."""
    described: Described | None
    """What is kept of each record; None without records."""
    observers: tuple[pa.DictionaryArray, pa.DictionaryArray] | None
    """Who saw each record, and on which day; null where that is not known."""
    api_url: str
    """GBIF's API, for its image cache."""
    is_gbif: bool
    """Whether ids are GBIF's."""


def make_job(query: Query, records: Records | None, api_url: str, is_gbif: bool) -> Job:
    """Prepare the records' columns for many media."""
    if records is None:
        return Job(query, None, None, None, api_url, is_gbif)
    described = records.described(query.class_by)
    return Job(query, records, described, _observers(records), api_url, is_gbif)


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
    digests: pa.Array
    """MD5 of each address, in hexadecimal digits."""
    source_ids: pa.Array
    """Names of the candidates."""
    places: pa.Array | None
    """The place of each row's record; None without records."""
    classes: pa.DictionaryArray | None
    """The class of each; None where no column gives it."""

    def take(self, places: pa.Array) -> Joined:
        """Return the rows at these places."""
        return Joined(
            self.media.take(places),
            self.digests.take(places),
            self.source_ids.take(places),
            None if self.places is None else self.places.take(places),
            None if self.classes is None else self.classes.take(places),
        )


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
        "bad_url": _are_web(url),
        "license": _are_licensed(media, job.query),
    }
    if job.records is not None:
        places = job.records.places.find(media.text("record" if table_has_records else ID))
        checks["no_record"] = pc.is_valid(places)
        if job.records.classes is not None:
            classes = job.records.classes.take(places)
            checks["no_class"] = pc.fill_null(pc.not_equal(classes.cast(pa.string()), ""), False)
    alive, skipped = _judged(checks, media.n)
    if skipped:
        media = media.filter(alive)
        places = None if places is None else places.filter(alive)
        classes = None if classes is None else classes.filter(alive)
    digests = pa.array(md5_hexes(media.text("url").cast(pa.binary()).to_pylist()), pa.string())
    short = pc.utf8_slice_codeunits(digests, 0, _DIGITS)
    source_ids = pc.binary_join_element_wise(media.text(ID), short, ":")
    joined = Joined(media, digests, source_ids, places, classes)
    firsts = _firsts(source_ids)
    if firsts is not None:
        skipped["repeated"] = media.n - len(firsts)
        joined = joined.take(firsts)
    return joined, skipped


def _firsts(source_ids: pa.Array) -> pa.Array | None:
    """Return the rows that are no repetition; None if none is.

    A medium may be listed twice for a record.
    """
    names = source_ids.to_pylist()
    if len(set(names)) == len(names):
        return None
    first = dict(zip(reversed(names), range(len(names) - 1, -1, -1), strict=True))
    return pa.array(sorted(first.values()), pa.int32())


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


def _judge_each(texts: pa.Array, verdict: Callable[[str], bool]) -> pa.Array:
    """Judge texts of which there are few distinct ones."""
    coded = texts.dictionary_encode()
    verdicts = [verdict(each) for each in coded.dictionary.to_pylist()]
    return pa.array(verdicts, pa.bool_()).take(coded.indices)


def _are_images(media: Media) -> pa.Array:
    def verdict(both: str) -> bool:
        kind, _, form = both.partition("\t")
        kind = kind.rstrip("/").rpartition("/")[2]  # the Audiovisual core has URLs of types
        return is_image({"type": kind, "format": form})

    both = pc.binary_join_element_wise(media.text("type"), media.text("format"), "\t")
    return _judge_each(both, verdict)


def _are_web(urls: pa.Array) -> pa.Array:
    schemes = pc.utf8_slice_codeunits(urls, 0, _SCHEME_LETTERS)
    return _judge_each(schemes, lambda each: each.lower().startswith(("http://", "https://")))


def _are_licensed(media: Media, query: Query) -> pa.Array:
    if not query.licenses:
        return pa.array([True]).take(pa.array([0] * media.n, pa.int32()))
    return _judge_each(
        media.text("license"), lambda each: matches(normalise(each).id, query.licenses)
    )


def candidates(joined: Joined, job: Job) -> CandidateColumns:
    """Turn joined media into candidates."""
    media = joined.media
    ids = media.text(ID)
    names, links, beside = _licenses(media.text("license"))
    creators, holders = media.text("creator"), media.text("holder")
    nearest, shared, common = _shared(joined, job)
    columns = {
        "source_id": joined.source_ids,
        "url": _sized(joined, job),
        "group_hint": _groups(joined, ids, job),
        "page_url": _pages(media, ids, job),
        "author": _none_if_blank(creators),
        "license": names,
        "license_url": links,
        "rights_holder": _none_if_blank(holders),
        "attribution": _credits(creators, holders, names, ids, job),
        "meta": _metas(media, beside, job),
        "class": _hints(joined, job),
        "shared": nearest,
    }
    rows = pa.RecordBatch.from_arrays([*columns.values()], names=[*columns])
    return CandidateColumns("dwca", rows, shared, common, job.query.text)


def _hints(joined: Joined, job: Job) -> pa.DictionaryArray:
    if joined.classes is not None:
        return joined.classes
    name = job.query.classes[0] if job.query.classes else None
    codes = pa.array([0 if name is not None else None] * joined.media.n, pa.int32())
    return pa.DictionaryArray.from_arrays(codes, pa.array([name or ""], pa.string()))


def _licenses(words: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Return ids, links, and the free text that an id was read from, if it was."""
    coded = words.dictionary_encode()
    ids, links, beside = [], [], []
    for each in coded.dictionary.to_pylist():
        found = normalise(each)
        ids.append(found.id)
        links.append(found.url)
        beside.append("" if each in (found.id, found.url) else each)
    arrays = (pa.array(each, pa.string()) for each in (ids, links, beside))
    first, second, third = (each.take(coded.indices) for each in arrays)
    return first, second, third


def _sized(joined: Joined, job: Job) -> pa.Array:
    side_px = job.query.side_px
    urls = joined.media.text("url")
    if side_px is None:
        return urls
    sized = inaturalist_variants(urls, side_px)
    if not job.is_gbif:
        return pc.coalesce(sized, urls)
    ids = joined.media.text(ID)
    return pc.coalesce(sized, gbif_variants(job.api_url, ids, urls, joined.digests, side_px))


def _groups(joined: Joined, ids: pa.Array, job: Job) -> pa.Array:
    """Name what must stay together: the record, and the observer's day."""
    if job.records is None and not job.is_gbif:
        return pa.nulls(len(ids), pa.string())
    kind = "occurrence" if job.records is None else job.records.kind
    if kind == "taxon":
        return pa.nulls(len(ids), pa.string())
    own = pc.binary_join_element_wise(f"{kind}:", ids, "")
    if job.observers is not None:
        who, day = (each.take(joined.places).cast(pa.string()) for each in job.observers)
        observer = pc.fill_null(pc.binary_join_element_wise(who, day, ""), "")
        own = pc.binary_join_element_wise(own, observer, "")
    return own


def _pages(media: Media, ids: pa.Array, job: Job) -> pa.Array:
    if job.is_gbif:
        return pc.binary_join_element_wise("https://www.gbif.org/occurrence/", ids, "")
    return _none_if_blank(media.text("page"))


def _credits(
    creators: pa.Array, holders: pa.Array, names: pa.Array, ids: pa.Array, job: Job
) -> pa.Array:
    who = pc.if_else(pc.equal(creators, ""), holders, creators)
    who = pc.if_else(pc.equal(who, ""), "unknown author", who)
    licence = pc.fill_null(pc.binary_join_element_wise(", ", names, ""), "")
    if not job.is_gbif:
        return pc.binary_join_element_wise(who, licence, "")
    return pc.binary_join_element_wise(who, licence, ", via GBIF occurrence ", ids, "")


def _metas(media: Media, beside: pa.Array, job: Job) -> pa.Array:
    """Write what else is known of each medium as JSON objects."""
    return objects(
        {
            "licenseText": beside,
            "references": media.text("page"),
            "publisher": media.text("publisher"),
            "format": media.text("format"),
            "identifier": media.text("url"),
            "gbifID" if job.is_gbif else "recordID": media.text(ID),
        }
    )


def _shared(joined: Joined, job: Job) -> tuple[pa.Array, pa.RecordBatch, pa.RecordBatch]:
    """Return what media share: the row of each, the rows of records, and those of taxa."""
    texts, none = pa.nulls(0, pa.string()), pa.nulls(0, pa.int32())
    if joined.places is None or job.described is None:
        return pa.nulls(joined.media.n, pa.int32()), *_shared_rows(texts, none, texts)
    records = joined.places.dictionary_encode()
    taken = {key: each.take(records.dictionary) for key, each in job.described.columns.items()}
    metas = objects({key: each.cast(pa.string()) for key, each in taken.items()})
    if job.described.taxa is None:
        none = pa.nulls(len(metas), pa.int32())
        return records.indices, *_shared_rows(metas, none, texts)
    taxa = job.described.taxa.take(records.dictionary)
    own = taxa.indices.dictionary_encode()
    return records.indices, *_shared_rows(metas, own.indices, taxa.dictionary.take(own.dictionary))


def _shared_rows(
    metas: pa.Array, above: pa.Array, common: pa.Array
) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    return (
        pa.RecordBatch.from_arrays([metas, above], names=["meta", "common"]),
        pa.RecordBatch.from_arrays([common], names=["meta"]),
    )


def _none_if_blank(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
