"""More pictures as inline SVG: one bar of shares, columns, and a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH = 1000
COLUMNS_WIDTH, COLUMNS_HEIGHT = 500, 210
WIDEST_COLUMN = 84
MOST_NAMED = 14
"""Classes of a confusion matrix up to which every cell has its number."""


def share_bar(shares: Sequence[tuple[str, str, int]], title: str) -> str:
    """Draw one bar that is divided into shares, with a legend.

    Args:
        shares: colour (a class of the style sheet), name and number of each.
        title: what it shows, for those who cannot see it.
    """
    total = sum(n for _, _, n in shares) or 1
    parts, keys, left = [], [], 0.0
    for kind, name, n in shares:
        if not n:
            continue
        width = n / total * WIDTH
        text = f"{name}: {n:,} ({n / total:.1%})"
        parts.append(
            f'<rect class="{escape(kind)}" x="{left:.1f}" y="0" '
            f'width="{max(1.5, width - 1.5):.1f}" height="26" rx="4">'
            f"<title>{escape(text)}</title></rect>"
        )
        keys.append(
            f"<span><i class='{escape(kind)}'></i>{escape(name)} "
            f"<b>{n:,}</b> ({n / total:.0%})</span>"
        )
        left += width
    return (
        f'<svg viewBox="0 0 {WIDTH} 26" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg><div class='legend wrap'>{''.join(keys)}</div>"
    )


def columns(buckets: Sequence[tuple[str, int]], title: str) -> str:
    """Draw a column for each bucket, in their order.

    Args:
        buckets: label and number of each.
        title: what it shows, for those who cannot see it.
    """
    if not buckets:
        return ""
    most = max(n for _, n in buckets) or 1
    step = min(WIDEST_COLUMN, COLUMNS_WIDTH / len(buckets))
    left = (COLUMNS_WIDTH - step * len(buckets)) / 2
    floor = COLUMNS_HEIGHT - 26
    parts = []
    for place, (label, n) in enumerate(buckets):
        height = n / most * (floor - 22)
        x, middle = left + place * step, left + (place + 0.5) * step
        parts.append(
            f'<rect class="plain" x="{x + 2:.1f}" y="{floor - height:.1f}" '
            f'width="{step - 4:.1f}" height="{max(0.0, height):.1f}" rx="3">'
            f"<title>{escape(label)}: {n:,}</title></rect>"
        )
        if n:
            parts.append(_text(middle, floor - height - 6, f"{n:,}"))
        parts.append(_text(middle, COLUMNS_HEIGHT - 8, label))
    return (
        f'<svg viewBox="0 0 {COLUMNS_WIDTH} {COLUMNS_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def confusion(names: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Draw what is taken for what: rows are true, columns are said.

    Each row is coloured by its shares, so that a rare class is as visible as a common one.

    Args:
        names: n classes.
        counts: n rows of n numbers.
    """
    n = len(names)
    left, top = 170, 120
    cell = max(14.0, min(46.0, (WIDTH - left) / n))
    width, height = left + cell * n, top + cell * n
    parts = []
    for row, (name, line) in enumerate(zip(names, counts, strict=True)):
        y = top + row * cell
        total = sum(line) or 1
        parts.append(_label(left - 10, y + cell / 2 + 4, name, "end"))
        x = left + row * cell + cell / 2 + 4
        parts.append(
            _label(x, top - 10, name, "start", f' transform="rotate(-45 {x:.1f} {top - 10})"')
        )
        for column, value in enumerate(line):
            parts.append(_cell(left + column * cell, y, cell, value, value / total, row == column))
            if value and n <= MOST_NAMED:
                deep = " deep" if value / total > 0.5 else ""
                middle = left + (column + 0.5) * cell
                parts.append(
                    f'<text class="number{deep}" x="{middle:.1f}" y="{y + cell / 2 + 4:.1f}" '
                    f'text-anchor="middle">{value:,}</text>'
                )
    return (
        f'<svg class="matrix" viewBox="0 0 {width + 60:.0f} {height + 4:.0f}" role="img" '
        f'style="max-width:{width + 60:.0f}px" aria-label="Confusion matrix">{"".join(parts)}</svg>'
    )


def _cell(x: float, y: float, side: float, value: int, share: float, is_right: bool) -> str:
    kind = "right" if is_right else "wrong"
    shade = 0 if not value else 0.08 + 0.92 * share
    return (
        f'<rect class="track" x="{x + 1:.1f}" y="{y + 1:.1f}" width="{side - 2:.1f}" '
        f'height="{side - 2:.1f}" rx="2"/>'
        f'<rect class="{kind}" fill-opacity="{shade:.2f}" x="{x + 1:.1f}" y="{y + 1:.1f}" '
        f'width="{side - 2:.1f}" height="{side - 2:.1f}" rx="2"><title>{value:,}</title></rect>'
    )


def _label(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    shown = text if len(text) <= 22 else text[:21] + "…"
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(shown)}'
        f"<title>{escape(text)}</title></text>"
    )


def _text(x: float, y: float, text: str) -> str:
    return (
        f'<text class="soft small" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">'
        f"{escape(text)}</text>"
    )
