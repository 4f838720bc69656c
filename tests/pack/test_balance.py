from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import PackError, UsageError
from curate.pack import Recipe
from curate.pack.balance import Selection, select
from tests.pack.rows import image_id, row, table

LABELS = st.lists(
    st.lists(st.sampled_from(["ant", "bee", "cat", "dog", "eel"]), max_size=3, unique=True),
    min_size=1,
    max_size=60,
)


def chosen(rows: list[dict[str, Any]], selection: Selection) -> dict[str, list[str]]:
    names = [rows[number]["image_id"] for number in selection.rows.tolist()]
    return dict(zip(names, selection.labels.to_arrow().to_pylist(), strict=True))


def counts(selected: dict[str, list[str]]) -> Counter[str]:
    return Counter(name for labels in selected.values() for name in labels)


@settings(max_examples=150, deadline=None)
@given(LABELS, st.integers(1, 8), st.integers(0, 8), st.booleans(), st.integers(0, 3))
def test_minimum_and_cap_hold_and_every_image_is_accounted_for(
    labels: list[list[str]], minimum: int, extra: int, exclusive: bool, seed: int
) -> None:
    rows = [row(number, names) for number, names in enumerate(labels)]
    recipe = Recipe(minimum, minimum + extra, seed=seed, exclusive=exclusive)
    usable = [names for names in labels if not exclusive or len(names) == 1]
    available = Counter(name for names in usable for name in names)
    if all(n < minimum for n in available.values()):
        with pytest.raises(PackError):
            select(table(rows), recipe)
        return
    selection = select(table(rows), recipe)
    kept = chosen(rows, selection)
    for n in counts(kept).values():
        assert minimum <= n <= minimum + extra
    assert len(kept) + sum(selection.left_out.values()) == len(rows)
    by_id = {r["image_id"]: r["labels"] for r in rows}
    for name, left in kept.items():
        assert left == sorted(set(by_id[name]) - set(selection.dropped))
        assert left or not by_id[name], "only a negative may be left without a class"
    assert not set(counts(kept)) & set(selection.dropped)


