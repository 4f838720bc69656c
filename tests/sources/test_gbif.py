from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses

from curate.errors import ExitCode, SourceError, UsageError
from curate.records import Candidate
from curate.sources import Page, Query, RateLimitedError, create
from tests.sources.gbif_world import World
from tests.sources.recorded import Clock, answer_to, answers, json_reply

API = "https://api.gbif.org"
SEARCH = f"{API}/v1/occurrence/search"
MATCH = f"{API}/v1/species/match"
FLY_AGARIC = Query(params={"taxonKey": ("3329049",)})


def everything(pages: list[Page]) -> list[Candidate]:
    return [candidate for page in pages for candidate in page.candidates]


def serve(world: World) -> None:
    responses.add_callback("GET", SEARCH, world.reply)


def one(occurrence: dict[str, Any], query: Query) -> Page:
    """The page of a search that finds a single occurrence."""
    body = {"count": 1, "endOfRecords": True, "results": [{"key": 7, **occurrence}], "facets": []}
    with responses.RequestsMock() as mock:
        mock.get(SEARCH, json=body)
        return next(create("gbif", Clock().context()).pages(query))


def recorded_search(path: Path) -> list[Candidate]:
    """All candidates of the first 300 occurrences of a recorded search."""
    body = {**answers(path)[0]["response"]["body"], "count": 300, "endOfRecords": True}
    with responses.RequestsMock() as mock:
        mock.get(SEARCH, json=body)
        pages = list(create("gbif", Clock().context()).pages(FLY_AGARIC))
    return everything(pages)


def test_a_recorded_search_gives_one_candidate_for_each_medium(shared: Path) -> None:
    found = recorded_search(shared / "gbif/recorded/pygbif__test_search.json")
    assert len(found) == 487
    assert len({candidate.source_id for candidate in found}) == 487
    first = found[0]
    assert first.url == "https://arter.dk/media/747389ab-7915-4a92-8ae8-b1b2010dcb62.jpg"
    assert first.source_id.startswith("4909740830:")
    assert first.group == found[1].group == "occurrence:4909740830"
    assert first.classes == ("Amanita muscaria",)
    assert first.license == "CC-BY-4.0"
    assert first.page_url == "https://www.gbif.org/occurrence/4909740830"
    assert first.meta["taxonKey"] == "3329049"
    assert first.meta["family"] == "Amanitaceae"
    assert first.meta["recordedBy"] == "Karina Nielsen"
    assert first.meta["decimalLatitude"] == "56.278502"
    assert first.meta["checklistKey"] == "d7dddbf4-2cf0-4f39-9b2a-bb099caae36c"


def test_licence_and_rights_are_the_mediums(shared: Path) -> None:
    found = recorded_search(shared / "gbif/recorded/pygbif__test_search_key1.json")
    assert {candidate.license for candidate in found} >= {"CC-BY-NC-4.0", "CC-BY-4.0"}
    of_inaturalist = next(c for c in found if "inaturalist" in c.url)
    assert of_inaturalist.author
    assert of_inaturalist.rights_holder
    page = one(
        {
            "license": "http://creativecommons.org/licenses/by/4.0/legalcode",
            "media": [{"type": "StillImage", "identifier": "https://m.example/1.jpg"}],
        },
        Query(),
    )
    assert page.candidates[0].license is None


