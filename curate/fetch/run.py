"""The fetch loop: one thread that keeps downloads, decoders and the catalog busy.

Candidates flow from the catalog through a bounded look-ahead (so that a slow host does not
hold up the others) to the transport, from there to the worker pool, and their outcomes back
into the catalog in groups. All state that matters is in the catalog; the loop may be
killed anywhere and started again.

The catalog is swept from its first pending row to its last; retries that came due meanwhile
make the next sweep. So a retry never delays what was not tried yet.
"""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import unquote, urlsplit

from curate.catalog import candidates, hosts
from curate.catalog.candidates import Choice, Outcome, Pending
from curate.catalog.counts import class_counts, image_classes
from curate.catalog.database import Database
from curate.config import FetchSettings
from curate.engine.local import Lost, Pool
from curate.engine.worker import Raised
from curate.errors import CurateError, StoreError
from curate.fetch.check import Job, check
from curate.fetch.guard import Guard
from curate.fetch.hosts import Gate
from curate.fetch.policy import RetryPolicy
from curate.fetch.quota import Quota
from curate.fetch.transport import Request, Response, Transport, TransportLimits
from curate.fetch.verify import Limits
from curate.progress import Progress, silent
from curate.records import TRANSIENT, Reason, Refused, Verified
from curate.store import Store

LOCAL_SOURCES = frozenset({"folder"})
"""Sources whose candidates are files of the user, copied and not downloaded."""
LOOKAHEAD = 4000
"""Candidates held in memory before they start."""
STAGED_LIMIT = 256
"""Downloaded files that may wait for a decoder."""
COMMIT_ROWS = 256
COMMIT_S = 0.1
POLL_S = 0.2
WAIT_PAUSED_S = 1.0


@dataclass(frozen=True, slots=True)
class FetchEnd:
    """How a run ended."""

    tried: int
    """Downloads, retries included."""
    next_due: float | None
    """When the next wanted retry is due (Unix seconds); None if nothing is left to do."""
    unmet: int
    """Classes that have not reached their quota."""


@dataclass(slots=True)
class _Item:
    """A candidate under way."""

    pending: Pending
    class_id: int | None
    host: str
    http_status: int = 0


@dataclass(slots=True)
class _Totals:
    tried: int = 0
    stored: int = 0
    failed: int = 0
    retried: int = 0
    started_at: float = field(default_factory=time.time)


def run(
    db: Database,
    store: Store,
    settings: FetchSettings,
    *,
    user_agent: str,
    wait: bool = True,
    link: bool = False,
    progress: Progress = silent,
    clock: Callable[[], float] = time.time,
    rng: random.Random | None = None,
    only: Choice | None = None,
    resolve: tuple[str, ...] = (),
) -> FetchEnd:
    """Fetch what is pending, due and wanted. Call with the writer's lock held.

    Args:
        db: the catalog.
        store: where images go.
        settings: limits and politeness.
        user_agent: sent with every request.
        wait: stay for retries that are due within `settings.max_wait_s`.
        link: hard-link local files instead of copying them.
        progress: told how many candidates are done.
        clock: Unix seconds.
        rng: source of the retries' jitter.
        only: fetch just these, whatever the quotas; by default all that are wanted.
        resolve: `HOST:PORT:ADDRESS` entries that take the place of DNS.

    Raises:
        StoreError: the disk is full or not writable. What was finished is recorded.
        KeyboardInterrupt: Ctrl-C; what was finished is recorded.
    """
    quota = Quota(class_counts(db)) if only is None else Quota([], only)
    if not quota.missing and not candidates.count_pending(db, quota.rest):
        return FetchEnd(0, None, 0)
    loop = _Loop(db, store, settings, user_agent, link, progress, clock, rng, quota, resolve)
    try:
        with _interruptible(loop.stop):
            loop.run(wait=wait)
        return loop.end()
    finally:
        loop.close()


