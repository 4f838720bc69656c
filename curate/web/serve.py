"""`curate serve`: one model behind HTTP, for programs, and a page to drop pictures on.

The body of a request is bounded while it arrives, by its announced length first, and so is the
time that it may take. Pages need nothing from elsewhere: they work without a network.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import anyio.to_thread
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from curate import __version__
from curate.assist.pipeline import cores
from curate.errors import UsageError
from curate.web.scoring import RefusedError, Scorer

MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 50_000_000
BODY_TIMEOUT_S = 30.0
AT_ONCE = 512
"""Connections at a time; more are answered 503."""
FILES: Mapping[str, tuple[str, str]] = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/docs": ("docs.html", "text/html; charset=utf-8"),
    "/static/score.css": ("score.css", "text/css; charset=utf-8"),
    "/static/score.js": ("score.js", "text/javascript; charset=utf-8"),
    "/static/docs.js": ("docs.js", "text/javascript; charset=utf-8"),
}
"""What is served besides scores."""
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
_MULTIPART_OVERHEAD = 64 * 1024
_GRACE_S = 5
_DRAINED = 10
"""Times the largest body that is read of one that is too long."""
_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {"kind": {"type": "string"}, "message": {"type": "string"}},
        }
    },
}
_SAID = {
    400: "no picture in the field `file`",
    408: "the body did not arrive in time",
    413: "too many bytes or pixels",
    415: "no picture of a known format",
    422: "a broken picture",
}
_SCOREFILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    },
    "responses": {
        "200": {
            "description": "class to score, the best first",
            "content": {
                "application/json": {
                    "schema": {"type": "object", "additionalProperties": {"type": "number"}}
                }
            },
        },
        **{
            str(status): {
                "description": text,
                "content": {"application/json": {"schema": _ERROR}},
            }
            for status, text in _SAID.items()
        },
    },
}


@dataclass(frozen=True, slots=True)
class ServeLimits:
    """What a request may ask for."""

    max_bytes: int = MAX_BYTES
    """Largest file."""
    body_timeout_s: float = BODY_TIMEOUT_S
    """Longest time for a body to arrive."""
    at_once: int = AT_ONCE
    """Connections at a time."""


def build(scorer: Scorer, limits: ServeLimits | None = None, workers: int = 0) -> ASGIApp:
    """Return the application.

    Args:
        scorer: what scores.
        limits: bounds of a request.
        workers: pictures scored at a time; 0: one for each core.
    """
    limits = limits or ServeLimits()
    app = FastAPI(title="curate serve", version=__version__, docs_url=None, redoc_url=None)
    model = scorer.model
    slots = anyio.CapacityLimiter(workers or cores())

    @app.post("/scorefile/", openapi_extra=_SCOREFILE, summary="Score a picture")
    async def scorefile(request: Request) -> JSONResponse:
        """Score the picture in the field `file`: each class of the model, the best first."""
        data = await _upload(request, limits)
        scores = await anyio.to_thread.run_sync(scorer.scores, data, limiter=slots)
        return JSONResponse(scores)

    @app.get("/health", summary="Whether the model is ready, and which it is")
    def health() -> dict[str, Any]:
        return {
            "status": "ok",
            "model": model.path.name,
            "sha256": model.sha256,
            "classes": len([each for each in scorer.names if each]),
            "exclusive": model.exclusive,
        }

    for path, (name, kind) in FILES.items():
        _serve_file(app, path, name, kind)
    app.add_exception_handler(RefusedError, _on_refused)
    app.add_exception_handler(HTTPException, _on_http)
    return _Bounded(app, limits)


async def _upload(request: Request, limits: ServeLimits) -> bytes:
    """Return the bytes of the file in a multipart body."""
    try:
        async with (
            asyncio.timeout(limits.body_timeout_s),
            request.form(max_files=1, max_fields=8) as form,
        ):
            sent = form.get("file")
            if not isinstance(sent, UploadFile):
                raise HTTPException(400, "send a picture as multipart, in the field `file`")
            data = await sent.read(limits.max_bytes + 1)
    except TimeoutError:
        raise HTTPException(408, f"no whole body within {limits.body_timeout_s:g} s") from None
    if len(data) > limits.max_bytes:
        raise HTTPException(413, f"more than {limits.max_bytes:,} bytes")
    return data


def _serve_file(app: FastAPI, path: str, name: str, kind: str) -> None:
    body = resources.files("curate.web").joinpath("score", name).read_bytes()

    async def answer() -> Response:
        return Response(body, media_type=kind)

    app.add_api_route(path, answer, methods=["GET"], include_in_schema=False)


async def _on_refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RefusedError)
    return _error(error.status, error.reason, error.detail)


async def _on_http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    kinds = {400: "request", 404: "not_found", 405: "method", 408: "timeout", 413: "too_big"}
    return _error(error.status_code, kinds.get(error.status_code, "request"), str(error.detail))


def _error(status: int, kind: str, message: str) -> JSONResponse:
    said = {"error": {"kind": kind, "message": message}}
    # What is left of a body that was refused is not read: the connection ends.
    headers = {"connection": "close"} if status in (408, 413) else {}
    return JSONResponse(said, status_code=status, headers=headers)


class _Bounded:
    """Refuses bodies that are too long, announced or not, and adds the headers for pages.

    What is too long is read and thrown away, up to a bound: a client that is still sending would
    not hear why it is refused.
    """

    def __init__(self, app: ASGIApp, limits: ServeLimits) -> None:
        self._app = app
        self._max_bytes = limits.max_bytes + _MULTIPART_OVERHEAD
        self._timeout_s = limits.body_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        left = self._max_bytes

        async def bounded() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                await self._drain(receive, message)
                raise HTTPException(413, self._too_long)
            return message

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = [(key.encode(), value.encode()) for key, value in _HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *given]
            await send(message)

        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > self._max_bytes:
            await self._drain(receive, {"more_body": True})
            await _error(413, "too_big", self._too_long)(scope, receive, with_headers)
            return
        await self._app(scope, bounded, with_headers)

    @property
    def _too_long(self) -> str:
        return f"more than {self._max_bytes - _MULTIPART_OVERHEAD:,} bytes"

    async def _drain(self, receive: Receive, message: Message) -> None:
        left = _DRAINED * self._max_bytes
        try:
            async with asyncio.timeout(self._timeout_s):
                while message.get("more_body") and left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
        except TimeoutError:
            return


def listen(host: str, port: int) -> socket.socket:
    """Open the port.

    Args:
        host: address of this machine.
        port: 0: any that is free.

    Raises:
        UsageError: it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"cannot listen on {host}:{port}: {said}", "give another one with --port"
        ) from error


def run(app: ASGIApp, at: socket.socket, limits: ServeLimits | None = None) -> None:
    """Serve until stopped."""
    limits = limits or ServeLimits()
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        limit_concurrency=limits.at_once,
        timeout_graceful_shutdown=_GRACE_S,
        h11_max_incomplete_event_size=64 * 1024,
    )
    uvicorn.Server(config).run(sockets=[at])
