"""Filters, and columns by name."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import UsageError
from curate.pack import Recipe
from curate.pack.balance import select
from curate.pack.columns import Columns
from curate.pack.facts import Facts
from curate.pack.where import fulfils
from tests.pack.rows import row, table


def some() -> Columns:
    rows = [
        row(0, ["beach"], width_px=400, meta={"countryCode": "DE", "year": "2019"}),
        row(1, ["beach", "city"], width_px=800, meta={"countryCode": "DK", "year": "2021"}),
        row(2, ["city"], width_px=1200, meta=None, author=None, license=None),
        row(3, [], width_px=1600, meta={"year": "about 1900", "two words": "x"}, audited=True),
    ]
    return Columns(table(rows))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("width_px >= 800", [1, 2, 3]),
        ("512 <= width_px < 1600", [1, 2]),
        ("width_px >= 512 and meta.countryCode == 'DK'", [1]),
        ("meta.countryCode != 'DE'", [1]),
        ("not meta.countryCode == 'DE'", [1]),
        ("meta.countryCode == None", [2, 3]),
        ("meta.countryCode is not None", [0, 1]),
        ("countryCode in ['DE', 'DK']", [0, 1]),
        ("country not in ['DE']", [1]),
        ("meta.year > 2019", [1]),
        ("year < 2020 or width_px == 1200", [0, 2]),
        ("meta.year == '2019'", [0]),
        ("'beach' in labels", [0, 1]),
        ("'beach' not in labels and 'city' not in labels", [3]),
        ("'ver 1' in author", [1]),
        ("license in ['CC-BY-4.0', 'CC0-1.0']", [0, 1, 3]),
        ("audited", [3]),
        ("not audited and width_px > 1000", [2]),
        ("audited == True", [3]),
        ("meta['two words'] == 'x'", [3]),
        ("fetched_at >= '2024-05-01T00:00:02'", [2, 3]),
        ("width_px > -1", [0, 1, 2, 3]),
        ("height_px == height_px", [0, 1, 2, 3]),
    ],
)
def test_a_filter_finds_the_rows_that_fulfil_it(expression: str, expected: list[int]) -> None:
    assert np.flatnonzero(fulfils(expression, some())).tolist() == expected


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "(lambda: 1)()",
        "width_px.real > 1",
        "meta.__class__ == 'x'",
        "[x for x in labels]",
        "f'{width_px}' == 'x'",
        "width_px + 1 > 2",
        "width_px if audited else 1",
        "width_px ==",
        "",
        "1 == 1",
        "width_px",
        "nothing == 1",
        "labels == 'beach'",
        "width_px in 'beach'",
        "width_px > 'wide'",
        "audited > 'x'",
        "author > None",
        "(" * 5000 + "audited" + ")" * 5000,
        "not " * 8000 + "audited",
        "audited == b'x'",
        "author == '\x00' and (",
        "x" * 10_001,
    ],
)
def test_what_is_no_filter_is_refused_and_nothing_is_run(expression: str) -> None:
    with pytest.raises(UsageError) as caught:
        fulfils(expression, some())
    assert caught.value.hint


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="awidth_px()<>=! andornotin'0.[]meta", max_size=40))
def test_any_text_is_a_filter_or_refused_in_one_line(text: str) -> None:
    message = ""
    try:
        assert len(fulfils(text, some())) == 4
    except UsageError as error:
        message = error.message
    assert "\n" not in message


def test_a_column_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="no image has a column 'widht'") as caught:
        fulfils("widht > 3", some())
    assert "width_px" in caught.value.hint
    assert "meta.countryCode" in caught.value.hint
    assert "set_aside" not in caught.value.hint


def test_the_four_words_look_where_sources_say_such_things() -> None:
    rows = [
        row(0, meta={"recordedBy": "Ada", "eventDate": "2019-05-01T10:00"}),
        row(1, meta={"created_at": "2020-06-02T11:00:00Z"}, author="Ben"),
        row(2, meta={"year": "1999", "country": "Denmark"}, author=""),
        row(3, meta=None, author=None),
    ]
    columns = Columns(table(rows))
    assert columns.texts("observer").to_pylist() == ["Ada", "Ben", None, None]
    assert columns.texts("date").to_pylist() == ["2019-05-01", "2020-06-02", None, None]
    assert columns.texts("year").to_pylist() == ["2019", "2020", "1999", None]
    assert columns.texts("country").to_pylist() == [None, None, "Denmark", None]
    together = columns.codes("observer+date")
    assert (together >= 0).tolist() == [True, True, False, False]


def authors(rows: list[dict[str, Any]], chosen: list[int]) -> Counter[str]:
    return Counter(rows[number]["author"] for number in chosen)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=5, max_size=60), st.integers(1, 20), st.integers(0, 3))
def test_spread_takes_turns_over_observers(owners: list[int], cap: int, seed: int) -> None:
    rows = [row(n, ["city"], author=f"a{owner}") for n, owner in enumerate(owners)]
    recipe = Recipe(1, cap, keep="spread", seed=seed)
    taken = authors(rows, select(table(rows), recipe).rows.tolist())
    there = Counter(f"a{owner}" for owner in owners)
    most = max(taken.values())
    for name, n in there.items():
        assert taken[name] >= min(n, most - 1), "nobody has two more than one who has some left"


def test_spread_takes_turns_over_years_within_what_is_equal() -> None:
    rows = [
        row(n, ["city"], author="one", meta={"year": str(2000 + (0 if n < 80 else n % 10))})
        for n in range(100)
    ]
    chosen = select(table(rows), Recipe(1, 20, keep="spread")).rows.tolist()
    years = Counter(rows[n]["meta"]["year"] for n in chosen)
    assert min(years.values()) == max(years.values()) == 2
    other = select(table(rows), Recipe(1, 20, keep="spread", spread_by=("width_px",)))
    assert Counter(rows[n]["meta"]["year"] for n in other.rows.tolist())["2000"] > 10


def test_best_keeps_sure_labels_then_good_pictures() -> None:
    rows = [
        row(0, ["city"], label_origin="query", width_px=9000),
        row(1, ["city"], label_origin="human", quality_flags=2),
        row(2, ["city"], label_origin="model", score=0.6),
        row(3, ["city"], label_origin="model", score=0.9, quality_flags=1),
        row(4, ["city"], label_origin="query", quality_flags=1, width_px=8000),
        row(5, ["city"], label_origin="query", width_px=9001),
    ]
    found = [set(select(table(rows), Recipe(1, n, keep="best")).rows.tolist()) for n in range(1, 6)]
    assert found == [{1}, {1, 3}, {1, 2, 3}, {1, 2, 3, 5}, {0, 1, 2, 3, 5}]


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["random", "best", "spread"]), st.randoms(use_true_random=False))
def test_no_way_of_keeping_depends_on_the_order_of_rows(keep: str, chance: random.Random) -> None:
    rows = [
        row(n, [("a", "b")[n % 2]] + (["c"] if n % 3 else []), score=(n % 4) / 4) for n in range(60)
    ]
    mixed = chance.sample(rows, len(rows))
    recipe = Recipe(2, 7, keep=keep)
    found = [
        {given_rows[n]["image_id"] for n in select(table(given_rows), recipe).rows.tolist()}
        for given_rows in (rows, mixed)
    ]
    assert found[0] == found[1]


def test_downsample_brings_every_class_to_the_smallest_that_is_kept() -> None:
    rows = [row(n, ["a"]) for n in range(50)] + [row(100 + n, ["b"]) for n in range(20)]
    rows += [row(200 + n, ["c"]) for n in range(3)]
    selection = select(table(rows), Recipe(5, downsample="min"))
    assert selection.labels.per_class().tolist() == [20, 20]
    assert selection.dropped == {"c": 3}
    assert selection.left_out["cap"] == 30
    fewer = select(table(rows), Recipe(5, max_per_class=30, downsample=12))
    assert fewer.labels.per_class().tolist() == [12, 12]
    several = [row(n, ["a", "b"] if n < 30 else ["a"]) for n in range(90)]
    assert select(table(several), Recipe(downsample="min")).labels.per_class().tolist() == [30, 30]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9])
def test_negatives_are_at_most_their_share_of_the_whole(share: float) -> None:
    rows = [row(n, ["a"] if n < 80 else []) for n in range(200)]
    selection = select(table(rows), Recipe(negatives=share))
    n = int((selection.labels.per_row() == 0).sum())
    assert n == min(120, int(80 * share / (1 - share) + 1e-9))
    assert selection.left_out["negatives"] == 120 - n
    assert n <= share * len(selection.rows) + 1e-9


def test_rejected_and_disputed_images_are_left_out_and_counted_as_that() -> None:
    rows = [row(n, ["a"]) for n in range(4)]
    rows += [row(4, set_aside="rejected", label_origin=None)]
    rows += [row(5, set_aside="conflict", label_origin=None), row(6, label_origin=None)]
    rows += [row(7, ["a"], width_px=10), row(8, set_aside="outside", label_origin=None)]
    selection = select(table(rows), Recipe(where="width_px > 100"))
    counted = {reason: n for reason, n in selection.left_out.items() if n}
    assert counted == {"rejected": 1, "conflict": 1, "outside": 1, "unlabelled": 1, "where": 1}
    assert selection.rows.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "wrong",
    [
        {"group_by": ("nothing",)},
        {"group_by": ("labels",)},
        {"group_by": ("rights_holder",)},
        {"holdout_by": "rights_holder"},
        {"holdout_by": "nothing=1"},
        {"keep": "spread", "spread_by": ("nothing",)},
    ],
)
def test_a_recipe_that_names_what_no_image_says_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        Facts.of(table([row(0, ["a"])]), Recipe(**wrong))
    assert caught.value.hint