def test_media_that_are_no_images_are_counted_by_reason() -> None:
    media = [
        {"type": "StillImage", "identifier": "https://m.example/1.jpg", "license": "CC BY 4.0"},
        {"type": "StillImage", "identifier": "https://m.example/1.jpg", "license": "CC BY 4.0"},
        {"format": "image/jpeg", "identifier": " https://m.example/2 ", "license": "cc0"},
        {"type": "StillImage"},
        {"type": "Sound", "identifier": "https://m.example/3.mp3"},
        {"format": "audio/mpeg", "identifier": "https://m.example/4.mp3"},
        {"type": "StillImage", "identifier": "urn:catalog:1"},
        {"type": "StillImage", "identifier": "https://m.example/5.jpg"},
        {"type": "StillImage", "identifier": "https://m.example/6.jpg", "license": "CC BY-NC"},
    ]
    page = one({"media": media}, Query(licenses=frozenset({"cc0", "cc-by"})))
    assert [c.url for c in page.candidates] == ["https://m.example/1.jpg", "https://m.example/2"]
    assert page.skipped == {"repeated": 1, "no_url": 1, "not_image": 2, "bad_url": 1, "license": 2}


def test_an_id_does_not_depend_on_the_order_of_media() -> None:
    media = [{"type": "StillImage", "identifier": f"https://m.example/{n}.jpg"} for n in range(3)]
    there = one({"media": media}, Query()).candidates
    back = one({"media": media[::-1]}, Query()).candidates
    assert {c.url: c.source_id for c in there} == {c.url: c.source_id for c in back}


INATURALIST = "https://inaturalist-open-data.s3.amazonaws.com/photos/31610070/original.jpg"


@pytest.mark.parametrize(
    ("side_px", "name"),
    [(None, "original"), (100, "small"), (224, "medium"), (512, "large"), (1024, "original")],
)
def test_inaturalist_photos_come_in_their_own_sizes(side_px: int | None, name: str) -> None:
    media = [{"type": "StillImage", "identifier": INATURALIST}]
    page = one({"media": media}, Query(side_px=side_px))
    assert page.candidates[0].url == INATURALIST.replace("original", name)
    assert page.candidates[0].meta["identifier"] == INATURALIST


def test_other_media_come_from_the_image_cache_while_it_is_large_enough() -> None:
    # The documentation's own example of an identifier and its MD5.
    digest = "568639b65b65ddb9090d3d6ef1abce14"
    media = [{"type": "StillImage", "identifier": INATURALIST.replace("https", "http") + "#1"}]
    page = one({"key": 2005380410, "media": media}, Query(side_px=256))
    url = page.candidates[0].url
    assert re.fullmatch(
        rf"{API}/v1/image/cache/456x/occurrence/2005380410/media/[0-9a-f]{{32}}", url
    )
    assert one({"media": media}, Query(side_px=1024)).candidates[0].url == media[0]["identifier"]
    from curate.sources.variants import md5_hex

    assert md5_hex(INATURALIST) == digest


def test_the_class_is_a_field_or_what_the_query_says() -> None:
    occurrence = {
        "species": "Amanita muscaria",
        "family": "Amanitaceae",
        "media": [{"type": "StillImage", "identifier": "https://m.example/1.jpg"}],
    }
    assert one(occurrence, Query()).candidates[0].classes == ("Amanita muscaria",)
    assert one(occurrence, Query(classes=("red",))).candidates[0].classes == ("red",)
    by_family = Query(classes=("red",), class_by="family")
    assert one(occurrence, by_family).candidates[0].classes == ("Amanitaceae",)
    assert one({**occurrence, "species": None}, Query()).candidates[0].classes == ()


@responses.activate
def test_pages_are_of_300_and_go_on_at_their_cursor() -> None:
    world = World([{"key": n, "year": 2000} for n in range(700)])
    serve(world)
    source = create("gbif", Clock().context())
    pages = list(source.pages(FLY_AGARIC))
    assert [len(page.candidates) for page in pages] == [300, 300, 100]
    assert [page.total for page in pages] == [700] * 3
    assert pages[-1].cursor is None
    rest = list(source.pages(FLY_AGARIC, pages[0].cursor))
    assert everything(rest) == everything(pages)[300:]
    assert all(asked["mediaType"] == ["StillImage"] for asked in world.requests)


