"""meta.xml: which tables a Darwin Core Archive has, and how each is written.

The file comes from strangers: document types and entities are refused before anything else
is read, names that lead out of the archive are refused, and what it says of columns is
compared with the tables by whoever reads them. Terms are kept by their short name
(`http://rs.tdwg.org/dwc/terms/species` is `species`), as the header lines of GBIF are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from xml.parsers import expat

from curate.errors import SourceError

MAX_COLUMNS = 10_000
_MOST_DIGITS = 9
_ESCAPES = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\r\\n": "\r\n", "\\f": "\f"}


@dataclass(frozen=True, slots=True)
class Field:
    """One term of a table."""

    index: int | None
    """Column, from 0; None: there is no column, only the default."""
    default: str = ""
    """Stands where the column is absent or empty."""


@dataclass(frozen=True, slots=True)
class Spec:
    """How one table is written."""

    row_type: str
    """What a row is, lower case and short: `occurrence`, `event`, `multimedia`, …"""
    location: str
    """Its file's name in the archive."""
    fields: Mapping[str, Field]
    """Its terms by short name."""
    id_index: int | None
    """Column of the row's id (core) or of the id of the core row it belongs to."""
    delimiter: str = "\t"
    """Between fields, one character."""
    quote: str = ""
    """Around fields, one character; empty: fields are never quoted."""
    header_lines: int = 1
    """Lines before the first row."""
    encoding: str = "utf-8"
    """Of the text."""
    line_end: str = "\n"
    """Between rows; only a lone `\\r` makes a difference."""


@dataclass(frozen=True, slots=True)
class Meta:
    """What meta.xml says."""

    core: Spec
    """The table that the others belong to."""
    extensions: tuple[Spec, ...]
    """The others."""
    metadata: str | None
    """File that describes the archive, if one is named."""


class _Node:
    """An element with its attributes, children and text."""

    __slots__ = ("attributes", "children", "name", "words")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.children: list[_Node] = []
        self.words: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self.words)

    def all(self, name: str) -> list[_Node]:
        return [each for each in self.children if each.name == name]


def parse_meta(data: bytes, where: str) -> Meta:
    """Read a meta.xml.

    Args:
        data: its bytes.
        where: the archive, for messages.

    Raises:
        SourceError: it is not XML, not to be trusted, or does not describe an archive.
    """
    root = _tree(data, where)
    cores = root.all("core")
    if root.name != "archive" or len(cores) != 1:
        raise SourceError(f"{where}: meta.xml describes no archive with one core table")
    return Meta(
        core=_spec(cores[0], "id", where),
        extensions=tuple(_spec(each, "coreid", where) for each in root.all("extension")),
        metadata=root.attributes.get("metadata"),
    )


def _tree(data: bytes, where: str) -> _Node:
    top = _Node("", {})
    stack = [top]

    def start(name: str, attributes: dict[str, str]) -> None:
        node = _Node(name.rpartition(":")[2].lower(), attributes)
        stack[-1].children.append(node)
        stack.append(node)

    def end(_name: str) -> None:
        stack.pop()

    def text(content: str) -> None:
        stack[-1].words.append(content)

    def refuse(*_args: Any) -> None:
        raise SourceError(
            f"{where}: meta.xml declares a document type or entities, which no archive needs",
            "It is not an archive to be trusted.",
        )

    parser = expat.ParserCreate()
    parser.buffer_text = True  # else each line of text is a call of its own
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise SourceError(f"{where}: meta.xml is not readable XML: {error}") from error
    return top.children[0]


def _spec(node: _Node, id_name: str, where: str) -> Spec:
    row_type = short(node.attributes.get("rowType", ""))
    locations = [each.text.strip() for files in node.all("files") for each in files.all("location")]
    if len(locations) != 1 or not locations[0]:
        what = "no file" if not locations else "several files"
        raise SourceError(f"{where}: meta.xml names {what} for its table {row_type or node.name!r}")
    ids = node.all(id_name)
    delimiter = _character(node, "fieldsTerminatedBy", ",", where)
    if len(delimiter) != 1:
        raise SourceError(f"{where}: meta.xml separates fields by {delimiter!r}, not one character")
    quote = _character(node, "fieldsEnclosedBy", '"', where)
    return Spec(
        row_type=row_type.lower(),
        location=_inside(locations[0], where),
        fields=_fields(node, where),
        id_index=_number(ids[0].attributes.get("index"), "index", where) if ids else None,
        delimiter=delimiter,
        quote=quote,
        header_lines=_number(node.attributes.get("ignoreHeaderLines"), "header lines", where) or 0,
        encoding=node.attributes.get("encoding") or "utf-8",
        line_end="\r" if node.attributes.get("linesTerminatedBy") in ("\\r", "\r") else "\n",
    )


def _fields(node: _Node, where: str) -> dict[str, Field]:
    found: dict[str, Field] = {}
    for each in node.all("field"):
        name = short(each.attributes.get("term", ""))
        index = _number(each.attributes.get("index"), f"index of {name!r}", where)
        found.setdefault(name, Field(index, each.attributes.get("default", "")))
    return found


def short(term: str) -> str:
    """Return a term's name without its namespace.

    Example:
        >>> short("http://rs.tdwg.org/dwc/terms/species")
        'species'
    """
    return term.strip().rstrip("/").replace("#", "/").rpartition("/")[2]


def _character(node: _Node, name: str, default: str, where: str) -> str:
    given = node.attributes.get(name, default)
    value = _ESCAPES.get(given, given)
    if len(value) > 1 or not value.isascii():
        raise SourceError(f"{where}: meta.xml has {name}={given!r}, which is not one character")
    return value


def _number(text: str | None, what: str, where: str) -> int | None:
    if text is None or not text.strip():
        return None
    digits = text.strip()
    if not digits.isdecimal() or len(digits) > _MOST_DIGITS or int(digits) >= MAX_COLUMNS:
        raise SourceError(f"{where}: meta.xml: the {what} is {text!r}, not a small number")
    return int(text)


def _inside(location: str, where: str) -> str:
    path = PurePosixPath(location.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in location:
        raise SourceError(
            f"{where}: meta.xml names a table outside the archive: {location!r}",
            "It is not an archive to be trusted.",
        )
    return path.as_posix()
