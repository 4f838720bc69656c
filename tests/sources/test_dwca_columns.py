"""The steps from an archive's columns to candidates, each against its plain counterpart."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.sources.ahead import ahead
from curate.sources.dwca_ids import Places
from curate.sources.dwca_json import objects
from curate.sources.variants import (
    gbif_variant,
    gbif_variants,
    inaturalist_variant,
    inaturalist_variants,
    md5_hex,
    md5_hexes,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
PHOTOS = "https://inaturalist-open-data.s3.amazonaws.com/photos"
URLS = [
    f"{PHOTOS}/12/original.jpg",
    f"{PHOTOS}/12/large.JPEG?159",
    "HTTP://STATIC.inaturalist.org/photos/9/Medium.png",
    f"{PHOTOS}/x/original.jpg",
    f"{PHOTOS}/12/huge.jpg",
    f"{PHOTOS}/12/original",
    "https://example.org/ü?inaturalist",
    "",
]


@given(st.lists(st.tuples(TEXT, TEXT, st.sampled_from(["", "x", '"', "\\"])), max_size=8))
def test_objects_are_json_of_the_texts_that_are_not_empty(
    rows: list[tuple[str, str, str]],
) -> None:
    keys = ("a", 'b"c', "ü")
    columns = {key: pa.array([row[i] for row in rows], pa.string()) for i, key in enumerate(keys)}
    found = [json.loads(text) for text in objects(columns, len(rows)).to_pylist()]
    assert found == [
        {key: value for key, value in zip(keys, row, strict=True) if value} for row in rows
    ]


def test_objects_of_a_slice_look_at_its_own_texts() -> None:
    texts = pa.array(['"', "a", "b"])
    assert objects({"k": texts.slice(1)}, 2).to_pylist() == ['{"k": "a"}', '{"k": "b"}']
    assert objects({"k": texts.slice(0, 1)}, 1).to_pylist() == [r'{"k": "\""}']
    assert objects({}, 2).to_pylist() == ["{}", "{}"]


ID = st.one_of(st.integers(1, 12).map(str), st.sampled_from(["", "007", "0", "x1", "9" * 30]))


@given(st.lists(st.one_of(st.none(), ID), max_size=9), st.lists(ID, max_size=9))
def test_a_record_is_found_by_its_id_the_first_of_equal_ones(
    ids: list[str | None], wanted: list[str]
) -> None:
    known = [None if each == "" else each for each in ids]
    places = Places(pa.array(known, pa.string())).find(pa.array(wanted, pa.string()))
    assert places.to_pylist() == [
        known.index(each) if each and each in known else None for each in wanted
    ]


@pytest.mark.parametrize("side_px", [100, 300, 1024, 5000])
def test_sizes_of_a_column_of_addresses_are_those_of_each(side_px: int) -> None:
    urls, ids = pa.array(URLS), pa.array([str(i) for i in range(len(URLS))])
    digests = pa.array(md5_hexes(each.encode() for each in URLS))
    assert digests.to_pylist() == [md5_hex(each) for each in URLS]
    found = inaturalist_variants(urls, side_px).to_pylist()
    assert found == [inaturalist_variant(each, side_px) for each in URLS]
    assert any(found)
    assert None in found
    cached = gbif_variants("https://api", ids, urls, digests, side_px).to_pylist()
    assert cached == [
        gbif_variant("https://api", str(i), each, side_px) for i, each in enumerate(URLS)
    ]


def test_what_is_asked_ahead_comes_in_order_from_one_thread() -> None:
    seen = set()

    def items() -> Iterator[int]:
        for i in range(5):
            seen.add(threading.get_ident())
            yield i

    assert list(ahead(items())) == [0, 1, 2, 3, 4]
    assert list(ahead(iter([]))) == []
    assert len(seen) == 1
    assert threading.get_ident() not in seen


def test_what_goes_wrong_ahead_is_raised_after_what_came_before() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("damaged")

    given_on = ahead(items())
    assert next(given_on) == 1
    with pytest.raises(OSError, match="damaged"):
        next(given_on)


def test_whoever_wants_no_more_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    items = ahead(iter(range(100)))
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined] # a generator
    assert threading.active_count() == before
