"""People who make mistakes at a known rate, and what they say of images whose truth is known."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from curate.records import Annotation
from tests.catalog.rows import image_id
from tests.label.ledgers import label

CLASSES = ("beach", "city", "sunset", "trees")
PEOPLE = {"careful": 0.05, "hasty": 0.45, "tired": 0.45}
"""Share of wrong answers of three simulated people."""
TWO = {"careful": 0.05, "hasty": 0.15}
"""The same of two."""
EVEN = (0.25, 0.25, 0.25, 0.25)
UNEVEN = (0.6, 0.25, 0.1, 0.05)
"""Shares of the classes."""


def simulated(
    n: int, seed: int, people: Mapping[str, float] = PEOPLE, shares: Sequence[float] = EVEN
) -> tuple[dict[str, list[Annotation]], dict[str, str]]:
    """Answers of people with known error rates, wrong ones at random, and the truth."""
    chance = random.Random(seed)
    votes: dict[str, list[Annotation]] = {}
    truth: dict[str, str] = {}
    for number in range(n):
        key = image_id(number)
        (truth[key],) = chance.choices(CLASSES, shares)
        votes[key] = []
        for who, rate in people.items():
            others = [name for name in CLASSES if name != truth[key]]
            is_wrong = chance.random() < rate
            votes[key].append(
                label(number, chance.choice(others) if is_wrong else truth[key], by=who)
            )
    return votes, truth
