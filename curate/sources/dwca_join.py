"""Which media of an archive are candidates, and the records that they belong to.

A medium is a candidate if it is a still image, has a web address, belongs to a record that is
in the archive and, where classes come from a column, has one. The only step that is not one for
whole columns is the MD5 of an address, which names a candidate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.catalog.images import SEPARATOR
from curate.licenses import matches, normalise
from curate.sources.base import Query
from curate.sources.dwca_records import Described, Records
from curate.sources.dwca_tables import ID, Table
from curate.sources.gbif_media import is_image
from curate.sources.variants import md5_hexes

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
    coded = source_ids.dictionary_encode()
    if len(coded.dictionary) == len(coded):
        return None
    # Codes count up with each text that is new.
    newest = np.maximum.accumulate(coded.indices.to_numpy())
    return pa.array(np.flatnonzero(np.diff(newest, prepend=-1)), pa.int32())


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
