"""GBIF's download service on a real socket, answering as it was recorded.

The key, the statuses and their order come from a recording; the file is the test's. The first
transfer may break off half way, to be taken up again with a range.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

BASE = "/v1/occurrence/download"


@dataclass
class Service:
    """What the server knows, and what it was asked."""

    key: str
    """The download that it makes."""
    bodies: list[dict[str, Any]]
    """What it says of it, one after the other; the last again and again."""
    file: bytes
    """The download's file."""
    breaks: int = 0
    """Transfers that end half way, from the first on."""
    user: str = "naturalist:secret"
    """Who may ask."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    """Requests for downloads, as they came."""
    ranges: list[str] = field(default_factory=list)
    """Range headers of transfers; empty without one."""
    looks: int = 0
    """How often the status was asked for."""
    authorized: list[str] = field(default_factory=list)
    """Paths that credentials were sent to."""
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def recorded(shared: Path, file: bytes, **more: Any) -> Service:
    """A service that answers as recorded, with another file."""
    path = shared / "gbif/recorded/rgbif__occ_download_wait_request.json"
    exchanges = json.loads(path.read_text())
    bodies: list[dict[str, Any]] = []
    for each in exchanges[1:]:
        body = each["response"]["body"]
        if not bodies or bodies[-1]["status"] != body["status"]:
            bodies.append(body)
    bodies[-1] = {**bodies[-1], "size": len(file)}
    return Service(exchanges[0]["response"]["body"], bodies, file, **more)


@contextmanager
def serving(service: Service) -> Iterator[Service]:  # noqa: C901 - a handler with its routes
    """Serve on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_args: Any) -> None:
            pass

        def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._note()
            expected = "Basic " + base64.b64encode(service.user.encode()).decode()
            if self.headers.get("Authorization") != expected:
                self._answer(401, b"Unauthorized")
                return
            service.asked.append(json.loads(body))
            self._answer(201, service.key.encode(), ("Content-Type", "application/json"))

        def do_GET(self) -> None:
            self._note()
            if self.path == f"{BASE}/{service.key}":
                body = service.bodies[min(service.looks, len(service.bodies) - 1)]
                service.looks += 1
                self._answer(200, json.dumps(body).encode(), ("Content-Type", "application/json"))
            elif self.path == f"{BASE}/{service.key}/citation":
                words = "GBIF.org (4 September 2025) GBIF Occurrence Download"
                self._answer(200, f"{words} https://doi.org/10.15468/dl.np3k7j\n".encode())
            elif self.path.startswith("/v1/species/match"):
                taxon = {"usageKey": 5, "scientificName": "Fungi", "rank": "KINGDOM"}
                body = {**taxon, "matchType": "EXACT"}
                self._answer(200, json.dumps(body).encode(), ("Content-Type", "application/json"))
            elif self.path == f"{BASE}/request/{service.key}.zip":
                self._file()
            else:
                self._answer(404, b"Download was not found", ("Content-Type", "text/plain"))

        def _file(self) -> None:
            asked = self.headers.get("Range", "")
            service.ranges.append(asked)
            begin = int(found[1]) if (found := re.match(r"bytes=(\d+)-", asked)) else 0
            whole = len(service.file)
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("Content-Range", f"bytes {begin}-{whole - 1}/{whole}")
            self.send_header("Content-Length", str(whole - begin))
            self.end_headers()
            end = whole
            if service.breaks:
                service.breaks -= 1
                end = begin + (whole - begin) // 2
                self.close_connection = True
            self.wfile.write(service.file[begin:end])

        def _note(self) -> None:
            if self.headers.get("Authorization"):
                service.authorized.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
