"""Plain aligned tables: no lines, numbers to the right, nothing cut off in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def draw_table(
    console: Console,
    headings: Sequence[str],
    rows: Iterable[Sequence[str | int | None]],
    *,
    bold: Sequence[str] = (),
) -> None:
    """Draw rows below their headings.

    Args:
        console: where.
        headings: names of the columns.
        rows: cells; whole numbers get separators, None stays empty. No markup is read.
        bold: rows that begin with one of these are bold.
    """
    from rich.table import Table
    from rich.text import Text

    cells = [list(row) for row in rows]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for number, heading in enumerate(headings):
        is_number = any(isinstance(row[number], int) for row in cells)
        justify = "right" if is_number else "left"
        table.add_column(Text(heading), justify=justify, overflow="fold")  # type: ignore[arg-type] # a literal
    for row in cells:
        table.add_row(*(Text(_text(cell)) for cell in row), style="bold" if row[0] in bold else "")
    console.print(table)


def _text(cell: str | int | None) -> str:
    if cell is None:
        return ""
    return f"{cell:,}" if isinstance(cell, int) else cell


def human_bytes(n: float) -> str:
    """Return a size in the largest decimal unit that keeps it at 1 or more.

    Example:
        >>> human_bytes(1_234_567)
        '1.2 MB'
    """
    power = 0
    while round(n, 1) >= 1000 and power < len(UNITS) - 1:
        n /= 1000
        power += 1
    return f"{n:,.1f} {UNITS[power]}" if power else f"{n:,.0f} {UNITS[0]}"


def human_seconds(seconds: float) -> str:
    """Return a duration in words: `40 s`, `12 min`, `3.5 h`, `2.1 days`."""
    for limit, size, unit in ((90, 1, "s"), (90 * 60, 60, "min")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
