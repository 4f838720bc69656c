"""Taking a class's candidates in turns over observers, years, countries, instead of the first N.

The first N photos of a species often come from one keen observer in one wood. In turns, every
observer gives one photo before any gives a second, and each observer's photos alternate over
the years, and so on down the columns. Photos of one record come last of all, since they show
the same thing. Who begins is drawn by a hash of the value, so the order is always the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence

Row = tuple[int, str | None, str | None]
"""A candidate: row number, group hint, meta as JSON."""


def by_columns(columns: Sequence[str]) -> Callable[[Iterable[Row]], list[int]]:
    """Return what puts candidates in turns over these columns of their meta.

    Names are compared without case; candidates that lack one are a value of their own.
    """

    def order(rows: Iterable[Row]) -> list[int]:
        wanted = [name.lower() for name in columns]
        keyed = [(_values(wanted, group, meta), number) for number, group, meta in rows]
        return in_turns(keyed)

    return order


def in_turns(rows: Sequence[tuple[tuple[str, ...], int]]) -> list[int]:
    """Put numbers in turns over the first of their values, within it over the next, and so on.

    Example:
        >>> in_turns([(("a",), 1), (("a",), 2), (("b",), 3)])
        [1, 3, 2]
    """
    if len(rows) < 2 or not rows[0][0]:
        return [number for _, number in rows]
    parts: dict[str, list[tuple[tuple[str, ...], int]]] = {}
    for values, number in rows:
        parts.setdefault(values[0], []).append((values[1:], number))
    ordered = [in_turns(parts[value]) for value in sorted(parts, key=_drawn)]
    taken: list[int] = []
    turn = 0
    while ordered:
        taken.extend(each[turn] for each in ordered)
        turn += 1
        ordered = [each for each in ordered if turn < len(each)]
    return taken


def _values(columns: Sequence[str], group: str | None, meta: str | None) -> tuple[str, ...]:
    known = {name.lower(): value for name, value in json.loads(meta).items()} if meta else {}
    return (*(str(known.get(name, "")) for name in columns), group or "")


def _drawn(value: str) -> bytes:
    return hashlib.sha256(value.encode(errors="surrogatepass")).digest()
