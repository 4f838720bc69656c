"""A corpus of small JPEGs on a host that fails the way real hosts fail.

Fates are drawn from the image's number and the corpus's seed alone, so every process knows
the fate of every image without asking. Two things are drawn independently: how the *first*
request ends (a share fails, later ones succeed), and what the image *is* in the end.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

from tests.fakes.bodies import encoded, truncated


class Kind(StrEnum):
    """What an image turns out to be once the host answers."""

    GOOD = "good"
    DEAD = "dead"
    CORRUPT = "corrupt"
    DUPLICATE = "duplicate"


class First(StrEnum):
    """How the first request for an image ends."""

    OK = "ok"
    BUSY = "busy"  # 503 with Retry-After: 1
    ERROR = "error"  # 503 without
    RESET = "reset"
    SHORT = "short"
    DRIP = "drip"


FAILURES = (First.BUSY, First.ERROR, First.RESET, First.SHORT, First.DRIP)


@dataclass(frozen=True, slots=True)
class Fate:
    """What a client will see of one image."""

    first: First
    kind: Kind
    status: int
    """The status in the end: 200, or 404 or 410 for the dead."""
    original: int
    """The number of the image whose bytes are sent: its own, but for duplicates."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """`n` images under `/img/0.jpg` to `/img/{n-1}.jpg`, each with a fate.

    Shares are probabilities; `failures` are drawn from evenly.
    """

    n: int
    seed: int = 0
    first_fails: float = 0.20
    dead: float = 0.03
    corrupt: float = 0.03
    duplicate: float = 0.05
    failures: tuple[First, ...] = FAILURES

    def path(self, number: int) -> str:
        return f"/img/{number}.jpg"

    def fate(self, number: int) -> Fate:
        """What becomes of an image. Duplicates repeat a good image of a lower number."""
        rng = random.Random(f"{self.seed}:first:{number}")
        first = rng.choice(self.failures) if rng.random() < self.first_fails else First.OK
        kind = self._drawn(number)
        original = number
        if kind is Kind.DUPLICATE:
            original = self._original(number)
            kind = Kind.GOOD if original == number else kind
        status = rng.choice((404, 410)) if kind is Kind.DEAD else 200
        return Fate(first, kind, status, original)

    def body(self, number: int) -> bytes:
        """The bytes sent in the end for an image that is not dead."""
        fate = self.fate(number)
        make = truncated if fate.kind is Kind.CORRUPT else encoded
        return make(self.seed * 1_000_003 + fate.original)

    def numbers(self, kind: Kind) -> list[int]:
        """All images of a kind."""
        return [number for number in range(self.n) if self.fate(number).kind is kind]

    def _drawn(self, number: int) -> Kind:
        draw = random.Random(f"{self.seed}:kind:{number}").random()
        if draw < self.dead:
            return Kind.DEAD
        if draw < self.dead + self.corrupt:
            return Kind.CORRUPT
        if draw < self.dead + self.corrupt + self.duplicate:
            return Kind.DUPLICATE
        return Kind.GOOD

    def _original(self, number: int) -> int:
        start = random.Random(f"{self.seed}:original:{number}").randrange(number) if number else 0
        for other in range(start, -1, -1):
            if self._drawn(other) is Kind.GOOD:
                return other
        return number
