"""Does it pay: what is known is said with its uncertainty, what is not known is said so."""

from __future__ import annotations

import json

import numpy as np
import pytest

from curate.assist.pays import Decision, corrections, describe, does_it_pay, safe_score

CAT, DOG = ("cat",), ("dog",)


def seen(
    n: int, share_right: float, seconds: float = 1.0, score: float = 0.9, queue: str = "uncertain"
) -> list[Decision]:
    right = round(n * share_right)
    return [
        Decision(CAT if number < right else DOG, CAT, None, score, seconds + number % 3 / 10, queue)
        for number in range(n)
    ]


def unseen(
    n: int, share_right: float, seconds: float = 3.0, queue: str = "uncertain"
) -> list[Decision]:
    right = round(n * share_right)
    return [
        Decision(
            CAT if number < right else DOG, None, CAT, 0.9, seconds + number % 3 / 10, queue, True
        )
        for number in range(n)
    ]


def test_nothing_decided_nothing_known() -> None:
    found = does_it_pay([])
    assert (found.saved, found.safe_score, found.agreement_blind) == (None, None, None)
    assert [
        line for line in found.verdict if "not known yet" in line or "No score" in line
    ] == list(found.verdict)
    json.dumps(found.to_json())


def test_saved_time_is_said_with_its_interval() -> None:
    found = does_it_pay(seen(100, 0.95) + unseen(40, 0.9))
    assert found.saved == pytest.approx(1 - 1.099 / 3.0975, abs=1e-3)
    assert found.saved_low is not None
    assert found.saved_high is not None
    assert found.saved_low < found.saved < found.saved_high
    assert found.verdict[0].startswith("Pre-labelling saves time here: 1.1 s an image")


def test_time_that_proposals_cost_is_said_too() -> None:
    found = does_it_pay(seen(100, 0.5, seconds=5.0) + unseen(40, 0.5, seconds=3.0))
    assert found.saved is not None
    assert found.saved < 0
    assert found.verdict[0].startswith("Pre-labelling costs time here")


def test_no_difference_is_not_made_one() -> None:
    chance = np.random.default_rng(0)
    times = chance.lognormal(1, 0.8, size=120)
    mixed = [
        Decision(CAT, CAT if number % 2 else None, None, 0.9, float(each))
        for number, each in enumerate(times)
    ]
    assert does_it_pay(mixed).verdict[0].startswith("Pre-labelling makes no clear difference")


def test_a_lunch_break_is_no_decision() -> None:
    break_ = Decision(CAT, CAT, None, 0.9, 3600.0)
    assert does_it_pay([*seen(30, 1), break_]).n_with == 30


def test_corrections_are_counted_for_the_class_that_was_proposed() -> None:
    decisions = [
        *seen(10, 0.7),
        Decision((), (), None, 0.9),
        Decision(DOG, (), None, 0.9),
        Decision(None, DOG, None, 0.9),
        Decision(("cat", "dog"), CAT, None, 0.9),
    ]
    found = corrections(decisions)
    assert {name: (rate.n, round(rate.share * rate.n)) for name, rate in found.items()} == {
        "dog": (1, 1),
        "": (2, 1),
        "cat": (11, 3),
    }
    assert describe(found).startswith("dog 100% of 1, none of the classes 50% of 2, cat")


def test_a_score_is_safe_only_with_enough_proof() -> None:
    assert safe_score(seen(20, 1.0)) is None
    found = safe_score(seen(200, 1.0))
    assert found is not None
    threshold, rate = found
    assert threshold == 0.5
    assert rate.low >= 0.95
    assert safe_score(seen(200, 0.95)) is None


def test_a_score_is_safe_from_where_the_errors_end() -> None:
    weak = [each for score in (0.55, 0.65, 0.75) for each in seen(100, 0.7, score=score)]
    found = safe_score(weak + seen(300, 0.995, score=0.97))
    assert found is not None
    assert found[0] == 0.8


def test_safety_holds_when_there_is_none() -> None:
    """Of many projects in which 94 % are right at every score, hardly one may be told 95 %."""
    chance = np.random.default_rng(0)
    told = 0
    for _ in range(200):
        decisions = [
            Decision(CAT if right else DOG, CAT, None, float(score))
            for right, score in zip(chance.random(300) < 0.94, chance.random(300), strict=True)
        ]
        told += safe_score(decisions) is not None
    assert told <= 20


def test_sway_is_the_difference_between_seen_and_withheld() -> None:
    found = does_it_pay(seen(400, 0.98) + unseen(100, 0.80))
    assert found.agreement_shown is not None
    assert found.agreement_blind is not None
    assert (found.agreement_shown.share, found.agreement_blind.share) == (0.98, 0.8)
    assert found.verdict[2].startswith(
        "Proposals sway people: they agree with 98% of what they see"
    )
    assert found.sway_low is not None
    assert 0 < found.sway_low < 0.18 < (found.sway_high or 0)


def test_sway_is_compared_within_queues() -> None:
    found = does_it_pay(seen(400, 0.5, queue="") + seen(100, 0.8) + unseen(100, 0.8))
    assert found.agreement_shown is not None
    assert found.agreement_shown.n == 100
    assert found.verdict[2].startswith("No sign that proposals sway people")
