"""Recorded API answers, served by `responses` under the URL that they were recorded for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from curate.sources import SourceContext


def answers(path: Path) -> list[dict[str, Any]]:
    """All request/response pairs of a recording."""
    loaded: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def answer_to(path: Path, part: str) -> dict[str, Any]:
    """The first recorded response whose request URL has `part` in it."""
    return next(one["response"] for one in answers(path) if part in one["request"]["url"])


class Clock:
    """A clock that only sleeping moves, and the notices that were given meanwhile."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now
        self.slept: list[float] = []
        self.notices: list[str] = []

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def context(self, **changes: Any) -> SourceContext:
        """A source context on this clock."""
        given: dict[str, Any] = {
            "environ": {"UNSPLASH_ACCESS_KEY": "secret-key"},
            "notify": self.notices.append,
            "sleep": self.sleep,
            "clock": self.time,
            **changes,
        }
        return SourceContext(**given)


Reply = Callable[[Any], tuple[int, dict[str, str], str]]


def json_reply(body: Any, status: int = 200, **headers: str) -> tuple[int, dict[str, str], str]:
    """What a `responses` callback returns for a JSON body."""
    return status, {"Content-Type": "application/json", **headers}, json.dumps(body)