@responses.activate
def test_a_limit_may_cut_inside_a_page() -> None:
    serve(World([{"key": n} for n in range(700)]))
    source = create("gbif", Clock().context())
    whole = everything(list(source.pages(FLY_AGARIC)))
    cursor: str | None = None
    seen: list[Candidate] = []
    for limit in (1, 299, 10, 333, 100):
        pages = list(source.pages(Query(params=FLY_AGARIC.params, limit=limit), cursor))
        seen += everything(pages)
        cursor = pages[-1].cursor
    assert seen == whole
    assert cursor is None


@responses.activate
def test_a_search_beyond_the_reach_is_split_and_loses_nothing() -> None:
    rows = [
        {
            "key": n,
            "year": None if n % 50 == 0 else 2000 + n % 4,
            "month": n % 12 + 1,
            "country": "DE",
        }
        for n in range(130_000)
    ]
    world = World(rows)
    serve(world)
    # A page of the plan's end and the parts it leads to are enough here; the walk over every
    # page is made against the real server.
    pages = create("gbif", Clock().context()).pages(FLY_AGARIC)
    first = next(pages)
    assert first.cursor is not None
    assert '"path":[["month"' in first.cursor
    assert "unreachable" not in first.skipped
    assert first.total == 130_000


@responses.activate
def test_occurrences_that_no_facet_reaches_are_told_once() -> None:
    clock = Clock()
    rows = [{"key": n, "year": 2000 + n % 2 if n >= 500 else None} for n in range(100_900)]
    serve(World(rows))
    pages = create("gbif", clock.context()).pages(FLY_AGARIC)
    assert next(pages).skipped["unreachable"] == 500
    assert "unreachable" not in next(pages).skipped
    assert "500 occurrences cannot be reached" in clock.notices[0]
    assert "download" in clock.notices[0]


@responses.activate
def test_no_request_reaches_past_the_last_row_that_gbif_gives() -> None:
    world = World([{"key": n} for n in range(100_250)])
    serve(world)
    source = create("gbif", Clock().context())
    cursor = '{"taxonKey":null,"path":[],"offset":99900}'
    pages = list(source.pages(FLY_AGARIC, cursor))
    assert [len(page.candidates) for page in pages] == [100]
    assert pages[0].cursor is None
    assert [int(asked["offset"][0]) for asked in world.requests][-1] == 99_900


@responses.activate
def test_a_name_is_matched_and_its_key_kept_as_text(shared: Path) -> None:
    recorded = answer_to(shared / "gbif/recorded/pygbif__test_name_backbone.json", "match")
    responses.get(MATCH, json=recorded["body"])
    world = World([{"key": 1}])
    serve(world)
    pages = list(create("gbif", Clock().context()).pages(Query(text="Helianthus annuus")))
    assert world.requests[0]["taxonKey"] == ["9206251"]
    assert pages[0].candidates[0].query == "Helianthus annuus"


@responses.activate
def test_a_synonym_becomes_the_accepted_taxon(shared: Path) -> None:
    path = shared / "gbif/recorded/rgbif__name_backbone_acceptedUsageKey.json"
    body = answers(path)[0]["response"]["body"]
    assert body["acceptedUsage"]["key"] == "2689422"
    responses.get(f"{API}/v2/species/match", json=body)
    world = World([{"key": 1}])
    serve(world)
    clock = Clock()
    query = Query(text="Anastrophyllum minutum", params={"checklistKey": ("other",)})
    page = next(create("gbif", clock.context()).pages(query))
    assert world.requests[0]["taxonKey"] == ["2689422"]
    assert page.candidates[0].meta["checklistKey"] == "other"
    assert "Sphenolobus minutus" in clock.notices[0]


