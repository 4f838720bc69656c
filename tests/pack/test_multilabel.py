"""Caps and minima of several classes at once, against a search of all choices."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import PackError
from curate.pack import Recipe
from curate.pack.balance import select
from curate.pack.labels import Labels
from curate.pack.multilabel import limit
from tests.pack.rows import row, table

SMALL = st.lists(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True), min_size=1, max_size=11
)


def labels_of(images: list[list[str]]) -> Labels:
    return Labels.of(pa.array(images, pa.list_(pa.string())))


def can_be(images: list[list[str]], classes: set[str], minimum: int, cap: int) -> bool:
    """Try every choice of images; images count only for `classes`."""
    kinds = Counter(frozenset(names) & classes for names in images)
    kinds.pop(frozenset(), None)
    for amounts in itertools.product(*(range(n + 1) for n in kinds.values())):
        total = Counter[str]()
        for names, amount in zip(kinds, amounts, strict=True):
            total.update(dict.fromkeys(names, amount))
        if all(minimum <= total[name] <= cap for name in classes):
            return True
    return False


@settings(max_examples=300, deadline=None)
@given(SMALL, st.integers(1, 4), st.integers(0, 2), st.integers(0, 3))
def test_minimum_and_cap_hold_for_every_class_whenever_any_choice_does_that(
    images: list[list[str]], minimum: int, extra: int, seed: int
) -> None:
    cap = minimum + extra
    available = Counter(name for names in images for name in names)
    large = {name for name, n in available.items() if n >= minimum}
    rows = table([row(number, names) for number, names in enumerate(images)])
    try:
        selection = select(rows, Recipe(minimum, cap, seed=seed))
    except PackError:
        assert not any(can_be(images, {name}, minimum, cap) for name in large)
        return
    kept = set(selection.labels.classes)
    counts = selection.labels.per_class().tolist()
    assert all(minimum <= n <= cap for n in counts)
    dropped = set(selection.dropped)
    assert dropped | kept == set(available), "a class that is not kept is named"
    fewest = next(
        n
        for n in range(len(large) + 1)
        if any(
            can_be(images, large - set(gone), minimum, cap)
            for gone in itertools.combinations(sorted(large), n)
        )
    )
    assert len(dropped & large) == fewest, "no more classes are given up than must be"


@settings(max_examples=100, deadline=None)
@given(SMALL, st.integers(1, 3), st.integers(0, 2), st.randoms(use_true_random=False))
def test_the_choice_of_a_program_does_not_depend_on_the_order_of_rows(
    images: list[list[str]], minimum: int, extra: int, chance: random.Random
) -> None:
    rows = [row(number, names) for number, names in enumerate(images)]
    mixed = chance.sample(rows, len(rows))
    recipe = Recipe(minimum, minimum + extra)
    found = []
    for given_rows in (rows, mixed):
        try:
            selection = select(table(given_rows), recipe)
        except PackError as error:
            found.append(error.message)
            continue
        found.append(sorted(given_rows[n]["image_id"] for n in selection.rows.tolist()))
    assert found[0] == found[1]


def test_a_choice_that_adding_one_by_one_misses_is_found() -> None:
    # Rare classes first, `x` takes images that it shares with `y`, and `y` with `z`.
    images = [["x", "y"]] * 4 + [["x", "z"]] * 4 + [["y"]] * 5 + [["z"]] * 4 + [["y", "z"]] * 6
    labels = labels_of(images)
    rank = np.arange(len(images))
    done = limit(labels, 8, 8, rank)
    assert not done.given_up.size
    assert labels.keep(rows=done.chosen).per_class().tolist() == [8, 8, 8]


def test_what_is_chosen_keeps_the_mix_of_combinations() -> None:
    chance = random.Random(3)
    images = [["city"] + (["sunset"] if chance.random() < 0.2 else []) for _ in range(4000)]
    selection = select(table([row(n, names) for n, names in enumerate(images)]), Recipe(1, 500))
    counts = dict(zip(selection.labels.classes, selection.labels.per_class(), strict=True))
    assert counts["city"] == 500
    assert 60 <= counts["sunset"] <= 500
    both = (selection.labels.per_row() == 2).sum()
    assert both == counts["sunset"]


def test_a_class_that_no_choice_keeps_is_named_with_its_images() -> None:
    images = [["bay", "city"]] * 6 + [["city", "dam"]] * 6
    rows = table([row(n, names) for n, names in enumerate(images)])
    selection = select(rows, Recipe(6, 6))
    assert selection.dropped in ({"bay": 6}, {"dam": 6})
    assert set(selection.labels.per_class().tolist()) == {6}
