"""Which images wait to be labelled in Labelme, with what is proposed for each.

Proposals are the queue's own opinion, else the newest model's, else the hints of sources and
queries. Only what can be ticked is proposed: classes of the list, and one of them where the
list allows one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from curate.catalog import images, undecided
from curate.catalog.class_lists import ClassList
from curate.catalog.queues import Queued, queue_sizes
from curate.errors import CurateError, UsageError
from curate.label.labelme_folder import Task

if TYPE_CHECKING:
    from curate.catalog.images import KeptImage
    from curate.project import Project
    from curate.records import Proposal

_CHUNK = 500


def classes(project: Project) -> ClassList:
    """Return the classes to choose from.

    Raises:
        CurateError: there are none, or there are no images to label.
    """
    if not project.exists or not undecided.any_kept(project.look()):
        raise CurateError(
            "there are no images to label",
            "get some first, e.g. `curate fetch --query beach` or `curate import FOLDER`",
        )
    chosen = project.people.class_list()
    if not chosen.names:
        raise CurateError(
            "there are no classes to choose from", "name them: `curate classes set beach city`"
        )
    return chosen


def tasks(project: Project, annotator: str, queue: str, taken: Collection[str]) -> Iterator[Task]:
    """Yield what waits for a person, in order.

    Args:
        project: where from.
        annotator: who is going to label.
        queue: only the images of this queue, in its order; empty: images that nobody has
            decided about, by image id.
        taken: images that are left out.

    Raises:
        UsageError: there is no such queue.
    """
    found = _waiting(project, annotator, queue)
    free = (each for each in found if each.image_id not in taken)
    while chunk := list(islice(free, _CHUNK)):
        yield from _shown(project, chunk)


def _waiting(project: Project, annotator: str, queue: str) -> Iterator[Queued]:
    db = project.look()
    if not queue:
        return (Queued(image_id) for image_id in undecided.undecided(db))
    sizes = queue_sizes(db)
    if queue not in sizes:
        raise UsageError(
            f"there is no queue {queue!r}", f"queues are: {', '.join(sizes) or 'none'}"
        )
    return undecided.undecided_in(db, queue, annotator)


def _shown(project: Project, chunk: Sequence[Queued]) -> Iterator[Task]:
    people = project.people
    chosen, renames = people.class_list(), people.renames()
    ids = [each.image_id for each in chunk]
    kept = {each.image_id: each for each in images.some_kept(project.look(), ids)}
    proposals = people.proposals(ids)
    for each in chunk:
        image = kept.get(each.image_id)
        if image is None:
            continue
        hints = renames.names(image.source_classes or image.classes)
        yield _task(each, image, hints, proposals.get(each.image_id), chosen)


def _task(
    queued: Queued,
    image: KeptImage,
    hints: Sequence[str],
    proposal: Proposal | None,
    chosen: ClassList,
) -> Task:
    plain = Task(image.image_id, image.format, blind=queued.blind)
    score: float | None = None
    by: str | None = None
    if queued.blind:
        return plain
    if queued.suggested is not None:
        names = queued.suggested
    elif proposal is not None:
        names, score, by = proposal.classes, proposal.score, proposal.model
    elif hints and not image.disputed:
        names = tuple(name for name in hints if name)
        by = "query" if image.from_query else "source"
    else:
        return plain
    counted = tuple(name for name in chosen.names if name in names)
    if (names and not counted) or (chosen.exclusive and len(counted) > 1):
        return plain  # no such flags, or a contradiction: nothing that could be ticked
    return Task(image.image_id, image.format, tuple(sorted(counted)), score, by)
