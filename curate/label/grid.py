"""Which images a page of the audit grid shows, in which order: sorted and filtered in memory.

One row for each image in plain arrays (75 bytes, so 8 MB for 100,000 images): filtering by
class, state, queue and person in every combination needs no index for each. A page goes on
after the last image shown, not after a count, so nothing is skipped or shown twice while
decisions move images out of the selection. The trade-off: it is filled once at the start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.records import Annotation, Kind

Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Classes = tuple[str, ...]

NONE = -1
"""No proposal, no label, no queue."""
SORTS = ("worst", "best", "score")
STATES = ("open", "done", "unsure", "conflict", "rejected", "all")


class Standing(IntEnum):
    """Where an image stands."""

    OPEN = 0
    """Nobody has decided."""
    DONE = 1
    """It has a label."""
    UNSURE = 2
    """Whoever looked could not tell."""
    CONFLICT = 3
    """People contradict each other."""
    REJECTED = 4
    """It does not belong into the dataset."""


@dataclass(frozen=True, slots=True)
class View:
    """What a person wants to see."""

    state: str = "open"
    """Out of `STATES`."""
    name: str | None = None
    """Only this class; an empty text: none of the classes; None: all."""
    queue: str = ""
    """Only this queue, in its order; empty: all images."""
    person: str = ""
    """As this annotator's decisions have it; empty: as everybody's together have it."""
    sort: str = "worst"
    """`worst` or `best` first within each class, or `score`: the lowest first over all."""


@dataclass(frozen=True, slots=True)
class Count:
    """Images of one class."""

    total: int
    """All of them."""
    open: int
    """Those that nobody has decided."""


@dataclass(slots=True)
class _Decided:
    """What one person, or everybody together, has decided."""

    standing: npt.NDArray[np.uint8]
    combo: npt.NDArray[np.int32]
    queue: npt.NDArray[np.int16]


@dataclass(slots=True)
class Names:
    """Numbers for values that many images share."""

    values: list[Any] = field(default_factory=list)
    """The values; the place of each is its number."""
    numbers: dict[Any, int] = field(default_factory=dict)
    """The number of each."""

    def number(self, value: Any) -> int:
        """Return the value's number; a new one if it has none."""
        found = self.numbers.get(value)
        if found is None:
            found = self.numbers[value] = len(self.values)
            self.values.append(value)
        return found


