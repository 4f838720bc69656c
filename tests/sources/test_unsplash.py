from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from hypothesis import given
from hypothesis import strategies as st

from curate import __version__
from curate.errors import ExitCode, MissingKeyError, SourceError, UsageError
from curate.sources import Page, Query, RateLimitedError, create
from curate.sources.unsplash import UnsplashSource
from curate.sources.variants import unsplash_variant
from tests.sources.recorded import Clock, answer_to, json_reply

API = "https://api.unsplash.com/search/photos"


def photo(n: int) -> dict[str, Any]:
    raw = f"https://images.unsplash.com/photo-{n}?ixid=abc{n}&ixlib=rb-4.0.3"
    return {
        "id": f"p{n}",
        "width": 3000,
        "height": 2000,
        "urls": {"raw": raw, "full": raw + "&q=85"},
    }


def album(total: int, headers: dict[str, str] | None = None) -> Any:
    """A search that has `total` photos, 30 a page."""

    def reply(request: Any) -> tuple[int, dict[str, str], str]:
        page = int(parse_qs(urlsplit(request.url).query)["page"][0])
        shown = [photo(n) for n in range((page - 1) * 30, min(total, page * 30))]
        body = {"total": total, "total_pages": math.ceil(total / 30), "results": shown}
        return json_reply(body, **(headers or {}))

    return reply


def ids(pages: list[Page]) -> list[str]:
    return [candidate.source_id for page in pages for candidate in page.candidates]


@responses.activate
def test_a_recorded_search_becomes_credited_candidates(shared: Path) -> None:
    recorded = answer_to(shared / "unsplash/recorded/php_search.json", "/search/photos")
    responses.get(API, body=recorded["body"], content_type="application/json")
    query = Query(text="paris", classes=("paris",), side_px=512)
    page = next(create("unsplash", Clock().context()).pages(query))
    first = page.candidates[0]
    assert (page.total, page.cursor, len(page.candidates)) == (3364, "2", 10)
    assert (first.source, first.source_id, first.query) == ("unsplash", "ZzbBpjNBJD4", "paris")
    assert first.author == "Anthony DELANOIX"
    assert first.attribution == "Photo by Anthony DELANOIX on Unsplash"
    assert first.license == "Unsplash"
    assert first.license_url == "https://unsplash.com/license"
    assert first.page_url is not None
    assert parse_qs(urlsplit(first.page_url).query) == {
        "utm_source": ["curate"],
        "utm_medium": ["referral"],
    }
    assert first.meta["download_location"].endswith("/photos/ZzbBpjNBJD4/download")
    assert first.meta["description"] == "Eiffel Tower at night"
    assert "paris" in first.meta["tags"].split("|")


@responses.activate
def test_a_recent_answer_keeps_ixid_and_asks_for_the_shorter_side(shared: Path) -> None:
    body = (shared / "unsplash/community/search_cats_2024.json").read_text(encoding="utf-8")
    responses.get(API, body=body, content_type="application/json")
    page = next(create("unsplash", Clock().context()).pages(Query(text="cats", side_px=512)))
    asked = {c.source_id: parse_qs(urlsplit(c.url).query) for c in page.candidates}
    for original in json.loads(body)["results"]:
        params = asked[original["id"]]
        width, height = original["width"], original["height"]
        assert "ixid" in params
        assert params["fm"] == ["jpg"]
        assert params["fit"] == ["max"]
        w = int(params["w"][0])
        assert 512 <= min(w, w * height / width) < 514


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(1, 4000))
def test_a_variant_is_just_large_enough_and_never_enlarged(w: int, h: int, side: int) -> None:
    params = parse_qs(urlsplit(unsplash_variant("https://i.example/p?ixid=1", w, h, side)).query)
    asked = int(params["w"][0]) if "w" in params else w
    assert asked <= w
    assert asked * h // w >= side or asked == w
    assert params["ixid"] == ["1"]
    if asked < w:
        assert min(asked - 1, (asked - 1) * h / w) < side


@responses.activate
def test_the_original_is_the_full_jpeg() -> None:
    responses.add_callback("GET", API, album(1))
    page = next(create("unsplash", Clock().context()).pages(Query(text="x")))
    assert page.candidates[0].url == photo(0)["urls"]["full"]


