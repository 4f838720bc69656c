"""What a ledger amounts to: which rows are in force, and what classes are called now.

Pure functions over rows in their order of arrival. An undo takes back an earlier row only,
so no order of undos and redos can go round in circles.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from curate.records import Annotation, Kind, Proposal

Row = tuple[int, Annotation]
"""A row with its number, which tells what came before what."""


def in_force(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that nothing takes back, without the undos; in order of arrival.

    Args:
        rows: in order of arrival; all that may take one of them back is among them.
    """
    dead: set[str] = set()
    found = []
    for number, each in reversed(rows):
        if each.key in dead:
            continue
        if each.kind is Kind.UNDO:
            dead.add(str(each.undoes))
        else:
            found.append((number, each))
    return found[::-1]


def newest(rows: Sequence[Row]) -> list[Row]:
    """Return each person's newest row in force for each image; in order of arrival."""
    last = {
        (each.image_id, each.annotator): (number, each)
        for number, each in in_force(rows)
        if each.image_id is not None
    }
    return sorted(last.values(), key=lambda row: row[0])


class Renames:
    """What classes are called now: renames in force, one after the other.

    A rename applies to all that was said before it. What comes later under the old name is
    renamed too (a page that was open, a source that goes on saying so), unless a later
    rename has given that name to a class again.

    Args:
        rows: renames and what undoes them, in order of arrival.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._steps: list[tuple[int, str, str]] = []
        self._times: list[float] = []
        self._retired: dict[str, tuple[str, int]] = {}
        self._known: dict[tuple[str, int], str] = {}
        for number, each in in_force(rows):
            if each.kind is not Kind.RENAME or each.classes is None:
                continue
            old, new = each.classes
            self._steps.append((number, old, new))
            self._times.append(each.decided_at)
            self._retired[old] = (new, number)
            self._retired.pop(new, None)
        self._numbers = [number for number, _, _ in self._steps]

    def __bool__(self) -> bool:
        return bool(self._steps)

    def after(self, decided_at: float) -> int:
        """Return the number of the last rename that was made by then; 0 if none was."""
        made = [n for n, at in zip(self._numbers, self._times, strict=True) if at <= decided_at]
        return made[-1] if made else 0

    def name(self, name: str, after: int = 0) -> str:
        """Return what a class is called now.

        Args:
            name: its name in a row.
            after: the number of that row; 0: it is older than all renames.
        """
        start = bisect_right(self._numbers, after)
        if not self._steps or (start == len(self._steps) and name not in self._retired):
            return name
        known = self._known.get((name, start))
        if known is None:
            known = self._known[name, start] = self._follow(name, start)
        return known

    def names(self, names: Iterable[str], after: int = 0) -> tuple[str, ...]:
        """Return what classes are called now; sorted, each once."""
        return tuple(sorted({self.name(name, after) for name in names}))

    def ordered(self, names: Iterable[str], after: int = 0) -> tuple[str, ...]:
        """Return what classes are called now, in the order given; each once."""
        return tuple(dict.fromkeys(self.name(name, after) for name in names))

    def apply(self, row: Row) -> Annotation:
        """Return the annotation with the names of now; a rename stays as it is."""
        number, each = row
        if not self._steps or each.kind is Kind.RENAME:
            return each
        classes = None if each.classes is None else self.names(each.classes, number)
        shown = None if each.shown is None else self.names(each.shown, number)
        return replace(each, classes=classes, shown=shown)

    def largest(self, values: Mapping[str, float], after: int = 0) -> dict[str, float]:
        """Return values by what classes are called now; of those that became one, the largest."""
        found: dict[str, float] = {}
        for name, value in values.items():
            now = self.name(name, after)
            found[now] = max(value, found.get(now, value))
        return found

    def proposal(self, each: Proposal) -> Proposal:
        """Return a model's proposal with the names of now."""
        if not self._steps:
            return each
        after = self.after(each.made_at)
        classes, scores = self.names(each.classes, after), self.largest(each.scores, after)
        return replace(each, classes=classes, scores=scores)

    def _follow(self, name: str, start: int) -> str:
        for _, old, new in self._steps[start:]:
            if name == old:
                name = new
        if name in self._retired:
            new, number = self._retired[name]
            return self._follow(new, bisect_right(self._numbers, number))
        return name