class Grid:
    """All images that can be audited.

    Args:
        image_ids: sorted.
        proposed: for each, the proposed classes; None: no proposal (or it must not be shown).
        scores: for each, the score of that; None: none.
    """

    def __init__(
        self,
        image_ids: Sequence[str],
        proposed: Iterable[Classes | None],
        scores: Iterable[float | None],
    ) -> None:
        self.ids = np.array(image_ids, dtype="S64")
        n = len(image_ids)
        self.combos = Names()
        self.queues = Names()
        self.proposed = np.fromiter(
            (NONE if each is None else self.combos.number(each) for each in proposed), np.int32, n
        )
        self.scores = np.fromiter(
            (-1.0 if each is None else each for each in scores), np.float32, n
        )
        self._people: dict[str, _Decided] = {"": self._nothing()}
        self._places: dict[str, Indices] = {}
        self._ranks: dict[str, int] = {}
        self._orders: dict[str, Indices] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def _nothing(self) -> _Decided:
        n = len(self.ids)
        return _Decided(
            np.zeros(n, np.uint8), np.full(n, NONE, np.int32), np.full(n, NONE, np.int16)
        )

    def find(self, image_ids: Sequence[str]) -> Indices:
        """Return where images stand; those that are not here are left out."""
        at, is_here = self._look_up(image_ids)
        return at[is_here]

    def _look_up(self, image_ids: Sequence[str]) -> tuple[Indices, Mask]:
        """Return a place for each image, and whether the image stands there."""
        if not len(self.ids):
            return np.zeros(len(image_ids), np.int64), np.zeros(len(image_ids), np.bool_)
        wanted = np.array(image_ids, dtype="S64")
        at = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return at, np.asarray(self.ids[at] == wanted)

    def image_ids(self, at: Indices) -> list[str]:
        """Return the ids of the images that stand there."""
        return [each.decode() for each in self.ids[at].tolist()]

    def set_classes(self, names: Sequence[str]) -> None:
        """Say in which order classes stand."""
        ranks = {name: place for place, name in enumerate(names)}
        if ranks != self._ranks:
            self._ranks = ranks
            self._orders.clear()

    def set_queue(self, queue: str, image_ids: Sequence[str]) -> None:
        """Say which images a queue holds, most urgent first."""
        self._places[queue] = self.find(image_ids)

    def decide(self, image_id: str, annotations: Sequence[Annotation]) -> None:
        """Take in what is in force for an image, at most one row for each person."""
        self.decide_many({image_id: annotations})

    def decide_many(self, said: Mapping[str, Sequence[Annotation]]) -> None:
        """Take in what is in force for many images, at most one row of each person for each."""
        places, is_here = self._look_up(list(said))
        rows = zip(places.tolist(), is_here.tolist(), said.values(), strict=True)
        for at, here, in_force in rows:
            if here:
                self._take(at, in_force)

    def _take(self, at: int, annotations: Sequence[Annotation]) -> None:
        by_person = {each.annotator: (each,) for each in annotations}
        for person in {*self._people, *by_person}:
            said = annotations if person == "" else by_person.get(person, ())
            if person not in self._people:
                self._people[person] = self._nothing()
            decided = self._people[person]
            decided.standing[at], classes = standing(said)
            decided.combo[at] = NONE if classes is None else self.combos.number(classes)
            decided.queue[at] = self.queues.number(said[-1].queue) if said else NONE

    def people(self) -> list[str]:
        """Return who has decided anything."""
        return sorted(person for person in self._people if person)

    def page(self, view: View, after: str, size: int) -> tuple[list[str], int]:
        """Return a page of images, and how many the view has in all.

        Args:
            view: what to show.
            after: the last image of the page before; empty: the first page.
            size: as many at most.
        """
        chosen = self._chosen(view)
        total = int(np.count_nonzero(chosen))
        anchor = self.find([after]) if after else np.empty(0, np.int64)
        chosen[anchor] = True
        ordered = self._ordered(view, chosen)
        if len(anchor):
            place = np.flatnonzero(ordered == anchor[0])
            ordered = ordered[int(place[0]) + 1 :] if len(place) else ordered
        return self.image_ids(ordered[:size]), total

    def before(self, view: View, image_id: str, size: int) -> list[str]:
        """Return the page that ends just before an image."""
        anchor = self.find([image_id])
        if not len(anchor):
            return []
        chosen = self._chosen(view)
        chosen[anchor] = True
        ordered = self._ordered(view, chosen)
        place = np.flatnonzero(ordered == anchor[0])
        end = int(place[0]) if len(place) else 0
        return self.image_ids(ordered[max(0, end - size) : end])

    def counts(self, person: str = "", queue: str = "") -> dict[str, int]:
        """Count images by state."""
        decided = self._decided(person)
        values = decided.standing
        if queue:
            places = self._places.get(queue, np.empty(0, np.int64))
            values = np.where(self._via(decided, queue), decided.standing, Standing.OPEN)[places]
        numbers = np.bincount(values, minlength=len(Standing))
        return {each.name.lower(): int(numbers[each]) for each in Standing}

    def class_counts(self, person: str = "", queue: str = "") -> dict[str, Count]:
        """Count images by the class they have, else are proposed to have; "" is none of them."""
        decided = self._decided(person)
        combos = self._combos(decided)
        n = len(self.combos.values)
        held = (combos != NONE) & self._chosen(View("all", queue=queue, person=person))
        total = np.bincount(combos[held], minlength=n)
        held &= self._chosen(View("open", queue=queue, person=person))
        is_open = np.bincount(combos[held], minlength=n)
        found: dict[str, list[int]] = {}
        for combo, names in enumerate(self.combos.values):
            for name in names or ("",):
                counted = found.setdefault(name, [0, 0])
                counted[0] += int(total[combo])
                counted[1] += int(is_open[combo])
        return {name: Count(*counted) for name, counted in found.items() if counted[0]}

    def _decided(self, person: str) -> _Decided:
        return self._people.get(person) or self._nothing()

    def _combos(self, decided: _Decided) -> npt.NDArray[np.int32]:
        """Classes as decided, else as proposed."""
        return np.where(decided.combo != NONE, decided.combo, self.proposed)

    def _via(self, decided: _Decided, queue: str) -> Mask:
        """Which images were decided last through this queue."""
        number = self.queues.numbers.get(queue)
        if number is None:
            return np.zeros(len(self.ids), np.bool_)
        return np.asarray(decided.queue == number)

    def _chosen(self, view: View) -> Mask:
        decided = self._decided(view.person)
        mask = np.ones(len(self.ids), np.bool_)
        if view.queue:
            mask[:] = False
            mask[self._places.get(view.queue, np.empty(0, np.int64))] = True
        if view.state == "open" and view.queue:
            mask &= ~self._via(decided, view.queue)
        elif view.state != "all":
            mask &= decided.standing == Standing[view.state.upper()]
            if view.queue:
                mask &= self._via(decided, view.queue)
        if view.name is not None:
            mask &= self._having(view.name, self._combos(decided))
        return mask

    def _having(self, name: str, combos: npt.NDArray[np.int32]) -> Mask:
        has = np.array(
            [name in names or (not name and not names) for names in self.combos.values] + [False]
        )
        return np.asarray(has[combos])  # NONE, the last, has nothing

    def _ordered(self, view: View, chosen: Mask) -> Indices:
        """Sort images: by place in a queue, else by class and score; ties by id."""
        if not view.queue and view.state in ("open", "all"):
            order = self._as_proposed(view.sort)
            return order[chosen[order]]
        at = np.flatnonzero(chosen)
        if view.queue in self._places:
            places = np.full(len(self.ids), len(self.ids), np.int64)
            places[self._places[view.queue]] = np.arange(len(self._places[view.queue]))
            return at[np.argsort(places[at], kind="stable")]
        return at[self._sorted(view.sort, at, self._combos(self._decided(view.person)))]

    def _as_proposed(self, sort: str) -> Indices:
        """All images: what is to be done keeps its place meanwhile, so it is sorted once."""
        order = self._orders.get(sort)
        if order is None:
            every = np.arange(len(self.ids))
            order = self._orders[sort] = self._sorted(sort, every, self.proposed)
        return order

    def _sorted(self, sort: str, at: Indices, combos: npt.NDArray[np.int32]) -> Indices:
        scores = self.scores[at]
        if sort == "score":
            return np.argsort(scores, kind="stable")
        ranks = self._class_ranks()[combos[at]]
        return np.lexsort((-scores if sort == "best" else scores, ranks))

    def _class_ranks(self) -> Indices:
        """Rank of each combination of classes, by the class list; no proposal comes last."""
        last = len(self._ranks)

        def key(names: Classes) -> tuple[Any, ...]:
            known = tuple(sorted(self._ranks.get(name, last) for name in names))
            return (not names, known, names)

        order = sorted(range(len(self.combos.values)), key=lambda i: key(self.combos.values[i]))
        ranks = np.empty(len(order) + 1, np.int64)
        ranks[order] = np.arange(len(order))
        ranks[-1] = len(order)
        return ranks


def standing(annotations: Sequence[Annotation]) -> tuple[Standing, Classes | None]:
    """Return where an image stands, and its classes if it is labelled without contradiction.

    Args:
        annotations: what is in force, at most one row for each person.
    """
    if not annotations:
        return Standing.OPEN, None
    firm = [each for each in annotations if each.kind in (Kind.LABEL, Kind.REJECT)]
    if not firm:
        return Standing.UNSURE, None
    answers = {(each.kind, tuple(sorted(each.classes or ()))) for each in firm}
    if len(answers) > 1:
        return Standing.CONFLICT, None
    ((kind, classes),) = answers
    return (Standing.REJECTED, None) if kind is Kind.REJECT else (Standing.DONE, classes)
