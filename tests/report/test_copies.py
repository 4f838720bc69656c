"""Groups side by side: what the page says, and what it must not let through."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from curate.report.copies import copies_section, write_copies
from curate.report.facts import Copy, CopyGroup, Thumb

EVIL = "\"'><script>alert(1)</script>"


def copy(**changes: object) -> Copy:
    plain = {
        "image_id": "ab" * 32,
        "thumb": Thumb(b"jpeg", "title", "https://example.org", 20, 10),
        "facts": "20x10",
        "distance": 3,
        "verdict": "left out: fewer pixels",
        "is_kept": False,
    }
    return Copy(**(plain | changes))  # type: ignore[arg-type] # one plain row with changes


class Tags(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_nothing_that_came_from_outside_becomes_markup(tmp_path: Path) -> None:
    evil = copy(
        image_id=EVIL,
        facts=EVIL,
        verdict=EVIL,
        thumb=Thumb(b"jpeg", EVIL, f"javascript:{EVIL}", 20, 10),
    )
    page = tmp_path / "page.html"
    write_copies(page, [CopyGroup((evil,), 1)], 1, [EVIL])
    text = page.read_text(encoding="utf-8")
    tags = Tags(text).seen
    assert "script" not in {tag for tag, _ in tags}
    assert "a" not in {tag for tag, _ in tags}
    assert [attrs["title"] for tag, attrs in tags if tag == "img"] == [EVIL]
    assert "default-src 'none'" in text


def test_what_is_not_shown_is_told() -> None:
    text = copies_section([CopyGroup((copy(is_kept=True, distance=None), copy()), 5000)], 321)
    assert "321 groups" in text
    assert "The first 1 are shown" in text
    assert "and 4,998 more" in text
    assert text.count("3 bits") == 1
    assert copies_section([], 0).count("There are none.") == 1


def test_a_picture_that_cannot_be_read_leaves_a_gap() -> None:
    text = copies_section([CopyGroup((copy(thumb=None),), 1)], 1)
    assert "no picture" in text
    assert "<img" not in text
