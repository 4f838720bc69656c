"""How candidates come into the catalog: the new ones, and what is new of those it knows.

Candidates come one by one, or as columns by the thousand (`curate.catalog.bulk`); what is
kept of them is the same.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from itertools import repeat

from curate.catalog import bulk
from curate.catalog.columns import CandidateColumns
from curate.catalog.database import Database
from curate.catalog.text import clean, cleaned
from curate.records import Candidate

_MANY_CLASSES = 1000
"""With more of them it is quicker to read all than to look for each."""
_KNOWN = (
    "ON CONFLICT (source, source_id) DO UPDATE SET url = excluded.url "
    "WHERE state IN ('pending', 'failed') AND url != excluded.url"
)
_CANDIDATE = (
    "INSERT INTO candidates (source, source_id, search_id, url, group_hint, page_url, "  # noqa: S608 - fixed texts
    "author, license, license_url, rights_holder, attribution, meta) "
    f"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) {_KNOWN}"
)
_HINT = (
    "INSERT INTO hints (class_id, candidate_id, search_id) "
    "SELECT ?, id, ? FROM candidates WHERE source = ? AND source_id = ? "
    "ON CONFLICT DO NOTHING"
)


def add(db: Database, search_id: int, candidates: Sequence[Candidate]) -> int:
    """Add candidates of a search, in a transaction; return how many were new.

    See `curate.catalog.searches.add_page`.
    """
    if isinstance(candidates, CandidateColumns):
        return _add_columns(db, search_id, candidates)
    return _add_rows(db, search_id, candidates)


def _add_columns(db: Database, search_id: int, columns: CandidateColumns) -> int:
    ids = class_ids(db, bulk.class_names(columns))
    first = bulk.largest_id(db, "candidates") + 1
    n_new = bulk.insert_candidates(db, search_id, columns, _KNOWN)
    if n_new == len(columns):
        bulk.insert_hints(db, columns, ids, search_id, first)
        return n_new
    # No disputes: columns come from a table where the class belongs to what the id names.
    places, classes = bulk.hints_of(columns, ids)
    names = columns.rows.column("source_id").take(places).to_pylist()
    db.many(_HINT, zip(classes.tolist(), repeat(search_id), repeat(columns.source), names))
    return n_new


def _add_rows(db: Database, search_id: int, candidates: Sequence[Candidate]) -> int:
    ids = class_ids(db, {name for each in candidates for name in each.classes})
    before = bulk.largest_id(db, "candidates")
    db.many(_CANDIDATE, (_row(each, search_id) for each in candidates))
    n_new = bulk.largest_id(db, "candidates") - before
    if n_new == len(candidates):
        # Ids were given in order, so nothing has to be looked up.
        rows = [
            (ids[name], i, search_id)
            for i, each in enumerate(candidates, before + 1)
            for name in each.classes
        ]
        rows.sort()  # the table is in this order: neighbours share a page
        db.many("INSERT INTO hints VALUES (?, ?, ?) ON CONFLICT DO NOTHING", rows)
    else:
        _dispute(db, search_id, candidates)
        db.many(
            _HINT,
            (
                (ids[name], search_id, each.source, clean(each.source_id))
                for each in candidates
                for name in each.classes
            ),
        )
    _keep_splits(db, search_id, candidates)
    return n_new


def _keep_splits(db: Database, search_id: int, candidates: Sequence[Candidate]) -> None:
    """Note on which sides of a split the dataset has put its images."""
    db.many(
        "INSERT OR REPLACE INTO given_splits (candidate_id, search_id, split) "
        "SELECT id, ?, ? FROM candidates WHERE source = ? AND source_id = ?",
        (
            (search_id, each.split, each.source, clean(each.source_id))
            for each in candidates
            if each.split is not None
        ),
    )


def _dispute(db: Database, search_id: int, candidates: Sequence[Candidate]) -> None:
    """Note the candidates that this search has offered before with other classes."""
    offered: dict[tuple[str, str], set[frozenset[str]]] = {}
    for each in candidates:
        if each.classes:
            names = frozenset(map(clean, each.classes))
            offered.setdefault((each.source, clean(each.source_id)), set()).add(names)
    for (source, source_id), sets in offered.items():
        rows = db.all(
            "SELECT candidates.id, classes.name FROM candidates "
            "LEFT JOIN hints ON candidate_id = candidates.id AND hints.search_id = ? "
            "LEFT JOIN classes ON classes.id = class_id WHERE source = ? AND source_id = ?",
            (search_id, source, source_id),
        )
        before = frozenset(name for _, name in rows if name is not None)
        if len(sets | {before} if before else sets) > 1:
            db.execute(
                "INSERT INTO disputes VALUES (?, ?) ON CONFLICT DO NOTHING",
                (rows[0][0], search_id),
            )


def _row(each: Candidate, search_id: int) -> tuple[object, ...]:
    meta = clean(json.dumps(dict(each.meta), ensure_ascii=False)) if each.meta else None
    return (
        each.source,
        clean(each.source_id),
        search_id,
        clean(each.url),
        cleaned(each.group),
        cleaned(each.page_url),
        cleaned(each.author),
        cleaned(each.license),
        cleaned(each.license_url),
        cleaned(each.rights_holder),
        cleaned(each.attribution),
        meta,
    )


def class_ids(db: Database, names: set[str]) -> dict[str, int]:
    """Return the ids of classes, made if they are new."""
    as_kept = {name: clean(name) for name in names}
    ids = _known_classes(db, as_kept.values())
    missing = sorted(set(as_kept.values()) - ids.keys())
    if missing:
        db.many("INSERT INTO classes (name) VALUES (?)", ((name,) for name in missing))
        ids = _known_classes(db, as_kept.values())
    return {name: ids[kept] for name, kept in as_kept.items()}


def _known_classes(db: Database, names: Collection[str]) -> dict[str, int]:
    """Return the ids of those of some classes that there are, and perhaps of others."""
    if len(names) > _MANY_CLASSES:
        return dict(db.all("SELECT name, id FROM classes"))
    return dict(
        db.all(
            "SELECT name, classes.id FROM json_each(?) AS wanted "
            "CROSS JOIN classes ON name = wanted.value",
            (json.dumps(list(names)),),
        )
    )
