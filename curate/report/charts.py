"""Bars as inline SVG: no script, no library, coloured by the page's style sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from curate.report.facts import ClassRow

WIDTH = 1000
ROW = 30
BAR = 18
LABEL = 210
NUMBER = 70
HALF_LABEL = 140
"""Room for names where two charts stand side by side."""


def class_bars(classes: Sequence[ClassRow]) -> str:
    """Draw one bar for each class, the largest first, divided by split."""
    rows = sorted(classes, key=lambda row: (-row.n, row.name))
    scale = (WIDTH - LABEL - NUMBER) / max([row.n for row in rows] or [1])
    parts = []
    for place, row in enumerate(rows):
        top, left = place * ROW, float(LABEL)
        parts.append(_label(row.name, top))
        for split, n in row.split.items():
            if n:
                parts.append(_bar(left, top, n * scale, split, f"{row.name}, {split}: {n:,}"))
                left += n * scale
        parts.append(_number(left, top, f"{row.n:,}"))
    return _svg(len(rows), "Images by class and split", parts)


def count_bars(
    counts: Mapping[str, int], title: str, most: int = 12, *, whole: bool = False
) -> str:
    """Draw one bar for each name, the largest first, with its share of all.

    Args:
        counts: numbers by name.
        title: what it shows, for those who cannot see it.
        most: bars at most; the others share the last one.
        whole: on the whole width of the page, without shares.
    """
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    total = sum(counts.values()) or 1
    if len(rows) > most:
        rest = rows[most - 1 :]
        rows = [*rows[: most - 1], (f"{len(rest):,} others", sum(n for _, n in rest))]
    width = WIDTH if whole else WIDTH // 2
    label = LABEL if whole else HALF_LABEL
    room = width - label - 1.4 * NUMBER
    scale = room / (max(n for _, n in rows) if whole else total)
    parts = []
    for place, (name, n) in enumerate(rows):
        top = place * ROW
        parts.append(_label(name, top, label))
        parts.append(_bar(label, top, room, "track", ""))
        parts.append(_bar(label, top, n * scale, "plain", f"{name}: {n:,}"))
        said = f"{n:,}" if whole else f"{n:,} ({n / total:.0%})"
        parts.append(_number(label + room, top, said))
    return _svg(len(rows), title, parts, width)


def _svg(n_rows: int, title: str, parts: Sequence[str], width: int = WIDTH) -> str:
    height = max(1, n_rows) * ROW
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def _label(text: str, top: int, room: int = LABEL) -> str:
    most = room // 8
    shown = text if len(text) <= most else text[: most - 1] + "…"
    return (
        f'<text x="{room - 12}" y="{top + ROW / 2 + 4}" text-anchor="end">'
        f"{escape(shown)}<title>{escape(text)}</title></text>"
    )


def _bar(left: float, top: int, width: float, kind: str, title: str) -> str:
    tip = f"<title>{escape(title)}</title>" if title else ""
    y = top + (ROW - BAR) / 2
    # A hair of background between neighbours keeps them apart for every eye.
    return (
        f'<rect class="{escape(kind)}" x="{left:.1f}" y="{y}" width="{max(1.0, width - 1.5):.1f}" '
        f'height="{BAR}" rx="3">{tip}</rect>'
    )


def _number(left: float, top: int, text: str) -> str:
    return f'<text class="soft" x="{left + 8:.1f}" y="{top + ROW / 2 + 4}">{escape(text)}</text>'