@responses.activate
def test_requests_have_a_name_and_the_key_stays_out_of_url_and_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    responses.add_callback("GET", API, album(1))
    source = create("unsplash", Clock().context(contact="me@example.org"))
    list(source.pages(Query(text="x", params={"orientation": ("portrait",)})))
    request = responses.calls[0].request
    assert request.headers["Authorization"] == "Client-ID secret-key"
    assert request.headers["User-Agent"] == f"curate/{__version__} (+me@example.org)"
    assert request.headers["Accept-Version"] == "v1"
    assert "secret-key" not in str(request.url)
    assert "secret-key" not in caplog.text
    params = parse_qs(urlsplit(str(request.url)).query)
    assert params == {
        "query": ["x"],
        "page": ["1"],
        "per_page": ["30"],
        "orientation": ["portrait"],
    }


@responses.activate
def test_the_key_does_not_follow_a_redirect_to_another_host() -> None:
    elsewhere = "https://elsewhere.example/search"
    responses.get(API, status=302, headers={"Location": elsewhere})
    responses.get(elsewhere, json={"total": 0, "total_pages": 0, "results": []})
    list(create("unsplash", Clock().context()).pages(Query(text="x")))
    assert "Authorization" not in responses.calls[1].request.headers


@responses.activate
def test_every_photo_comes_once_and_the_search_goes_on_at_its_cursor() -> None:
    responses.add_callback("GET", API, album(75))
    source = create("unsplash", Clock().context())
    pages = list(source.pages(Query(text="x")))
    assert ids(pages) == [f"p{n}" for n in range(75)]
    assert [page.cursor for page in pages] == ["2", "3", None]
    assert ids(list(source.pages(Query(text="x"), cursor="3"))) == [f"p{n}" for n in range(60, 75)]


@responses.activate
def test_what_a_limit_cuts_comes_after_it() -> None:
    responses.add_callback("GET", API, album(75))
    source = create("unsplash", Clock().context())
    cursor: str | None = None
    seen: list[str] = []
    for limit in (10, 35, 7, 100):
        pages = list(source.pages(Query(text="x", limit=limit), cursor))
        assert len(ids(pages)) == min(limit, 75 - len(seen))
        seen += ids(pages)
        cursor = pages[-1].cursor
    assert seen == [f"p{n}" for n in range(75)]
    assert cursor is None


@responses.activate
def test_pages_are_asked_for_only_when_they_are_wanted() -> None:
    responses.add_callback("GET", API, album(75))
    pages = create("unsplash", Clock().context()).pages(Query(text="x"))
    assert len(responses.calls) == 0
    next(pages)
    assert len(responses.calls) == 1


@responses.activate
def test_without_a_key_nothing_is_asked() -> None:
    source = create("unsplash", Clock().context(environ={}))
    with pytest.raises(MissingKeyError) as caught:
        list(source.pages(Query(text="x")))
    assert "UNSPLASH_ACCESS_KEY" in caught.value.hint
    assert len(responses.calls) == 0


@responses.activate
def test_a_refused_key_says_where_to_get_one() -> None:
    body = {"errors": ["OAuth error: The access token is invalid"]}
    responses.get(API, json=body, status=401)
    with pytest.raises(MissingKeyError, match="401") as caught:
        list(create("unsplash", Clock().context()).pages(Query(text="x")))
    assert "unsplash.com/oauth/applications" in caught.value.hint
    assert "secret-key" not in str(caught.value) + caught.value.hint


@responses.activate
def test_a_spent_hour_stops_before_it_is_refused() -> None:
    clock = Clock()
    responses.add_callback("GET", API, album(75, {"X-Ratelimit-Remaining": "0"}))
    pages = create("unsplash", clock.context()).pages(Query(text="x"))
    assert len(next(pages).candidates) == 30
    with pytest.raises(RateLimitedError, match="30 candidates so far, resume after") as caught:
        next(pages)
    assert caught.value.resume_at == clock.now + 3600
    assert caught.value.candidates_so_far == 30
    assert caught.value.exit_code is ExitCode.FAILURES_LEFT
    assert len(responses.calls) == 1
    assert clock.slept == []


