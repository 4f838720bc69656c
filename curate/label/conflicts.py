"""Images whose label is a contradiction, and what contradicts what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from curate.label.agreement import answer
from curate.label.resolve import Evidence
from curate.records import Annotation, Kind

PEOPLE = "people"
"""People say different things."""
SOURCE = "source"
"""The source gives one image different classes in different places, or also none of them."""
SEVERAL = "several"
"""Several classes, where the class list allows one."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """An image whose label is a contradiction."""

    image_id: str
    """The image; empty while it is not fetched yet."""
    source_id: str
    """What its source calls it."""
    url: str
    """Where it is from."""
    kind: str
    """`people`, `source` or `several`."""
    said: Mapping[str, str]
    """Who says what: people by name, else `source` or `query`, or the model."""


def describe(image_id: str, source_id: str, url: str, evidence: Evidence) -> Conflict:
    """Return what contradicts what in the evidence of an image that is a conflict."""
    votes = [each for each in evidence.decisions if each.kind is not Kind.UNSURE]
    if votes:
        said = {each.annotator: answer(each) for each in votes}
        kind = PEOPLE if len(set(said.values())) > 1 else SEVERAL
        return Conflict(image_id, source_id, url, kind, said)
    hints = " | ".join(name or "(none)" for name in evidence.hints)
    if evidence.disputed or "" in evidence.hints:
        return Conflict(image_id, source_id, url, SOURCE, {"source": hints})
    origin = "query" if evidence.from_query else "source"
    return Conflict(image_id, source_id, url, SEVERAL, {origin: hints})


def waiting(source_id: str, url: str, hints: Sequence[str]) -> Conflict:
    """Return the contradiction of a source about an image that is not fetched yet."""
    said = " | ".join(name or "(none)" for name in hints)
    return Conflict("", source_id, url, SOURCE, {"source": said})


def evenness(decisions: Sequence[Annotation]) -> float:
    """Return the share of people behind the most frequent answer: the lower, the more open."""
    votes = Counter(answer(each) for each in decisions if each.kind is not Kind.UNSURE)
    return max(votes.values()) / votes.total()
