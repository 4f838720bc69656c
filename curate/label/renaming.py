"""From a table of old and new names to renames, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid4

from curate.errors import UsageError
from curate.records import Annotation, Kind


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
