"""How long people take, and what they correct."""

from __future__ import annotations

import pytest

from curate.label.pace import Correction, pace
from curate.records import Kind
from tests.label.ledgers import label, said


def test_time_is_told_by_queue_mode_and_proposal_and_a_pause_is_none() -> None:
    found = pace(
        [
            label(0, "a", seconds=1.0, mode="one", shown=("a",)),
            label(1, "a", seconds=3.0, mode="one", shown=("a",)),
            label(2, "a", seconds=7200.0, mode="one", shown=("a",)),
            label(3, "a", seconds=9.0, mode="one", queue="random"),
            label(4, "a", mode="page", shown=("a",)),
        ]
    )
    told = [(e.queue, e.mode, e.proposed, e.n, e.timed, e.median_s) for e in found.speeds]
    assert told == [
        ("", "one", True, 3, 2, 2.0),
        ("", "page", True, 1, 0, None),
        ("random", "one", False, 1, 1, 9.0),
    ]
    assert found.speeds[0].total_s == pytest.approx(4.0)


def test_corrections_are_counted_by_class() -> None:
    found = pace(
        [
            label(0, "a", shown=("a",)),
            label(1, "b", shown=("a",)),
            label(2, "a", "b", shown=("a",)),
            label(3, shown=("b",)),
            label(4, "a"),
            said(5, Kind.REJECT),
        ]
    )
    assert found.corrections == {
        "a": Correction(proposed=3, kept=2, added=0),
        "b": Correction(proposed=1, kept=0, added=2),
    }


def test_nothing_decided_is_no_pace() -> None:
    assert pace([]).to_json() == {"speeds": [], "corrections": {}}
