"""Gathers what people decided, and what was proposed to them, for `curate.assist.pays`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING

from curate.assist.pays import Decision, Pays, does_it_pay
from curate.catalog.unlabelled import waiting_scores
from curate.records import Annotation, Kind

if TYPE_CHECKING:
    from curate.carriers.folder import ProjectFolder
    from curate.records import Proposal

PAGE = 2000
BLIND = "blind"
"""How a decision was made: its proposal was withheld."""


def pays(project: ProjectFolder) -> Pays:
    """Work out whether proposals save time. See `Learning.pays`."""
    found: list[Decision] = []
    for page in _paged(project.people.decided()):
        decided = [each for each in page if each.kind in (Kind.LABEL, Kind.REJECT)]
        hidden = [str(each.image_id) for each in decided if each.mode == BLIND]
        proposals = project.people.proposals(hidden)
        found += [_decision(each, proposals.get(str(each.image_id))) for each in decided]
    result = does_it_pay(found)
    safe = result.safe_score
    total, sure = waiting_scores(project.look(), 2.0 if safe is None else safe)
    return replace(result, waiting=total, waiting_safe=sure)


def _paged(decided: Iterator[list[Annotation]]) -> Iterator[list[Annotation]]:
    while page := list(chain.from_iterable(islice(decided, PAGE))):
        yield page


def _decision(each: Annotation, proposal: Proposal | None) -> Decision:
    # A proposal that came after the decision says nothing about whether it would have swayed.
    withheld = (
        proposal
        if proposal is not None and each.mode == BLIND and proposal.made_at <= each.decided_at
        else None
    )
    return Decision(
        classes=None if each.kind is Kind.REJECT else _sorted(each.classes),
        shown=_sorted(each.shown),
        hidden=None if withheld is None else _sorted(withheld.classes),
        score=each.shown_score if withheld is None else withheld.score,
        seconds=each.seconds,
        queue=each.queue,
        is_blind=each.mode == BLIND,
    )


def _sorted(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(sorted(names))
