"""Scores -> proposals: what a model proposes for an image, and how sure it is of that.

In an exclusive project the best class is proposed, unless "none of these" is likelier or the
score is below the threshold. In a multi-label one each class whose score reaches its threshold
is proposed, and the proposal is as sure as its least sure yes or no.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from curate.assist.mapping import Floats, Targets
from curate.assist.model import Model

MULTI_LABEL = 0.5
"""Score from which a class is proposed in a multi-label project."""
SCORES_KEPT = 64
"""Scores stored with a proposal, the best ones."""
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a model proposes for one image."""

    classes: tuple[str, ...]
    """What it proposes; empty: none of the classes."""
    score: float
    """How sure it is of that, 0-1."""
    scores: Mapping[str, float]
    """Score of each class, the best first."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Turns a model's answers into opinions about the project's classes."""

    model: Model
    """Whose answers they are."""
    targets: Targets
    """Which of its outputs counts for which class."""
    exclusive: bool
    """The project gives each image one class at most."""
    thresholds: Mapping[str, float]
    """Class to the score from which it is proposed; "" stands for all others."""

    def opinions(self, rows: Floats) -> list[Opinion]:
        """Return an opinion for each row that `Model.run` answered."""
        said = self.model.probabilities(rows)
        scores = self.targets.scores(said, exclusive=self.model.exclusive)
        elsewhere = said[:, self.targets.places < 0].sum(axis=1)
        return [self._opinion(*each) for each in zip(scores, elsewhere.tolist(), strict=True)]

    def _opinion(self, scores: Floats, elsewhere: float) -> Opinion:
        names = self.targets.names
        order = np.argsort(-scores, kind="stable")[:SCORES_KEPT]
        kept = {names[at]: round(float(scores[at]), _DIGITS) for at in order}
        if self.exclusive:
            classes, score = self._one(scores, int(order[0]), elsewhere)
        else:
            classes, score = self._many(scores)
        return Opinion(classes, round(min(1.0, max(0.0, score)), _DIGITS), kept)

    def _one(self, scores: Floats, best: int, elsewhere: float) -> tuple[tuple[str, ...], float]:
        name, score = self.targets.names[best], float(scores[best])
        if score < self._least(name):
            return (), 1 - score
        # What rounding in a model of bytes takes from the sum of 1 speaks for no class at all.
        if self.model.exclusive and elsewhere > score:
            return (), elsewhere
        return (name,), score

    def _many(self, scores: Floats) -> tuple[tuple[str, ...], float]:
        names = self.targets.names
        least = np.array([self._least(name) for name in names], dtype=np.float32)
        chosen = scores >= least
        sure = np.where(chosen, scores, 1 - scores)
        return tuple(sorted(names[at] for at in np.flatnonzero(chosen))), float(sure.min())

    def _least(self, name: str) -> float:
        return self.thresholds.get(name, self.thresholds.get("", 0.0))


def thresholds_for(
    model: Model, names: Sequence[str], given: float | None, *, exclusive: bool
) -> dict[str, float]:
    """Return the scores from which classes are proposed.

    Args:
        model: whose notes may have some; in an exclusive project its best class is proposed
            whatever they say.
        names: the classes that it can propose.
        given: what the caller wants for all of them.
        exclusive: the project gives each image one class at most.
    """
    if given is not None:
        return {"": given}
    if exclusive:
        return {}
    noted = {name: least for name, least in model.thresholds.items() if name in names}
    return {"": MULTI_LABEL, **noted}
