"""Which images wait to be labelled in Labelme, with what is proposed for each.

Proposals are the queue's own opinion, else the newest model's, else the hints of sources and
queries. Only what can be ticked is proposed: classes of the list, and one of them where the
list allows one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from curate.catalog import assignments, images, pages, undecided
from curate.catalog.assignments import Wish
from curate.catalog.class_lists import ClassList
from curate.catalog.queues import in_queue, queue_sizes
from curate.errors import CurateError, UsageError
from curate.label.labelme_folder import Task

if TYPE_CHECKING:
    from curate.carriers.folder import ProjectFolder
    from curate.catalog.images import KeptImage
    from curate.records import Proposal

_CHUNK = 500


def classes(project: ProjectFolder) -> ClassList:
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


def among(project: ProjectFolder, queue: str, manifest: str) -> tuple[str, ...] | None:
    """Return the images of a manifest, in the order in which they are labelled; None: all.

    Args:
        project: where from.
        queue: only the images of this queue, in its order; empty: any, by image id, which
            is an order of chance, so that the first few stand for all.
        manifest: version or path; empty: not only those of a manifest.

    Raises:
        PackError: there is no such manifest.
        UsageError: there is no such queue.
    """
    _check(project, queue)
    if not manifest:
        return None
    ids = project.manifests.image_ids(manifest)
    if not queue:
        return tuple(sorted(ids))
    return tuple(each for each in pages.places(project.look(), queue) if each in ids)


def waiting(project: ProjectFolder, wish: Wish) -> list[str]:
    """Return what waits for a person, in order, without giving it to them."""
    return undecided.first_waiting(project.look(), wish)


def given(project: ProjectFolder, wish: Wish) -> list[str]:
    """Give images to a person and return them: nobody else gets them meanwhile."""
    return assignments.take(project.db, wish, project.clock())


def tasks(project: ProjectFolder, image_ids: Sequence[str], queue: str) -> Iterator[Task]:
    """Yield images with what is proposed for each, in the order of the ids.

    Args:
        project: where from.
        image_ids: the images; those that are unknown or excluded are left out.
        queue: where they come from; it may have an opinion of its own.
    """
    left = iter(image_ids)
    while chunk := list(islice(left, _CHUNK)):
        yield from _shown(project, chunk, queue)


def _check(project: ProjectFolder, queue: str) -> None:
    sizes = queue_sizes(project.look())
    if queue and queue not in sizes:
        known = ", ".join(sizes) or "none"
        raise UsageError(f"there is no queue {queue!r}", f"queues are: {known}")


def _shown(project: ProjectFolder, ids: Sequence[str], queue: str) -> Iterator[Task]:
    db, people = project.look(), project.people
    chosen, renames = people.class_list(), people.renames()
    kept = {each.image_id: each for each in images.some_kept(db, ids)}
    proposals = people.proposals(ids)
    queued = in_queue(db, queue, ids) if queue else {}
    blind = pages.blind(db, ids)
    for image in (kept[image_id] for image_id in ids if image_id in kept):
        image_id = image.image_id
        if image_id in blind:
            yield Task(image_id, image.format, blind=True)
            continue
        said = queued.get(image_id)
        hints = renames.names(image.source_classes or image.classes)
        suggested = None if said is None else said.suggested
        yield _task(image, suggested, proposals.get(image_id), hints, chosen)


def _task(
    image: KeptImage,
    suggested: Sequence[str] | None,
    proposal: Proposal | None,
    hints: Sequence[str],
    chosen: ClassList,
) -> Task:
    plain = Task(image.image_id, image.format)
    score: float | None = None
    by: str | None = None
    names: Sequence[str]
    if suggested is not None:
        names = suggested
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
