"""Requests, replies and rate limits of the sample source: what both APIs share."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """A GET request as the APIs see it."""

    path: str
    """Path, unquoted, without the query."""
    params: Mapping[str, list[str]]
    """Query parameters; a repeated one has several values."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers, names in lower case."""

    def first(self, name: str, default: str = "") -> str:
        """The first value of a parameter."""
        return self.params.get(name, [default])[0]


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent back; the server adds Content-Length."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""
    """`reset` or `short`: the transport breaks instead."""
    delay_s: float = 0.0
    """Wait before the reply."""


def parse(target: str, headers: Mapping[str, str]) -> Request:
    """Read the target of a request line, e.g. `/search/photos?query=beach`."""
    parts = urlsplit(target)
    lower = {name.lower(): value for name, value in headers.items()}
    return Request(unquote(parts.path), parse_qs(parts.query, keep_blank_values=True), lower)


def as_json(data: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A reply with a JSON body."""
    body = json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()
    return Reply(status, body, headers=headers or {})


def as_text(text: str, status: int, content_type: str = "text/plain") -> Reply:
    """A reply with a plain body."""
    return Reply(status, text.encode(), content_type)


def unavailable() -> Reply:
    """The 503 of a proxy whose server is away: a page, whatever the API usually speaks."""
    page = "<html><head><title>503 Backend fetch failed</title></head><body></body></html>"
    return as_text(page, 503, "text/html; charset=utf-8")


class Window:
    """So many requests in each window of time, counted from the first request on.

    Args:
        limit: requests in one window.
        window_s: its length.
        clock: seconds that only grow.
    """

    def __init__(self, limit: int, window_s: float, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._window_s = window_s
        self._clock = clock
        self._start: float | None = None
        self._spent = 0
        self._lock = threading.Lock()

    def spend(self) -> int | None:
        """Take one request; how many are left after it, or None if none was left."""
        with self._lock:
            now = self._clock()
            if self._start is None or now - self._start >= self._window_s:
                self._start, self._spent = now, 0
            if self._spent >= self._limit:
                return None
            self._spent += 1
            return self._limit - self._spent


class Pause:
    """After so many requests, none until a pause has passed: GBIF's manner.

    Args:
        limit: requests before a pause; 0: no pauses.
        pause_s: its length.
        clock: seconds that only grow.
    """

    def __init__(self, limit: int, pause_s: int, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._pause_s = pause_s
        self._clock = clock
        self._until = 0.0
        self._served = 0
        self._lock = threading.Lock()

    def wait_s(self) -> int:
        """Take one request; 0, or the whole seconds after which to come back."""
        if self._limit == 0:
            return 0
        with self._lock:
            now = self._clock()
            if self._served >= self._limit:
                self._served = 0
                self._until = now + self._pause_s
            left = self._until - now
            if left > 0:
                return max(1, -int(-left // 1))
            self._served += 1
            return 0
