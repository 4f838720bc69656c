"""The GBIF side, against what recorded answers of the real API show."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.demo.conftest import Client, FakeClock, Serve

SEARCH = "/v1/occurrence/search"
MANY = 250_000


def facet(client: Client, name: str, **params: object) -> dict[str, int]:
    params = {"facetLimit": 1000, "limit": 0, **params}
    body = client.get(SEARCH, facet=name, **params).json()
    return {one["name"]: one["count"] for one in body["facets"][0]["counts"]}


def count(client: Client, **params: object) -> int:
    return int(client.get(SEARCH, limit=0, **params).json()["count"])


def test_every_facet_of_a_quarter_million_sums_to_the_total(serve: Serve) -> None:
    client = serve(occurrences=MANY)
    names = [
        "year",
        "month",
        "country",
        "datasetKey",
        "basisOfRecord",
        "license",
        "speciesKey",
        "recordedBy",
    ]
    body = client.get(SEARCH, facet=names, facetLimit=1000, limit=0, mediaType="StillImage").json()
    assert body["count"] == MANY
    fields = "YEAR MONTH COUNTRY DATASET_KEY BASIS_OF_RECORD LICENSE SPECIES_KEY RECORDED_BY"
    assert [one["field"] for one in body["facets"]] == fields.split()
    for one in body["facets"]:
        counts = [value["count"] for value in one["counts"]]
        assert sum(counts) == MANY
        assert counts == sorted(counts, reverse=True)
        assert len(counts) > 1


def test_narrowing_by_each_value_finds_what_the_facet_counted(serve: Serve) -> None:
    client = serve(occurrences=MANY, first_year=2021, last_year=2022)
    for year, n_year in facet(client, "year").items():
        assert count(client, year=year) == n_year
        months = facet(client, "month", year=year)
        assert sum(months.values()) == n_year
        month = max(months, key=lambda name: months[name])
        for country, n_here in facet(client, "country", year=year, month=month).items():
            assert count(client, year=year, month=month, country=country) == n_here


def test_every_occurrence_is_reached_once_by_paging_through_facet_values(serve: Serve) -> None:
    client = serve(occurrences=3000, countries=5)
    keys = []
    for country, n_here in facet(client, "country").items():
        for offset in range(0, n_here, 300):
            body = client.get(SEARCH, country=country, limit=300, offset=offset).json()
            keys += [one["key"] for one in body["results"]]
            assert body["endOfRecords"] == (offset + 300 >= n_here)
    assert len(keys) == len(set(keys)) == 3000


def test_undated_occurrences_are_counted_but_in_no_year(serve: Serve) -> None:
    client = serve(occurrences=5000, undated_share=0.1)
    dated = sum(facet(client, "year").values())
    assert 4300 < dated < 4700
    assert count(client, year="1500,2100") == dated
    assert sum(facet(client, "datasetKey").values()) == 5000


def test_a_page_is_silently_reduced_to_300_and_20_by_default(serve: Serve) -> None:
    client = serve()
    body = client.get(SEARCH, limit=500).json()
    assert (body["limit"], len(body["results"])) == (300, 300)
    assert len(client.get(SEARCH).json()["results"]) == 20


def test_nothing_lies_past_the_hundred_thousandth(serve: Serve) -> None:
    client = serve(occurrences=MANY)
    last = client.get(SEARCH, limit=300, offset=99_700)
    assert len(last.json()["results"]) == 300
    assert last.json()["endOfRecords"] is False
    answer = client.get(SEARCH, limit=300, offset=99_701)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.text == "Max offset of 100000 exceeded: 99701 + 300"
    # The clamp comes first: 500 is 300 here too.
    assert client.get(SEARCH, limit=500, offset=99_700).status_code == 200


def test_repeated_parameters_widen_and_different_ones_narrow(serve: Serve) -> None:
    client = serve()
    countries = facet(client, "country")
    first, second = list(countries)[:2]
    assert count(client, country=[first, second]) == countries[first] + countries[second]
    assert 0 < count(client, country=first, basisOfRecord="PRESERVED_SPECIMEN") < countries[first]


def test_ranges_are_inclusive_and_may_be_open(serve: Serve) -> None:
    client = serve()
    years = facet(client, "year")
    assert count(client, year="2010,2012") == years["2010"] + years["2011"] + years["2012"]
    assert count(client, year="2023,*") == years["2023"] + years["2024"]
    assert count(client, year="*,2005") == years["2005"]


def test_facets_page_together_or_each_for_itself(serve: Serve) -> None:
    client = serve()
    whole = list(facet(client, "year"))
    assert list(facet(client, "year", facetLimit=3, facetOffset=2)) == whole[2:5]
    params = {"year.facetLimit": 4, "month.facetLimit": 2, "month.facetOffset": 1}
    body = client.get(SEARCH, facet=["year", "month"], limit=0, **params).json()
    assert [len(one["counts"]) for one in body["facets"]] == [4, 2]
    assert len(client.get(SEARCH, facet="year", limit=0).json()["facets"][0]["counts"]) == 10
    counts = facet(client, "year", facetMincount=60)
    assert set(counts) == {name for name, n in facet(client, "year").items() if n >= 60}


def test_a_multiselect_facet_ignores_its_own_filter(serve: Serve) -> None:
    client = serve()
    assert list(facet(client, "year", year="2010")) == ["2010"]
    assert facet(client, "year", year="2010", facetMultiselect="true") == facet(client, "year")


def test_a_taxon_includes_all_below_it(serve: Serve) -> None:
    client = serve()
    plants = sum(
        n
        for key, n in facet(client, "speciesKey").items()
        if client.get(f"/v1/species/{key}").json()["kingdom"] == "Plantae"
    )
    assert count(client, taxonKey=6) == plants == facet(client, "taxonKey")["6"] > 0
    oak = client.get("/v1/species/match", name="Quercus robur").json()["usageKey"]
    assert count(client, scientificName="Quercus robur") == count(client, taxonKey=oak) > 0
    assert (
        count(client, q="quercus")
        == facet(client, "genusKey")[
            str(client.get("/v1/species/match", name="Quercus").json()["usageKey"])
        ]
    )
    assert count(client, taxonKey=1, kingdomKey=6) == 0


@pytest.mark.parametrize(
    ("name", "kind", "found"),
    [
        ("Quercus robur", "EXACT", "Quercus robur L."),
        ("Quercus robur L.", "EXACT", "Quercus robur L."),
        ("quercus robor", "FUZZY", "Quercus robur L."),
        ("Quercus fakeus", "HIGHERRANK", "Quercus"),
        ("Quercus pedunculata", "EXACT", "Quercus pedunculata Hoffm."),
        ("Fictus", "NONE", None),
    ],
)
def test_names_are_matched_alike_by_both_apis(
    serve: Serve, name: str, kind: str, found: str | None
) -> None:
    client = serve()
    first = client.get("/v1/species/match", name=name).json()
    second = client.get("/v2/species/match", scientificName=name).json()
    assert first["matchType"] == second["diagnostics"]["matchType"] == kind
    assert first.get("scientificName") == found
    if found is None:
        assert set(second) == {"diagnostics", "synonym"}
        assert "usageKey" not in first
        return
    assert second["usage"]["name"] == found
    assert second["usage"]["key"] == str(first["usageKey"])
    accepted = second.get("acceptedUsage", second["usage"])
    assert second["classification"][-1]["key"] == accepted["key"]
    assert second["synonym"] == first["synonym"] == ("acceptedUsageKey" in first)


def test_strict_matching_and_another_kingdom_find_nothing(serve: Serve) -> None:
    client = serve()
    assert (
        client.get("/v1/species/match", name="Quercus fakeus", strict="true").json()["matchType"]
        == "NONE"
    )
    other = client.get("/v1/species/match", name="Quercus robur", kingdom="Animalia").json()
    assert other["matchType"] == "NONE"


def test_common_names_and_beginnings_find_taxa(serve: Serve) -> None:
    client = serve()
    body = client.get("/v1/species/search", q="rock dove", qField="VERNACULAR").json()
    assert [one["canonicalName"] for one in body["results"]] == ["Columba livia"]
    names = [one["canonicalName"] for one in client.get("/v1/species/suggest", q="querc").json()]
    assert "Quercus robur" in names


def test_an_occurrence_has_the_keys_that_all_recorded_ones_have(serve: Serve, shared: Path) -> None:
    recorded: list[dict[str, Any]] = []
    for one in json.loads((shared / "gbif/recorded/rgbif__occ_search.json").read_text()):
        body = one["response"]["body"]
        body = json.loads(body) if isinstance(body, str) else body
        recorded += [record for record in body["results"] if record.get("media")]
    ours = serve().get(SEARCH).json()["results"][0]
    common = set.intersection(*(set(one) for one in recorded))
    assert {"key", "media", "license", "speciesKey"} <= common & set(ours)
    assert {name: type(ours[name]) for name in common & set(ours)} == {
        name: type(recorded[0][name]) for name in common & set(ours)
    }
    media = set().union(*(medium for one in recorded for medium in one["media"]))
    assert set(ours["media"][0]) <= media


def test_media_are_as_odd_as_the_options_say(serve: Serve) -> None:
    client = serve(occurrences=900, odd_media_share=0.5, no_media_share=0.2)
    records = [
        record
        for offset in (0, 300, 600)
        for record in client.get(SEARCH, limit=300, offset=offset).json()["results"]
    ]
    media = [medium for record in records for medium in record["media"]]
    for field in ("identifier", "type", "license", "creator"):
        missing = sum(field not in medium for medium in media)
        assert 0.03 * len(media) < missing < 0.3 * len(media), field
    assert any(medium.get("license") == "All rights reserved" for medium in media)
    assert any(medium.get("type") == "Sound" for medium in media)
    assert any(len(record["media"]) > 2 for record in records)
    bare = sum(not record["media"] for record in records)
    assert 100 < bare < 260
    assert count(client, mediaType="StillImage") == 900 - bare
    assert facet(client, "mediaType")["StillImage"] == 900 - bare


def test_the_media_of_a_page_can_be_fetched_and_looked_up(serve: Serve) -> None:
    client = serve(long_edge_px=300)
    record = client.get(SEARCH).json()["results"][0]
    assert client.get(f"/v1/occurrence/{record['key']}").json() == record
    identifier = record["media"][0]["identifier"]
    original = client.open(identifier)
    assert original.headers["Content-Type"] == "image/jpeg"
    photo = client.server.photo(identifier.split("/")[-2])
    assert photo is not None
    species = {one.taxon.key: one.scene for one in client.server.taxonomy.species}
    assert photo.shows == (species[record["speciesKey"]],)
    digest = hashlib.md5(identifier.encode(), usedforsecurity=False).hexdigest()
    path = f"occurrence/{record['key']}/media/{digest}"
    assert client.get(f"/v1/image/cache/{path}").content == original.content
    assert len(client.get(f"/v1/image/cache/100x/{path}").content) < len(original.content)
    other = digest[::-1]
    assert (
        client.get(f"/v1/image/cache/occurrence/{record['key']}/media/{other}").status_code == 404
    )
    assert client.get(f"/v1/image/cache/occurrence/1/media/{digest}").status_code == 404


def test_too_many_searches_get_a_429_until_the_pause_is_over(
    serve: Serve, clock: FakeClock
) -> None:
    client = serve(gbif_limit=3, gbif_retry_after_s=31)
    assert [client.get(SEARCH, limit=0).status_code for _ in range(4)] == [200, 200, 200, 429]
    clock.now += 10.5
    answer = client.get(SEARCH, limit=0)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "21"
    assert isinstance(answer.json(), list)
    assert client.get("/v1/species/match", name="Aves").status_code == 200
    clock.now += 20.5
    assert client.get(SEARCH, limit=0).status_code == 200


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"country": "Germany"}, "Cannot parse Germany into a known Country"),
        ({"basisOfRecord": "SEEN"}, "Cannot parse SEEN into a known BasisOfRecord"),
        ({"year": "recently"}, "Cannot parse recently into a known Integer"),
        ({"limit": "-1"}, "Cannot parse -1 into a known Integer"),
        ({"facet": "colour"}, "Cannot parse colour into a known OccurrenceSearchParameter"),
    ],
)
def test_a_bad_parameter_is_refused_in_plain_text(
    serve: Serve, params: dict[str, str], text: str
) -> None:
    answer = serve().get(SEARCH, **params)
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "text/plain")
    assert answer.text == text


def test_what_is_not_there_is_404(serve: Serve) -> None:
    client = serve()
    for path in ("/v1/occurrence/5", "/v1/species/77", "/v1/nothing"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.json()["message"].startswith("Entity not found")
