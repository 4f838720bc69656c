"""The transport, against a real server on loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from curate.errors import SourceError
from curate.sources import http
from curate.sources.http import parse_retry_after_s
from tests.sources.recorded import Clock

Answer = tuple[int, dict[str, str], bytes]


@contextmanager
def serving(answer: Callable[[int, dict[str, str]], Answer | None]) -> Iterator[str]:
    """A server that answers the nth request as told; None closes the connection instead."""
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(dict(self.headers))
            reply = answer(len(seen), dict(self.headers))
            if reply is None:
                self.close_connection = True
                return
            status, headers, body = reply
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name there
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


def test_what_fails_by_accident_is_asked_again() -> None:
    clock = Clock()
    replies: list[Answer | None] = [(503, {}, b""), None, (502, {}, b""), (200, {}, b"{}")]
    with serving(lambda n, _: replies[n - 1]) as url:
        response = http.get(http.make_session(clock.context()), url, "X")
    assert response.status_code == 200
    assert 1 <= len(clock.slept) <= 3
    assert all(0 < wait <= 30.5 for wait in clock.slept)


def test_progress_is_told_what_is_asked_again() -> None:
    told: list[tuple[str, int, int | None]] = []

    def listen(stage: str, done: int, total: int | None = None, **_counts: int) -> None:
        told.append((stage, done, total))

    context = replace(Clock().context(), progress=listen)
    with serving(lambda n, _: (503, {}, b"") if n < 3 else (200, {}, b"{}")) as url:
        http.get(http.make_session(context), url, "X")
    assert told == [(http.TRYING_AGAIN, 1, 4), (http.TRYING_AGAIN, 2, 4)]


def test_a_503_waits_as_long_as_it_says() -> None:
    clock = Clock()
    with serving(
        lambda n, _: (503, {"Retry-After": "17"}, b"") if n == 1 else (200, {}, b"{}")
    ) as url:
        http.get(http.make_session(clock.context()), url, "X")
    assert clock.slept == [17]


def test_a_503_that_asks_for_too_long_ends_at_once() -> None:
    clock = Clock()
    with serving(lambda n, _: (503, {"Retry-After": "9000"}, b"later")) as url:
        response = http.get(http.make_session(clock.context()), url, "X")
    assert clock.slept == []
    with pytest.raises(SourceError, match="X answered 503: later"):
        http.json_object(response, "X")


def test_a_server_that_never_recovers_is_given_up() -> None:
    clock = Clock()
    counted: list[int] = []

    def always(n: int, _: dict[str, str]) -> Answer:
        counted.append(n)
        return 500, {}, b""

    with serving(always) as url:
        response = http.get(http.make_session(clock.context()), url, "X")
    assert response.status_code == 500
    assert len(counted) == http.MAX_RETRIES + 1


def test_silence_ends_in_a_timeout() -> None:
    held = threading.Event()

    def silent(n: int, _: dict[str, str]) -> None:
        held.wait(30)

    with serving(silent) as url:
        try:
            session = http.make_session(Clock().context(timeout_s=0.05))
            with pytest.raises(SourceError, match=r"X did not answer in time|X cannot be reached"):
                http.get(session, url, "X")
        finally:
            held.set()


def test_a_netrc_entry_does_not_replace_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    got: list[str | None] = []

    def note(n: int, headers: dict[str, str]) -> Answer:
        got.append(headers.get("Authorization"))
        return 200, {}, b"{}"

    with serving(note) as url:
        session = http.make_session(Clock().context())
        http.get(session, url, "X", headers={"Authorization": "Client-ID key"})
        http.get(session, url, "X")
    assert got == ["Client-ID key", None]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("31", 31.0),
        (" 7 ", 7.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2000 22:14:20 GMT", 0.0),
        ("soon", None),
        ("-3", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after_s(value, 1_700_000_000.0) == seconds