@responses.activate
def test_an_unknown_name_is_refused_with_suggestions(shared: Path) -> None:
    folder = shared / "gbif/recorded"
    none = answer_to(folder / "pygbif__test_name_backbone_multiple_matches.json", "match")
    suggested = answer_to(folder / "pygbif__test_name_suggest.json", "suggest")
    responses.get(MATCH, json=none["body"])
    responses.get(f"{API}/v1/species/search", json={"results": []})
    responses.get(f"{API}/v1/species/suggest", json=suggested["body"][:2])
    with pytest.raises(SourceError, match="'Puma concolo' is not known") as caught:
        list(create("gbif", Clock().context()).pages(Query(text="Puma concolo")))
    assert "Puma concolor (Linnaeus, 1771) (taxonKey=2435099)" in caught.value.hint


@responses.activate
def test_a_name_of_which_only_the_genus_is_known_is_not_widened() -> None:
    genus = {
        "usageKey": 1,
        "scientificName": "Amanita Pers.",
        "rank": "GENUS",
        "matchType": "HIGHERRANK",
    }
    responses.get(MATCH, json=genus)
    responses.get(f"{API}/v1/species/search", json={"results": []})
    responses.get(f"{API}/v1/species/suggest", json=[])
    with pytest.raises(SourceError, match="only its genus Amanita Pers"):
        list(create("gbif", Clock().context()).pages(Query(text="Amanita nonsense")))


def usage(key: int, name: str, rank: str, *common: str) -> dict[str, Any]:
    names = [{"vernacularName": one} for one in common]
    return {"key": key, "scientificName": name, "rank": rank, "vernacularNames": names}


@responses.activate
def test_a_common_name_means_the_species_that_has_exactly_it() -> None:
    rows = [
        usage(1, "Amanita muscaria (L.) Lam.", "SPECIES", "Fly Agaric", "Fliegenpilz"),
        usage(2, "Amanita muscaria var. formosa", "VARIETY", "fly agaric"),
        usage(3, "Amanita regalis", "SPECIES", "brown fly agaric"),
    ]
    responses.get(MATCH, json={"matchType": "NONE", "synonym": False})
    responses.get(f"{API}/v1/species/search", json={"results": rows})
    world = World([{"key": 1}])
    serve(world)
    clock = Clock()
    list(create("gbif", clock.context()).pages(Query(text="fly agaric")))
    assert world.requests[0]["taxonKey"] == ["1"]
    assert "taken as Amanita muscaria" in clock.notices[0]


@responses.activate
def test_a_common_name_of_several_species_is_refused() -> None:
    rows = [usage(1, "Turdus migratorius", "SPECIES", "robin")]
    rows.append(usage(2, "Erithacus rubecula", "SPECIES", "Robin"))
    responses.get(MATCH, json={"matchType": "NONE", "synonym": False})
    responses.get(f"{API}/v1/species/search", json={"results": rows})
    with pytest.raises(SourceError, match="several taxa") as caught:
        list(create("gbif", Clock().context()).pages(Query(text="robin")))
    assert "taxonKey=2" in caught.value.hint


@responses.activate
def test_a_recorded_429_is_waited_for_and_said(shared: Path) -> None:
    recorded = answer_to(shared / "gbif/recorded/rgbif__gbif_get_wait.json", "taxonKey=1000033")
    assert isinstance(recorded["body"], list)
    headers = {"Retry-After": recorded["headers"]["retry-after"]}
    responses.get(SEARCH, json=recorded["body"], status=429, headers=headers)
    serve(World([{"key": 1}]))
    clock = Clock()
    pages = list(create("gbif", clock.context()).pages(FLY_AGARIC))
    assert len(everything(pages)) == 1
    assert clock.slept == [31]
    assert "waiting 31 s" in clock.notices[0]


@responses.activate
def test_a_429_that_asks_for_too_long_says_when_to_come_back() -> None:
    world = World([{"key": n} for n in range(400)])
    clock = Clock()

    def reply(request: Any) -> tuple[int, dict[str, str], str]:
        if "offset=300" in request.url:
            return json_reply(["slow down"], 429, **{"Retry-After": "900"})
        return world.reply(request)

    responses.add_callback("GET", SEARCH, reply)
    pages = create("gbif", clock.context()).pages(FLY_AGARIC)
    next(pages)
    with pytest.raises(RateLimitedError, match="300 candidates so far") as caught:
        next(pages)
    assert caught.value.resume_at == clock.now + 900
    assert caught.value.exit_code is ExitCode.FAILURES_LEFT
    assert clock.slept == []