@responses.activate
def test_a_spent_hour_is_waited_for_where_that_is_allowed() -> None:
    clock = Clock()
    responses.add_callback("GET", API, album(45, {"X-Ratelimit-Remaining": "0"}))
    pages = list(create("unsplash", clock.context(max_wait_s=3600)).pages(Query(text="x")))
    assert len(ids(pages)) == 45
    assert clock.slept == [3600]
    assert "waiting 3600 s" in clock.notices[0]


@responses.activate
@pytest.mark.parametrize("status", [403, 429])
def test_a_plain_text_refusal_is_a_spent_limit(shared: Path, status: int) -> None:
    recorded = answer_to(shared / "unsplash/recorded/php_endpoint.json", "/collections/301")
    assert recorded["status"] == 403
    responses.get(API, body=recorded["body"], status=status, content_type="application/json")
    with pytest.raises(RateLimitedError, match="0 candidates so far"):
        list(create("unsplash", Clock().context()).pages(Query(text="x")))


@responses.activate
def test_a_limit_that_names_its_end_is_waited_for() -> None:
    clock = Clock()
    responses.get(API, body="Rate Limit Exceeded", status=429, headers={"Retry-After": "7"})
    responses.add_callback("GET", API, album(3))
    pages = list(create("unsplash", clock.context()).pages(Query(text="x")))
    assert len(ids(pages)) == 3
    assert clock.slept == [7]


@responses.activate
@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (403, '{"errors": ["Forbidden by policy"]}', "403: Forbidden by policy"),
        (404, '{"errors": ["Couldn\'t find Photo"]}', "404: Couldn't find Photo"),
        (200, "not json", "not JSON"),
        (200, "[]", "not an object"),
        (200, '{"total": 1, "results": {"a": 1}}', "not a list"),
    ],
)
def test_another_bad_answer_is_one_clear_line(status: int, body: str, words: str) -> None:
    responses.get(API, body=body, status=status, content_type="application/json")
    with pytest.raises(SourceError, match=words):
        list(create("unsplash", Clock().context()).pages(Query(text="x")))


@responses.activate
def test_photos_without_a_url_are_counted() -> None:
    results = [photo(1), {"id": "p2", "urls": {}}, {"id": "p3"}]
    responses.get(API, json={"total": 3, "total_pages": 1, "results": results})
    page = next(create("unsplash", Clock().context()).pages(Query(text="x")))
    assert [c.source_id for c in page.candidates] == ["p1"]
    assert page.skipped == {"no_url": 2}


@responses.activate
def test_a_licence_filter_without_unsplash_is_refused_before_asking() -> None:
    source = create("unsplash", Clock().context())
    with pytest.raises(UsageError, match="licence"):
        source.pages(Query(text="x", licenses=frozenset({"cc0"})))
    with pytest.raises(UsageError, match="search words"):
        source.pages(Query())
    assert len(responses.calls) == 0


@responses.activate
def test_photos_of_unsplash_plus_are_under_another_licence() -> None:
    plus = {**photo(2), "plus": True}
    responses.get(API, json={"total": 2, "total_pages": 1, "results": [photo(1), plus]})
    wanted = Query(text="x", licenses=frozenset({"unsplash"}))
    page = next(create("unsplash", Clock().context()).pages(wanted))
    assert [c.source_id for c in page.candidates] == ["p1"]
    assert page.skipped == {"license": 1}


@responses.activate
def test_a_download_ping_goes_to_the_api_and_nowhere_else() -> None:
    responses.get("https://api.unsplash.com/photos/p1/download", json={"url": "https://x"})
    source = UnsplashSource(Clock().context())
    assert source.ping_download(
        {"download_location": "https://evil.example/photos/p1/download?ixid=a"}
    )
    assert responses.calls[0].request.url == "https://api.unsplash.com/photos/p1/download?ixid=a"
    assert not source.ping_download({"download_location": "https://evil.example/me"})
    assert not source.ping_download({})
    assert len(responses.calls) == 1


@responses.activate
def test_count_asks_for_one_photo() -> None:
    responses.add_callback("GET", API, album(75))
    source = create("unsplash", Clock().context())
    assert source.count(Query(text="x")) == 75
    assert "per_page=1" in str(responses.calls[0].request.url)
    assert source.class_counts(Query(text="x")) is None
