"""The benchmark server where nginx is missing: one asyncio protocol, the corpus in memory.

Only what the benchmark needs: GET with keep-alive, one answer per request line, no request
bodies. A whole answer, headers included, is prepared once per file, so that a request costs
a dictionary look-up and a write. uvloop is used where it is importable.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

HEAD: Final = "HTTP/1.1 {status}\r\nContent-Type: image/jpeg\r\nContent-Length: {n}\r\n\r\n"
MISSING: Final = HEAD.format(status="404 Not Found", n=0).encode()


class Answer(asyncio.Protocol):
    """One connection."""

    def __init__(self, answers: Mapping[bytes, bytes], delay_s: float) -> None:
        self.answers = answers
        self.delay_s = delay_s
        self.buffer = b""
        self.transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not registered as asyncio's classes.
        self.transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head, self.buffer = self.buffer[:end], self.buffer[end + 4 :]
            path = head.split(b" ", 2)[1]
            close = b"connection: close" in head.lower()
            if self.delay_s:
                asyncio.get_running_loop().call_later(self.delay_s, self.answer, path, close)
            else:
                self.answer(path, close)

    def answer(self, path: bytes, close: bool) -> None:
        """Write the prepared answer; `close` is what the client asked for."""
        if self.transport is None or self.transport.is_closing():
            return
        self.transport.write(self.answers.get(path, MISSING))
        if close:
            self.transport.close()


async def _serve(
    answers: Mapping[bytes, bytes], port: int, delay_s: float, certificate: Path | None
) -> None:
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = await asyncio.get_running_loop().create_server(
        lambda: Answer(answers, delay_s), "127.0.0.1", port, backlog=4096, ssl=context
    )
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--certificate", type=Path, help="key and chain, PEM")
    args = parser.parse_args()
    answers = {}
    for path in args.root.iterdir():
        body = path.read_bytes()
        answers[f"/{path.name}".encode()] = (
            HEAD.format(status="200 OK", n=len(body)).encode() + body
        )
    serving = _serve(answers, args.port, args.delay, args.certificate)
    try:
        import uvloop
    except ImportError:
        asyncio.run(serving)
    else:
        uvloop.run(serving)


if __name__ == "__main__":
    main()
