"""The server: pictures with their faults, counts, and an orderly end."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from PIL import Image

from curate.demo.options import SampleOptions
from curate.demo.photos import Fate, Photo
from curate.demo.server import SampleServer
from curate.fetch.verify import verify
from curate.records import Reason, Refused, Verified
from tests.demo.conftest import Client, Serve


def photo_with(client: Client, fate: Fate) -> Photo:
    return next(photo for photo in client.server.photos if photo.fate is fate)


def fetch(client: Client, photo: Photo, query: str = "w=200") -> requests.Response:
    return client.open(f"{client.server.url}/photo/{photo.photo_id}?{query}")


@pytest.mark.parametrize(
    ("query", "image_format"),
    [("w=200&q=60", "jpeg"), ("w=200&fm=png", "png"), ("w=200&fm=webp", "webp")],
)
def test_size_and_form_are_as_the_url_asks(serve: Serve, query: str, image_format: str) -> None:
    client = serve(photos_per_class=2)
    photo = client.server.photos[0]
    answer = fetch(client, photo, query)
    outcome = verify(answer.content)
    assert isinstance(outcome, Verified)
    assert answer.headers["Content-Type"] == f"image/{image_format}"
    assert (outcome.format, outcome.width_px) == (image_format, 200)
    assert outcome.height_px == pytest.approx(200 * photo.height_px / photo.width_px, abs=1)


def test_the_same_url_gives_the_same_bytes_and_is_counted(serve: Serve) -> None:
    client = serve(photos_per_class=1)
    photo = client.server.photos[0]
    assert fetch(client, photo).content == fetch(client, photo).content
    assert client.server.counts[f"/photo/{photo.photo_id}"] == 2
    assert client.server.n_image_requests == client.server.count("/photo/") == 2


def test_a_lower_quality_is_a_smaller_file(serve: Serve) -> None:
    client = serve(photos_per_class=1)
    low, high = (fetch(client, client.server.photos[0], f"w=300&q={q}") for q in (30, 90))
    assert len(low.content) < len(high.content) / 2


def test_named_variants_are_smaller_and_smaller(serve: Serve) -> None:
    client = serve(photos_per_class=1, occurrences=3)
    longest = []
    for name in ("original", "large", "medium", "small"):
        outcome = verify(client.get(f"/photos/gbif-0/{name}.jpg").content)
        assert isinstance(outcome, Verified)
        longest.append(max(outcome.width_px, outcome.height_px))
    assert longest == [1600, 1024, 500, 240]
    assert client.get("/photos/gbif-0/huge.jpg").status_code == 404


@pytest.mark.parametrize(
    ("fate", "status"), [(Fate.NOT_FOUND, 404), (Fate.GONE, 410), (Fate.HTML, 200)]
)
def test_lasting_faults_last(serve: Serve, fate: Fate, status: int) -> None:
    client = serve(photos_per_class=3, **{f"{fate}_share": 1.0})
    for _ in range(2):
        answer = fetch(client, client.server.photos[0])
        assert answer.status_code == status
    if fate is Fate.HTML:
        assert answer.headers["Content-Type"] == "image/jpeg"
        outcome = verify(answer.content)
        assert isinstance(outcome, Refused)
        assert outcome.reason is Reason.HTML


def test_a_missing_photo_is_404(serve: Serve) -> None:
    client = serve(photos_per_class=1)
    for path in (
        "/photo/nothing",
        "/photos/gbif-999999/original.jpg",
        "/photos/gbif-x/original.jpg",
    ):
        assert client.get(path).status_code == 404


def test_a_503_passes(serve: Serve) -> None:
    client = serve(photos_per_class=2, unavailable_share=1.0)
    photo = client.server.photos[0]
    assert [fetch(client, photo).status_code for _ in range(3)] == [503, 200, 200]


def test_a_429_with_a_pause_passes(serve: Serve) -> None:
    client = serve(photos_per_class=5, limited_photos=2)
    assert sum(photo.fate is Fate.LIMITED for photo in client.server.photos) == 2
    photo = photo_with(client, Fate.LIMITED)
    first = fetch(client, photo)
    assert (first.status_code, first.headers["Retry-After"]) == (429, "1")
    assert fetch(client, photo).status_code == 200


@pytest.mark.parametrize("fate", [Fate.RESET, Fate.SHORT_BODY])
def test_a_broken_connection_passes(serve: Serve, fate: Fate) -> None:
    client = serve(photos_per_class=2, **{f"{fate}_share": 1.0})
    photo = client.server.photos[0]
    with pytest.raises(
        requests.ConnectionError if fate is Fate.RESET else requests.RequestException
    ):
        fetch(client, photo)
    assert isinstance(verify(fetch(client, photo).content), Verified)


def test_placeholders_are_one_file_under_many_urls(serve: Serve) -> None:
    client = serve(photos_per_class=2, placeholder_share=1.0)
    bodies = {
        fetch(client, photo, f"w={200 + n}").content for n, photo in enumerate(client.server.photos)
    }
    assert len(bodies) == 1
    assert isinstance(verify(bodies.pop()), Verified)


def test_a_duplicate_is_the_same_file_under_another_url(serve: Serve) -> None:
    client = serve(photos_per_class=10, duplicate_share=0.3)
    twin = photo_with(client, Fate.DUPLICATE)
    original = client.server.photo(twin.twin_of or "")
    assert original is not None
    assert fetch(client, twin).content == fetch(client, original).content


def test_the_server_is_unavailable_now_and_then_if_asked(serve: Serve) -> None:
    client = serve(api_unavailable_every=3)
    statuses = [client.get("/v1/occurrence/search", limit=0).status_code for _ in range(6)]
    assert statuses == [200, 200, 503, 200, 200, 503]


def test_many_readers_at_once_all_get_their_picture(serve: Serve) -> None:
    client = serve(photos_per_class=8, duplicate_share=0.2, near_duplicate_share=0.2)
    url = client.server.url

    def read(photo: Photo) -> int:
        return requests.get(f"{url}/photo/{photo.photo_id}?w=120", timeout=30).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(read, client.server.photos)) == {200}


def test_a_connection_is_kept_and_let_go_at_the_end() -> None:
    before = threading.active_count()
    with (
        SampleServer(SampleOptions.faultless(photos_per_class=2)) as server,
        requests.Session() as session,
    ):
        for photo in server.photos[:3]:
            with session.get(
                f"{server.url}/photo/{photo.photo_id}?w=64", stream=True, timeout=10
            ) as answer:
                assert "Content-Length" in answer.headers
                assert answer.raw.version == 11
                Image.open(answer.raw).load()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{answer.url.split(':')[2]}", timeout=5)
    assert server.errors == []
    assert threading.active_count() <= before + 1
