"""The tables of an archive: which are there, and their columns by name.

With a meta.xml the tables are those that it describes, checked against the files. Without
one the files must speak for themselves, as GBIF's simple downloads and a lone multimedia.txt
do: their header lines are terms. What is then neither a table nor known to lie beside one is
refused, because nothing tells which of two files is meant.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc

from curate.errors import SourceError
from curate.sources.archive import Archive
from curate.sources.dwca_meta import Field, Meta, Spec, parse_meta
from curate.sources.dwca_text import Tally, batches, first_fields, n_columns, text

MEDIA_ROWS = ("multimedia", "image", "simplemultimedia", "audiovisual")
"""Row types of tables that hold media."""
ID = "#id"
"""Name of the column that joins tables, whatever its term is."""
_HEAD_BYTES = 1 << 20
_BESIDE = ("verbatim.txt", "citations.txt", "rights.txt", "metadata.xml", "eml.xml", "meta.xml")
_PARQUET_MAGIC = b"PAR1"
_COPY_BYTES = 1 << 20


@dataclass(slots=True)
class Table:
    """One table of an archive."""

    archive: Archive
    """Where it is."""
    spec: Spec
    """How it is written; its names are lower case."""
    width: int
    """Columns."""
    is_parquet: bool = False
    """Whether it is Parquet, and not text."""
    parts: tuple[str, ...] = ()
    """Its files; the one that `spec` names by default."""
    tally: Tally = field(default_factory=Tally)
    """What the last reading counted."""

    @property
    def where(self) -> str:
        """Its name for messages."""
        return f"{self.archive.path}: {self.spec.location}"

    def has(self, name: str) -> bool:
        """Whether it has a term, by its lower-case name."""
        return name in self.spec.fields or (name == ID and self.spec.id_index is not None)

    @property
    def names(self) -> list[str]:
        """Its terms, in the order of the columns."""
        return list(self.spec.fields)

    def batches(self, names: Sequence[str], *, coded: bool = False) -> Iterator[list[pa.Array]]:
        """Yield columns by their lower-case names, batch by batch, as trimmed strings.

        A term that the table has no column of is its default, or empty.

        Args:
            names: the columns.
            coded: give all but `ID` as dictionaries, which are not `text` yet.
        """
        self.tally = Tally()
        for part in self.parts or (self.spec.location,):
            with self.archive.open(part) as file:
                read = self._parquet if self.is_parquet else self._text
                for columns in read(file, names, coded):
                    yield [
                        _coded(each) if coded and name != ID else each
                        for name, each in zip(names, columns, strict=True)
                    ]

    def count(self) -> int:
        """Count the rows, by reading all of them."""
        for _ in self.batches([ID] if self.has(ID) else self.names[:1]):
            pass
        return self.tally.rows

    def _text(self, file: IO[bytes], names: Sequence[str], coded: bool) -> Iterator[list[pa.Array]]:
        places = [self._place(name) for name in names]
        columns = sorted({each for each in places if each is not None} or {0})
        as_codes = {each for each in columns if coded and each != self.spec.id_index}
        for arrays in batches(
            file, self.spec, columns, self.width, self.where, self.tally, as_codes
        ):
            found = dict(zip(columns, arrays, strict=True))
            n_rows = len(arrays[0])
            yield [
                self._filled(name, None if place is None else found[place], n_rows)
                for name, place in zip(names, places, strict=True)
            ]

    def _place(self, name: str) -> int | None:
        if name == ID:
            return self.spec.id_index
        known = self.spec.fields.get(name)
        return None if known is None else known.index

    def _filled(self, name: str, column: pa.Array | None, n_rows: int) -> pa.Array:
        known = self.spec.fields.get(name)
        default = known.default if known is not None else ""
        if column is None:
            return pa.array([default], pa.string()).take(pa.array([0] * n_rows, pa.int32()))
        if not default:
            return column
        if pa.types.is_dictionary(column.type):
            column = text(column)
            filled = pc.if_else(pc.equal(column.dictionary, ""), default, column.dictionary)
            return pa.DictionaryArray.from_arrays(column.indices, filled)
        return pc.if_else(pc.equal(column, ""), default, column)

    def _parquet(
        self, file: IO[bytes], names: Sequence[str], _coded_too: bool
    ) -> Iterator[list[pa.Array]]:
        import pyarrow.parquet as pq

        with tempfile.TemporaryFile() as copy:
            while data := file.read(_COPY_BYTES):
                copy.write(data)
            copy.seek(0)
            try:
                parquet = pq.ParquetFile(copy)
                own = {each.lower(): each for each in parquet.schema_arrow.names}
                wanted = [self._own_name(name) for name in names]
                columns = [own[name] for name in dict.fromkeys(wanted) if name in own]
                for batch in parquet.iter_batches(
                    columns=columns or [parquet.schema_arrow.names[0]]
                ):
                    self.tally.rows += batch.num_rows
                    yield [
                        _as_text(batch.column(own[name]))
                        if name in own
                        else pa.array([""] * batch.num_rows, pa.string())
                        for name in wanted
                    ]
            except (pa.ArrowException, OSError) as error:
                raise SourceError(f"{self.where} is damaged: {error}") from error

    def _own_name(self, name: str) -> str:
        return self.names[self.spec.id_index or 0] if name == ID else name


@dataclass(frozen=True, slots=True)
class Layout:
    """The tables of an archive by what they are for."""

    core: Table | None
    """The core table; None if there are only media."""
    occurrences: Table | None
    """Occurrences of an event core."""
    media: tuple[Table, ...]
    """Tables that hold media, the interpreted one first."""

    @property
    def core_type(self) -> str:
        """The core's row type; empty without one."""
        return self.core.spec.row_type if self.core is not None else ""


