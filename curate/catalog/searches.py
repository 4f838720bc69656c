"""Searches and the candidates they brought: committed page by page, with the cursor.

A page of candidates and the place where the search goes on are one transaction, so an
interrupted search neither loses a page nor asks for it twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from curate.catalog import adding
from curate.catalog.database import Database
from curate.catalog.text import clean
from curate.records import Candidate


@dataclass(frozen=True, slots=True)
class Search:
    """One question to a source, and how far its answer has been taken in."""

    id: int
    """Row number."""
    source: str
    """Name of the source."""
    request: str
    """JSON of what was asked, enough to ask again."""
    cursor: str | None
    """Where to go on; None at the start."""
    done: bool
    """The source has nothing more."""
    total: int | None
    """What the source says it has."""
    given: int
    """Candidates that its pages held so far, known ones included."""
    wanted: int | None = None
    """Candidates asked for at most; None: all."""

    @property
    def is_answered(self) -> bool:
        """Whether the source has given a page."""
        return self.done or self.given > 0 or self.cursor is not None

    @property
    def wants_more(self) -> bool:
        """Whether another page may be asked for."""
        return not self.done and (self.wanted is None or self.given < self.wanted)


_COLUMNS = "id, source, request, cursor, done, total, given, wanted"


def open_search(
    db: Database,
    source: str,
    request: str,
    query: str,
    now: float,
    *,
    wanted: int | None = None,
) -> Search:
    """Return the search for this request, made if it is new.

    Args:
        db: the catalog.
        source: name of the source.
        request: JSON of what is asked; the same text is the same search.
        query: the search text; empty if there is none.
        now: Unix seconds.
        wanted: candidates to take at most, earlier runs included; None: all.
    """
    request, query = clean(request), clean(query)
    with db.transaction():
        db.execute(
            "INSERT INTO searches (source, request, query, created_at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            (source, request, query, now),
        )
        db.execute(
            "UPDATE searches SET wanted = ? WHERE source = ? AND request = ?",
            (wanted, source, request),
        )
    row = db.one(
        f"SELECT {_COLUMNS} FROM searches WHERE source = ? AND request = ?",  # noqa: S608 - our own column list
        (source, request),
    )
    return _search(row)


def by_id(db: Database, search_id: int) -> Search:
    """Return a search as it stands now."""
    sql = f"SELECT {_COLUMNS} FROM searches WHERE id = ?"  # noqa: S608 - our own column list
    return _search(db.one(sql, (search_id,)))


def n_given(db: Database, search_ids: Sequence[int]) -> int:
    """Return how many candidates the pages of these searches held so far."""
    marks = ", ".join("?" * len(search_ids))
    sql = f"SELECT COALESCE(SUM(given), 0) FROM searches WHERE id IN ({marks})"  # noqa: S608 - marks
    return int(db.one(sql, search_ids)[0])


def unfinished(db: Database) -> list[Search]:
    """Return the searches of which more is wanted, oldest first."""
    rows = db.all(f"SELECT {_COLUMNS} FROM searches WHERE NOT done ORDER BY id")  # noqa: S608 - our own column list
    return [each for each in map(_search, rows) if each.wants_more]


def restart(db: Database, search_id: int, request: str | None = None) -> None:
    """Let a search begin again from its first page; its candidates stay.

    Args:
        db: the catalog.
        search_id: the search.
        request: what it asks from now on, unless another search asks that; None: the same.
    """
    with db.transaction():
        if request is not None:
            db.execute(
                "UPDATE OR IGNORE searches SET request = ? WHERE id = ?",
                (clean(request), search_id),
            )
        db.execute(
            "UPDATE searches SET cursor = NULL, done = 0, given = 0, skipped = '{}' WHERE id = ?",
            (search_id,),
        )


def forget_unanswered(db: Database, search_id: int) -> None:
    """Delete a search that never gave a page, e.g. of a file that is not there.

    Classes that nothing hints at go too: no candidate can ever meet their quota.
    """
    with db.transaction():
        db.execute(
            "DELETE FROM searches WHERE id = ? AND given = 0 AND NOT done AND cursor IS NULL "
            "AND NOT EXISTS (SELECT 1 FROM candidates WHERE search_id = searches.id) "
            "AND NOT EXISTS (SELECT 1 FROM hints WHERE search_id = searches.id)",
            (search_id,),
        )
        db.execute(
            "DELETE FROM classes WHERE NOT EXISTS (SELECT 1 FROM hints WHERE class_id = classes.id)"
        )
        db.execute("DELETE FROM minimums WHERE class_id NOT IN (SELECT id FROM classes)")


def _search(row: tuple[int, str, str, str | None, int, int | None, int, int | None]) -> Search:
    number, source, request, cursor, done, total, given, wanted = row
    return Search(number, source, request, cursor, bool(done), total, given, wanted)


def add_page(
    db: Database,
    search_id: int,
    candidates: Sequence[Candidate],
    cursor: str | None,
    *,
    total: int | None = None,
    skipped: Mapping[str, int] | None = None,
) -> int:
    """Take in one page of a search; return how many candidates were new.

    A candidate that is known already keeps its state and gets the new class hints; as long
    as it has no image also the new URL, e.g. that of another size.

    Args:
        db: the catalog.
        search_id: the search that the page belongs to.
        candidates: the page.
        cursor: where the search goes on; None when it is exhausted.
        total: what the source says it has.
        skipped: rows that gave no candidate, counted by reason; added to earlier counts.
    """
    with db.transaction():
        n_new = adding.add(db, search_id, candidates)
        db.execute(
            "UPDATE searches SET cursor = ?, done = ?, total = COALESCE(?, total), "
            "given = given + ?, skipped = ? WHERE id = ?",
            (
                cursor,
                cursor is None,
                total,
                len(candidates),
                _add_skipped(db, search_id, skipped or {}),
                search_id,
            ),
        )
        return n_new


def _add_skipped(db: Database, search_id: int, skipped: Mapping[str, int]) -> str:
    (text,) = db.one("SELECT skipped FROM searches WHERE id = ?", (search_id,))
    counts: dict[str, int] = json.loads(text)
    for reason, n in skipped.items():
        counts[reason] = counts.get(reason, 0) + n
    return json.dumps(counts, sort_keys=True)


def skipped_rows(db: Database) -> dict[str, int]:
    """Return how many rows of all sources gave no candidate, by reason."""
    totals: dict[str, int] = {}
    for (text,) in db.all("SELECT skipped FROM searches"):
        for reason, n in json.loads(text).items():
            totals[reason] = totals.get(reason, 0) + n
    return totals


def set_quota(db: Database, quota: int | None, names: Sequence[str]) -> None:
    """Ask for `quota` images of each of these classes, made if they are new; None: for all."""
    with db.transaction():
        if quota is not None:
            adding.class_ids(db, set(names))
        db.many(
            "UPDATE classes SET quota = ? WHERE name = ?", ((quota, clean(name)) for name in names)
        )


def set_quota_of_all(db: Database, quota: int | None) -> None:
    """Ask for `quota` images of every class; None: for all there are."""
    with db.transaction():
        db.execute("UPDATE classes SET quota = ? WHERE name != ''", (quota,))


def set_quota_of_search(db: Database, quota: int | None, search_id: int) -> None:
    """Ask for `quota` images of every class that a search has named so far; None: for all."""
    with db.transaction():
        db.execute(
            "UPDATE classes SET quota = ? WHERE name != '' AND EXISTS "
            "(SELECT 1 FROM hints WHERE class_id = classes.id AND search_id = ?)",
            (quota, search_id),
        )
