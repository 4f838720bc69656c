"""From what people, models and sources say of an image to its label.

One pure function: what a person says stands above all, then several people reconciled, then
a model that is sure enough, then the source, then the search text. Contradictions are not
decided by guessing: they are conflicts, which leave an image out until somebody decides.

Classes outside the class list do not count. An image of such classes alone has no label: that it
shows a harbour says nothing of beach and city, least of all that it shows neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from curate.records import Annotation, Kind, Label, Origin, Proposal


@dataclass(frozen=True, slots=True)
class Verdict:
    """What several people who do not agree amount to."""

    classes: tuple[str, ...]
    """Classes, sorted."""
    score: float
    """Confidence, 0-1."""
    rejected: bool = False
    """It does not belong into the dataset."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is said of one image, under the names that classes have now."""

    decisions: Sequence[Annotation] = ()
    """What people decided: one in force for each of them, in any order."""
    verdict: Verdict | None = None
    """What they amount to where they do not agree; None: that is a conflict."""
    proposal: Proposal | None = None
    """The newest model's."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Smallest score that makes a class of this proposal a label; "" stands for all others
    and for "none of the classes"."""
    hints: tuple[str, ...] = ()
    """Class hints of the strongest origin there is; "" stands for "none of the classes"."""
    from_query: bool = False
    """They come from a search text, not from the source's own knowledge."""
    disputed: bool = False
    """The source gives the same image different classes in different places."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a label may be."""

    exclusive: bool = False
    """An image has one class at most."""
    names: frozenset[str] | None = None
    """Classes that count; None: any."""


def resolve(evidence: Evidence, rules: Rules) -> Label:
    """Return the label of an image."""
    return _chosen(evidence, rules, _proposed(evidence, rules))


def contradicts(decisions: Sequence[Annotation]) -> bool:
    """Whether people say different things of one image; "unsure" contradicts nothing."""
    return len({(each.kind, each.classes) for each in decisions if each.kind in _VOTES}) > 1


def outside(said: Sequence[Sequence[str]], rules: Rules) -> tuple[str, ...]:
    """Return the classes that are said, if every answer names some and none of them counts.

    Args:
        said: the classes of each answer.
        rules: which of them count.

    Returns:
        The classes, sorted; nothing where an answer has none, or one that counts.
    """
    if not all(said) or any(_counted(classes, rules) for classes in said):
        return ()
    return tuple(sorted({name for classes in said for name in classes}))


_VOTES = (Kind.LABEL, Kind.REJECT)


def _proposed(evidence: Evidence, rules: Rules) -> Label:
    """Return a label that holds only what was proposed."""
    if evidence.proposal is not None:
        return Label(
            proposed=_counted(evidence.proposal.classes, rules),
            proposed_score=evidence.proposal.score,
            proposed_by=evidence.proposal.model,
        )
    return Label(proposed=_counted(evidence.hints, rules))


def _chosen(evidence: Evidence, rules: Rules, label: Label) -> Label:
    if evidence.decisions:
        return _by_people(evidence, rules, label)
    if (proposal := evidence.proposal) is not None and _is_sure(evidence, proposal):
        classes = _counted(proposal.classes, rules)
        if classes or not proposal.classes:
            made = replace(label, classes=classes, origin=Origin.MODEL, score=proposal.score)
            return _checked(made, label, rules)
    if not evidence.hints:
        return label
    if evidence.disputed:
        return replace(label, conflict=True)
    return _by_source(evidence, rules, label)


def _by_people(evidence: Evidence, rules: Rules, label: Label) -> Label:
    names = tuple(sorted({each.annotator for each in evidence.decisions}))
    label = replace(label, annotators=names, audited=True)
    votes = [each for each in evidence.decisions if each.kind in _VOTES]
    if not votes:
        return label
    if others := outside([each.classes or () for each in votes], rules):
        return replace(label, outside=others)
    if contradicts(votes):
        verdict = evidence.verdict
        if verdict is None:
            return replace(label, conflict=True)
        if others := outside([verdict.classes], rules):
            return replace(label, outside=others)
        made = replace(
            label,
            classes=_counted(verdict.classes, rules),
            origin=Origin.CONSENSUS,
            score=verdict.score,
            rejected=verdict.rejected,
        )
        return _checked(made, label, rules)
    if votes[0].kind is Kind.REJECT:
        return replace(label, origin=Origin.HUMAN, rejected=True)
    classes = _counted(votes[0].classes or (), rules)
    return _checked(replace(label, classes=classes, origin=Origin.HUMAN), label, rules)


def _by_source(evidence: Evidence, rules: Rules, label: Label) -> Label:
    classes = _counted(evidence.hints, rules)
    is_none = "" in evidence.hints
    if is_none and classes:
        return replace(label, conflict=True)
    if not is_none and not classes:
        return label  # of classes that do not count: what else it shows is not known
    origin = Origin.QUERY if evidence.from_query else Origin.SOURCE
    return _checked(replace(label, classes=classes, origin=origin), label, rules)


def _is_sure(evidence: Evidence, proposal: Proposal) -> bool:
    limits = evidence.thresholds
    if not proposal.classes:
        return "" in limits and proposal.score >= limits[""]
    for name in proposal.classes:
        limit = limits.get(name, limits.get(""))
        if limit is None or proposal.scores.get(name, proposal.score) < limit:
            return False
    return True


def _counted(classes: Sequence[str], rules: Rules) -> tuple[str, ...]:
    names = {name for name in classes if name}
    return tuple(sorted(names if rules.names is None else names & rules.names))


def _checked(made: Label, before: Label, rules: Rules) -> Label:
    if rules.exclusive and len(made.classes) > 1:
        return replace(before, conflict=True)
    return made