def layout(archive: Archive) -> Layout:
    """Find the tables of an archive.

    Raises:
        SourceError: it is none, or not what its meta.xml says.
    """
    names = {name.lower(): name for name in archive.names}
    if "meta.xml" in names:
        meta = parse_meta(archive.read(names["meta.xml"]), str(archive.path))
        return _described(archive, meta)
    return _bare(archive)


def _described(archive: Archive, meta: Meta) -> Layout:
    if meta.metadata and "://" not in meta.metadata and meta.metadata not in archive.names:
        raise SourceError(
            f"{archive.path}: meta.xml names {meta.metadata}, which is not in the archive",
            "Download the archive again.",
        )
    core = _table(archive, meta.core)
    media, occurrences = [], None
    for each in meta.extensions:
        table = _table(archive, each)
        # GBIF's own multimedia.txt comes before what publishers sent.
        if each.row_type in MEDIA_ROWS and (table.has("identifier") or table.has("accessuri")):
            media.append(table)
        elif core.spec.row_type == "event" and each.row_type == "occurrence":
            occurrences = table
    media.sort(key=lambda table: "verbatim" in table.spec.location)
    return Layout(core, occurrences, tuple(media))


def _table(archive: Archive, spec: Spec) -> Table:
    """Open a table that meta.xml describes, and compare it with what that says."""
    where = f"{archive.path}: {spec.location}"
    if spec.location not in archive.names:
        raise SourceError(
            f"{archive.path}: meta.xml names {spec.location}, which is not in the archive",
            "Download the archive again.",
        )
    with archive.open(spec.location) as file:
        head = file.read(_HEAD_BYTES)
    indexes = {name: each.index for name, each in spec.fields.items() if each.index is not None}
    if not head:
        width = max([*indexes.values(), spec.id_index or 0]) + 1
    else:
        width = n_columns(head, spec, where)
    for name, index in [*indexes.items(), ("id", spec.id_index or 0)]:
        if index >= width:
            raise SourceError(
                f"{where} has {width} columns, but meta.xml says that column {index + 1} is "
                f"{name!r}: it does not describe this file"
            )
    if spec.header_lines:
        _compare_header(first_fields(head, spec), indexes, where)
    lower = {name.lower(): each for name, each in spec.fields.items()}
    return Table(archive, _with_fields(spec, lower), width)


