"""What there is to learn from: labelled images as rows and columns, and what is left out of them.

Labels are people's, unless the caller trusts sources too; a model's own proposals never count,
whatever their score: it would learn to believe itself. Images of a manifest's validation and
test rows are left out of training, and with them whatever is of the same group, a second photo
of the same mushroom for instance: an image that a model has learned from says nothing of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curate.catalog import annotations as rows
from curate.catalog import images
from curate.catalog.absent import linked
from curate.errors import UsageError
from curate.records import Label, Origin

if TYPE_CHECKING:
    from curate.carriers.folder import ProjectFolder
    from curate.catalog.images import KeptImage

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

TRUSTED: Mapping[str, tuple[Origin, ...]] = {
    "human": (Origin.HUMAN,),
    "consensus": (Origin.HUMAN, Origin.CONSENSUS),
    "source": (Origin.HUMAN, Origin.CONSENSUS, Origin.SOURCE),
    "query": (Origin.HUMAN, Origin.CONSENSUS, Origin.SOURCE, Origin.QUERY),
}
"""Origins of labels that count, by the weakest of them."""
DEFAULT_TRUST = "consensus"


LEFT_OUT = {
    "trained_on": "that the model was trained on",
    "held_out": "of the manifest's validation and test rows, or of the same group",
    "not_proposed": "that the model was never asked about (give its file with --model)",
    "small_class": "of classes with too few labels",
    "unreadable": "that cannot be decoded",
    "conflict": "with contradicting labels",
    "rejected": "rejected",
    "outside": "with classes outside the class list",
    "unsure": "about which people are unsure",
}
"""What each reason to leave a labelled image out means."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """Labelled images."""

    image_ids: tuple[str, ...]
    """n images, ordered by id."""
    paths: tuple[Path, ...]
    """Their files."""
    names: tuple[str, ...]
    """k classes; in an exclusive list the empty text, "none of them", where that occurs."""
    is_exclusive: bool
    """One class each."""
    labels: Bools
    """Which classes each image has, shape (n, k)."""
    groups: Ints
    """Of which group each image is, shape (n,)."""
    left_out: Mapping[str, int]
    """Labelled images that are not among them: why, and how many."""

    def some(self, chosen: Bools, why: str) -> Lessons:
        """Return only the chosen images; the others are left out for a reason."""
        gone = int((~chosen).sum())
        places = np.flatnonzero(chosen).tolist()
        return replace(
            self,
            image_ids=tuple(self.image_ids[row] for row in places),
            paths=tuple(self.paths[row] for row in places),
            labels=self.labels[chosen],
            groups=self.groups[chosen],
            left_out={**self.left_out, **({why: gone} if gone else {})},
        )

    def without_small(self, least: int) -> Lessons:
        """Leave out classes with fewer images; in an exclusive list, their images too."""
        large = self.labels.sum(axis=0) >= least
        if large.all():
            return self
        names = tuple(name for name, keep in zip(self.names, large, strict=True) if keep)
        fewer = replace(self, names=names, labels=self.labels[:, large])
        if not self.is_exclusive:
            return fewer
        return fewer.some(np.asarray(fewer.labels.any(axis=1)), "small_class")

    @property
    def truth(self) -> Ints:
        """Of an exclusive list: the place of each image's class."""
        return np.asarray(self.labels.argmax(axis=1), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _Row:
    """What is kept of a labelled image: there may be a million."""

    image_id: str
    format: str
    groups: tuple[str, ...]
    classes: tuple[str, ...]


def said_left_out(left_out: Mapping[str, int]) -> list[str]:
    """Say in words how many labelled images were left out for each reason."""
    return [
        f"{n:,} {'image' if n == 1 else 'images'} {LEFT_OUT.get(why, why.replace('_', ' '))}"
        for why, n in left_out.items()
    ]


def collect(project: ProjectFolder, trust: str | None = None) -> Lessons:
    """Return all images with a label that counts.

    Args:
        project: where from.
        trust: the weakest origin that counts, a key of `TRUSTED`; None: people only.

    Raises:
        UsageError: no such origin.
    """
    level = trust or DEFAULT_TRUST
    if level not in TRUSTED:
        raise UsageError(
            f"--trust {level!r} is nothing to learn from", f"give one of {', '.join(TRUSTED)}"
        )
    only_people = level in ("human", "consensus")
    left_out: Counter[str] = Counter()
    found: list[_Row] = []
    for page in _decided(project) if only_people else images.kept(project.look()):
        labels = _labels(project, page)
        for each in page:
            label = labels[each.image_id]
            if why := _unusable(label, TRUSTED[level]):
                left_out[why] += label.audited
            else:
                found.append(_Row(each.image_id, each.format, each.groups, label.classes))
    return _lessons(project, found, {why: n for why, n in left_out.items() if n})


def held_out_images(project: ProjectFolder, manifest: str | None) -> frozenset[str]:
    """Return the images in the validation and test rows of a manifest.

    Args:
        project: where the manifests are.
        manifest: its version; None: the newest, if there is one.

    Raises:
        PackError: there is no such manifest.
    """
    from curate.pack.manifest import find_manifest, versions

    folder = project.folder / "manifests"
    if manifest is None and not versions(folder):
        return frozenset()
    found = find_manifest(folder, manifest)
    parts = (found.table(split, ["image_id"]) for split in ("val", "test"))
    return frozenset(chain.from_iterable(each["image_id"].to_pylist() for each in parts))


def apart_from(
    project: ProjectFolder, lessons: Lessons, others: Collection[str], why: str = "held_out"
) -> Lessons:
    """Leave out some images and all of the same groups, whatever images link them.

    Args:
        project: where the images are.
        lessons: what is chosen from.
        others: the images, e.g. those that a manifest holds out.
        why: the reason that is counted.
    """
    if not others:
        return lessons
    taboo = {*others, *_linked_to(project, others)}
    chosen = np.array([each not in taboo for each in lessons.image_ids], dtype=bool)
    return lessons.some(chosen, why)


def _linked_to(project: ProjectFolder, image_ids: Collection[str]) -> list[str]:
    """Return the images that are in one group with some of these."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from curate.pack.groups import group_numbers
    from curate.pack.plan import absent_table

    table = absent_table(linked(project.look()))
    wanted = pc.is_in(table["image_id"], value_set=pa.array(sorted(image_ids), pa.string()))
    numbers = group_numbers(table["group_hints"])
    near = np.isin(numbers, numbers[wanted.to_numpy().astype(bool)])
    found: list[str] = table["image_id"].filter(pa.array(near)).to_pylist()
    return found


def _decided(project: ProjectFolder) -> Iterator[list[KeptImage]]:
    """Yield the kept images that somebody has decided about."""
    for page in rows.all_decisions(project.look()):
        ids = sorted({str(each.image_id) for _, each in page})
        yield images.some_kept(project.look(), ids)


def _labels(project: ProjectFolder, page: Sequence[KeptImage]) -> Mapping[str, Label]:
    """Resolve labels as if no model had ever proposed anything."""
    from curate.label.resolve import Evidence, Rules, resolve

    people = project.people
    labels = people.labels(page)
    chosen, renames = people.class_list(), people.renames()
    rules = Rules(chosen.exclusive, frozenset(chosen.names) if chosen.is_set else None)
    by_model = [each for each in page if labels[each.image_id].origin is Origin.MODEL]
    hinted = {
        each.image_id: resolve(
            Evidence(
                hints=renames.names(each.source_classes or each.classes),
                from_query=each.from_query,
                disputed=each.disputed,
            ),
            rules,
        )
        for each in by_model
    }
    return {**labels, **hinted}


def _unusable(label: Label, trusted: Container[Origin | None]) -> str | None:
    """Return why nothing can be learned from a label; None if something can."""
    if label.conflict:
        return "conflict"
    if label.rejected:
        return "rejected"
    if label.outside:
        return "outside"
    if label.origin not in trusted:
        return "unsure" if label.audited else "unlabelled"
    return None


def _lessons(project: ProjectFolder, found: Sequence[_Row], left_out: Mapping[str, int]) -> Lessons:
    classes = project.people.class_list()
    occurring = {name for each in found for name in each.classes}
    known = [name for name in classes.names if name in occurring]
    names = [*known, *sorted(occurring - set(known))]
    if classes.exclusive and not all(each.classes for each in found):
        names.append("")
    place = {name: column for column, name in enumerate(names)}
    labels = np.zeros((len(found), len(names)), dtype=bool)
    for row, each in enumerate(found):
        for name in each.classes or (("",) if classes.exclusive else ()):
            labels[row, place[name]] = True
    return Lessons(
        image_ids=tuple(each.image_id for each in found),
        paths=tuple(project.store.path(each.image_id, each.format) for each in found),
        names=tuple(names),
        is_exclusive=classes.exclusive,
        labels=labels,
        groups=group_numbers([each.groups for each in found]),
        left_out=left_out,
    )


def group_numbers(hints: Sequence[Sequence[str]]) -> Ints:
    """Return of which group each image is, by number; images that share a hint share one."""
    import pyarrow as pa

    from curate.pack import groups

    if not hints:
        return np.zeros(0, dtype=np.int64)
    return groups.group_numbers(pa.array([list(each) for each in hints], pa.list_(pa.string())))
