"""What comes next: candidates from the catalog, looked ahead and queued by host.

The catalog is swept from its first pending row to its last; retries that came due meanwhile
make the next sweep, so a retry never delays what was not tried yet. The look-ahead is
bounded, and what belongs to a paused host stays in the catalog, so that neither a slow host
nor a million rows fill the memory. The price: while a host with many rows is paused, every
sweep reads those rows again to pass them over.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from curate.catalog import candidates
from curate.catalog.candidates import Pending
from curate.catalog.database import Database
from curate.fetch.hosts import Gate
from curate.fetch.quota import Quota

LOCAL_SOURCES = frozenset({"folder"})
"""Sources whose candidates are files of the user, copied and not downloaded."""
LOOKAHEAD = 4000
"""Candidates held in memory before they start; also how many one call looks at."""
_AUTHORITY = re.compile(r"[^:/?#]*://[^/?#]*")
"""The part of a URL that names its host."""


@dataclass(slots=True)
class Item:
    """A candidate under way."""

    pending: Pending
    """Its row."""
    class_id: int | None
    """The class whose quota it was taken for."""
    host: str
    """Host and port; empty for a local file."""
    http_status: int = 0
    """Last HTTP status; 0 if none."""


class Feed:
    """Hands out candidates as quotas, hosts and due times allow.

    Args:
        db: the catalog.
        quota: what is wanted; told what has ended.
        gate: which hosts may be asked.
    """

    def __init__(self, db: Database, quota: Quota, gate: Gate) -> None:
        self._db = db
        self._quota = quota
        self._gate = gate
        self._sweep: Iterator[tuple[Pending, int | None] | None] = iter(())
        self._sweep_done = True
        self._n_sweeps = 0
        self._swept_at = 0.0
        self._passed_over = False
        self._waiting: dict[str, deque[Item]] = {}
        self._held: dict[int, Item] = {}
        self._left: tuple[float | None, bool] | None = None
        self.n_waiting = 0
        self.wake_at: float | None = 0.0

    def fill(self, now: float) -> bool:
        """Look ahead; return whether there is more to look at without waiting."""
        for _ in range(LOOKAHEAD):
            if self.n_waiting >= LOOKAHEAD:
                return False
            try:
                taken = next(self._sweep)
            except StopIteration:
                self._sweep_done = True
                return False
            if taken is None:
                return False
            self._enqueue(*taken, now)
        return True

    def startable(self, now: float, has_room: Callable[[], bool]) -> Iterator[Item]:
        """Yield what may start now, as long as there is room; it counts as started."""
        for host in list(self._waiting):
            if not has_room():
                return
            if self._gate.paused_until(host) > now:
                self._put_back(host)
                continue
            queue = self._waiting[host]
            while queue and has_room() and (not host or self._gate.may_start(host, now)):
                self.n_waiting -= 1
                if host:
                    self._gate.started(host, now)
                yield queue.popleft()
            if not queue:
                del self._waiting[host]

    def held(self, candidate_id: int) -> Item:
        """Return a candidate that was handed out."""
        return self._held[candidate_id]

    def forget(self, candidate_id: int) -> None:
        """What became of a candidate is in the catalog now."""
        self._quota.release(self._held.pop(candidate_id).class_id)
        self._quota.settle(self._db, candidate_id)
        self._left = None

    def retry_at(self, due_at: float) -> None:
        """Sweep again not later than this."""
        self.wake_at = due_at if self.wake_at is None else min(self.wake_at, due_at)

    def goes_on(self, now: float, wait_s: float) -> bool:
        """Begin another sweep if something is due; return whether to go on at all.

        Call with everything recorded and nothing waiting.

        Args:
            now: Unix seconds.
            wait_s: how long to wait for what is due later.
        """
        if not self._sweep_done:
            return True
        if self.wake_at is not None and self.wake_at <= now:
            self._begin_sweep(now)
            return True
        if self._held:
            return True
        self.wake_at = self.due(now)
        return self.wake_at is not None and self.wake_at <= now + wait_s

    def due(self, now: float) -> float | None:
        """Return when the next candidate that is wanted can be tried; None if none is left."""
        # Asked at every poll while waiting, and slow with thousands of classes.
        if self._left is None:
            self._left = self._find_left()
        due_at, passed_over = self._left
        if not passed_over:
            return due_at
        open_at = self._gate.next_open(now)
        return open_at if due_at is None else min(due_at, open_at)

    def _find_left(self) -> tuple[float | None, bool]:
        """When the next wanted candidate is due, and whether a paused host has wanted ones."""
        choices = self._quota.choices()
        times = [candidates.next_due(self._db, self._swept_at, each) for each in choices]
        due_at = min((each for each in times if each is not None), default=None)
        passed_over = self._passed_over and any(
            candidates.count_pending(self._db, each) for each in choices
        )
        return due_at, passed_over

    def _begin_sweep(self, now: float) -> None:
        self._n_sweeps += 1
        self._swept_at = now
        self._passed_over = False
        self._left = None
        self.wake_at = None
        self._sweep = self._quota.take(self._db, now)
        self._sweep_done = False

    def _enqueue(self, pending: Pending, class_id: int | None, now: float) -> None:
        if pending.id in self._held or self._is_stale(pending, now):
            self._quota.release(class_id)
            return
        host = "" if pending.source in LOCAL_SOURCES else host_of(pending.url)
        if self._gate.paused_until(host) > now:
            self._quota.release(class_id)
            self._passed_over = True
            self._left = None
            return
        item = Item(pending, class_id, host)
        self._held[pending.id] = item
        self._waiting.setdefault(host, deque()).append(item)
        self.n_waiting += 1

    def _is_stale(self, pending: Pending, now: float) -> bool:
        """Whether it was done since its page was read: by the sweep before, or as another class."""
        once = self._n_sweeps == 1 and not self._quota.applies
        return not once and not candidates.is_due(self._db, pending.id, now)

    def _put_back(self, host: str) -> None:
        for item in self._waiting.pop(host):
            self.forget(item.pending.id)
            self.n_waiting -= 1
        self._passed_over = True
        self._left = None


def host_of(url: str) -> str:
    """Return the host name and port of a URL, lower case; `?` where it has none."""
    start = _AUTHORITY.match(url)
    return "?" if start is None else _host_of(start[0])


@lru_cache(maxsize=4096)
def _host_of(start: str) -> str:
    try:
        parts = urlsplit(start)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.hostname}{port}" if parts.hostname else "?"
    except ValueError:
        return "?"
