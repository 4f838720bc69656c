"""The report page: its numbers are those of the facts, and nothing in it is trusted."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.catalog.images import Sample
from curate.report.facts import (
    AgreementRow,
    ClassRow,
    EvaluationFacts,
    MissingRow,
    ReportFacts,
    Thumb,
)
from curate.report.pareto import pareto
from curate.report.plan import make_plan
from curate.report.summary import page

EVIL = "\"'><script>alert(1)</script><img src=https://evil.example/x>"
SAMPLE = Sample(100, 200_000.0, 10_000.0, 0.1)


class Tags(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def facts(name: str = "beach", **changes: Any) -> ReportFacts:
    usable = {name: 900, "city": 400, "rare": 12}
    plan = make_plan(usable, SAMPLE, 350, 500)
    split = {"train": 400, "val": 50, "test": 50}
    plain: dict[str, Any] = {
        "title": "Title",
        "lead": "Lead.",
        "candidates": 2000,
        "tried": 1500,
        "images": 1312,
        "n_bytes": 262_400_000,
        "manifest": "v0001",
        "groups": 880,
        "leaks": 0,
        "splits": {"train": 720, "val": 90, "test": 90},
        "classes": (
            ClassRow(name, 900, split),
            ClassRow("city", 400, {"train": 320, "val": 40, "test": 40}),
        ),
        "missing": (MissingRow("not_found", "404 or 410.", 40, f"https://example.org/{name}", ""),),
        "licenses": {name: 700, "CC0-1.0": 200},
        "sources": {"gbif": 900},
        "sheets": {name: (Thumb(b"jpeg", name, "https://example.org/page", 20, 10),)},
        "usable": usable,
        "thresholds": plan.thresholds,
        "chosen": plan.chosen,
        "outcomes": {
            "stored": 1312,
            "duplicate": 100,
            "failed": 40,
            "to be retried": 8,
            "waiting": 540,
        },
        "sides": (("< 400", 300), ("< 600", 1012)),
        "weights": (("< 100", 1312),),
        "quality": {"dark": 3, "none": 1309},
        "agreement": (AgreementRow("", 50, 90.0, 0.8), AgreementRow(name, 50, 95.0, None)),
        "evaluation": EvaluationFacts(
            name, 60, "It is good.", {"accuracy": 0.9}, (name, "city"), ((28, 2), (4, 26)), {}
        ),
        "notes": (name,),
    }
    return ReportFacts(**(plain | changes))


def test_nothing_that_came_from_outside_becomes_markup() -> None:
    tags = Tags(page(facts(EVIL)))
    names = {tag for tag, _ in tags.seen}
    assert "script" not in names
    sources = [attrs["src"] for tag, attrs in tags.seen if tag == "img"]
    assert sources
    assert all(source is not None and source.startswith("data:") for source in sources)
    assert not any(name.startswith("on") for _, attrs in tags.seen for name in attrs)


def test_the_page_needs_nothing_from_outside() -> None:
    tags = Tags(page(facts()))
    assert not {tag for tag, _ in tags.seen} & {"link", "script", "iframe"}
    for _, attrs in tags.seen:
        for name in ("src", "href"):
            value = attrs.get(name)
            assert value is None or value.startswith(("data:", "#", "https://example.org/page"))
    [policy] = [attrs["content"] for tag, attrs in tags.seen if "http-equiv" in attrs]
    assert policy is not None
    assert "default-src 'none'" in policy


def test_every_link_of_the_page_leads_to_a_section() -> None:
    tags = Tags(page(facts()))
    ids = [attrs["id"] for tag, attrs in tags.seen if tag == "section"]
    links = [
        str(attrs["href"])[1:] for tag, attrs in tags.seen if tag == "a" and "rel" not in attrs
    ]
    assert links == ids
    assert len(ids) == len(set(ids)) == 11


def test_the_numbers_are_those_of_the_facts() -> None:
    text = page(facts())
    assert "262.4 MB" in text
    assert "720 train, 90 val, 90 test" in text
    assert re.search(r"stored <b>1,312</b> \(66%\)", text)
    row = re.search(r"<tr class='chosen'>(.*?)</tr>", text)
    assert row is not None
    assert "at least 350, at most 500" in row[1]
    assert [int(n) for n in re.findall(r"'n'>(\d+)<", row[1])] == [2, 900, 700]
    assert "180.0 MB" in row[1]
    assert "at least 350: 2 classes" in text
    assert "at most 500: 1 capped" in text
    assert "95.0 %" in text
    assert "90.0%" in text


def test_what_there_is_not_has_no_section() -> None:
    bare = facts(
        usable={},
        thresholds=(),
        chosen=None,
        outcomes={},
        missing=(),
        sides=(),
        weights=(),
        quality={},
        agreement=(),
        evaluation=None,
        sheets={},
    )
    ids = [attrs["id"] for tag, attrs in Tags(page(bare)).seen if tag == "section"]
    assert ids == ["classes-and-splits", "what-became-of-the-candidates", "licences", "sources"]


def test_thousands_of_classes_make_a_page_of_bounded_size() -> None:
    usable = {f"class {n}": 20_000 // (n + 1) + 1 for n in range(20_000)}
    rows = tuple(ClassRow(name, n, {"train": n, "val": 0, "test": 0}) for name, n in usable.items())
    plan = make_plan(usable, SAMPLE, 350, 350)
    text = page(facts(usable=usable, classes=rows, thresholds=plan.thresholds, chosen=plan.chosen))
    assert len(text) < 120_000
    assert "and 19,960 smaller classes" in text
    assert "350 of each" in text


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=400), st.integers(1, 1000))
def test_every_point_of_the_long_tail_is_inside_the_picture(sizes: list[int], least: int) -> None:
    plan = make_plan({str(n): size for n, size in enumerate(sizes)}, SAMPLE, least, least * 2)
    drawn = pareto(sizes, plan.chosen)
    area = re.search(r'class="area" d="([^"]+)"', drawn)
    assert area is not None
    for x in re.findall(r"H([\d.-]+)", area[1]):
        assert 0 <= float(x) <= 1000
    for y in re.findall(r"V([\d.-]+)", area[1]):
        assert 0 <= float(y) <= 380


def test_a_matrix_names_every_cell_and_shades_by_row() -> None:
    text = page(facts())
    cells = re.findall(r'class="(right|wrong)" fill-opacity="([\d.]+)"', text)
    assert [kind for kind, _ in cells] == ["right", "wrong", "wrong", "right"]
    shades = [float(shade) for _, shade in cells]
    assert shades[0] == pytest.approx(0.08 + 0.92 * 28 / 30, abs=0.01)
    assert shades[1] == pytest.approx(0.08 + 0.92 * 2 / 30, abs=0.01)


@pytest.mark.slow
def test_pictures_are_drawn_for_what_there_is(tmp_path: Path) -> None:
    png = pytest.importorskip("curate.report.png", reason="matplotlib is not installed")
    paths = png.draw(tmp_path / "a", facts("$beach$ \\x"))
    assert {path.stem for path in paths} == {
        *("classes", "long-tail", "outcomes", "reasons", "licences", "sources"),
        *("shorter-side", "file-size", "confusion"),
    }
    for path in paths:
        assert path.read_bytes().startswith(b"\x89PNG")
    again = png.draw(tmp_path / "b", facts("$beach$ \\x"))
    assert [a.read_bytes() for a in paths] == [b.read_bytes() for b in again]
    few = png.draw(tmp_path / "c", facts(usable={}, evaluation=None, missing=()))
    assert {path.stem for path in paths} - {path.stem for path in few} == {
        "long-tail",
        "confusion",
        "reasons",
    }
