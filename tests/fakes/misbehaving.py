"""An HTTP server that misbehaves on request, for tests of the fetch room.

The first part of a path names a behaviour of `tests.fakes.registry`, the query string sets
its parameters: `server.url("short_body", missing=100)`. The server is a bare asyncio
loop in a thread, so that it can break the protocol anywhere; it counts requests per target
and connections, and records request headers. No handler sends more than `MAX_BYTES` or
lasts longer than `MAX_SECONDS`.

It also runs alone, for tests in which it must outlive a killed client:

    python -m tests.fakes.misbehaving --port 0 --images 2000

prints its port on one line, serves until it is terminated, and answers `/__stats__` with
its counts as JSON (`/__reset__` forgets them; neither is counted).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import ssl
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from tests.fakes.exchange import MAX_SECONDS, Exchange, HangUpError, Recorded, head
from tests.fakes.flaky import Corpus
from tests.fakes.registry import BEHAVIOURS, unknown


@dataclass(slots=True)
class Stats:
    """What has happened so far."""

    counts: Counter[str] = field(default_factory=Counter)
    """Requests per target (path with query string)."""
    n_connections: int = 0
    open_connections: int = 0
    peak_connections: int = 0
    open_requests: int = 0
    peak_requests: int = 0

    def as_json(self) -> bytes:
        names = ("n_connections", "open_connections", "peak_connections", "peak_requests")
        rows: dict[str, Any] = {name: getattr(self, name) for name in names}
        rows["n_requests"] = self.counts.total()
        rows["counts"] = dict(self.counts)
        return json.dumps(rows).encode()


class Misbehaving:
    """The server; a context manager that runs it in a thread.

    Args:
        corpus: images served under `/img/`, with their fates.
        files: bodies that `?body=NAME` may name beside the built-in ones.
        host: address to listen on; another loopback address makes another host.
        latency_s: waited before each answer.
        ssl_context: serve https with it.
    """

    def __init__(
        self,
        corpus: Corpus | None = None,
        *,
        files: dict[str, bytes] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        latency_s: float = 0.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.corpus = corpus
        self.files = dict(files or {})
        self.host = host
        self.port = port
        self.latency_s = latency_s
        self.stats = Stats()
        self.requests: deque[Recorded] = deque(maxlen=100_000)
        self._ssl = ssl_context
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._failed: OSError | None = None

    @property
    def base(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._ssl else 'http'}://{host}:{self.port}"

    def url(self, name: str, *parts: object, **query: object) -> str:
        """The URL of a behaviour; `parts` make different URLs of the same behaviour."""
        path = "/".join(quote(str(part)) for part in (name, *parts))
        return f"{self.base}/{path}" + (f"?{urlencode(query)}" if query else "")

    def count(self, url: str) -> int:
        """Requests for a URL or target; without a query string, whatever the query was."""
        target = url.removeprefix(self.base)
        if "?" in target:
            return self.stats.counts[target]
        counts = list(self.stats.counts.items())
        return sum(n for seen, n in counts if seen.partition("?")[0] == target)

    def __enter__(self) -> Misbehaving:
        self._thread = threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            raise self._failed
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._stop is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def serve(self, started: Callable[[int], None] | None = None) -> None:
        """Listen until stopped; `started` is told the port."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        with suppress(
            NotImplementedError, RuntimeError, ValueError
        ):  # only the main thread gets signals
            self._loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        try:
            listener = await asyncio.start_server(
                self._connection, self.host, self.port, ssl=self._ssl, backlog=1024
            )
        except OSError as error:
            self._failed = error
            self._ready.set()
            return
        self.port = listener.sockets[0].getsockname()[1]
        if started is not None:
            started(self.port)
        self._ready.set()
        await self._stop.wait()
        listener.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        writer.transport.set_write_buffer_limits(0)
        with self._open_connection():
            try:
                while await self._one(reader, writer):
                    pass
            except (HangUpError, OSError, EOFError, asyncio.LimitOverrunError):
                pass  # the client, or the behaviour, is done with this connection
            except asyncio.CancelledError:
                writer.transport.abort()  # the server stops
            finally:
                self._tasks.discard(task)
                writer.close()
                with suppress(OSError, asyncio.CancelledError):
                    await writer.wait_closed()

    @contextmanager
    def _open_connection(self) -> Iterator[None]:
        stats = self.stats
        stats.n_connections += 1
        stats.open_connections += 1
        stats.peak_connections = max(stats.peak_connections, stats.open_connections)
        try:
            yield
        finally:
            stats.open_connections -= 1

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection stays open."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        pairs = (line.partition(":") for line in lines[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        request = Recorded(method, target, headers, time.monotonic())
        stays = headers.get("connection", "").lower() != "close"
        own = {"/__stats__": self.stats.as_json, "/__reset__": self._reset}.get(target)
        if own is not None:
            data = own()
            writer.write(head(200, ("Content-Length", str(len(data)))) + data)
            await writer.drain()
            return stays
        self.requests.append(request)
        self.stats.counts[target] += 1
        self.stats.open_requests += 1
        self.stats.peak_requests = max(self.stats.peak_requests, self.stats.open_requests)
        try:
            await self._behave(request, reader, writer)
            return stays
        finally:
            self.stats.open_requests -= 1

    async def _behave(
        self, request: Recorded, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        parts = urlsplit(request.target)
        nth = self.stats.counts[request.target]
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        exchange = Exchange(request, nth, query, reader, writer, self.port, self.corpus, self.files)
        handler = BEHAVIOURS.get(parts.path.split("/")[1], unknown)
        async with asyncio.timeout(MAX_SECONDS):
            if self.latency_s:
                await asyncio.sleep(self.latency_s)
            await handler(exchange)

    def _reset(self) -> bytes:
        self.stats.counts.clear()
        self.requests.clear()
        return b"{}"


def main(arguments: list[str]) -> None:
    """Serve in the foreground until terminated."""
    parser = argparse.ArgumentParser(description="Serve misbehaviour on a loopback address.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--images", type=int, default=0, help="size of the corpus under /img/")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    options = parser.parse_args(arguments)
    corpus = Corpus(options.images, options.seed) if options.images else None
    server = Misbehaving(
        corpus, host=options.host, port=options.port, latency_s=options.latency_ms / 1000
    )

    def announce(port: int) -> None:
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()

    with suppress(KeyboardInterrupt):
        asyncio.run(server.serve(announce))


if __name__ == "__main__":
    main(sys.argv[1:])
