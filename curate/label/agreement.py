"""How far people agree: percent, Cohen's and Fleiss' kappa, Krippendorff's alpha.

Over whole answers (the set of classes, or "rejected") and class by class (does the image have
it). Only images that several people have decided about count; "unsure" is no answer. Alpha
takes any number of answers for each image; Fleiss' kappa wants the same number everywhere and
is None otherwise. A coefficient is None where chance cannot be told from agreement: all gave
one and the same answer everywhere.

Sources: Cohen 1960, doi:10.1177/001316446002000104; Fleiss 1971, doi:10.1037/h0031619;
Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.errors import UsageError, install_hint
from curate.records import Annotation, Kind

Answers = Sequence[Mapping[str, str]]
"""For each image: annotator to answer."""
REJECTED = "(rejected)"
NONE = "(none)"


@dataclass(frozen=True, slots=True)
class Score:
    """How far people agree about one thing."""

    n: int
    """Images that at least two people have decided about."""
    percent: float | None
    """Share of pairs of answers that are equal, 0-100; None without any."""
    fleiss: float | None
    """Fleiss' kappa, -1 to 1; None where the number of answers varies, or it is undefined."""
    alpha: float | None
    """Krippendorff's alpha for names, at most 1; None where it is undefined."""


@dataclass(frozen=True, slots=True)
class Pair:
    """How far two people agree."""

    one: str
    """A person."""
    other: str
    """Another one, later in the alphabet."""
    n: int
    """Images that both have decided about."""
    percent: float
    """Share of them with equal answers, 0-100."""
    cohen: float | None
    """Cohen's kappa, -1 to 1; None where it is undefined."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far all people agree."""

    whole: Score
    """About the whole answer."""
    classes: Mapping[str, Score]
    """About each class, by name."""
    pairs: tuple[Pair, ...]
    """Person by person, about the whole answer."""

    def to_json(self) -> dict[str, Any]:
        """Return what `curate annotations agreement --json` prints."""
        return {
            **asdict(self.whole),
            "classes": {name: asdict(score) for name, score in self.classes.items()},
            "pairs": [asdict(pair) for pair in self.pairs],
        }


def agreement(images: Iterable[Sequence[Annotation]]) -> Agreement:
    """Return how far people agree.

    Args:
        images: for each image what is in force, one annotation of each person.

    Raises:
        UsageError: the packages that count are not installed.
    """
    votes = [
        {each.annotator: each for each in decisions if each.kind is not Kind.UNSURE}
        for decisions in images
    ]
    votes = [each for each in votes if len(each) > 1]
    names = sorted(
        {name for each in votes for vote in each.values() for name in vote.classes or ()}
    )
    return Agreement(
        score([{who: answer(vote) for who, vote in each.items()} for each in votes]),
        {name: score(_about(votes, name)) for name in names},
        tuple(_pairs([{who: answer(vote) for who, vote in each.items()} for each in votes])),
    )


def answer(vote: Annotation) -> str:
    """Return a whole answer as one text: classes, none of them, or rejected."""
    return REJECTED if vote.kind is Kind.REJECT else "|".join(vote.classes or ()) or NONE


def score(answers: Answers) -> Score:
    """Return how far the answers agree; an image with fewer than two does not count."""
    answers = [each for each in answers if len(each) > 1]
    if not answers:
        return Score(0, None, None, None)
    counts = _counts(answers)
    sums = counts.sum(axis=1)
    equal = (counts * (counts - 1)).sum() / (sums * (sums - 1)).sum()
    is_varied = int((counts.sum(axis=0) > 0).sum()) > 1
    alpha = _alpha(counts) if is_varied else None
    return Score(len(answers), 100 * float(equal), fleiss_kappa(counts), alpha)


def fleiss_kappa(counts: npt.NDArray[np.int64]) -> float | None:
    """Return Fleiss' kappa.

    Args:
        counts: answers of each kind for each image, shape (images, kinds).
    """
    sums = counts.sum(axis=1)
    if len(set(sums.tolist())) != 1:
        return None
    n = int(sums[0])
    observed = ((counts * counts).sum(axis=1) - n) / (n * (n - 1))
    shares = counts.sum(axis=0) / counts.sum()
    by_chance = float((shares * shares).sum())
    return None if by_chance >= 1 else (float(observed.mean()) - by_chance) / (1 - by_chance)


def cohen_kappa(one: Sequence[str], other: Sequence[str]) -> float | None:
    """Return Cohen's kappa of two people's answers to the same images."""
    if len(set(one) | set(other)) < 2:
        return None
    try:
        from sklearn.metrics import cohen_kappa_score
    except ImportError:
        raise _missing() from None
    return float(cohen_kappa_score(one, other))


def _alpha(counts: npt.NDArray[np.int64]) -> float:
    try:
        import krippendorff
    except ImportError:
        raise _missing() from None
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))


def _missing() -> UsageError:
    return UsageError("agreement needs krippendorff and scikit-learn", install_hint("people"))


def _counts(answers: Answers) -> npt.NDArray[np.int64]:
    kinds = sorted({text for each in answers for text in each.values()})
    place = {text: number for number, text in enumerate(kinds)}
    counts = np.zeros((len(answers), len(kinds)), dtype=np.int64)
    for row, each in enumerate(answers):
        for text, n in Counter(each.values()).items():
            counts[row, place[text]] = n
    return counts


def _about(votes: Sequence[Mapping[str, Annotation]], name: str) -> Answers:
    """Say for each image and person whether it has the class; a rejection says nothing."""
    return [
        {
            who: str(name in (vote.classes or ()))
            for who, vote in each.items()
            if vote.kind is Kind.LABEL
        }
        for each in votes
    ]


def _pairs(answers: Answers) -> Iterable[Pair]:
    by_pair: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for each in answers:
        for one, other in combinations(sorted(each), 2):
            by_pair.setdefault((one, other), []).append((each[one], each[other]))
    for (one, other), both in sorted(by_pair.items()):
        left, right = [a for a, _ in both], [b for _, b in both]
        equal = sum(a == b for a, b in both)
        yield Pair(one, other, len(both), 100 * equal / len(both), cohen_kappa(left, right))
