"""The fetch loop: one thread that keeps downloads, decoders and the catalog busy.

Candidates flow from the catalog through a bounded look-ahead (`curate.fetch.feed`) to the
transport, from there to the worker pool, and their outcomes back into the catalog in groups.
All state that matters is in the catalog; the loop may be killed anywhere and started again,
and then asks again at most for what was under way or not yet recorded.
"""

from __future__ import annotations

import contextlib
import random
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from curate.catalog import candidates, hosts, images
from curate.catalog.candidates import Choice, Outcome
from curate.catalog.counts import class_counts, image_classes
from curate.catalog.database import Database
from curate.config import FetchSettings
from curate.engine.local import Lost
from curate.engine.worker import Raised
from curate.errors import CurateError, StoreError
from curate.fetch.check import Decoders, Job, Known
from curate.fetch.feed import Feed, Item
from curate.fetch.guard import Guard
from curate.fetch.hosts import Gate
from curate.fetch.placeholder import StandIns
from curate.fetch.policy import RetryPolicy
from curate.fetch.quota import Quota
from curate.fetch.transport import Request, Response, Transport, TransportLimits
from curate.progress import Progress, silent
from curate.records import Reason, Refused, Verified
from curate.store import Store

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
class _Totals:
    tried: int = 0
    stored: int = 0
    failed: int = 0
    retried: int = 0
    started_at: float = field(default_factory=time.time)


