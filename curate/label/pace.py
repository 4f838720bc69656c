"""How long people take, and what they correct: the human side of a dataset's cost.

Seconds are those kept with each annotation. The median stands for a decision: somebody who
goes for coffee in the middle of one must not count for an hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from curate.records import Annotation, Kind

LONGEST_S = 600.0
"""A longer decision was a pause: it counts as one decision of no known time."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast decisions of one kind were made."""

    queue: str
    """Where the images came from; empty: the usual order."""
    mode: str
    """How: `one`, `page`, `blind` or empty."""
    proposed: bool
    """A proposal was shown."""
    n: int
    """Decisions."""
    timed: int
    """Those of them whose time is known."""
    median_s: float | None
    """Median seconds of one; None if no time is known."""
    total_s: float
    """Seconds of all together."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What became of the proposals of one class."""

    proposed: int
    """Decisions that were shown the class."""
    kept: int
    """Those of them that kept it."""
    added: int
    """Decisions that were shown a proposal without the class and gave it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long people take, and what they correct."""

    speeds: tuple[Speed, ...]
    """By queue, mode and whether something was proposed; in that order."""
    corrections: Mapping[str, Correction]
    """By class, by name."""

    def to_json(self) -> dict[str, Any]:
        """Return what `curate annotations pace --json` prints."""
        return {
            "speeds": [asdict(each) for each in self.speeds],
            "corrections": {name: asdict(each) for name, each in self.corrections.items()},
        }


def pace(decisions: Iterable[Annotation]) -> Pace:
    """Add up decisions.

    Args:
        decisions: those in force, under the names that classes have now.
    """
    times: dict[tuple[str, str, bool], list[float | None]] = {}
    counts: dict[str, list[int]] = {}
    for each in decisions:
        key = each.queue, each.mode, each.shown is not None
        times.setdefault(key, []).append(each.seconds)
        if each.shown is None or each.kind is not Kind.LABEL:
            continue
        shown, given = set(each.shown), set(each.classes or ())
        for name in shown | given:
            n = counts.setdefault(name, [0, 0, 0])
            n[0] += name in shown
            n[1] += name in shown and name in given
            n[2] += name in given and name not in shown
    speeds = tuple(_speed(*key, found) for key, found in sorted(times.items()))
    return Pace(speeds, {name: Correction(*n) for name, n in sorted(counts.items())})


def _speed(queue: str, mode: str, proposed: bool, seconds: list[float | None]) -> Speed:
    timed = [each for each in seconds if each is not None and each <= LONGEST_S]
    middle = median(timed) if timed else None
    return Speed(queue, mode, proposed, len(seconds), len(timed), middle, sum(timed))
