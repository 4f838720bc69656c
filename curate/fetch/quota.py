"""How many more images each class needs, and in which order candidates are taken.

A class that cannot reach its minimum, because candidates are too few or their links are dead,
is not fetched at all, or not any further.

Classes with a quota take turns; a class hands out no more candidates at a time than it
still needs, so that it ends with exactly its quota. Candidates of classes without a quota,
and of no class, are taken as they stand in the catalog.

A candidate of two classes counts for both, whichever it is taken for: one that is taken for
a class still open may lift another, already met, over its quota. Only images of several
classes do that. Passing them over would leave classes short that share all their candidates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from curate.catalog import candidates
from curate.catalog.candidates import Choice, Pending
from curate.catalog.counts import ClassCount
from curate.catalog.database import Database

FEWEST_PAGE_ROWS = 8
"""A class reads at least so many candidates at a time."""


@dataclass(slots=True)
class _Need:
    quota: int
    images: int
    reserve: int
    minimum: int = 0
    active: int = 0

    @property
    def met(self) -> bool:
        return self.images >= self.quota

    @property
    def hopeless(self) -> bool:
        return self.images + self.reserve < self.minimum

    @property
    def full(self) -> bool:
        return self.images + self.active >= self.quota


class Quota:
    """What every class with a quota still needs.

    Args:
        classes: the classes as the catalog counts them; none to fetch without quotas.
        rest: the candidates that no quota limits; found out from the classes by default.
    """

    def __init__(self, classes: Iterable[ClassCount], rest: Choice | None = None) -> None:
        self._rest = rest
        self._needs = {
            each.id: _Need(
                # With a minimum alone, all there is is wanted.
                each.images + each.pending if each.quota is None else each.quota,
                each.images,
                each.pending,
                each.minimum or 0,
            )
            for each in classes
            if (each.quota is not None or each.minimum is not None) and each.name
        }
        self._has_minimums = any(need.minimum for need in self._needs.values())

    def open_classes(self) -> list[int]:
        """Return the classes that need more images and are worth them, by row number."""
        return [
            class_id for class_id, need in self._needs.items() if not need.met and not need.hopeless
        ]

    @property
    def missing(self) -> int:
        """How many images all classes together need that are worth them."""
        needs = (self._needs[class_id] for class_id in self.open_classes())
        return sum(need.quota - need.images for need in needs)

    @property
    def applies(self) -> bool:
        """Whether any class has a quota."""
        return bool(self._needs)

    @property
    def rest(self) -> Choice:
        """The candidates that no quota limits."""
        if self._rest is not None:
            return self._rest
        return candidates.UNMETERED if self.applies else candidates.EVERY

    def choices(self) -> list[Choice]:
        """Return the choices that together are all candidates still wanted."""
        return [*map(candidates.of_class, self.open_classes()), self.rest]

    def add_image(self, class_ids: Iterable[int]) -> None:
        """Count a kept image that these classes did not have before."""
        for class_id in class_ids:
            if class_id in self._needs:
                self._needs[class_id].images += 1

    def recount(self, classes: Iterable[ClassCount]) -> None:
        """Count anew: images that counted have been set aside."""
        for each in classes:
            if each.id in self._needs:
                need = self._needs[each.id]
                need.images, need.reserve = each.images, each.pending

    def release(self, class_id: int | None) -> None:
        """A candidate that was taken for this class has ended, or was put back."""
        if class_id is not None:
            self._needs[class_id].active -= 1

    def settle(self, db: Database, candidate_id: int) -> None:
        """Something became of a candidate: if it is not pending any more, it is no reserve."""
        if self._has_minimums and not candidates.is_pending(db, candidate_id):
            for class_id in candidates.class_ids(db, candidate_id):
                if class_id in self._needs:
                    self._needs[class_id].reserve -= 1

    def take(self, db: Database, now: float) -> Iterator[tuple[Pending, int | None] | None]:
        """Yield candidates with the class they are taken for, each one counted as active.

        Yields None when every class with candidates left has as many under way as it needs:
        ask again when one of them has ended.

        Args:
            db: the catalog.
            now: Unix seconds; what is due later is left out.
        """
        opened = self.open_classes()
        # Every stream holds a page: with thousands of classes the pages must be short.
        n_rows = max(FEWEST_PAGE_ROWS, candidates.PAGE_ROWS // max(1, len(opened)))
        turns = candidates.has_turns(db)
        streams = {
            class_id: _stream(db, now, class_id, n_rows, class_id in turns) for class_id in opened
        }
        while streams:
            progressed = False
            for class_id in list(streams):
                need = self._needs[class_id]
                if need.full or need.hopeless:
                    if need.met or need.hopeless:
                        del streams[class_id]
                    continue
                item = next(streams[class_id], None)
                if item is None:
                    del streams[class_id]
                    continue
                progressed = True
                need.active += 1
                yield item, class_id
            if streams and not progressed:
                yield None
        for item in candidates.pending(db, now, self.rest):
            yield item, None


def _stream(
    db: Database, now: float, class_id: int, n_rows: int, in_turns: bool
) -> Iterator[Pending]:
    """Yield a class's candidates: those with a place in its turns, then the others."""
    rest = candidates.pending(db, now, candidates.of_class(class_id), n_rows)
    if not in_turns:
        return rest
    return chain(candidates.pending(db, now, candidates.in_turns(class_id), n_rows), rest)
