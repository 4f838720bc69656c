"""Random archives against a plain join in Python: no row lost, none doubled, no text changed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from curate.sources import Query, SourceContext
from curate.sources.dwca import DwcaSource
from tests.sources.archives import DWC, MULTIMEDIA, meta, table, zipped

Row = list[str]
OCCURRENCE = ("species", "recordedBy", "eventDate")
MEDIUM = ("type", "format", "identifier", "license")
LETTERS = ["a", "b", " ", "é", "ß", "'", "x", "\\", "\x0b", "0", "\x00"]
WIDE = ["日", "😀", "\u2028", "\u010a"]


@dataclass(frozen=True)
class Style:
    """How tables are written."""

    delimiter: str
    quote: str
    header: int
    encoding: str
    line_end: str
    bad: float
    """Share of rows that are followed by one of another shape."""

    @classmethod
    def draw(cls, chance: random.Random) -> Style:
        return cls(
            chance.choice("\t,;|"),
            chance.choice(["", '"']),
            chance.choice([0, 1, 1]),
            chance.choice(["utf-8", "utf-8", "latin-1", "cp1252", "utf-16"]),
            chance.choice(["\n", "\r\n", "\r"]),
            chance.choice([0, 0, 0.1]),
        )

    def text(self, chance: random.Random) -> str:
        letters = LETTERS + (WIDE if self.encoding.startswith("utf") else [])
        letters = letters + (['"', self.delimiter, self.line_end] if self.quote else ['"'])
        return "".join(chance.choices(letters, k=chance.randint(0, 6)))

    def write(self, rows: Sequence[Row], terms: Sequence[str], chance: random.Random) -> bytes:
        lines = [self._line(["id", *terms], chance)] * self.header
        for row in rows:
            lines.append(self._line(row, chance))
            if chance.random() < self.bad:
                lines.append(self._line(chance.choice([row[:-1], [*row, "x"]]), chance))
        end = self.line_end if chance.random() < 0.8 else ""
        return (self.line_end.join(lines) + end).encode(self.encoding)

    def _line(self, row: Row, chance: random.Random) -> str:
        awkward = (self.delimiter, '"', "\n", "\r")
        return self.delimiter.join(
            '"' + value.replace('"', '""') + '"'
            if self.quote and (chance.random() < 0.3 or any(each in value for each in awkward))
            else value
            for value in row
        )

    def table(self, tag: str, row: str, name: str, terms: Sequence[str]) -> str:
        text = table(
            *(tag, row, name, terms),
            delimiter=self.delimiter.replace("\t", "\\t"),
            quote=self.quote.replace('"', "&quot;"),
            header=self.header,
            encoding=self.encoding,
        )
        return text.replace("\\n", "\\r") if self.line_end == "\r" else text


def rows_of(style: Style, chance: random.Random) -> tuple[list[Row], list[Row]]:
    """Draw records and media; ids repeat, and some are no numbers."""
    others = [["x1", "007", "urn:é:1", "", "9" * 25], ["5"]][chance.randrange(2)]

    def an_id() -> str:
        return str(chance.randint(1, 30)) if chance.random() < 0.9 else chance.choice(others)

    def a_url() -> str:
        number, text = chance.randint(0, 400), style.text(chance)
        return chance.choice([f"https://e.org/{number}.jpg", f"HTTP://e.org/{text}", "ftp://x", ""])

    species = ["Amanita muscaria", "Boletus edulis", " Boletus  edulis ", ""]
    records = [
        [an_id(), chance.choice(species), style.text(chance), chance.choice(["2020-01-01", "2020"])]
        for _ in range(chance.choice([1, 3, 30, 200]))
    ]
    kinds, forms = ["StillImage", "stillimage", "Sound"], ["image/jpeg", ""]
    media = [
        [an_id(), chance.choice(kinds), chance.choice(forms), a_url(), style.text(chance)]
        for _ in range(chance.choice([1, 3, 60, 300]))
    ]
    return records, media


def plain(value: str) -> str:
    """The text as it is read: without outer blanks, and with one kind of line end."""
    return value.replace("\r\n", "\n").replace("\r", "\n").strip()


def joined(records: Sequence[Row], media: Sequence[Row]) -> dict[str, tuple[str, str, str]]:
    """What is expected by the name of the candidate: URL, class, and who recorded it."""
    first: dict[str, Row] = {}
    for row in records:
        if row[0]:
            first.setdefault(plain(row[0]), [plain(each) for each in row])
    found: dict[str, tuple[str, str, str]] = {}
    for row in media:
        number, kind, _, url, _ = map(plain, row)
        record = first.get(number)
        is_web = url.lower().startswith(("http://", "https://"))
        if record is None or kind == "Sound" or not is_web or not record[1]:
            continue
        name = f"{number}:{hashlib.md5(url.encode()).hexdigest()[:12]}"
        found.setdefault(name, (url, " ".join(record[1].split()), record[2]))
    return found


@pytest.mark.parametrize("seed", range(60))
def test_candidates_are_those_of_a_plain_join(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    style = Style.draw(chance)
    records, media = rows_of(style, chance)
    tables = (
        style.table("core", f"{DWC}Occurrence", "o.txt", OCCURRENCE),
        style.table("extension", MULTIMEDIA, "m.txt", MEDIUM),
    )
    files = {
        "meta.xml": meta(*tables),
        "o.txt": style.write(records, OCCURRENCE, chance),
        "m.txt": style.write(media, MEDIUM, chance),
    }
    monkeypatch.setattr("curate.sources.dwca.PAGE_ROWS", chance.choice([1, 7, 30_000]))
    monkeypatch.setattr("curate.sources.dwca_text.BLOCK_BYTES", chance.choice([1024, 2 << 20]))
    source = DwcaSource(SourceContext(path=zipped(tmp_path / "a.zip", files)))
    found: dict[str, tuple[str, str, str]] = {}
    for page in source.pages(Query()):
        for each in page.candidates:
            said = each.url, each.classes[0], each.meta.get("recordedBy", "")
            assert found.setdefault(each.source_id, said) == said
    assert found == joined(records, media)
