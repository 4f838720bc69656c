"""The sample server: both APIs and all pictures on one port of the loopback interface.

One thread per connection, HTTP/1.1 with keep-alive; nothing is rendered before it is asked
for, so starting costs a millisecond. Python's own server carries some hundred pictures a
second, enough for a demo and for tests, not for benchmarks of the reader.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from curate.demo.gbif_api import GbifApi
from curate.demo.images import ImageApi
from curate.demo.messages import Reply, Request, as_text, parse, unavailable
from curate.demo.occurrences import Occurrences
from curate.demo.options import SampleOptions
from curate.demo.photos import Photo, PhotoBook
from curate.demo.taxonomy import Taxonomy
from curate.demo.unsplash_api import UnsplashApi

_IDLE_S = 60.0
_CLOSING_S = 5.0


class SampleServer:
    """A source of candidates on 127.0.0.1, as a context manager.

    Args:
        options: how it behaves.
        clock: seconds that only grow; rate limits are measured by it, so that a test may
            turn it on instead of waiting.

    Example:
        >>> with SampleServer(SampleOptions.faultless(photos_per_class=3)) as server:
        ...     len(server.photos)
        12
    """

    def __init__(
        self,
        options: SampleOptions | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options = options or SampleOptions()
        self.taxonomy = Taxonomy()
        self.occurrences = Occurrences(self.options, self.taxonomy)
        self._book = PhotoBook(self.options)
        self._unsplash = UnsplashApi(self.options, self._book, lambda: self.url, clock)
        self._gbif = GbifApi(self.options, self.taxonomy, self.occurrences, lambda: self.url, clock)
        self._images = ImageApi(self.options, self.photo, self.occurrences, self._gbif.records)
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._n_api_requests = 0
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Start serving."""
        self._listener = _Listener(self._answer)
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(0.05,), name="sample-source", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop serving and close all connections."""
        assert self._listener is not None
        assert self._thread is not None
        self._listener.shutdown()
        self._listener.server_close()
        self._listener.drop_connections()
        self._thread.join()

    @property
    def url(self) -> str:
        """Root of everything, e.g. `http://127.0.0.1:40123`; no slash at the end."""
        assert self._listener is not None, "the server is not running"
        return f"http://127.0.0.1:{self._listener.server_address[1]}"

    @property
    def unsplash_url(self) -> str:
        """What stands for https://api.unsplash.com."""
        return self.url

    @property
    def gbif_url(self) -> str:
        """What stands for https://api.gbif.org (without `/v1`)."""
        return self.url

    @property
    def key(self) -> str:
        """The Unsplash access key that is accepted."""
        return self.options.key

    @property
    def photos(self) -> tuple[Photo, ...]:
        """The truth about all Unsplash photos."""
        return self._book.photos

    def found_as(self, scene: str) -> tuple[Photo, ...]:
        """The truth about the photos that a search for `scene` finds, in that order."""
        return self._book.found_as[scene]

    def photo(self, photo_id: str) -> Photo | None:
        """The truth about one photo, of either API; None if there is none with this id."""
        return self._book.by_id.get(photo_id) or self.occurrences.photo(photo_id)

    @property
    def counts(self) -> Counter[str]:
        """Requests so far, by path without query."""
        with self._lock:
            return Counter(self._counts)

    def count(self, prefix: str) -> int:
        """Requests so far whose path starts with `prefix`."""
        return sum(n for path, n in self.counts.items() if path.startswith(prefix))

    @property
    def n_image_requests(self) -> int:
        """Requests for pictures so far, of either API."""
        return sum(
            n
            for path, n in self.counts.items()
            if path.startswith(("/photo/", "/v1/image/")) or path.endswith((".jpg", ".jpeg"))
        )

    @property
    def pings(self) -> Counter[str]:
        """Requests to Unsplash's download endpoint so far, by photo id."""
        return Counter(self._unsplash.pings)

    @property
    def errors(self) -> list[str]:
        """Faults of the server itself; empty unless there is a bug."""
        return list(self._listener.errors) if self._listener else []

    def _answer(self, request: Request) -> Reply:
        with self._lock:
            self._counts[request.path] += 1
        if self.options.latency_s:
            time.sleep(self.options.latency_s)
        picture = self._images.answer(request)
        if picture is not None:
            return picture
        if self._is_unavailable():
            return unavailable()
        if request.path.startswith(("/v1/", "/v2/")):
            return self._gbif.answer(request)
        return self._unsplash.answer(request)

    def _is_unavailable(self) -> bool:
        every = self.options.api_unavailable_every
        with self._lock:
            self._n_api_requests += 1
            return every > 0 and self._n_api_requests % every == 0


class _Listener(ThreadingHTTPServer):
    """Threads that do not outlive the server, and faults that are kept instead of printed."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, answer: Callable[[Request], Reply]) -> None:
        self.answer = answer
        self.errors: list[str] = []
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__(("127.0.0.1", 0), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._changed:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Readers may go away at any moment; nothing else may happen here."""

    def drop_connections(self) -> None:
        """End idle keep-alive connections, and wait for their threads to let go."""
        with self._changed:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the reader was faster
            self._changed.wait_for(lambda: not self._open, timeout=_CLOSING_S)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "SampleSource"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = _IDLE_S
    server: _Listener

    def do_GET(self) -> None:
        try:
            reply = self.server.answer(parse(self.path, dict(self.headers.items())))
        except Exception as error:  # noqa: BLE001 - the outer door of each request
            self.server.errors.append(f"{self.path}: {error!r}")
            reply = as_text("Internal Server Error", 500)
        if reply.delay_s:
            time.sleep(reply.delay_s)
        if reply.trouble == "reset":
            self._reset()
            return
        self._send(reply)

    do_HEAD = do_GET  # noqa: N815 - likewise

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in http.server
        """Stay quiet."""

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self._send_headers({"Content-Type": reply.content_type, **reply.headers})
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        body = reply.body
        if reply.trouble == "short":
            body = body[: len(body) // 2]
            self.close_connection = True
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def _send_headers(self, headers: Mapping[str, str]) -> None:
        for name, value in headers.items():
            self.send_header(name, value)

    def _reset(self) -> None:
        # With a linger time of zero, closing sends RST instead of FIN.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