def _compare_header(header: Sequence[str], indexes: Mapping[str, int], where: str) -> None:
    """Refuse a header line that has the terms of meta.xml at other places."""
    said = {index: name.lower() for name, index in indexes.items()}
    terms = set(said.values())
    for index, name in enumerate(header):
        plain = name.strip().rpartition(":")[2].lower()
        other = said.get(index)
        if other is not None and plain != other and plain in terms:
            raise SourceError(
                f"{where}: meta.xml says that column {index + 1} is {other!r}, its header line "
                f"says {plain!r}: it does not describe this file"
            )


def _with_fields(spec: Spec, fields: Mapping[str, Field]) -> Spec:
    from dataclasses import replace

    return replace(spec, fields=fields)


def _bare(archive: Archive) -> Layout:
    """Find the tables of an archive without meta.xml by their header lines."""
    found: dict[str, Table] = {}
    strangers = []
    for name in archive.names:
        if name.lower() in _BESIDE or name.startswith("dataset/"):
            continue
        table = _bare_table(archive, name)
        if table is None:
            strangers.append(name)
            continue
        kind = table.spec.row_type
        if kind in found and not (table.is_parquet and found[kind].is_parquet):
            strangers.append(name)
        elif kind in found:
            found[kind].parts += (name,)
        else:
            found[kind] = table
    if strangers or not found:
        what = f"{strangers[0]} is no table that can be placed" if strangers else "no table"
        raise SourceError(
            f"{archive.path} has no meta.xml, and {what}",
            "Give a Darwin Core Archive, or a simple GBIF download.",
        )
    media = found.get("multimedia")
    return Layout(found.get("occurrence"), None, (media,) if media is not None else ())


def _bare_table(archive: Archive, name: str) -> Table | None:
    with archive.open(name) as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(_PARQUET_MAGIC):
        return _bare_parquet(archive, name)
    line = head.partition(b"\n")[0].decode("utf-8", errors="replace").strip("\r\ufeff")
    delimiter = next((each for each in "\t,;|" if each in line), None)
    if delimiter is None:
        return None
    # GBIF quotes nothing, or every field; spreadsheets quote where they must.
    quote = "" if delimiter == "\t" and not line.startswith('"') else '"'
    try:
        names = next(
            csv.reader(
                [line],
                delimiter=delimiter,
                quotechar=quote or None,
                quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
            )
        )
    except csv.Error:
        return None
    spec = _bare_spec(name, names, delimiter, quote)
    return None if spec is None else Table(archive, spec, len(names))


def _bare_parquet(archive: Archive, name: str) -> Table | None:
    import pyarrow.parquet as pq

    with archive.open(name) as file, tempfile.TemporaryFile() as copy:
        while data := file.read(_COPY_BYTES):
            copy.write(data)
        copy.seek(0)
        try:
            names = pq.read_schema(copy).names
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{archive.path}: {name} is damaged: {error}") from error
    spec = _bare_spec(name, names, "\t", "")
    return None if spec is None else Table(archive, spec, len(names), True, (name,))


def _bare_spec(name: str, names: Sequence[str], delimiter: str, quote: str) -> Spec | None:
    """Place a table by its header; None if it has no id that joins it to another."""
    lower = [each.strip().rpartition(":")[2].lower() for each in names]
    ids = [each for each in ("gbifid", "coreid", "id", "occurrenceid") if each in lower]
    if not ids:
        return None
    is_record = {"basisofrecord", "scientificname", "taxonkey"} & set(lower)
    is_media = not is_record and {"identifier", "accessuri"} & set(lower)
    if not is_record and not is_media:
        return None
    return Spec(
        row_type="multimedia" if is_media else "occurrence",
        location=name,
        fields={each: Field(i) for i, each in reversed(list(enumerate(lower)))},
        id_index=lower.index(ids[0]),
        delimiter=delimiter,
        quote=quote,
    )


def _coded(column: pa.Array) -> pa.DictionaryArray:
    return column if pa.types.is_dictionary(column.type) else column.dictionary_encode()


def _as_text(column: Any) -> pa.Array:
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        lists = column.to_pylist()
        return pa.array([";".join(map(str, each)) if each else "" for each in lists], pa.string())
    return pc.utf8_trim_whitespace(pc.fill_null(column.cast(pa.string()), ""))
