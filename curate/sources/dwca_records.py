"""The records of an archive, as columns that media rows are joined with.

Of a table with 250 columns some twenty are kept, as Arrow dictionaries: a million rows cost
four bytes a column beside the distinct values. Ids that are numbers are kept as such. In an
archive of events, the occurrences of an event take over what only the event says, and a
picture of an event shows what all its occurrences agree on.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import pyarrow as pa
import pyarrow.compute as pc

from curate.errors import SourceError
from curate.sources.dwca_tables import ID, Layout, Table

RANKS = ("species", "genus", "family", "order", "class", "phylum", "kingdom")
META_FIELDS = (
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
_NUMBER = r"^[1-9]\d{0,17}$"
_BELOW = ("", "species", "subspecies", "variety", "form", "subvariety", "subform")
_LISTED = 12
_TOGETHER = 24
"""Batches whose dictionaries become one at a time."""
_FEW = 20
"""Columns are joined while there are so many rows to a combination."""

Columns = Mapping[str, pa.DictionaryArray]


@dataclass(frozen=True, slots=True)
class Records:
    """What media are joined with."""

    ids: pa.Array
    """int64 if all are numbers, else strings; null where a record has none."""
    columns: Columns
    """Values by lower-case name, empty where nothing is said."""
    classes: pa.DictionaryArray | None
    """The class of each record, empty if it has none; None if no class was asked for."""
    is_gbif: bool
    """Whether the ids are GBIF's."""
    kind: str
    """What a record is: `occurrence`, `event` or `taxon`."""

    def find(self, ids: pa.Array) -> pa.Array:
        """Return the place of each id among the records; null if it is not there."""
        if pa.types.is_integer(self.ids.type):
            numbers = pc.if_else(pc.match_substring_regex(ids, _NUMBER), ids, None)
            return pc.index_in(numbers.cast(pa.int64()), value_set=self.ids, skip_nulls=True)
        return pc.index_in(ids, value_set=self.ids, skip_nulls=True)


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
        ids=_numbers(ids),
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
    chunks: dict[str, list[pa.Array]] = {name: [] for name in names}
    for first, *others in table.batches([ID, *names], coded=True):
        ids.append(first)
        for name, column in zip(names, others, strict=True):
            chunks[name].append(column)
            if len(chunks[name]) == _TOGETHER:  # each has the common values again
                chunks[name] = [_unified(chunks[name])]
    joined = pa.chunked_array(ids, pa.string()).combine_chunks()
    return _null_if_blank(joined), {name: _unified(each) for name, each in chunks.items()}


def _unified(chunks: list[pa.Array]) -> pa.DictionaryArray:
    kind = pa.dictionary(pa.int32(), pa.string())
    whole = pa.chunked_array(chunks, kind).unify_dictionaries().combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def _null_if_blank(ids: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(ids, ""), pa.scalar(None, pa.string()), ids)


def _numbers(ids: pa.Array) -> pa.Array:
    """Return ids as numbers if all of them are."""
    if pa.types.is_integer(ids.type):
        return ids
    fits = pc.all(pc.match_substring_regex(ids, _NUMBER), skip_nulls=True).as_py()
    return ids.cast(pa.int64()) if fits else ids


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


def fragments(name: str, column: pa.DictionaryArray) -> pa.DictionaryArray:
    r"""Return a column as pieces of a JSON object: `"name": "value", `, or nothing if empty."""
    values = column.dictionary
    key = json.dumps(name)
    awkward = pc.any(pc.match_substring_regex(values, r'["\\\x00-\x1f]')).as_py()
    if awkward:
        texts = [json.dumps(each, ensure_ascii=False)[1:-1] for each in values.to_pylist()]
        values = pa.array(texts, pa.string())
    pieces = pc.binary_join_element_wise(f'{key}: "', values, '", ', "")
    pieces = pc.if_else(pc.equal(values, ""), "", pieces)
    return pa.DictionaryArray.from_arrays(column.indices, pieces)


def merged(pieces: Sequence[pa.DictionaryArray]) -> list[pa.DictionaryArray]:
    """Join columns that depend on each other into one, as the ranks of a taxon do.

    A column joins as long as that makes few new combinations; the rest stay by themselves.
    """
    alone: list[pa.DictionaryArray] = []
    together: list[pa.DictionaryArray] = []
    codes = None
    for each in sorted(pieces, key=lambda piece: len(piece.dictionary)):
        wide = each.indices.cast(pa.int64())
        if codes is not None:
            wide = pc.add(pc.multiply(codes.indices.cast(pa.int64()), len(each.dictionary)), wide)
        coded = wide.dictionary_encode()
        if len(coded.dictionary) * _FEW > len(each):
            alone.append(each)
        else:
            codes = coded
            together.append(each)
    if codes is None:
        return alone
    firsts = pc.index_in(
        pa.array(range(len(codes.dictionary)), pa.int32()), value_set=codes.indices
    )
    texts = [each.take(firsts).cast(pa.string()) for each in together]
    joined = pc.binary_join_element_wise(*texts, "")
    return [pa.DictionaryArray.from_arrays(codes.indices, joined), *alone]
