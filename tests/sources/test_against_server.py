"""The API clients against the real sample server: transport, paging, limits, faults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from curate.demo.options import SampleOptions
from curate.demo.server import SampleServer
from curate.errors import MissingKeyError
from curate.records import Candidate
from curate.sources import Page, Query, RateLimitedError, SourceContext, create
from curate.sources.unsplash import UnsplashSource
from tests.full import size
from tests.sources.recorded import Clock


def context(server: SampleServer, clock: Clock, **changes: Any) -> SourceContext:
    given: dict[str, Any] = {
        "environ": {"UNSPLASH_ACCESS_KEY": server.key},
        "unsplash_url": server.unsplash_url,
        "gbif_url": server.gbif_url,
        **changes,
    }
    return clock.context(**given)


def everything(pages: Iterator[Page]) -> list[Candidate]:
    return [candidate for page in pages for candidate in page.candidates]


def test_a_search_on_unsplash_finds_what_the_server_has() -> None:
    with SampleServer(SampleOptions.faultless(photos_per_class=70)) as server:
        source = create("unsplash", context(server, Clock()))
        found = everything(source.pages(Query(text="beach", side_px=512)))
        assert [c.source_id for c in found] == [p.photo_id for p in server.found_as("beach")]
        assert source.count(Query(text="beach")) == len(found)
        assert all(c.author and "ixid=" in c.url for c in found)
        assert not server.errors


def test_a_spent_hour_on_the_server_is_waited_out_and_loses_nothing() -> None:
    clock = Clock()
    options = SampleOptions.faultless(photos_per_class=100, unsplash_limit=2)
    with SampleServer(options, clock=clock.time) as server:
        source = create("unsplash", context(server, clock, max_wait_s=3600))
        found = everything(source.pages(Query(text="beach")))
        assert [c.source_id for c in found] == [p.photo_id for p in server.found_as("beach")]
        assert set(clock.slept) == {3600}


@pytest.mark.parametrize("status", [403, 429])
def test_an_hour_that_is_spent_from_the_start_says_when_to_come_back(status: int) -> None:
    clock = Clock()
    options = SampleOptions.faultless(unsplash_limit=0, limit_status=status)
    with (
        SampleServer(options, clock=clock.time) as server,
        pytest.raises(RateLimitedError, match="0 candidates so far"),
    ):
        everything(create("unsplash", context(server, clock)).pages(Query(text="city")))


def test_a_wrong_key_is_told_by_the_server() -> None:
    with SampleServer() as server:
        wrong = context(server, Clock(), environ={"UNSPLASH_ACCESS_KEY": "wrong"})
        with pytest.raises(MissingKeyError, match="401"):
            everything(create("unsplash", wrong).pages(Query(text="city")))


def test_download_pings_arrive() -> None:
    with SampleServer(SampleOptions.faultless(photos_per_class=3)) as server:
        source = UnsplashSource(context(server, Clock()))
        found = everything(source.pages(Query(text="trees")))
        assert all(source.ping_download(candidate.meta) for candidate in found)
        assert set(server.pings) == {candidate.source_id for candidate in found}


def test_answers_of_503_are_asked_for_again() -> None:
    query = Query(params={"country": ("DE", "DK", "BR")})
    options = SampleOptions.faultless(api_unavailable_every=2, occurrences=900)
    with SampleServer(options) as server:
        source = create("gbif", context(server, Clock()))
        pages = list(source.pages(query))
        n_found = len({c.group for c in everything(iter(pages))})
        assert n_found == pages[0].total == source.count(query)
        # A count, the pages and a count again; each but the first was refused once.
        assert server.count("/v1/occurrence/search") == 2 * (len(pages) + 2) - 1


def test_a_name_is_searched_on_gbif_and_all_media_have_classes() -> None:
    with SampleServer(SampleOptions(occurrences=2000)) as server:
        source = create("gbif", context(server, Clock()))
        taxon = server.taxonomy.species[0].taxon
        query = Query(text=taxon.canonical, side_px=256)
        pages = list(source.pages(query))
        found = everything(iter(pages))
        assert found
        assert {c.classes for c in found} == {(taxon.canonical,)}
        assert source.count(query) == pages[0].total
        assert not server.errors


def test_class_counts_agree_with_what_a_search_gives() -> None:
    with SampleServer(SampleOptions.faultless(occurrences=1500)) as server:
        source = create("gbif", context(server, Clock()))
        groups: dict[str, set[str | None]] = {}
        for candidate in everything(source.pages(Query())):
            groups.setdefault(candidate.classes[0], set()).add(candidate.group)
        assert source.class_counts(Query()) == {name: len(of) for name, of in groups.items()}


def test_pauses_that_gbif_asks_for_are_kept() -> None:
    clock = Clock()
    options = SampleOptions.faultless(occurrences=1800, gbif_limit=3, gbif_retry_after_s=20)
    with SampleServer(options, clock=clock.time) as server:
        found = everything(create("gbif", context(server, clock)).pages(Query()))
        assert len({c.group for c in found}) == 1800
        assert set(clock.slept) == {20}
    with SampleServer(options, clock=clock.time) as server:
        pages = create("gbif", context(server, clock, max_wait_s=5)).pages(Query())
        with pytest.raises(RateLimitedError, match="GBIF's request limit is spent"):
            everything(pages)


def test_small_images_are_served_at_the_urls_that_candidates_have() -> None:
    import requests

    with SampleServer(SampleOptions.faultless(occurrences=30, photos_per_class=2)) as server:
        kept = context(server, Clock())
        found = [
            *everything(create("gbif", kept).pages(Query(side_px=128, limit=3))),
            *everything(create("unsplash", kept).pages(Query(text="city", side_px=128))),
        ]
        for candidate in found:
            with requests.get(candidate.url, timeout=10) as response:
                assert response.status_code == 200
                assert response.headers["Content-Type"].startswith("image/")


@pytest.mark.slow
@pytest.mark.timeout(600)  # a thousand pages of a Python server, on a busy machine
@pytest.mark.full
def test_occurrences_beyond_the_reach_of_a_search_are_all_reached_once() -> None:
    n = size(120_000, 250_000)
    options = SampleOptions.faultless(occurrences=n, undated_share=0.05)
    with SampleServer(options) as server:
        source = create("gbif", context(server, Clock()))
        seen: set[str | None] = set()
        n_pages = 0
        cursor: str | None = None
        while True:
            for page in source.pages(Query(), cursor):
                groups = {c.group for c in page.candidates}
                assert not groups & seen
                seen |= groups
                assert "unreachable" not in page.skipped
                cursor = page.cursor
                n_pages += 1
                # As if the run were interrupted now and then.
                if n_pages % 250 == 0:
                    break
            else:
                break
        assert len(seen) == n
        assert cursor is None
        # A request past the reach would have been answered 400, which raises.
        assert not server.errors
