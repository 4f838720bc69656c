"""One request to a misbehaving server, and the means to answer it well or badly.

The writer is used below the level of HTTP: what `raw` is given goes out as it is. Two
bounds keep a test from running for ever: `MAX_BYTES` sent and `MAX_SECONDS` spent for a
request.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from tests.fakes.bodies import BODIES
from tests.fakes.flaky import Corpus

MAX_BYTES = 256 * 1024 * 1024
MAX_SECONDS = 60.0
BODILESS = frozenset({204, 304})


class HangUpError(Exception):
    """The handler is done with the connection, not only with the request."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    """Names in lower case."""
    at_s: float
    """When it came, on the monotonic clock."""


@dataclass(slots=True)
class Exchange:
    """One request, and the means to answer it well or badly."""

    request: Recorded
    nth: int
    """The how-manieth request for this target this is, from 1."""
    query: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    port: int
    """Where the server listens."""
    corpus: Corpus | None
    files: dict[str, bytes]
    """Bodies of the test's own."""
    n_sent: int = 0

    def text(self, name: str, default: str) -> str:
        return self.query.get(name, default)

    def number(self, name: str, default: float) -> float:
        return float(self.query.get(name, default))

    def body(self) -> tuple[bytes, str]:
        """The bytes and the Content-Type that `?body=`, `?seed=` and `?type=` ask for."""
        name = self.text("body", "jpeg")
        if name in self.files:
            data, kind = self.files[name], "image/jpeg"
        else:
            make, kind = BODIES[name]
            data = make(int(self.number("seed", 0)))
        return data, self.text("type", kind)

    async def raw(self, data: bytes) -> None:
        """Send bytes as they are, and wait until the kernel has them."""
        self.n_sent += len(data)
        if self.n_sent > MAX_BYTES:
            raise HangUpError
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, status: int, *headers: tuple[str, str], line: str = "") -> None:
        await self.raw(head(status, *headers, line=line))

    async def answer(self, status: int, data: bytes, *headers: tuple[str, str]) -> None:
        """A correct answer with a Content-Length."""
        if status in BODILESS:
            await self.head(status, *headers)
            return
        top = head(status, *headers, ("Content-Length", str(len(data))))
        await self.raw(top if self.request.method == "HEAD" else top + data)

    async def sleep(self, seconds: float) -> None:
        """Wait, but not for a client that has gone."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            if self.reader.at_eof() or self.writer.transport.is_closing():
                raise HangUpError
            await asyncio.sleep(min(left_s, 0.05))

    async def reset(self) -> None:
        """Break the connection with a RST; what was sent before arrives."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
        raise HangUpError

    async def close(self) -> None:
        raise HangUpError


Handler = Callable[[Exchange], Awaitable[None]]


def head(status: int, *headers: tuple[str, str], line: str = "") -> bytes:
    """A status line (`line` replaces it) and headers, as bytes."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Whatever"
    lines = [line or f"HTTP/1.1 {status} {phrase}", *(f"{k}: {v}" for k, v in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