@responses.activate
def test_a_429_without_end_is_given_up() -> None:
    clock = Clock()
    responses.get(SEARCH, json=["no"], status=429)
    with pytest.raises(RateLimitedError):
        list(create("gbif", clock.context()).pages(FLY_AGARIC))
    assert len(clock.slept) == 10
    assert max(clock.slept) <= 120


@responses.activate
def test_a_refused_parameter_is_told_in_gbifs_words(shared: Path) -> None:
    path = shared / "gbif/recorded/rgbif__occ_search_fails_well.json"
    recorded = answers(path)[0]["response"]
    responses.get(SEARCH, body=recorded["body"], status=400, content_type="text/plain")
    with pytest.raises(SourceError, match="Cannot parse asia,oceania into a known Continent"):
        list(create("gbif", Clock().context()).pages(FLY_AGARIC))


@responses.activate
def test_parameters_are_passed_through_but_not_those_of_the_paging() -> None:
    world = World([{"key": 1}])
    serve(world)
    source = create("gbif", Clock().context())
    list(source.pages(Query(params={"country": ("DE", "DK"), "q": ("beetle",)}, text="x")))
    assert world.requests[0]["country"] == ["DE", "DK"]
    assert "taxonKey" not in world.requests[0]
    with pytest.raises(UsageError, match="offset"):
        source.pages(Query(params={"offset": ("3",)}))


@responses.activate
def test_class_counts_have_names_and_all_of_them() -> None:
    rows = [{"key": n, "speciesKey": 5000 + n % 1100} for n in range(2500)]
    world = World(rows)
    serve(world)
    names = re.compile(rf"{API}/v1/species/\d+")

    def name(request: Any) -> tuple[int, dict[str, str], str]:
        return json_reply({"canonicalName": f"Species {urlsplit(request.url).path[-4:]}"})

    responses.add_callback("GET", names, name)
    counts = create("gbif", Clock().context()).class_counts(FLY_AGARIC)
    assert counts is not None
    assert len(counts) == 1100
    assert sum(counts.values()) == 2500
    assert counts["Species 5000"] == 3
    facet_calls = [asked for asked in world.requests if "facet" in asked]
    assert {int(asked["facetLimit"][0]) for asked in facet_calls} == {1000}


@responses.activate
def test_class_counts_by_country_need_no_names(shared: Path) -> None:
    path = shared / "gbif/recorded/rgbif__occ_count_facet.json"
    recorded = answer_to(path, "facet=country")
    responses.get(SEARCH, json=recorded["body"])
    query = Query(params=FLY_AGARIC.params, class_by="country")
    counts = create("gbif", Clock().context()).class_counts(query)
    expected = {one["name"]: one["count"] for one in recorded["body"]["facets"][0]["counts"]}
    assert counts == expected
    assert len(responses.calls) == 1
    with pytest.raises(UsageError, match="recordedBy"):
        create("gbif", Clock().context()).class_counts(Query(class_by="recordedBy"))


@responses.activate
def test_a_host_that_cannot_be_reached_is_one_clear_line() -> None:
    with pytest.raises(SourceError, match=r"GBIF cannot be reached at api\.gbif\.org"):
        create("gbif", Clock().context()).count(FLY_AGARIC)


@responses.activate
def test_count_asks_for_no_rows() -> None:
    world = World([{"key": n} for n in range(40)])
    serve(world)
    assert create("gbif", Clock().context()).count(FLY_AGARIC) == 40
    assert parse_qs(urlsplit(str(responses.calls[0].request.url)).query)["limit"] == ["0"]
