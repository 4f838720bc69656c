"""The Unsplash side, against what recorded answers of the real API show."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import requests
from unsplash.models import Photo as LibraryPhoto

from tests.demo.conftest import FakeClock, Serve

LIMIT, REMAINING = "X-Ratelimit-Limit", "X-Ratelimit-Remaining"


def test_a_search_pages_through_all_photos_of_a_class(serve: Serve) -> None:
    client = serve(photos_per_class=35, several_share=0.2)
    found, page = [], 1
    while True:
        answer = client.get("/search/photos", query="beach", per_page=15, page=page)
        body = answer.json()
        if not body["results"]:
            break
        found += [photo["id"] for photo in body["results"]]
        page += 1
    expected = [photo.photo_id for photo in client.server.found_as("beach")]
    assert found == expected
    assert len(expected) > 35
    assert body["total"] == len(expected) == int(answer.headers["X-Total"])
    assert body["total_pages"] == page - 1
    assert answer.headers["X-Per-Page"] == "15"


def test_a_page_has_at_most_thirty_photos_and_ten_by_default(serve: Serve) -> None:
    client = serve(photos_per_class=40)
    assert len(client.get("/search/photos", query="city", per_page=100).json()["results"]) == 30
    answer = client.get("/search/photos", query="city")
    assert len(answer.json()["results"]) == 10
    assert answer.headers["X-Per-Page"] == "10"


@pytest.mark.parametrize(
    ("page", "relations"),
    [
        (1, {"last": 4, "next": 2}),
        (2, {"first": 1, "prev": 1, "last": 4, "next": 3}),
        (4, {"first": 1, "prev": 3}),
    ],
)
def test_links_lead_to_the_other_pages(serve: Serve, page: int, relations: dict[str, int]) -> None:
    client = serve(photos_per_class=40, several_share=0)
    answer = client.get("/search/photos", query="city", page=page)
    assert {
        name: int(link["url"].split("page=")[1].split("&")[0])
        for name, link in answer.links.items()
    } == relations
    for link in answer.links.values():
        assert client.open(link["url"]).json()["total"] == 40


def test_nothing_found_is_an_empty_answer(serve: Serve) -> None:
    answer = serve().get("/search/photos", query="submarine")
    assert answer.json() == {"total": 0, "total_pages": 0, "results": []}
    assert "Link" not in answer.headers


def test_orientation_and_order_are_heeded(serve: Serve) -> None:
    client = serve()
    tall = client.get("/search/photos", query="sunset", orientation="portrait", per_page=30).json()
    assert 0 < tall["total"] < 120
    assert all(photo["width"] < photo["height"] for photo in tall["results"])
    latest = client.get("/search/photos", query="sunset", order_by="latest", per_page=30).json()
    days = [photo["created_at"] for photo in latest["results"]]
    assert days == sorted(days, reverse=True)


def test_a_photo_has_every_key_that_all_recorded_ones_have(serve: Serve, shared: Path) -> None:
    recorded: list[dict[str, Any]] = []
    for file in ("php_search.json", "rb_photos.json"):
        for one in json.loads((shared / "unsplash/recorded" / file).read_text()):
            if "/search/photos" in one["request"]["url"]:
                recorded += json.loads(one["response"]["body"])["results"]
    photo = serve().get("/search/photos", query="trees").json()["results"][0]
    for part in ("urls", "links", "user"):
        common = set.intersection(*(set(one[part]) for one in recorded))
        assert common - set(photo[part]) <= {"followers", "following", "accepted_tos"}
    assert not set.intersection(*(set(one) for one in recorded)) - set(photo)


def test_python_unsplash_reads_the_answer(serve: Serve) -> None:
    results = serve().get("/search/photos", query="trees").json()["results"]
    photos = LibraryPhoto.parse_list(results)
    assert [photo.id for photo in photos] == [one["id"] for one in results]
    assert photos[0].user.name == results[0]["user"]["name"]


def test_a_photo_is_found_by_id_and_by_slug(serve: Serve) -> None:
    client = serve()
    photo = client.get("/search/photos", query="trees").json()["results"][0]
    assert client.get(f"/photos/{photo['id']}").json()["id"] == photo["id"]
    assert client.open(photo["links"]["self"]).json()["id"] == photo["id"]
    missing = client.get("/photos/abc123")
    assert missing.status_code == 404
    assert missing.json() == {"errors": ["Couldn't find Photo"]}


def test_a_download_answers_the_url_and_is_counted(serve: Serve) -> None:
    client = serve()
    photo = client.get("/search/photos", query="trees").json()["results"][0]
    ixid = re.search(r"ixid=(\w+)", photo["urls"]["raw"])
    assert ixid is not None
    assert f"ixid={ixid[1]}" in photo["links"]["download_location"]
    answer = client.open(photo["links"]["download_location"])
    assert set(answer.json()) == {"url"}
    assert f"/photo/{photo['id']}?" in answer.json()["url"]
    assert client.server.pings == {photo["id"]: 1}


@pytest.mark.parametrize("value", [None, "Client-ID wrong", "Bearer sample-key"])
def test_without_the_key_it_is_401(serve: Serve, value: str | None) -> None:
    url = serve().server.unsplash_url + "/search/photos?query=beach"
    headers = {"Authorization": value} if value else {}
    answer = requests.get(url, headers=headers, timeout=10)
    assert answer.status_code == 401
    assert answer.json() == {"errors": ["OAuth error: The access token is invalid"]}


@pytest.mark.parametrize("status", [403, 429])
def test_a_spent_limit_is_plain_text_that_says_it_is_json(
    serve: Serve, clock: FakeClock, status: int
) -> None:
    client = serve(unsplash_limit=3, window_s=60.0, limit_status=status)
    left = [client.get("/search/photos", query="city").headers[REMAINING] for _ in range(3)]
    assert left == ["2", "1", "0"]
    answer = client.get("/search/photos", query="city")
    assert answer.status_code == status
    assert answer.text == "Rate Limit Exceeded"
    assert answer.headers["Content-Type"] == "application/json"
    assert (answer.headers[LIMIT], answer.headers[REMAINING]) == ("3", "0")
    clock.now += 59
    assert client.get("/photos/abc123").status_code == status
    clock.now += 1
    assert client.get("/photos/abc123").headers[REMAINING] == "2"


def test_pictures_do_not_count_against_the_limit(serve: Serve) -> None:
    client = serve(unsplash_limit=1, photos_per_class=2)
    photo = client.get("/search/photos", query="city").json()["results"][0]
    assert client.open(photo["urls"]["thumb"]).status_code == 200


def test_a_missing_query_is_refused(serve: Serve) -> None:
    answer = serve().get("/search/photos")
    assert answer.status_code == 400
    assert answer.json() == {"errors": ["query is missing"]}
