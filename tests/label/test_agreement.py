"""Agreement, against worked examples that were published."""

from __future__ import annotations

from collections import Counter

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.label.agreement import agreement, cohen_kappa, fleiss_kappa, score
from curate.records import Annotation, Kind
from tests.label.ledgers import label, said
from tests.label.simulated import TWO, UNEVEN, simulated

pytestmark = pytest.mark.full

KRIPPENDORFF = {  # "Computing Krippendorff's Alpha-Reliability", 2011, section C: nominal .743
    "A": "1 2 3 3 2 1 4 1 2 . . .",
    "B": "1 2 3 3 2 2 4 1 2 5 . 3",
    "C": ". 3 3 3 2 3 4 2 2 5 1 .",
    "D": "1 2 3 3 2 4 4 1 2 5 1 .",
}
FLEISS = [  # ten subjects, fourteen raters, five categories: kappa .210
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]


def test_alpha_is_krippendorffs_worked_example() -> None:
    columns = zip(*(text.split() for text in KRIPPENDORFF.values()), strict=True)
    answers = [
        {who: text for who, text in zip(KRIPPENDORFF, column, strict=True) if text != "."}
        for column in columns
    ]
    found = score(answers)
    assert found.alpha == pytest.approx(0.743, abs=5e-4)
    assert found.n == 11, "one unit has a single value"
    assert found.fleiss is None, "not everybody has answered everywhere"


def test_fleiss_kappa_is_the_worked_example() -> None:
    assert fleiss_kappa(np.array(FLEISS)) == pytest.approx(0.210, abs=5e-4)


def test_cohens_kappa_is_the_worked_example() -> None:
    # 50 proposals: both yes 20, only the first 5, only the second 10, both no 15: kappa .4
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    one, other = zip(*pairs, strict=True)
    assert cohen_kappa(one, other) == pytest.approx(0.4)
    found = score([{"a": a, "b": b} for a, b in pairs])
    assert found.percent == pytest.approx(70.0)


def test_two_people_and_2000_images_are_scored_as_by_hand_and_by_the_library() -> None:
    votes, _ = simulated(2000, 1, TWO, UNEVEN)
    found = agreement(votes.values())
    pairs = [(str(one.classes), str(two.classes)) for one, two in votes.values()]
    n, both = len(pairs), [name for pair in pairs for name in pair]
    names = sorted(set(both))
    equal = sum(one == two for one, two in pairs) / n
    ones, twos = (Counter(pair[side] for pair in pairs) for side in (0, 1))
    # Cohen takes each person's own shares, Fleiss those of both together.
    cohen = sum(ones[name] * twos[name] for name in names) / n**2
    fleiss = sum(both.count(name) ** 2 for name in names) / len(both) ** 2
    assert found.whole.percent == pytest.approx(100 * equal)
    assert found.pairs[0].cohen == pytest.approx((equal - cohen) / (1 - cohen))
    assert found.whole.fleiss == pytest.approx((equal - fleiss) / (1 - fleiss))
    numbers = [[names.index(pair[side]) for pair in pairs] for side in (0, 1)]
    alpha = krippendorff.alpha(reliability_data=numbers, level_of_measurement="nominal")
    assert found.whole.alpha == pytest.approx(alpha)
    # 81 % agree where one errs in 5 % and the other in 15 %, and the more so beyond chance.
    assert 79 < found.whole.percent < 83
    assert 0.62 < found.whole.alpha < 0.72


def test_where_all_say_the_same_everywhere_chance_cannot_be_told() -> None:
    found = score([{"a": "x", "b": "x"}] * 3)
    assert (found.percent, found.alpha, found.fleiss) == (100.0, None, None)
    assert cohen_kappa(["x"], ["x"]) is None
    assert score([{"a": "x"}]).n == 0


def test_agreement_is_told_for_the_whole_each_class_and_each_pair() -> None:
    images: list[list[Annotation]] = [
        [label(0, "a"), label(0, "a", by="bob")],
        [label(1, "a", "b"), label(1, "b", by="bob")],
        [label(2), said(2, Kind.REJECT, by="bob"), label(2, by="eve")],
        [label(3, "b"), said(3, Kind.UNSURE, by="bob")],
    ]
    found = agreement(images)
    assert found.whole.n == 3
    assert found.whole.percent == pytest.approx(100 * 2 / 5)
    assert {name: each.n for name, each in found.classes.items()} == {"a": 3, "b": 3}
    assert found.classes["a"].percent == pytest.approx(100 * 2 / 3)
    assert found.classes["b"].percent == 100.0
    assert [(each.one, each.other, each.n) for each in found.pairs] == [
        ("ada", "bob", 3),
        ("ada", "eve", 1),
        ("bob", "eve", 1),
    ]


@given(
    st.lists(
        st.dictionaries(st.sampled_from("ABCD"), st.sampled_from("xyz"), min_size=1),
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_neither_the_order_of_images_nor_names_of_people_matter(
    answers: list[dict[str, str]], chance: object
) -> None:
    turned = [{who.lower(): text for who, text in each.items()} for each in answers]
    chance.shuffle(turned)  # type: ignore[attr-defined] # hypothesis hands out a Random
    one, other = score(answers), score(turned)
    assert one.n == other.n
    assert one.alpha == pytest.approx(other.alpha, nan_ok=True)
    assert one.fleiss == pytest.approx(other.fleiss)
