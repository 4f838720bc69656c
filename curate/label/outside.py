"""Images that people have labelled only with classes which the class list has not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from curate.label.resolve import Rules, outside
from curate.records import Annotation, Kind


@dataclass(frozen=True, slots=True)
class Outside:
    """What a class list leaves without a label."""

    images: int
    """Images that people have labelled only with other classes."""
    classes: Mapping[str, int]
    """Those classes, with the images of each, the largest first."""


def count_outside(decided: Iterable[Sequence[Annotation]], names: Sequence[str]) -> Outside:
    """Count what a class list leaves without a label.

    Args:
        decided: what is in force, image by image.
        names: the class list.
    """
    rules = Rules(names=frozenset(names))
    n, counted = 0, Counter[str]()
    for decisions in decided:
        votes = [each for each in decisions if each.kind in (Kind.LABEL, Kind.REJECT)]
        found = outside([each.classes or () for each in votes], rules)
        n += bool(found)
        counted.update(found)
    return Outside(n, dict(counted.most_common()))