@settings(deadline=None)
@given(LABELS, st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order_of_rows(
    labels: list[list[str]], chance: random.Random
) -> None:
    rows = [row(number, names) for number, names in enumerate([*labels, ["ant"], ["ant"]])]
    shuffled = chance.sample(rows, len(rows))
    recipe = Recipe(1, 2, seed=5)
    first, second = select(table(rows), recipe), select(table(shuffled), recipe)
    assert chosen(rows, first) == chosen(shuffled, second)
    assert (first.before, first.dropped, first.left_out) == (
        second.before,
        second.dropped,
        second.left_out,
    )


def test_a_small_class_is_dropped_and_its_images_keep_their_other_labels() -> None:
    rows = [row(n, ["city"]) for n in range(5)]
    rows += [row(5, ["city", "harbour"]), row(6, ["harbour"]), row(7, [])]
    selection = select(table(rows), Recipe(min_per_class=3))
    kept = chosen(rows, selection)
    assert selection.dropped == {"harbour": 2}
    assert kept[image_id(5)] == ["city"]
    assert image_id(6) not in kept
    assert kept[image_id(7)] == []
    assert selection.left_out["small_class"] == 1
    assert selection.before == {"city": 6, "harbour": 2}


def test_a_cap_keeps_a_rare_class_above_its_minimum_where_that_can_be_done() -> None:
    rows = [row(n, ["city"]) for n in range(40)]
    rows += [row(100 + n, ["city", "harbour"]) for n in range(8)]
    for seed in range(10):
        selection = select(table(rows), Recipe(8, 10, seed=seed))
        assert counts(chosen(rows, selection)) == {"city": 10, "harbour": 8}


def test_a_class_that_no_choice_can_keep_within_both_limits_is_dropped() -> None:
    # Both can have 4 only with 8 images of `city`, which may have 5.
    rows = [row(n, ["bay", "city"]) for n in range(4)] + [
        row(9 + n, ["city", "dam"]) for n in range(4)
    ]
    selection = select(table(rows), Recipe(4, 5))
    kept = counts(chosen(rows, selection))
    assert len(selection.dropped) == 1
    assert all(4 <= n <= 5 for n in kept.values())
    assert "city" in kept


def test_another_seed_samples_other_images_and_the_same_seed_the_same() -> None:
    rows = [row(n, ["city"]) for n in range(200)]
    samples = [select(table(rows), Recipe(1, 50, seed=s)).rows.tolist() for s in (1, 1, 2)]
    assert samples[0] == samples[1] != samples[2]
    assert len(samples[0]) == 50


def test_adding_images_keeps_the_sampling_order_of_the_others() -> None:
    rows = [row(n, ["city"]) for n in range(100)]
    more = rows + [row(n, ["city"]) for n in range(100, 120)]
    before = set(chosen(rows, select(table(rows), Recipe(1, 40))))
    after = set(chosen(more, select(table(more), Recipe(1, 40))))
    assert after & {r["image_id"] for r in rows} <= before


def test_trust_says_how_weak_a_label_may_be() -> None:
    origins = ["human", "consensus", "model", "source", "query", None]
    rows = [row(n, ["city"], label_origin=origin) for n, origin in enumerate(origins)]
    for place, level in enumerate(origins[:5]):
        selection = select(table(rows), Recipe(trust=str(level)))
        assert selection.rows.tolist() == list(range(place + 1))
        assert selection.left_out["unlabelled"] == 1
        assert selection.left_out["untrusted"] == 4 - place


def test_only_images_of_the_allowed_licences_are_taken() -> None:
    licences = ["CC-BY-4.0", "CC-BY-NC-4.0", "CC0-1.0", "All rights reserved", None, "cc-by-3.0-us"]
    rows = [row(n, ["city"], license=name) for n, name in enumerate(licences)]
    selection = select(table(rows), Recipe(licenses=("cc0", "cc-by")))
    assert selection.rows.tolist() == [0, 2, 5]
    assert selection.left_out["license"] == 3


def test_a_licence_in_a_sources_own_words_can_be_asked_for_and_an_unknown_word_is_refused() -> None:
    rows = [row(0, ["city"], license="ask me"), row(1, ["city"])]
    assert select(table(rows), Recipe(licenses=("Ask me",))).rows.tolist() == [0]
    with pytest.raises(UsageError, match="no such licence") as caught:
        select(table(rows), Recipe(licenses=("cc-by", "foo")))
    assert "cc-by-nc" in caught.value.hint


def test_two_classes_on_one_image_are_a_conflict_where_classes_exclude_each_other() -> None:
    rows = [row(0, ["cat"]), row(1, ["cat", "dog"]), row(2, ["dog"])]
    selection = select(table(rows), Recipe(exclusive=True))
    assert selection.rows.tolist() == [0, 2]
    assert selection.left_out["conflict"] == 1


def test_the_error_names_the_largest_classes_and_what_to_do() -> None:
    rows = [row(n, ["city"]) for n in range(12)] + [row(20, ["dam"])]
    with pytest.raises(PackError, match=r"no class has 350 images: city 12, dam 1") as caught:
        select(table(rows), Recipe(min_per_class=350))
    assert "--min-per-class" in caught.value.hint
    assert "12" in caught.value.hint


def test_the_error_tells_when_nothing_is_labelled_or_no_licence_fits() -> None:
    unlabelled = table([row(0, label_origin=None)])
    with pytest.raises(PackError, match="no image has a label") as caught:
        select(unlabelled, Recipe())
    assert "curate import DIR --class NAME" in caught.value.hint
    weak = table([row(0, ["city"], label_origin="query")])
    with pytest.raises(PackError, match="1 untrusted") as caught:
        select(weak, Recipe(trust="human"))
    assert "--trust query" in caught.value.hint
    with pytest.raises(PackError, match="1 license") as caught:
        select(table([row(0, ["city"])]), Recipe(licenses=("cc0",)))
    assert "--license" in caught.value.hint


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_per_class": 0},
        {"min_per_class": 5, "max_per_class": 4},
        {"trust": "nobody"},
        {"splits": (0.8, 0.1, 0.2)},
        {"splits": (0.0, 0.5, 0.5)},
        {"splits": (1.2, -0.1, -0.1)},
        {"splits": (0.8, 0.2)},
    ],
)
def test_a_recipe_that_contradicts_itself_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Recipe(**wrong)


def test_a_table_without_labels_column_content_has_no_classes() -> None:
    empty = pa.table(table([row(0)]))
    with pytest.raises(PackError):
        select(empty, Recipe())
