"""Worker processes on this machine that may die without taking the run with them.

Each worker has its own socket and a short queue of items. When one dies or hangs, the item
it was at is reported lost, the others of its queue go to its successor; one that dies before
it could load its function is an error of the installation, not of an item. `Pool` is for
event loops (`submit`, `watch`, `collect`); `LocalEngine.map` is the plain way to use it.
"""

from __future__ import annotations

import os
import select
import selectors
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from curate.engine.worker import Raised, Ready, command, environment, pack_frame, unpack_frames
from curate.errors import CurateError

Item = TypeVar("Item")
Result = TypeVar("Result")

QUEUE_DEPTH = 16
"""Items a worker holds: enough to last while the parent takes in a burst, few enough to spread."""
MEMORY_BYTES = 1 << 30
ITEM_TIMEOUT_S = 120.0
STOP_S = 5.0
"""How long a worker may go on with its item after it was told to end."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The worker died, or was ended for hanging, at this item."""

    why: str
    """One line: the signal, the exit status, or the time-out."""


class _Worker(Generic[Item]):
    """One process, its socket, and the items it holds (the first is the one it is at)."""

    def __init__(self, start_frame: bytes, memory_bytes: int) -> None:
        self.channel, theirs = socket.socketpair()
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command(sys.path, theirs.fileno(), memory_bytes),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=environment(),
            process_group=0,  # Ctrl-C in a terminal is for the parent alone
        )
        theirs.close()
        self.items: deque[tuple[int, Item]] = deque()
        self.since = time.monotonic()
        self.is_ready = False
        self.buffer = bytearray()
        self._write(start_frame)

    def send(self, ticket: int, item: Item) -> None:
        if not self.items:
            self.since = time.monotonic()
        self.items.append((ticket, item))
        self._write(pack_frame(item))

    def _write(self, frame: bytes) -> None:
        view = memoryview(frame)
        while view:
            try:
                view = view[self.channel.send(view, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                # It may itself be waiting for its answer to be read.
                if select.select([self.channel], [self.channel], [])[0] and not self._read():
                    return
            except (BrokenPipeError, ConnectionResetError):
                return  # it died: the end of its socket, seen at the next read, tells

    def _read(self) -> bool:
        """Buffer what has come; return whether the worker is still there."""
        try:
            data = self.channel.recv(1 << 20, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        self.buffer += data
        return bool(data)

    def receive(self) -> tuple[list[Any], bool]:
        """Return the results that have come, and whether the worker is still there."""
        alive = self._read()
        values = unpack_frames(self.buffer)
        if values and not self.is_ready:
            assert isinstance(values[0], Ready)
            self.is_ready = True
            self.since = time.monotonic()
            del values[0]
        return values, alive

    def stop(self) -> None:
        self.channel.close()
        try:
            self.process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Pool(Generic[Item, Result]):
    """A fixed number of workers that all run one function.

    Args:
        function: importable by name, or a `functools.partial` of such a function.
        n_workers: how many processes; 0 takes the number of usable cores.
        memory_bytes: heap limit of each worker (Linux); 0 for none.
        item_timeout_s: a worker longer than this at one item is ended.
    """

    def __init__(
        self,
        function: Callable[[Item], Result],
        n_workers: int = 0,
        *,
        memory_bytes: int = MEMORY_BYTES,
        item_timeout_s: float = ITEM_TIMEOUT_S,
    ) -> None:
        self._start_frame = pack_frame(function)
        self._memory_bytes = memory_bytes
        self._item_timeout_s = item_timeout_s
        self._watch: Callable[[int], None] = _nobody
        self._unwatch: Callable[[int], None] = _nobody
        self._tickets = 0
        self._waiting: deque[tuple[int, Item]] = deque()
        self._workers = [self._start() for _ in range(n_workers or usable_cores())]

    def attach(self, watch: Callable[[int], None], unwatch: Callable[[int], None]) -> None:
        """Let an event loop watch the workers, which may have been started long before.

        Args:
            watch: told the descriptor of each worker, and of each that replaces one.
            unwatch: told each descriptor that is no longer in use.
        """
        self._watch, self._unwatch = watch, unwatch
        for worker in self._workers:
            watch(worker.channel.fileno())

    def detach(self) -> None:
        """Let the event loop forget the workers."""
        for worker in self._workers:
            self._unwatch(worker.channel.fileno())
        self._watch, self._unwatch = _nobody, _nobody

    @property
    def load(self) -> int:
        """Items handed in and not answered yet."""
        return len(self._waiting) + sum(len(worker.items) for worker in self._workers)

    @property
    def room(self) -> int:
        """How many more items keep every worker's queue just full."""
        return max(0, len(self._workers) * QUEUE_DEPTH - self.load)

    def submit(self, item: Item) -> int:
        """Hand in an item; return the ticket under which its result will come."""
        self._tickets += 1
        self._waiting.append((self._tickets, item))
        self._feed()
        return self._tickets

    def collect(self) -> list[tuple[int, Result | Raised | Lost]]:
        """Return what has been answered, or lost, since the last call. Never blocks.

        Raises:
            CurateError: a worker ended before it could load the function.
        """
        results: list[tuple[int, Result | Raised | Lost]] = []
        for index, worker in enumerate(self._workers):
            values, alive = worker.receive()
            for value in values:
                ticket, _ = worker.items.popleft()
                worker.since = time.monotonic()
                results.append((ticket, value))
            overdue = worker.items and time.monotonic() - worker.since > self._item_timeout_s
            if not alive or overdue:
                results.extend(self._replace(index, hung=alive))
        self._feed()
        return results

    def close(self) -> None:
        """End all workers; what they hold is dropped."""
        self.detach()
        for worker in self._workers:
            worker.channel.close()  # all of them first: they end side by side
        for worker in self._workers:
            worker.stop()
        self._workers = []

    def _start(self) -> _Worker[Item]:
        worker: _Worker[Item] = _Worker(self._start_frame, self._memory_bytes)
        self._watch(worker.channel.fileno())
        return worker

    def _replace(self, index: int, *, hung: bool) -> list[tuple[int, Lost]]:
        dead = self._workers[index]
        self._unwatch(dead.channel.fileno())
        if hung:
            dead.process.kill()
        dead.stop()
        if not dead.is_ready:
            self._workers.pop(index)
            raise CurateError(
                f"a worker process could not start: {_death(dead.process.returncode)}",
                "run `curate doctor`; its own words are above",
            )
        why = f"took over {self._item_timeout_s:g} s" if hung else _death(dead.process.returncode)
        lost = [(dead.items.popleft()[0], Lost(why))] if dead.items else []
        self._waiting.extendleft(reversed(dead.items))
        self._workers[index] = self._start()
        return lost

    def _feed(self) -> None:
        while self._waiting:
            worker = min(self._workers, key=lambda each: len(each.items))
            if len(worker.items) >= QUEUE_DEPTH:
                return
            worker.send(*self._waiting.popleft())


class LocalEngine:
    """The default engine: worker processes on this machine.

    Args:
        n_workers: how many processes; 0 takes the number of usable cores.
    """

    def __init__(self, n_workers: int = 0) -> None:
        self._n_workers = n_workers

    def map(
        self, function: Callable[[Item], Result], batches: Iterable[Item]
    ) -> Iterator[tuple[Item, Result]]:
        """Yield each batch with its result, as they come; run a lost batch once more.

        Raises:
            CurateError: a batch raised, or lost its worker twice.
        """
        with selectors.DefaultSelector() as selector:
            pool: Pool[Item, Result] = Pool(function, self._n_workers)
            try:
                pool.attach(
                    lambda fd: _register(selector, fd), lambda fd: _unregister(selector, fd)
                )
                yield from _drain(pool, selector, iter(batches))
            finally:
                pool.close()


def _drain(
    pool: Pool[Item, Result], selector: selectors.BaseSelector, batches: Iterator[Item]
) -> Iterator[tuple[Item, Result]]:
    held: dict[int, tuple[Item, bool]] = {}
    more = True
    while more or held:
        while more and pool.room:
            for batch in batches:
                held[pool.submit(batch)] = (batch, False)
                break
            else:
                more = False
        if held:
            selector.select(1.0)
        for ticket, result in pool.collect():
            batch, again = held.pop(ticket)
            if isinstance(result, Raised):
                raise CurateError(f"a worker failed: {result.kind}: {result.message}")
            if not isinstance(result, Lost):
                yield batch, result
            elif again:
                raise CurateError(f"a worker died twice at the same batch: {result.why}")
            else:
                held[pool.submit(batch)] = (batch, True)


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _nobody(_fd: int) -> None:
    """Watch nothing."""


def _register(selector: selectors.BaseSelector, fd: int) -> None:
    selector.register(fd, selectors.EVENT_READ)


def _unregister(selector: selectors.BaseSelector, fd: int) -> None:
    selector.unregister(fd)


def _death(status: int) -> str:
    return f"killed by signal {-status}" if status < 0 else f"ended with status {status}"
