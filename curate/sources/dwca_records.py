"""The records of an archive, as columns that media rows are joined with.

Of a table with 250 columns some twenty are kept, as Arrow dictionaries: a million rows cost
four bytes a column beside the distinct values. Ids that are numbers are kept as such, and
looked up by halving. In an archive of events, the occurrences of an event take over what only
the event says, and a picture of an event shows what all its occurrences agree on.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import pyarrow as pa
import pyarrow.compute as pc

from curate.errors import SourceError
from curate.sources.dwca_ids import Places
from curate.sources.dwca_json import objects
from curate.sources.dwca_tables import ID, Layout, Table
from curate.sources.dwca_text import text

RANKS = ("species", "genus", "family", "order", "class", "phylum", "kingdom")
TAXON_FIELDS = (
    "taxonKey",
    "acceptedTaxonKey",
    "speciesKey",
    "scientificName",
    "acceptedScientificName",
    "taxonomicStatus",
    "species",
    "genus",
    "family",
    "order",
    "class",
    "phylum",
    "kingdom",
    "taxonRank",
)
"""What many records say alike, because they are of one taxon."""
META_FIELDS = (
    *TAXON_FIELDS,
    "countryCode",
    "year",
    "month",
    "eventDate",
    "recordedBy",
    "decimalLatitude",
    "decimalLongitude",
    "datasetKey",
    "basisOfRecord",
)
"""What of a record is kept beside each image, by these names, where the archive has it."""
_NAMING = (
    *("genus", "specificepithet", "scientificname", "taxonrank"),
    *("taxonomicstatus", "acceptednameusage"),
)
"""What a species' name can be put together from where there is no such column."""
_BINOMIAL = re.compile(r"([A-Z][\w-]+) ([a-z][\w-]+)")
_BELOW = ("", "species", "subspecies", "variety", "form", "subvariety", "subform")
_LISTED = 12
_TOGETHER = 32
"""Batches whose dictionaries become one at a time; those become one at the end."""
_FEW = 2
"""Taxa are kept by themselves if there are so many records to one at least."""

_CODED = pa.dictionary(pa.int32(), pa.string())

Columns = Mapping[str, pa.DictionaryArray]


@dataclass(frozen=True, slots=True)
class Records:
    """What media are joined with."""

    places: Places
    """Where they stand by their ids."""
    columns: Columns
    """Values by lower-case name, empty where nothing is said."""
    classes: pa.DictionaryArray | None
    """The class of each record, empty if it has none; None if no class was asked for."""
    is_gbif: bool
    """Whether the ids are GBIF's."""
    kind: str
    """What a record is: `occurrence`, `event` or `taxon`."""

    def described(self, class_by: str | None) -> Described:
        """Return what is kept of each record, as JSON objects or on the way to them.

        Args:
            class_by: a column that is kept besides.
        """
        names = {name.lower(): name for name in META_FIELDS}
        if class_by is not None:
            names.setdefault(class_by.lower(), class_by)
        kept = {name: key for name, key in names.items() if name in self.columns}
        of_taxon = {name.lower() for name in TAXON_FIELDS} & set(kept)
        codes = _combined([self.columns[name] for name in sorted(of_taxon)])
        if codes is None or len(codes.dictionary) * _FEW > len(codes):
            return Described(None, {key: self.columns[name] for name, key in kept.items()})
        firsts = codes.dictionary.cast(pa.int32())
        texts = {
            key: self.columns[name].take(firsts).cast(pa.string())
            for name, key in kept.items()
            if name in of_taxon
        }
        taxa = pa.DictionaryArray.from_arrays(codes.indices, objects(texts, len(firsts)))
        rest = {key: self.columns[name] for name, key in kept.items() if name not in of_taxon}
        return Described(taxa, rest)


@dataclass(frozen=True, slots=True)
class Described:
    """What is kept of each record beside its images."""

    taxa: pa.DictionaryArray | None
    """JSON objects that records of one taxon share; None: there is nothing to share."""
    columns: Columns
    """The rest, by the names that it is kept under."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing of them is kept."""
        return self.taxa is None and not self.columns


def load(found: Layout, class_by: str | None, more: Iterable[str] = ()) -> Records:
    """Read the records of an archive.

    Args:
        found: its tables, one of which is the core.
        class_by: the column that gives the class; None: none is wanted.
        more: further columns to keep, by any spelling of their case.

    Raises:
        SourceError: a table cannot be read, or has no such column.
    """
    assert found.core is not None
    tables = [each for each in (found.core, found.occurrences) if each is not None]
    class_name = None if class_by is None else _class_column(class_by, tables)
    wanted = dict.fromkeys(name.lower() for name in (*META_FIELDS, *more))
    if class_name is not None:
        wanted.update(dict.fromkeys([class_name, *(_NAMING if class_by == "species" else ())]))
    columns: Columns
    ids, columns = _read(found.core, [name for name in wanted if found.core.has(name)])
    if found.occurrences is not None:
        ids, columns = _with_occurrences(ids, columns, found.occurrences, list(wanted))
    classes = None if class_name is None else _classes(columns, class_name)
    if found.occurrences is not None:
        ids, columns, classes = _one_each(ids, columns, classes)
    # What reading a million rows took is not needed for their media.
    pa.default_memory_pool().release_unused()
    return Records(
        places=Places(ids),
        columns=columns,
        classes=classes,
        is_gbif=found.core.has("gbifid"),
        kind=found.core_type,
    )