def run(
    db: Database,
    store: Store,
    pool: Decoders,
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
        pool: checks what was downloaded; to be closed after an exception.
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
    StandIns(db, settings.placeholder_urls).look_at_all()
    quota = Quota(class_counts(db)) if only is None else Quota([], only)
    if not quota.missing and not candidates.count_pending(db, quota.rest):
        return FetchEnd(0, None, 0)
    loop = _Loop(db, store, pool, settings, user_agent, link, progress, clock, rng, quota, resolve)
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
        pool: Decoders,
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
        self._stand_ins = StandIns(db, settings.placeholder_urls)
        self._gate = Gate(settings.per_host, settings.rate_per_host, hosts.paused(db, clock()))
        self._quota = quota
        self._feed = Feed(db, quota, self._gate)
        self._staging = store.prepare()
        # Workers of a killed run may live a moment longer, with files of the same folder.
        self._token = secrets.token_hex(4)
        self._transport = Transport(
            _transport_limits(settings),
            Guard(settings.allow_hosts),
            self._staging,
            token=self._token,
            user_agent=user_agent,
            ca_file=settings.ca_file or None,
            resolve=resolve,
        )
        self._pool_ready = False
        self._pool = pool
        pool.attach(lambda fd: self._transport.watch(fd, self._on_pool), self._transport.unwatch)
        self._jobs: dict[int, tuple[Item, Job]] = {}
        self._outcomes: list[Outcome] = []
        self._committed_at = clock()
        self._collected_at = clock()
        self._stopping = False
        self._totals = _Totals()
        self._total = quota.missing + candidates.count_pending(db, quota.rest)

    def stop(self) -> None:
        self._stopping = True

    def run(self, *, wait: bool) -> None:
        """Go on until nothing that is wanted can be done (or waited for) any more."""
        wait_s = self._settings.max_wait_s if wait else 0.0
        while not self._stopping:
            now = self._clock()
            more = self._feed.fill(now)
            for item in self._feed.startable(now, self._has_room):
                self._start(item)
            if not self._feed.n_waiting:
                self._commit(now)
                if not self._feed.goes_on(now, wait_s):
                    return
            for response in self._transport.poll(0.0 if more else self._poll_s(now)):
                self._downloaded(response)
            self._collect()
            if len(self._outcomes) >= COMMIT_ROWS or now - self._committed_at >= COMMIT_S:
                self._commit(now)
            self._tell()
        self._commit(self._clock())
        raise KeyboardInterrupt

    def end(self) -> FetchEnd:
        """Return how the run ended."""
        due = self._feed.due(self._clock())
        return FetchEnd(self._totals.tried, due, len(self._quota.open_classes()))

    def close(self) -> None:
        """Record what is finished, drop what is under way."""
        try:
            self._commit(self._clock())
        except CurateError:
            pass  # the error that ended the run is already on its way
        finally:
            self._pool.detach()
            self._transport.close()

    # Starting

    def _has_room(self) -> bool:
        return (
            self._transport.active < self._settings.connections and self._pool.load < STAGED_LIMIT
        )

    def _start(self, item: Item) -> None:
        self._totals.tried += 1
        if item.host:
            self._transport.start(Request(item.pending.id, item.pending.url))
        else:
            self._submit(item, self._local_job(item))

    def _local_job(self, item: Item) -> Job:
        staged = self._staging / f"{self._token}-local-{item.pending.id}.part"
        url = urlsplit(item.pending.url)
        original = unquote(url.path, errors="surrogateescape")
        keep_damaged = self._settings.keep_damaged
        return Job(
            str(staged), original, self._link, keep_damaged=keep_damaged, inside=url.fragment
        )

    def _submit(self, item: Item, job: Job) -> None:
        self._jobs[self._pool.submit(job)] = (item, job)

    # What comes back

    def _downloaded(self, response: Response) -> None:
        item = self._feed.held(response.key)
        item.http_status = response.status
        reason = response.refused.reason if response.refused else None
        now = self._clock()
        self._gate.ended(item.host, reason, answered=response.status > 0, now=now)
        if response.path is not None:
            self._submit(item, Job(response.path, keep_damaged=self._keeps_damage(item)))
            return
        assert response.refused is not None
        self._refuse(item, response.refused, response.retry_after_s)

    def _keeps_damage(self, item: Item) -> bool:
        """Damage is kept if it has come twice: the first time it may be of the way."""
        return self._settings.keep_damaged and (
            candidates.last_reason(self._db, item.pending.id) is Reason.CORRUPT
        )

    def _on_pool(self) -> None:
        self._pool_ready = True

    def _collect(self) -> None:
        # Without news from a worker, look now and then for one that hangs.
        if not self._pool_ready and self._clock() - self._collected_at < 1.0:
            return
        self._pool_ready = False
        self._collected_at = self._clock()
        failed: Raised | None = None
        for ticket, result in self._pool.collect():
            item, job = self._jobs.pop(ticket)
            if isinstance(result, Raised):
                failed = result  # only after what the others finished is taken in
            elif isinstance(result, Lost):
                Path(job.staged).unlink(missing_ok=True)
                self._refuse(item, Refused(Reason.DECODER_CRASH, f"the decoder {result.why}"), 0.0)
            elif isinstance(result, Refused):
                self._refuse(item, result, 0.0)
            elif isinstance(result, Known):
                self._recognise(item, job, result.image_id)
            else:
                self._store(item, result)
        if failed is not None:
            raise _worker_error(failed)

    def _recognise(self, item: Item, job: Job, image_id: str) -> None:
        """The store has these bytes already: an image of the catalog, or left by a kill?"""
        image = self._finished(image_id) or images.verified(self._db, image_id)
        if image is None:
            self._submit(item, replace(job, original=None, anew=True))
            return
        Path(job.staged).unlink(missing_ok=True)
        self._store(item, image)

    def _finished(self, image_id: str) -> Verified | None:
        """Return an image that is not recorded yet."""
        found = (each.verified for each in self._outcomes)
        return next((each for each in found if each and each.image_id == image_id), None)

    def _store(self, item: Item, image: Verified) -> None:
        self._totals.stored += 1
        self._finish(Outcome(item.pending.id, image, http_status=item.http_status))

    def _refuse(self, item: Item, refused: Refused, retry_after_s: float) -> None:
        now = self._clock()
        wait_s = self._wait_s(item, refused.reason, retry_after_s)
        due_at = None if wait_s is None else now + wait_s
        if refused.reason is Reason.RATE_LIMITED:
            self._pause_host(item, due_at or now, retry_after_s, now)
        if due_at is None:
            self._totals.failed += 1
        else:
            self._totals.retried += 1
            self._feed.retry_at(due_at)
        self._finish(
            Outcome(item.pending.id, None, refused.reason, refused.detail, item.http_status, due_at)
        )

    def _wait_s(self, item: Item, reason: Reason, retry_after_s: float) -> float | None:
        if not item.host:
            return None  # a file of the user says the same every time
        row, before = item.pending, None
        if row.tries and reason is Reason.CORRUPT:
            before = candidates.last_reason(self._db, row.id)
        tries, limited = row.tries + 1, row.limited + (reason is Reason.RATE_LIMITED)
        return self._policy.wait_s(reason, tries, retry_after_s, self._rng, limited, before)

    def _pause_host(self, item: Item, until: float, retry_after_s: float, now: float) -> None:
        if retry_after_s <= 0:
            until = max(until, self._gate.limited(item.host, now))
        until = min(max(until, now + WAIT_PAUSED_S), now + self._policy.retry_after_cap_s)
        self._gate.pause(item.host, until)
        hosts.pause(self._db, item.host, until, "it answered 429")

    def _finish(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        if self._quota.applies:
            # A quota counts images, and only the catalog knows which ones are new.
            self._commit_counted(outcome.verified)

    def _commit_counted(self, image: Verified | None) -> None:
        if image is None:
            self._commit(self._clock())
            return
        before = image_classes(self._db, image.image_id)
        self._commit(self._clock())
        self._quota.add_image(image_classes(self._db, image.image_id) - before)

    def _commit(self, now: float) -> None:
        self._committed_at = now
        if not self._outcomes:
            return
        again = candidates.record(self._db, self._outcomes, now)
        for each in self._outcomes:
            self._feed.forget(each.candidate_id)
        self._outcomes = []
        if self._stand_ins.look(again):
            self._quota.recount(class_counts(self._db))
            self._feed.retry_at(now)

    def _poll_s(self, now: float) -> float:
        poll_s = POLL_S
        if self._settings.rate_per_host:
            poll_s = min(poll_s, 1.0 / self._settings.rate_per_host)
        if self._feed.wake_at is not None and not self._feed.n_waiting:
            poll_s = min(poll_s, max(0.0, self._feed.wake_at - now))
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


def _worker_error(raised: Raised) -> Exception:
    if raised.is_os_error:
        return StoreError(
            f"cannot store an image: {raised.message}", "free some space and run it again"
        )
    return RuntimeError(f"in a worker: {raised.kind}: {raised.message}")


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
