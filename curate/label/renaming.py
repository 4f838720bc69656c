"""From a table of old and new names to renames, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import uuid4

from curate.errors import UsageError
from curate.label.ledger import check_class
from curate.label.replay import Renames, Row, in_force
from curate.records import Annotation, Kind


def check_names(names: Sequence[str], renames: Renames, after: int) -> None:
    """Refuse names that cannot be a class list.

    Args:
        names: those of the list.
        renames: what classes are called now.
        after: the number of the newest row of the ledger.

    Raises:
        UsageError: no names, one twice, or one that cannot be used or was given up.
    """
    for name in names:
        check_class(name)
    if not names or len(set(names)) < len(names):
        raise UsageError("a class list needs names, each once", "e.g. beach city sunset")
    for name in names:
        if (new := renames.name(name, after)) != name:
            raise UsageError(
                f"{name!r} is called {new!r} now",
                f"take that, or give the name back: curate classes rename {new} {name}",
            )


def rename_rows(pairs: Mapping[str, str], annotator: str, now: float) -> list[Annotation]:
    """Return the renames that do what the pairs say, as if all happened at the same time.

    `a -> b` and `b -> c` give `b -> c` first: what was `a` must not end as `c`.

    Args:
        pairs: old name to new name; equal ones are left out.
        annotator: who decides it.
        now: Unix seconds.

    Raises:
        UsageError: the pairs go round in a circle.
    """
    left = {old: new for old, new in pairs.items() if old != new}
    ordered: list[tuple[str, str]] = []
    while left:
        free = [old for old, new in left.items() if new not in left]
        if not free:
            names = ", ".join(sorted(left))
            raise UsageError(
                f"the new names go round in a circle: {names}",
                "rename one of them to something else first",
            )
        ordered += [(old, left.pop(old)) for old in free]
    return [
        Annotation(
            key=f"rename-{uuid4()}",
            kind=Kind.RENAME,
            annotator=annotator,
            decided_at=now,
            classes=pair,
            tool="cli",
        )
        for pair in ordered
    ]


def undo_row(rows: Sequence[Row], pair: tuple[str, str], annotator: str, now: float) -> Annotation:
    """Return what takes back the last rename of this pair.

    Args:
        rows: the renames and what undoes them, in order of arrival.
        pair: the old and the new name.
        annotator: who decides it.
        now: Unix seconds.

    Raises:
        UsageError: there is no such rename in force.
    """
    keys = [each.key for _, each in in_force(rows) if each.classes == pair]
    if not keys:
        raise UsageError(
            f"{pair[0]!r} was not renamed to {pair[1]!r}", "`curate classes list` shows the names"
        )
    return Annotation(
        key=f"undo-{uuid4()}",
        kind=Kind.UNDO,
        annotator=annotator,
        decided_at=now,
        undoes=keys[-1],
        tool="cli",
    )
