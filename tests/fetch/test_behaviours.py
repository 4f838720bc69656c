"""Every way in which a server misbehaves ends in its documented reason, and in time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.records import TRANSIENT, Reason
from tests.fakes.behaviours import STATUSES
from tests.fakes.exchange import MAX_SECONDS
from tests.fakes.misbehaving import Misbehaving
from tests.fakes.registry import BEHAVIOURS
from tests.fetch.runs import Folder, Row

STORED = "stored"

# What is not an answer at all, or breaks off, is transient; so is what only took too long.
ENDS = {
    **dict.fromkeys(
        ("ok", "slow", "informational", "redirect_chain", "redirect_loopback", "no_length"), STORED
    ),
    **dict.fromkeys(("chunked", "no_head", "http10", "redirect_relative", "jpeg_as_html"), STORED),
    **dict.fromkeys(("png_as_jpeg", "placeholder"), STORED),
    "gzip_lie": STORED,  # compression was not asked for, so bytes are taken as they come
    "status": Reason.UNAVAILABLE,
    "flaky": Reason.UNAVAILABLE,
    "img": Reason.NOT_FOUND,
    "informational_only": Reason.RESET,
    **dict.fromkeys(("reset_before", "reset_in_headers", "reset_after_headers"), Reason.RESET),
    **dict.fromkeys(("close_before", "close_in_headers", "redirect_twice"), Reason.RESET),
    **dict.fromkeys(("garbage", "http09", "noise", "bad_status_line", "future_http"), Reason.RESET),
    **dict.fromkeys(("endless_headers", "huge_header"), Reason.RESET),
    **dict.fromkeys(
        ("lying_length", "length_garbage", "length_negative", "length_twice"), Reason.RESET
    ),
    **dict.fromkeys(("reset_in_body", "short_body"), Reason.SHORT_BODY),
    **dict.fromkeys(("chunked_broken", "chunked_cut"), Reason.SHORT_BODY),
    **dict.fromkeys(("chunked_overflow", "chunked_negative"), Reason.SHORT_BODY),
    **dict.fromkeys(("chunked_endless", "endless", "endless_length"), Reason.TOO_BIG),
    **dict.fromkeys(("redirect_endless", "length_huge"), Reason.TOO_BIG),
    **dict.fromkeys(("drip", "drip_headers", "stall", "stall_in_headers"), Reason.TOO_SLOW),
    **dict.fromkeys(("stall_after_headers", "stall_in_body"), Reason.TOO_SLOW),
    **dict.fromkeys(("gzipped", "gzip_bomb"), Reason.NOT_AN_IMAGE),
    "empty": Reason.EMPTY,
    "html_as_jpeg": Reason.HTML,
    "pixel_bomb": Reason.TOO_MANY_PIXELS,
    **dict.fromkeys(("long_body", "truncated", "flipped"), Reason.CORRUPT),
    **dict.fromkeys(("redirect", "redirect_empty"), Reason.BAD_STATUS),
    **dict.fromkeys(("redirect_loop", "redirect_grow"), Reason.TOO_MANY_REDIRECTS),
    "redirect_schemeless": Reason.CONNECT,  # goes to port 80, where nobody listens
    "redirect_garbage": Reason.NOT_FOUND,  # a relative path, however odd
    **dict.fromkeys(("redirect_file", "redirect_ftp", "redirect_javascript"), Reason.DENIED),
    **dict.fromkeys(("redirect_data", "redirect_no_host"), Reason.DENIED),
    **dict.fromkeys(("redirect_private", "redirect_metadata"), Reason.DENIED),
    **dict.fromkeys(("retry_seconds", "retry_date", "retry_past"), Reason.RATE_LIMITED),
    **dict.fromkeys(("retry_year", "retry_garbage", "retry_negative"), Reason.RATE_LIMITED),
}
STATUS_ENDS = {
    **dict.fromkeys(STATUSES, Reason.BAD_STATUS),
    **dict.fromkeys((401, 402, 403, 407, 451), Reason.FORBIDDEN),
    **dict.fromkeys((404, 410), Reason.NOT_FOUND),
    **dict.fromkeys((408, 425, 500, 502, 503, 504, 522, 524), Reason.UNAVAILABLE),
    429: Reason.RATE_LIMITED,
}
# With a well answer to the second request, these are retried into an image.
FLAKY = ("status", "reset_before", "reset_in_body", "short_body", "chunked_cut", "stall_in_body")
FLAKY += ("close_before", "drip", "garbage", "truncated", "retry_past")


@pytest.fixture(scope="module")
def server() -> Iterator[Misbehaving]:
    with Misbehaving() as running:
        yield running


def outcomes(server: Misbehaving, folder: Path, urls: list[str], **changes: object) -> list[Row]:
    """Fetch the URLs in one run, each from a host of its own, so that none disturbs another."""
    names = [f"host-{number}.test" for number in range(len(urls))]
    own = [url.replace(server.host, name) for url, name in zip(urls, names, strict=True)]
    resolve = tuple(f"{name}:{server.port}:{server.host}" for name in names)
    project = Folder(folder, connections=256, max_bytes=2_000_000, **changes)
    project.add(own)
    project.fetch(resolve=resolve)
    rows = project.rows()
    project.close()
    return [rows[url] for url in own]


@pytest.mark.slow
def test_every_behaviour_ends_in_its_documented_reason_and_in_time(
    server: Misbehaving, tmp_path: Path
) -> None:
    assert set(ENDS) == set(BEHAVIOURS)
    urls = [server.url(name, seed=number) for number, name in enumerate(ENDS)]
    began = time.monotonic()
    rows = outcomes(server, tmp_path, urls, tries=1)
    # They run side by side: one without its deadline of 5 s would last the server's minute.
    assert time.monotonic() - began < MAX_SECONDS / 2
    found = {name: row.end for name, row in zip(ENDS, rows, strict=True)}
    stored = {name: STORED if end == "duplicate" else end for name, end in found.items()}
    assert stored == ENDS
    assert all(row.detail for row in rows if row.state == "failed")


def test_every_status_has_its_reason(server: Misbehaving, tmp_path: Path) -> None:
    urls = [server.url("status", code=code) for code in STATUS_ENDS]
    rows = outcomes(server, tmp_path, urls, tries=1)
    assert {code: row.end for code, row in zip(STATUS_ENDS, rows, strict=True)} == STATUS_ENDS
    assert [row.http_status for row in rows] == list(STATUS_ENDS)


def test_a_status_other_than_200_is_no_image_even_with_a_good_body(
    server: Misbehaving, tmp_path: Path
) -> None:
    codes = (206, 300, 404, 500)
    urls = [server.url("status", code=code, body="jpeg") for code in codes]
    rows = outcomes(server, tmp_path, urls, tries=1)
    assert [row.end for row in rows] == [STATUS_ENDS[code] for code in codes]


@pytest.mark.slow
def test_what_fails_once_is_an_image_at_the_second_try(server: Misbehaving, tmp_path: Path) -> None:
    urls = [
        server.url("flaky", number, how=how, seed=100 + number, retry_after="date:-5")
        for number, how in enumerate(FLAKY)
    ]
    rows = outcomes(server, tmp_path, urls)
    assert [(row.end, row.tries) for row in rows] == [(STORED, 2)] * len(FLAKY)
    assert [server.count(url) for url in urls] == [2] * len(FLAKY)


def test_transient_failures_are_tried_as_often_as_set_and_others_once(
    server: Misbehaving, tmp_path: Path
) -> None:
    names = ("reset_in_body", "status", "empty", "redirect_loop", "html_as_jpeg", "gzipped")
    urls = [server.url(name, "counted") for name in names]
    rows = outcomes(server, tmp_path, urls, tries=3)
    for row, url in zip(rows, urls, strict=True):
        assert row.tries == (3 if row.end in TRANSIENT else 1)
        assert server.count(url) == (6 if "loop" in url else row.tries)


def test_damage_is_believed_when_it_is_seen_twice(server: Misbehaving, tmp_path: Path) -> None:
    twice = server.url("truncated", "twice")
    late = server.url("flaky", "late", how="short_body", body="truncated")
    rows = outcomes(server, tmp_path, [twice, late])
    assert [(row.end, row.tries) for row in rows] == [("corrupt", 2), ("corrupt", 3)]