def _class_column(class_by: str, tables: Sequence[Table]) -> str:
    """Return the column that is meant, by its lower-case name.

    Raises:
        SourceError: there is none.
    """
    name = class_by.strip().lower()
    names = [each for table in tables for each in table.names]
    if name in names:
        return name
    if name == "species" and {"scientificname", "specificepithet"} & set(names):
        return name
    close = get_close_matches(name, names, 3, 0.6)
    likely = close or [each for each in (*RANKS, "scientificname") if each in names] or names
    raise SourceError(
        f"{tables[-1].where} has no column {class_by!r}",
        f"Name one of its columns, such as {', '.join(likely[:_LISTED])}.",
    )


def _read(table: Table, names: Sequence[str]) -> tuple[pa.Array, dict[str, pa.DictionaryArray]]:
    """Read ids and columns of a table."""
    if not table.has(ID):
        raise SourceError(f"{table.where}: meta.xml names no id column, which media refer to")
    ids: list[pa.Array] = []
    read: dict[str, list[pa.Array]] = {name: [] for name in names}
    latest: dict[str, list[pa.Array]] = {name: [] for name in names}
    for first, *others in table.batches([ID, *names], coded=True):
        ids.append(first)
        for name, column in zip(names, others, strict=True):
            latest[name].append(column)
            if len(latest[name]) == _TOGETHER:  # each has the common values again
                read[name].append(_unified(latest[name]))
                latest[name] = []
    joined = pa.chunked_array(ids, pa.string()).combine_chunks()
    whole = {name: text(_unified(read[name] + latest[name])) for name in names}
    return _null_if_blank(joined), whole


def _unified(chunks: list[pa.Array]) -> pa.DictionaryArray:
    whole = pa.chunked_array(chunks, chunks[0].type if chunks else _CODED)
    whole = whole.unify_dictionaries().combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def _null_if_blank(ids: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(ids, ""), pa.scalar(None, pa.string()), ids)


def _with_occurrences(
    event_ids: pa.Array, events: Columns, table: Table, wanted: Sequence[str]
) -> tuple[pa.Array, dict[str, pa.DictionaryArray]]:
    """Read the occurrences of events; what one does not say, its event does."""
    ids, columns = _read(table, [name for name in wanted if table.has(name)])
    places = pc.index_in(ids, value_set=event_ids, skip_nulls=True)
    for name, of_event in events.items():
        inherited = pc.fill_null(of_event.take(places).cast(pa.string()), "")
        own = columns.get(name)
        if own is not None:
            text = own.cast(pa.string())
            inherited = pc.if_else(pc.equal(text, ""), inherited, text)
        columns[name] = inherited.dictionary_encode()
    return ids, columns


def _one_each(
    ids: pa.Array, columns: Columns, classes: pa.DictionaryArray | None
) -> tuple[pa.Array, Columns, pa.DictionaryArray | None]:
    """Keep the first occurrence of each event; a class that they contradict in is none."""
    table = pa.table({"id": ids, "place": pa.array(range(len(ids)), pa.int64())})
    if classes is not None:
        table = table.append_column("class", classes.cast(pa.string()))
    wanted = [("place", "min")]
    if classes is not None:
        wanted.append(("class", "count_distinct"))
    first = table.group_by("id", use_threads=False).aggregate(wanted)
    places = first["place_min"].combine_chunks()
    columns = {name: each.take(places) for name, each in columns.items()}
    if classes is not None:
        agreed = pc.equal(first["class_count_distinct"].combine_chunks(), 1)
        texts = classes.take(places).cast(pa.string())
        classes = pc.if_else(agreed, texts, "").dictionary_encode()
    return ids.take(places), columns, classes


def _classes(columns: Columns, name: str) -> pa.DictionaryArray:
    """Return each record's class, in one spelling of its characters and blanks."""
    column = columns.get(name)
    if column is None:
        column = pa.array(_species(columns), pa.string()).dictionary_encode()
    plain = [_plain(each) for each in column.dictionary.to_pylist()]
    return pa.DictionaryArray.from_arrays(column.indices, pa.array(plain, pa.string()))


def _plain(name: str | None) -> str:
    """Return a name composed (NFC) and with single blanks, so that it is one class."""
    return unicodedata.normalize("NFC", " ".join((name or "").split()))


def _species(columns: Columns) -> list[str]:
    """Put each record's species together from the names that it gives.

    A synonym stands for its accepted name, and a subspecies for its species; what is only
    known to its genus has none.
    """
    n_rows = len(next(iter(columns.values()), ()))
    blank = [""] * n_rows
    names = [
        columns[each].cast(pa.string()).to_pylist() if each in columns else blank
        for each in _NAMING
    ]
    return [_binomial(*row) for row in zip(*names, strict=True)]


def _binomial(genus: str, epithet: str, name: str, rank: str, status: str, accepted: str) -> str:
    if "synonym" in status.lower() and accepted:
        found = _BINOMIAL.match(accepted)
        return f"{found[1]} {found[2]}" if found else ""
    if genus and epithet:
        return f"{genus} {epithet}"
    if rank.lower() not in _BELOW:
        return ""
    found = _BINOMIAL.match(name)
    return f"{found[1]} {found[2]}" if found else ""


def _combined(columns: Sequence[pa.DictionaryArray]) -> pa.DictionaryArray | None:
    """Number the combinations of columns that depend on each other.

    Returns:
        For each row its combination, as the first row that has it; None without columns.
    """
    codes = None
    for each in columns:
        if codes is None:
            codes = each.indices.dictionary_encode()
            continue
        n_values = len(each.dictionary)
        both = pc.add(pc.multiply(codes.indices.cast(pa.int64()), n_values), each.indices)
        codes = both.dictionary_encode()
    if codes is None:
        return None
    rows = pa.array(range(len(codes.dictionary)), pa.int32())
    return pa.DictionaryArray.from_arrays(codes.indices, pc.index_in(rows, value_set=codes.indices))
