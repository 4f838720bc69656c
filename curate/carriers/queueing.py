"""Works out queues: which images a person should look at next, and who is shown no proposal."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.assist.queues import (
    farthest_first,
    is_blind,
    one_of_each,
    shuffled,
    uncertainty,
)
from curate.carriers import training
from curate.carriers.lessons import Lessons, collect, group_numbers
from curate.catalog import images
from curate.catalog.database import MEMORY
from curate.catalog.queues import Queued, queue_sizes, write_queue
from curate.catalog.unlabelled import unlabelled
from curate.errors import UsageError

if TYPE_CHECKING:
    from curate.carriers.folder import ProjectFolder
    from curate.carriers.people import People
    from curate.catalog.images import KeptImage

BLIND = "blind"
"""The queue of all undecided images that are shown without a proposal, whatever queue they
are in besides."""
DISAGREEMENTS = "disagreements"
"""Images about which people contradict each other: `People.queue_disagreements`."""
ALL_DECIDED = (
    "no image waits to be decided about: `curate fetch` or `curate import` gets more, `curate "
    "audit` shows those that are decided"
)
NONE_DOUBTED = (
    "a model that was trained without them doubts none of the labels: ask again when more images "
    "are labelled, or look at some with `curate audit`"
)
NONE_CONTRADICTED = (
    "people contradict each other about no image: `curate label --overlap 2` lets two decide "
    "about the same ones"
)
"""What to say of a queue that is empty."""
PAGE = 2000
SPARE = 4
"""Candidates kept for each image wanted, to choose from different groups."""


@dataclass(frozen=True, slots=True)
class Made:
    """A queue that was worked out."""

    queue: str
    """Its name."""
    n: int
    """Images in it."""
    blind: int
    """Of them, how many are shown without a proposal."""
    note: str = ""
    """What a person should know of how it was made."""

    def to_json(self) -> dict[str, Any]:
        """Return the document that `curate queue --json` prints."""
        return {name: getattr(self, name) for name in self.__slots__}


def make(
    project: ProjectFolder,
    name: str,
    n: int | None,
    seed: int,
    backbone: Path | None,
    *,
    dry_run: bool = False,
) -> Made:
    """Work out a queue and write it. See `Learning.make_queue`."""
    known = (*QUEUES, DISAGREEMENTS)
    if name not in known:
        raise UsageError(f"there is no queue {name!r} to make", f"known are: {', '.join(known)}")
    if project.look().path is MEMORY:
        raise UsageError(f"{project.folder} holds no project", "fetch or import images first")
    given = project.settings.learning
    wanted = given.queue if n is None else n
    if wanted < 1:
        raise UsageError(f"--n {wanted} is not a number of images", "give at least 1")
    if name == DISAGREEMENTS:
        # Opinions are known already: there is nothing to withhold, and none to leave out.
        people = project.people
        found = _contradicted(people) if dry_run else people.queue_disagreements()
        return Made(name, found, 0, "" if found else NONE_CONTRADICTED)
    rows, note = QUEUES[name](project, wanted, seed, backbone)
    if not rows:
        why = NONE_DOUBTED if name == "suspects" else ALL_DECIDED
        note = f"{why}; {note}" if note else why
    share = 1.0 if name == "random" else given.blind
    rows = [replace(each, blind=is_blind(each.image_id, share)) for each in rows[:wanted]]
    if not dry_run:
        write_queue(project.db, name, rows)
        mark_blind(project)
    return Made(name, len(rows), sum(each.blind for each in rows), note)


def _contradicted(people: People) -> int:
    from curate.label.resolve import contradicts

    return sum(contradicts(each) for each in people.decided(several=True))


def fill(project: ProjectFolder, name: str) -> Made | None:
    """Make a queue that somebody asks for and that holds nothing. See `Learning.fill_queue`."""
    if name not in (*QUEUES, DISAGREEMENTS) or queue_sizes(project.look()).get(name):
        return None
    return make(project, name, None, 0, None)


def mark_blind(project: ProjectFolder) -> int:
    """Choose anew which undecided images are shown without the proposal they have.

    Whether an image is among them depends on itself alone: more images, and nobody who was
    blind sees the proposal later.

    Returns:
        How many there are.
    """
    share = project.settings.learning.blind
    chosen = [
        Queued(image_id, blind=True)
        for image_id in chain.from_iterable(unlabelled(project.db, proposed=True))
        if is_blind(image_id, share)
    ]
    return write_queue(project.db, BLIND, chosen)


def _uncertain(
    project: ProjectFolder, n: int, _seed: int, _backbone: Path | None
) -> tuple[list[Queued], str]:
    """The newest model wavers."""
    is_exclusive = project.people.class_list().exclusive
    found: list[tuple[float, str]] = []
    for ids in unlabelled(project.look()):
        for image_id, proposal in project.people.proposals(ids).items():
            if proposal is not None:
                unsure = uncertainty(proposal.scores, is_exclusive=is_exclusive)
                found.append((unsure, image_id))
        found = heapq.nlargest(n * SPARE, found)
    if not found:
        raise UsageError(
            "no model has proposed anything for images that wait to be decided",
            "run `curate prelabel --model FILE.onnx` first",
        )
    found.sort(key=lambda each: (-each[0], each[1]))
    ids = [image_id for _, image_id in found]
    groups = dict(zip(*_groups(project, ids), strict=True))
    order = one_of_each(range(len(ids)), [groups[each] for each in ids])
    return [Queued(ids[place], score=round(found[place][0], 6)) for place in order], ""


def _suspects(
    project: ProjectFolder, _n: int, seed: int, backbone: Path | None
) -> tuple[list[Queued], str]:
    """Labels that a model trained without them does not believe."""
    from curate.assist.head import LEAST_IMAGES
    from curate.assist.suspects import suspects, suspects_multilabel

    found = collect(project).without_small(LEAST_IMAGES)
    lessons, embeddings = training.embedded(project, found, training.backbone(project, backbone))
    held_out = training.fit(project, lessons, embeddings, seed=seed).held_out
    doubted = (
        suspects(lessons.truth, held_out)
        if lessons.is_exclusive
        else suspects_multilabel(lessons.labels, held_out)
    )
    rows = [
        Queued(
            lessons.image_ids[each.place],
            tuple(sorted(name for at in each.suggested if (name := lessons.names[at]))),
            round(each.score, 6),
        )
        for each in doubted
    ]
    small = found.left_out.get("small_class", 0)
    note = f"{small:,} images of classes with too few labels could not be judged" if small else ""
    return rows, note


def _different(
    project: ProjectFolder, n: int, _seed: int, backbone: Path | None
) -> tuple[list[Queued], str]:
    """The farthest from all that is decided."""
    embedder = training.backbone(project, backbone)
    waiting = set(chain.from_iterable(unlabelled(project.look())))
    everything = _bare(project, images.kept(project.look()))
    everything, embeddings = training.embedded(project, everything, embedder)
    is_new = np.array([each in waiting for each in everything.image_ids], dtype=bool)
    places, far = farthest_first(embeddings[is_new], embeddings[~is_new], n)
    ids = [everything.image_ids[row] for row in np.flatnonzero(is_new).tolist()]
    return [
        Queued(ids[place], score=round(distance, 6))
        for place, distance in zip(places, far, strict=True)
    ], ""


def _random(
    project: ProjectFolder, n: int, seed: int, _backbone: Path | None
) -> tuple[list[Queued], str]:
    """By chance, among all that wait."""
    ids = shuffled(list(chain.from_iterable(unlabelled(project.look()))), seed)[:n]
    return [Queued(each) for each in ids], ""


Maker = Callable[["ProjectFolder", int, int, "Path | None"], tuple[list[Queued], str]]
QUEUES: Mapping[str, Maker] = {
    "uncertain": _uncertain,
    "suspects": _suspects,
    "different": _different,
    "random": _random,
}
"""The queues by name, each with what works it out."""


def _groups(project: ProjectFolder, image_ids: Sequence[str]) -> tuple[list[str], list[int]]:
    kept = list(
        chain.from_iterable(
            images.some_kept(project.look(), image_ids[start : start + PAGE])
            for start in range(0, len(image_ids), PAGE)
        )
    )
    return [each.image_id for each in kept], group_numbers([each.groups for each in kept]).tolist()


def _bare(project: ProjectFolder, pages: Iterator[list[KeptImage]]) -> Lessons:
    """Return images without labels, for their embeddings."""
    found = [(each.image_id, each.format) for page in pages for each in page]
    return Lessons(
        image_ids=tuple(image_id for image_id, _ in found),
        paths=tuple(project.store.path(*each) for each in found),
        names=(),
        is_exclusive=False,
        labels=np.zeros((len(found), 0), dtype=bool),
        groups=np.arange(len(found)),
        left_out={},
    )
