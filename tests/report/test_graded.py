"""The page of an evaluation: all measures, and no markup from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from curate.assist.evaluate import evaluate_exclusive, evaluate_multilabel
from curate.report.facts import Thumb
from curate.report.graded import WrongPicture, write_graded

EVIL = "\"'><script>alert(1)</script>"


def document(names: list[str], *, is_exclusive: bool = True) -> dict[str, Any]:
    chance = np.random.default_rng(0)
    scores = chance.random((60, len(names)))
    if is_exclusive:
        found = evaluate_exclusive(names, chance.integers(len(names), size=60), scores)
    else:
        truth = chance.random((60, len(names))) < 0.3
        found = evaluate_multilabel(names, truth, scores, scores >= 0.5)
    return {
        **found.to_json(),
        "model": {"name": "head.onnx", "sha256": "ab" * 32},
        "misclassified": [{}] * 7,
    }


def wrong(text: str, thumb: Thumb | None = None) -> WrongPicture:
    return WrongPicture("cd" * 32, thumb, text, text, 0.93)


def test_a_page_has_every_measure_and_says_what_it_does_not_show(tmp_path: Path) -> None:
    told = document(["beach", "city", ""])
    pictures = [wrong("beach", Thumb(b"jpeg", "title", "", 20, 10)), wrong("city")]
    text = write_graded(tmp_path / "page.html", told, pictures).read_text(encoding="utf-8")
    for key in ("accuracy", "majority_accuracy", "balanced_accuracy", "macro_f1", "ece"):
        assert f"<b>{told[key]:.1%}</b>" in text
    assert "none of them" in text
    assert "7 images, the surest mistake first. The first 2 are shown." in text
    assert text.count("no picture") == 1
    assert text.count("data:image/jpeg") == 1


def test_several_classes_have_four_numbers_each(tmp_path: Path) -> None:
    told = document(["beach", "city"], is_exclusive=False)
    text = write_graded(tmp_path / "page.html", told, []).read_text(encoding="utf-8")
    assert "right no" in text
    assert all(f"<td class='n'>{n}</td>" in text for cells in told["confusion"] for n in cells[0])


def test_nothing_that_came_from_outside_becomes_markup(tmp_path: Path) -> None:
    told = document([EVIL, "city"])
    told["model"]["name"] = EVIL
    text = write_graded(tmp_path / "page.html", told, [wrong(EVIL)]).read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_very_many_classes_are_not_drawn_against_each_other(tmp_path: Path) -> None:
    told = document([f"c{each}" for each in range(50)])
    text = write_graded(tmp_path / "page.html", told, []).read_text(encoding="utf-8")
    assert "50 classes are too many for a table" in text
