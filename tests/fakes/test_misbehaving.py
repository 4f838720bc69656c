"""The misbehaving server misbehaves as it says: seen from a bare socket, byte by byte."""

from __future__ import annotations

import email.utils
import http.client
import io
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import simplejpeg
from PIL import Image

from tests.fakes.behaviours import STATUSES
from tests.fakes.bodies import BODIES, encoded, flipped, pixel_bomb, truncated
from tests.fakes.flaky import FAILURES, Corpus, First, Kind
from tests.fakes.misbehaving import Misbehaving
from tests.fakes.registry import BEHAVIOURS

RESET = b"<reset>"


@pytest.fixture(scope="module")
def server() -> Iterator[Misbehaving]:
    with Misbehaving(Corpus(300, seed=1), files={"own": b"my own bytes"}) as running:
        yield running


def ask(url: str, *, at_most: int = 3_000_000, method: str = "GET") -> bytes:
    """Everything that a request is answered with, until the end or `at_most` bytes."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    target = url[url.index("/", 8) :]
    received = bytearray()
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=20) as sock:
        sock.sendall(f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        try:
            while len(received) < at_most and (data := sock.recv(65536)):
                received += data
        except ConnectionResetError:
            received += RESET
    return bytes(received)


def split(answer: bytes) -> tuple[str, dict[str, str], bytes]:
    """Status line, headers (last of a name) and body of an answer."""
    top, _, body = answer.partition(b"\r\n\r\n")
    line, *rows = top.decode("latin-1").split("\r\n")
    return line, {row.partition(": ")[0]: row.partition(": ")[2] for row in rows}, body


def test_there_are_more_than_forty_behaviours_and_each_says_what_it_does() -> None:
    assert len(BEHAVIOURS) + len(STATUSES) > 90
    assert all((handler.__doc__ or "").strip() for handler in BEHAVIOURS.values())


@pytest.mark.parametrize("name", ["jpeg", "png", "gif", "webp"])
def test_pictures_are_whole_distinct_and_always_the_same(name: str) -> None:
    make, kind = BODIES[name]
    for seed in range(5):
        with Image.open(io.BytesIO(make(seed))) as image:
            image.load()
            assert Image.MIME[str(image.format)] == kind
    assert len({make(seed) for seed in range(50)}) == 50


@pytest.mark.parametrize("make", [truncated, flipped])
def test_damaged_pictures_are_refused_by_a_strict_decoder(make: type) -> None:
    assert simplejpeg.decode_jpeg(encoded(0), strict=True).shape == (72, 96, 3)
    with pytest.raises(ValueError, match=r"(?i)premature|corrupt|bad|extraneous"):
        simplejpeg.decode_jpeg(make(0), strict=True)


def test_the_pixel_bomb_announces_more_than_it_holds() -> None:
    data = pixel_bomb()
    assert len(data) < 1000
    assert int.from_bytes(data[16:20], "big") == 60_000


def test_ok_serves_the_asked_body_and_keeps_the_connection(server: Misbehaving) -> None:
    before = server.stats.n_connections
    client = http.client.HTTPConnection("127.0.0.1", server.port)
    for query, data in [("seed=3", encoded(3)), ("body=own", b"my own bytes"), ("body=empty", b"")]:
        client.request("GET", f"/ok?{query}", headers={"X-Mine": query})
        assert client.getresponse().read() == data
        assert server.requests[-1].headers["x-mine"] == query
    client.close()
    assert server.stats.n_connections == before + 1


def test_the_type_may_lie(server: Misbehaving) -> None:
    for name, body, kind in [
        ("html_as_jpeg", BODIES["html"][0](0), "image/jpeg"),
        ("png_as_jpeg", encoded(0, "PNG"), "image/jpeg"),
        ("jpeg_as_html", encoded(0), "text/html"),
    ]:
        _, headers, received = split(ask(server.url(name)))
        assert (received, headers["Content-Type"]) == (body, kind)


def test_a_placeholder_is_the_same_under_every_url(server: Misbehaving) -> None:
    answers = {split(ask(server.url("placeholder", n)))[2] for n in range(3)}
    assert len(answers) == 1


@pytest.mark.parametrize("code", STATUSES)
def test_every_status_is_sent(server: Misbehaving, code: int) -> None:
    line, _, body = split(ask(server.url("status", code=code)))
    assert line.startswith(f"HTTP/1.1 {code} ")
    assert (body == b"") == (code in (204, 304))


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("retry_date", 0, 10), ("retry_past", -3700, -3500), ("retry_year", 31_535_900, 31_536_100)],
)
def test_retry_after_may_be_a_date(server: Misbehaving, name: str, low: int, high: int) -> None:
    _, headers, _ = split(ask(server.url(name)))
    then = email.utils.parsedate_to_datetime(headers["Retry-After"]).timestamp()
    assert low < then - time.time() < high


@pytest.mark.parametrize(
    ("name", "value"),
    [("retry_seconds", "2"), ("retry_garbage", "soon"), ("retry_negative", "-10")],
)
def test_retry_after_may_be_anything(server: Misbehaving, name: str, value: str) -> None:
    for code in (429, 503):
        line, headers, _ = split(ask(server.url(name, code=code)))
        assert (line[9:12], headers["Retry-After"]) == (str(code), value)


@pytest.mark.parametrize(
    ("name", "location"),
    [
        ("redirect", None),
        ("redirect_empty", ""),
        ("redirect_relative", "../x/../ok"),
        ("redirect_file", "file:///etc/passwd"),
        ("redirect_ftp", "ftp://example.com/a.jpg"),
        ("redirect_javascript", "javascript:alert(1)"),
        ("redirect_private", "http://10.0.0.1/a.jpg"),
        ("redirect_no_host", "http://?a.jpg"),
        ("redirect_loop", "/redirect_loop"),
        ("redirect_chain", "/redirect_chain?n=2"),
    ],
)
def test_redirects_go_where_they_say(server: Misbehaving, name: str, location: str | None) -> None:
    line, headers, _ = split(ask(server.url(name)))
    assert line == "HTTP/1.1 302 Found"
    assert headers.get("Location") == location


def test_redirects_to_loopback_name_this_server_otherwise(server: Misbehaving) -> None:
    _, headers, _ = split(ask(server.url("redirect_loopback", host="127.1")))
    assert headers["Location"] == f"http://127.1:{server.port}/ok"


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("reset_before", rb"<reset>"),
        ("reset_in_headers", rb"HTTP/1.1 200 OK\r\nContent-Type: image/j<reset>"),
        ("reset_after_headers", rb"HTTP/1.1 200 OK\r\n.*\r\n\r\n<reset>"),
        ("reset_in_body", rb"HTTP/1.1 200 OK\r\n.*\r\n\r\n\xff\xd8.{50,}<reset>"),
        ("close_before", rb""),
        ("close_in_headers", rb"HTTP/1.1 200 OK\r\nContent-Length: 50"),
        ("informational", rb"(HTTP/1.1 100 Continue\r\n.*){3}HTTP/1.1 200 OK\r\n.*\xff\xd9"),
        ("informational_only", rb"HTTP/1.1 100 Continue\r\n\r\n"),
        ("length_garbage", rb".*Content-Length: banana\r\n\r\n\xff\xd8.*\xff\xd9"),
        ("length_negative", rb".*Content-Length: -5\r\n\r\n\xff\xd8.*\xff\xd9"),
        (
            "length_twice",
            rb".*Content-Length: 100\r\nContent-Length: 2000\r\n\r\n\xff\xd8.*\xff\xd9",
        ),
        ("no_length", rb"HTTP/1.1 200 OK\r\n(?!.*Content-Length).*\r\n\r\n\xff\xd8.*\xff\xd9"),
        ("chunked", rb".*chunked\r\n\r\n1f4\r\n\xff\xd8.*\r\n0\r\nX-Trailer: yes\r\n\r\n"),
        ("chunked_cut", rb".*chunked\r\n\r\n[0-9a-f]+\r\n\xff\xd8.*\xff\xd9\r\n"),
        ("chunked_broken", rb".*\xff\xd9\r\nbanana\r\nxxxx\r\n"),
        ("http09", rb"\xff\xd8.*\xff\xd9"),
        ("bad_status_line", rb"HTTP/1.1 yes OK\r\n.*\xff\xd9"),
        ("http10", rb"HTTP/1.0 200 OK\r\n.*\xff\xd9"),
        ("gzip_lie", rb".*Content-Encoding: gzip\r\n.*\r\n\r\n\xff\xd8.*\xff\xd9"),
        ("slow?seconds=0.01", rb"HTTP/1.1 200 OK\r\n.*\xff\xd9"),
        ("stall?seconds=0.01&where=body", rb"HTTP/1.1 200 OK\r\n.*\xff\xd9"),
        ("drip?interval_ms=0.01&what=headers", rb"HTTP/1.1 200 OK\r\n.*\xff\xd9"),
        ("unheard_of", rb"HTTP/1.1 404 .*"),
    ],
)
def test_what_arrives_is_what_the_behaviour_says(
    server: Misbehaving, name: str, pattern: bytes
) -> None:
    assert re.fullmatch(pattern, ask(f"{server.base}/{name}"), re.DOTALL)


@pytest.mark.parametrize(("name", "sign"), [("short_body", 1), ("long_body", -1)])
def test_lengths_are_wrong_by_what_is_asked(server: Misbehaving, name: str, sign: int) -> None:
    parameter = "missing" if sign > 0 else "extra"
    _, headers, body = split(ask(server.url(name, **{parameter: 77})))
    assert int(headers["Content-Length"]) == len(body) + sign * 77


@pytest.mark.parametrize(
    "name", ["endless", "endless_length", "endless_headers", "chunked_endless", "redirect_endless"]
)
def test_what_is_endless_goes_on(server: Misbehaving, name: str) -> None:
    assert len(ask(server.url(name), at_most=20_000_000)) >= 20_000_000


def test_headers_may_be_huge(server: Misbehaving) -> None:
    _, headers, body = split(ask(server.url("huge_header", n_bytes=500_000)))
    assert len(headers["X-Huge"]) == 500_000
    assert body == encoded(0)


def test_the_gzip_bomb_is_small_on_the_wire(server: Misbehaving) -> None:
    _, headers, body = split(ask(server.url("gzip_bomb", mib=16)))
    assert len(body) == int(headers["Content-Length"]) < 64 * 1024


@pytest.mark.parametrize("how", ["status", "reset_before", "short_body", "close_before"])
def test_a_flaky_url_fails_its_first_requests_and_then_is_well(
    server: Misbehaving, how: str
) -> None:
    url = server.url("flaky", how, k=2, how=how)
    whole = [encoded(0) in ask(url) and how != "short_body" for _ in range(2)]
    assert whole == [False, False]
    assert split(ask(url))[2] == encoded(0)
    assert server.count(url) == server.count(server.url("flaky", how)) == 3


def test_head_is_answered_without_a_body_or_not_at_all(server: Misbehaving) -> None:
    assert ask(server.url("no_head"), method="HEAD").startswith(b"HTTP/1.1 405 ")
    assert split(ask(server.url("ok"), method="HEAD"))[2] == b""


def test_a_client_that_goes_away_is_forgotten(server: Misbehaving) -> None:
    open_before = server.stats.open_connections
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(b"GET /stall HTTP/1.1\r\n\r\n")
    for _ in range(200):
        if server.stats.open_connections <= open_before and server.count("/stall"):
            break
        time.sleep(0.02)  # the server notices by itself, and says so to nobody
    assert server.stats.open_connections <= open_before


class TestCorpus:
    def test_shares_are_as_asked(self) -> None:
        corpus = Corpus(4000, seed=7)
        fates = [corpus.fate(number) for number in range(corpus.n)]
        kinds = Counter(fate.kind for fate in fates)
        firsts = Counter(fate.first for fate in fates)
        assert 0.17 < 1 - firsts[First.OK] / corpus.n < 0.23
        assert all(firsts[how] > 100 for how in FAILURES)
        assert 0.02 < kinds[Kind.DEAD] / corpus.n < 0.04
        assert 0.02 < kinds[Kind.CORRUPT] / corpus.n < 0.04
        assert 0.04 < kinds[Kind.DUPLICATE] / corpus.n < 0.06
        assert {fate.status for fate in fates} == {200, 404, 410}

    def test_good_bodies_are_distinct_and_duplicates_repeat_one_of_them(self) -> None:
        corpus = Corpus(500, seed=7)
        good = {corpus.body(number): number for number in corpus.numbers(Kind.GOOD)}
        assert len(good) == len(corpus.numbers(Kind.GOOD))
        for number in corpus.numbers(Kind.DUPLICATE):
            assert good[corpus.body(number)] == corpus.fate(number).original != number

    def test_each_image_is_served_by_its_fate(self, server: Misbehaving) -> None:
        corpus = server.corpus
        assert corpus is not None
        for number in range(60):
            fate = corpus.fate(number)
            url = server.base + corpus.path(number)
            if fate.first is not First.OK:
                first = ask(url, at_most=200 if fate.first is First.DRIP else 3_000_000)
                assert (b" 503 " in first) == (fate.first in (First.BUSY, First.ERROR))
                assert (b"Retry-After: 1\r\n" in first) == (fate.first is First.BUSY)
                assert first.endswith(RESET) == (fate.first is First.RESET)
            line, _, body = split(ask(url))
            assert line[9:12] == str(fate.status)
            assert fate.kind is Kind.DEAD or body == corpus.body(number)

    def test_an_image_beyond_the_corpus_is_not_found(self, server: Misbehaving) -> None:
        assert ask(server.url("img", "300.jpg")).startswith(b"HTTP/1.1 404 ")


def test_the_server_stops_while_clients_hang_on_it() -> None:
    with Misbehaving() as server:
        sock = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        sock.sendall(b"GET /stall_in_headers HTTP/1.1\r\n\r\n")
        assert sock.recv(8) == b"HTTP/1.1"
    with sock, suppress(ConnectionResetError):
        while sock.recv(1000):
            pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=20)


def test_it_runs_as_a_process_of_its_own_and_tells_its_counts() -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "tests.fakes.misbehaving", "--images", "5"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        killer = threading.Timer(60, process.kill)
        killer.start()
        base = f"http://127.0.0.1:{int(process.stdout.readline())}"
        ask(f"{base}/img/0.jpg")
        ask(f"{base}/ok?seed=2")
        stats = json.loads(split(ask(f"{base}/__stats__"))[2])
        assert stats["counts"] == {"/img/0.jpg": 1, "/ok?seed=2": 1}
        assert stats["n_requests"] == 2
        ask(f"{base}/__reset__")
        assert json.loads(split(ask(f"{base}/__stats__"))[2])["counts"] == {}
        process.terminate()
        assert process.wait(20) == 0
        killer.cancel()
