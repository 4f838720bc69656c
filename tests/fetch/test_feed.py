"""The look-ahead: what it asks the catalog, and how often."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.catalog import candidates
from curate.catalog.candidates import Choice, Outcome
from curate.catalog.counts import class_counts
from curate.catalog.database import Database
from curate.fetch.feed import Feed
from curate.fetch.hosts import Gate
from curate.fetch.quota import Quota
from curate.records import Reason
from tests.fetch.runs import Folder


def test_waiting_asks_the_catalog_once_until_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path)
    folder.add(["http://a.test/1", "http://a.test/2"], ("beach",))
    folder.db.execute("UPDATE classes SET quota = 2")
    asked: list[Choice] = []
    next_due = candidates.next_due

    def counted(db: Database, after: float, choice: Choice) -> float | None:
        asked.append(choice)
        return next_due(db, after, choice)

    monkeypatch.setattr(candidates, "next_due", counted)
    feed = Feed(folder.db, Quota(class_counts(folder.db)), Gate(4, 0.0, {}))
    feed.fill(1.0)
    assert feed.goes_on(1.0, 0.0)  # begins a sweep
    feed.fill(1.0)
    items = list(feed.startable(1.0, lambda: True))
    assert len(items) == 2
    for item, due_at in zip(items, (50.0, 40.0), strict=True):
        outcome = Outcome(item.pending.id, reason=Reason.RESET, due_at=due_at)
        candidates.record(folder.db, [outcome], 1.0)
        feed.forget(item.pending.id)
    feed.fill(1.0)
    for now in (2.0, 3.0, 4.0):
        assert feed.goes_on(now, 100.0)
        assert feed.due(now) == 40.0
    assert len(asked) == 2, "the class, and what has no class"
    assert feed.goes_on(40.0, 100.0)
    feed.fill(40.0)
    [again] = feed.startable(40.0, lambda: True)
    candidates.record(folder.db, [Outcome(again.pending.id, reason=Reason.NOT_FOUND)], 41.0)
    feed.forget(again.pending.id)
    feed.fill(41.0)
    assert feed.due(41.0) == 50.0
    assert len(asked) == 4
    folder.close()
