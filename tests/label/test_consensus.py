"""What people who do not agree amount to."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from curate.errors import UsageError
from curate.label.consensus import consensus
from curate.label.resolve import Verdict
from curate.records import Annotation, Kind
from tests.catalog.rows import image_id
from tests.label.ledgers import label, said

CLASSES = ("beach", "city", "sunset", "trees")
ERRORS = {"careful": 0.05, "hasty": 0.45, "tired": 0.45}
"""Share of wrong answers of three simulated people."""


def simulated(n: int, seed: int) -> tuple[dict[str, list[Annotation]], dict[str, str]]:
    """Answers of three people with known error rates, and the truth."""
    chance = random.Random(seed)
    votes: dict[str, list[Annotation]] = {}
    truth: dict[str, str] = {}
    for number in range(n):
        key = image_id(number)
        truth[key] = chance.choice(CLASSES)
        votes[key] = []
        for who, rate in ERRORS.items():
            others = [name for name in CLASSES if name != truth[key]]
            is_wrong = chance.random() < rate
            votes[key].append(
                label(number, chance.choice(others) if is_wrong else truth[key], by=who)
            )
    return votes, truth


def share_right(
    found: Mapping[str, Verdict], votes: Mapping[str, list[Annotation]], truth: Mapping[str, str]
) -> float:
    """Share of images whose consensus is true; where it is open, somebody's answer is drawn."""
    chance = random.Random(5)
    drawn = {key: chance.choice(each).classes for key, each in votes.items()}
    chosen = {key: found[key].classes if key in found else drawn[key] for key in truth}
    return sum(chosen[key] == (truth[key],) for key in truth) / len(truth)


@pytest.mark.slow
def test_dawid_skene_finds_the_truth_better_than_majority() -> None:
    votes, truth = simulated(2000, seed=3)
    by_majority = consensus(votes, "majority", exclusive=True)
    by_model = consensus(votes, "dawid-skene", exclusive=True)
    assert share_right(by_majority, votes, truth) < 0.85
    assert share_right(by_model, votes, truth) > 0.92


@pytest.mark.slow
def test_dawid_skene_helps_class_by_class_too() -> None:
    chance = random.Random(6)
    votes: dict[str, list[Annotation]] = {}
    truth: dict[str, tuple[str, ...]] = {}
    for number in range(1000):
        key = image_id(number)
        has = {name: chance.random() < 0.5 for name in ("beach", "city")}
        truth[key] = tuple(name for name in has if has[name])
        votes[key] = [
            label(number, *(name for name in has if has[name] ^ (chance.random() < rate)), by=who)
            for who, rate in ERRORS.items()
        ]
    right = {
        method: sum(
            each.classes == truth[key]
            for key, each in consensus(votes, method, exclusive=False).items()
        )
        for method in ("majority", "dawid-skene")
    }
    assert right["dawid-skene"] > right["majority"] + 50


@pytest.mark.parametrize(
    ("method", "exclusive"),
    [
        ("majority", True),
        ("majority", False),
        pytest.param("dawid-skene", True, marks=pytest.mark.slow),
    ],
)
def test_the_order_of_answers_does_not_matter(method: str, exclusive: bool) -> None:
    votes, _ = simulated(60, seed=4)
    turned = {key: each[::-1] for key, each in reversed(votes.items())}
    found = consensus(votes, method, exclusive=exclusive)
    other = consensus(turned, method, exclusive=exclusive)
    assert {key: each.classes for key, each in found.items()} == {
        key: each.classes for key, each in other.items()
    }
    for key, each in found.items():
        assert each.score == pytest.approx(other[key].score)
        assert 0 <= each.score <= 1


def test_a_majority_of_heads_wins_and_a_tie_stays_open() -> None:
    votes = {
        "two": [label(0, "a"), label(0, "a", by="bob"), label(0, "b", by="eve")],
        "tie": [label(1, "a"), label(1, "b", by="bob")],
        "none": [label(2), label(2, by="bob"), label(2, "b", by="eve")],
        "out": [said(3, Kind.REJECT), said(3, Kind.REJECT, by="bob"), label(3, "b", by="eve")],
        "open": [label(4, "a"), said(4, Kind.UNSURE, by="bob")],
    }
    for exclusive in (True, False):
        found = consensus(votes, "majority", exclusive=exclusive)
        assert "tie" not in found
        assert found["two"].classes == ("a",)
        assert found["two"].score == pytest.approx(2 / 3)
        assert found["none"].classes == ()
        assert found["out"].rejected
        assert found["open"].classes == ("a",)


def test_several_classes_are_found_one_by_one() -> None:
    votes = {"x": [label(0, "a", "b"), label(0, "a", "c", by="bob"), label(0, "a", "b", by="eve")]}
    assert consensus(votes, "majority", exclusive=False)["x"].classes == ("a", "b")


def test_two_people_who_only_disagree_leave_it_open() -> None:
    votes = {"x": [label(0, "a"), label(0, "b", by="bob")]}
    assert consensus(votes, "dawid-skene", exclusive=True) == {}


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(UsageError, match="vote") as raised:
        consensus({}, "vote", exclusive=True)
    assert "majority, dawid-skene" in raised.value.hint
