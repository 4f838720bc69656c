"""Minima of classes, and the order in which a class's candidates are taken.

A class with fewer candidates than its minimum is not worth a download: nothing of it is
fetched. A class that falls below it on the way, because links are dead, is given up and
reported. Turns are an order that somebody asked for; without them it is the catalog's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from curate.catalog.counts import ClassCount
from curate.catalog.database import Database

_OF_SEARCH = (
    "SELECT id FROM classes WHERE name != '' AND EXISTS "
    "(SELECT 1 FROM hints WHERE class_id = classes.id AND search_id = ?)"
)
_OF_ALL = "SELECT id FROM classes WHERE name != ''"
_OF_NAMES = "SELECT id FROM classes WHERE name = ?"


@dataclass(frozen=True, slots=True)
class Below:
    """A class that does not reach its minimum."""

    name: str
    """The class."""
    minimum: int
    """Images that it would need."""
    candidates: int
    """Candidates that it ever had."""
    images: int
    """Images that it has."""

    @property
    def has_fallen(self) -> bool:
        """Whether it could have reached the minimum, had its links been alive."""
        return self.candidates >= self.minimum


def set_minimum(
    db: Database,
    minimum: int | None,
    *,
    names: Sequence[str] | None = None,
    search_id: int | None = None,
) -> None:
    """Give classes a minimum, or take it from them.

    Args:
        db: the catalog.
        minimum: candidates below which nothing of a class is fetched; None: no minimum.
        names: these classes.
        search_id: or those that a search has named so far; without either, all.
    """
    chosen: list[tuple[str, tuple[object, ...]]] = [(_OF_ALL, ())]
    if names is not None:
        chosen = [(_OF_NAMES, (name,)) for name in names]
    elif search_id is not None:
        chosen = [(_OF_SEARCH, (search_id,))]
    with db.transaction():
        for sql, values in chosen:
            db.execute(f"DELETE FROM minimums WHERE class_id IN ({sql})", values)  # noqa: S608 - fixed texts
            if minimum is not None:
                db.execute(
                    f"INSERT INTO minimums SELECT id, ? FROM ({sql})",  # noqa: S608 - fixed texts
                    (minimum, *values),
                )


def below_minimum(db: Database, classes: Iterable[ClassCount]) -> list[Below]:
    """Return those of some classes that cannot reach their minimum any more.

    Args:
        db: the catalog.
        classes: as it counts them.
    """
    sql = "SELECT COUNT(DISTINCT candidate_id) FROM hints WHERE class_id = ?"
    return [
        Below(each.name, each.minimum, int(db.one(sql, (each.id,))[0]), each.images)
        for each in classes
        if each.minimum is not None and each.images + each.pending < each.minimum
    ]


def crowded(db: Database, search_id: int | None = None) -> list[int]:
    """Return the classes that have more candidates than their quota asks for.

    Args:
        db: the catalog.
        search_id: only those that this search has named; None: any.
    """
    sql = (
        "SELECT id FROM classes WHERE quota NOT NULL AND name != '' "
        "AND (SELECT COUNT(DISTINCT candidate_id) FROM hints WHERE class_id = classes.id) > quota"
    )
    if search_id is None:
        return [each for (each,) in db.all(sql)]
    of_search = " AND EXISTS (SELECT 1 FROM hints WHERE class_id = classes.id AND search_id = ?)"
    return [each for (each,) in db.all(sql + of_search, (search_id,))]


Rows = Iterator[tuple[int, str | None, str | None]]
"""Candidates of one class: row number, group hint and meta (JSON), in the catalog's order."""


def set_turns(
    db: Database, class_ids: Iterable[int], in_turns: Callable[[Rows], Sequence[int]]
) -> None:
    """Keep an order for the candidates of some classes.

    Args:
        db: the catalog.
        class_ids: the classes, by row number.
        in_turns: puts the candidates of a class in order; returns their row numbers.
    """
    for class_id in class_ids:
        rows = iter(
            db.execute(
                "SELECT candidates.id, group_hint, whole FROM candidates "
                "JOIN whole_meta ON candidate_id = candidates.id "
                "WHERE candidates.id IN (SELECT candidate_id FROM hints WHERE class_id = ?) "
                "ORDER BY candidates.id",
                (class_id,),
            )
        )
        order = in_turns(rows)
        with db.transaction():
            db.execute("DELETE FROM turns WHERE class_id = ?", (class_id,))
            db.many(
                "INSERT INTO turns VALUES (?, ?, ?)",
                ((class_id, place, each) for place, each in enumerate(order)),
            )