class _Loop:
    def __init__(
        self,
        db: Database,
        store: Store,
        settings: FetchSettings,
        user_agent: str,
        link: bool,
        progress: Progress,
        clock: Callable[[], float],
        rng: random.Random | None,
        quota: Quota,
        resolve: tuple[str, ...],
    ) -> None:
        self._db = db
        self._settings = settings
        self._link = link
        self._progress = progress
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - jitter
        self._policy = RetryPolicy(settings.tries, settings.backoff_s, settings.backoff_cap_s)
        self._gate = Gate(settings.per_host, settings.rate_per_host, hosts.paused(db, clock()))
        self._quota = quota
        self._staging = store.prepare()
        self._transport = Transport(
            _transport_limits(settings),
            Guard(settings.allow_hosts),
            self._staging,
            user_agent=user_agent,
            ca_file=settings.ca_file or None,
            resolve=resolve,
        )
        self._pool_ready = False
        self._pool: Pool[Job, Verified | Refused] = Pool(
            partial(
                check,
                root=str(store.root),
                limits=Limits(settings.max_pixels),
                max_bytes=settings.max_bytes,
            ),
            settings.workers,
            watch=lambda fd: self._transport.watch(fd, self._on_pool),
            unwatch=self._transport.unwatch,
        )
        self._feed: Iterator[tuple[Pending, int | None] | None] = iter(())
        self._feed_done = True
        self._swept_at = 0.0
        self._wake_at: float | None = 0.0
        self._skipped_paused = False
        self._waiting: dict[str, deque[_Item]] = {}
        self._n_waiting = 0
        self._items: dict[int, _Item] = {}
        self._tickets: dict[int, _Item] = {}
        self._outcomes: list[Outcome] = []
        self._committed_at = clock()
        self._collected_at = clock()
        self._stopping = False
        self._totals = _Totals()
        self._total = int(db.one("SELECT COUNT(*) FROM candidates WHERE state = 'pending'")[0])

    def stop(self) -> None:
        self._stopping = True

    def run(self, *, wait: bool) -> None:
        """Go on until nothing that is wanted can be done (or waited for) any more."""
        while not self._stopping:
            now = self._clock()
            self._fill(now)
            if not self._n_waiting:
                self._commit(now)
                if not self._next_sweep(now, wait=wait):
                    return
            for response in self._transport.poll(self._poll_s(now)):
                self._downloaded(response)
            self._collect()
            if len(self._outcomes) >= COMMIT_ROWS or now - self._committed_at >= COMMIT_S:
                self._commit(now)
            self._tell()
        self._commit(self._clock())
        raise KeyboardInterrupt

    def end(self) -> FetchEnd:
        """Return how the run ended."""
        return FetchEnd(self._totals.tried, self._due(0.0), len(self._quota.open_classes()))

    def close(self) -> None:
        """Record what is finished, drop what is under way, end the workers."""
        try:
            self._commit(self._clock())
        except CurateError:
            if not self._stopping:
                self._outcomes = []  # the error that ended the run is already on its way
        self._pool.close()
        self._transport.close()

    # Taking candidates

    def _fill(self, now: float) -> None:
        while self._n_waiting < LOOKAHEAD:
            try:
                taken = next(self._feed)
            except StopIteration:
                self._feed_done = True
                break
            if taken is None:
                break
            self._enqueue(*taken, now)
        for host in list(self._waiting):
            self._start_host(host, now)

    def _enqueue(self, pending: Pending, class_id: int | None, now: float) -> None:
        if pending.id in self._items or self._is_stale(pending, now):
            self._quota.release(class_id)
            return
        host = "" if pending.source in LOCAL_SOURCES else host_of(pending.url)
        if self._gate.paused_until(host) > now:
            # Left in the catalog: another sweep takes it when the pause is over.
            self._quota.release(class_id)
            self._skipped_paused = True
            return
        item = _Item(pending, class_id, host)
        self._items[pending.id] = item
        self._waiting.setdefault(host, deque()).append(item)
        self._n_waiting += 1

    def _is_stale(self, pending: Pending, now: float) -> bool:
        """A candidate of two classes comes twice: was it done since its page was read?"""
        return self._quota.applies and not candidates.is_due(self._db, pending.id, now)

    def _start_host(self, host: str, now: float) -> None:
        queue = self._waiting[host]
        if self._gate.paused_until(host) > now:
            self._put_back(host)
            return
        while queue and self._has_room() and (not host or self._gate.may_start(host, now)):
            item = queue.popleft()
            self._n_waiting -= 1
            self._totals.tried += 1
            if host:
                self._gate.started(host, now)
                self._transport.start(Request(item.pending.id, item.pending.url))
            else:
                self._submit(item, self._local_job(item))
        if not queue:
            del self._waiting[host]

    def _put_back(self, host: str) -> None:
        for item in self._waiting.pop(host):
            self._forget(item)
            self._n_waiting -= 1
        self._skipped_paused = True

    def _has_room(self) -> bool:
        return (
            self._transport.active < self._settings.connections and self._pool.load < STAGED_LIMIT
        )

    def _local_job(self, item: _Item) -> Job:
        staged = self._staging / f"local-{item.pending.id}.part"
        original = unquote(urlsplit(item.pending.url).path)
        return Job(str(staged), original, self._link)

    # What comes back

    def _downloaded(self, response: Response) -> None:
        item = self._items[response.key]
        item.http_status = response.status
        reason = response.refused.reason if response.refused else None
        now = self._clock()
        self._gate.ended(item.host, reason, answered=response.status > 0, now=now)
        if response.path is not None:
            self._submit(item, Job(str(response.path)))
            return
        assert response.refused is not None
        self._refuse(item, response.refused, response.retry_after_s)

    def _submit(self, item: _Item, job: Job) -> None:
        self._tickets[self._pool.submit(job)] = item

    def _on_pool(self) -> None:
        self._pool_ready = True

    def _collect(self) -> None:
        # Without news from a worker, look now and then for one that hangs.
        if not self._pool_ready and self._clock() - self._collected_at < 1.0:
            return
        self._pool_ready = False
        self._collected_at = self._clock()
        for ticket, result in self._pool.collect():
            item = self._tickets.pop(ticket)
            if isinstance(result, Raised):
                raise StoreError(f"cannot store an image: {result.message}", "see the disk's space")
            if isinstance(result, Lost):
                self._refuse(item, Refused(Reason.DECODER_CRASH, f"the decoder {result.why}"), 0.0)
            elif isinstance(result, Refused):
                self._refuse(item, result, 0.0)
            else:
                self._totals.stored += 1
                outcome = Outcome(item.pending.id, result, http_status=item.http_status)
                self._finish(item, outcome)

    def _refuse(self, item: _Item, refused: Refused, retry_after_s: float) -> None:
        now = self._clock()
        due_at = None
        if _may_retry(refused.reason, item):
            tries = item.pending.tries + 1
            wait_s = self._policy.wait_s(refused.reason, tries, retry_after_s, self._rng)
            due_at = None if wait_s is None else now + wait_s
        if refused.reason is Reason.RATE_LIMITED:
            self._pause_host(item, due_at or now + retry_after_s, now)
        if due_at is None:
            self._totals.failed += 1
        else:
            self._totals.retried += 1
        outcome = Outcome(
            item.pending.id, None, refused.reason, refused.detail, item.http_status, due_at
        )
        self._finish(item, outcome)

    def _pause_host(self, item: _Item, until: float, now: float) -> None:
        until = min(max(until, now + WAIT_PAUSED_S), now + self._policy.retry_after_cap_s)
        self._gate.pause(item.host, until)
        hosts.pause(self._db, item.host, until, "it answered 429")

    def _finish(self, item: _Item, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        if outcome.due_at is not None:
            self._wake_at = min(self._wake_at or outcome.due_at, outcome.due_at)
        if self._quota.applies:
            # A quota counts images, and only the catalog knows which ones are new.
            self._commit_counted(outcome.verified)
        self._forget(item)

    def _forget(self, item: _Item) -> None:
        del self._items[item.pending.id]
        self._quota.release(item.class_id)

    def _commit_counted(self, image: Verified | None) -> None:
        if image is None:
            self._commit(self._clock())
            return
        before = image_classes(self._db, image.image_id)
        self._commit(self._clock())
        self._quota.add_image(image_classes(self._db, image.image_id) - before)

    def _commit(self, now: float) -> None:
        self._committed_at = now
        if self._outcomes:
            outcomes, self._outcomes = self._outcomes, []
            candidates.record(self._db, outcomes, now)

    # Sweeps

    def _next_sweep(self, now: float, *, wait: bool) -> bool:
        """Begin another sweep if something is due; return whether to go on at all."""
        if not self._feed_done:
            return True
        if self._wake_at is not None and self._wake_at <= now:
            self._begin_sweep(now)
            return True
        if self._items:
            return True
        self._wake_at = self._due(self._swept_at)
        if self._wake_at is None:
            return False
        return self._wake_at <= now or (wait and self._wake_at - now <= self._settings.max_wait_s)

    def _begin_sweep(self, now: float) -> None:
        self._commit(now)
        self._swept_at = now
        self._skipped_paused = False
        self._wake_at = None
        self._feed = self._quota.take(self._db, now)
        self._feed_done = False

    def _due(self, now: float) -> float | None:
        """Return when the next candidate that is wanted can be tried."""
        times = [candidates.next_due(self._db, now, each) for each in self._quota.choices()]
        if self._skipped_paused:
            times.append(self._gate.next_open(now))
        known = [each for each in times if each is not None]
        return min(known, default=None)

    def _poll_s(self, now: float) -> float:
        poll_s = POLL_S
        if self._settings.rate_per_host:
            poll_s = min(poll_s, 1.0 / self._settings.rate_per_host)
        if self._wake_at is not None and not self._n_waiting:
            poll_s = min(poll_s, max(0.0, self._wake_at - now))
        return poll_s

    def _tell(self) -> None:
        totals = self._totals
        done = totals.stored + totals.failed
        self._progress(
            "fetch",
            done,
            self._total,
            stored=totals.stored,
            failed=totals.failed,
            retries=totals.retried,
            active=self._transport.active,
        )


def host_of(url: str) -> str:
    """Return the host name and port of a URL, lower case; `?` where it has none."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.hostname}{port}" if parts.hostname else "?"
    except ValueError:
        return "?"


def _may_retry(reason: Reason, item: _Item) -> bool:
    """Transient failures are tried again; damage once more, if it was downloaded."""
    if reason in TRANSIENT:
        return True
    return reason is Reason.CORRUPT and bool(item.host)


def _transport_limits(settings: FetchSettings) -> TransportLimits:
    return TransportLimits(
        connections=settings.connections,
        connect_timeout_s=settings.connect_timeout_s,
        idle_timeout_s=settings.idle_timeout_s,
        min_speed_bytes_s=settings.min_speed_bytes_s,
        deadline_s=settings.deadline_s,
        max_bytes=settings.max_bytes,
        redirects=settings.redirects,
    )


@contextlib.contextmanager
def _interruptible(stop: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C end the loop in order, and the second one at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.getsignal(signal.SIGINT)

    def on_interrupt(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, previous)
        stop()

    signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
