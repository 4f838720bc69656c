"""Measuring a model of a project: only on labels that it has not learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from curate.assist.pays import ENOUGH
from curate.carriers.grading import GradeRequest
from curate.carriers.models import PrelabelRequest
from curate.carriers.training import OUT, TrainRequest
from curate.catalog import proposals
from curate.errors import PackError, UsageError
from curate.pack.recipe import Recipe
from tests.assist.scenery import Person


def test_a_model_is_not_measured_on_what_it_was_trained_on(trained: Person) -> None:
    learning = trained.project.learning
    with pytest.raises(
        UsageError, match=r"no labelled images .* 30 images that the model was trained on"
    ) as caught:
        learning.evaluate(GradeRequest())
    assert "held-out folds" in caught.value.hint
    fresh = sorted(trained.truth.keys() - set(trained.some_of_each(6)))[:20]
    trained.decide(fresh)
    graded = learning.evaluate(GradeRequest())
    assert graded.evaluation.n == 20
    assert graded.left_out == {"trained_on": 30}
    found = proposals.by_model(trained.project.db, graded.model, fresh)
    wrong = {each for each in fresh if found[each].classes != trained.truth[each]}
    assert {each.image_id for each in graded.mistakes} == wrong
    assert graded.evaluation.accuracy == pytest.approx(1 - len(wrong) / 20)
    by_sha = learning.evaluate(GradeRequest(graded.model[:10]))
    assert by_sha.evaluation == graded.evaluation


@pytest.mark.parametrize("is_kept", [True, False])
def test_what_is_linked_to_what_it_learned_from_does_not_count_either(
    trained: Person, is_kept: bool
) -> None:
    db = trained.project.db
    learned = trained.some_of_each(6)
    copy, between, *fresh = sorted(trained.truth.keys() - set(learned))[:20]
    hint = "UPDATE candidates SET group_hint = ? WHERE image_id = ?"
    db.execute(hint, ("occurrence:1", learned[0]))
    db.execute(hint, ("occurrence:1", between))
    db.many(
        "INSERT INTO semantic_groups VALUES (?, ?, ?, 0.9)",
        [(each, between, copy) for each in (between, copy)],
    )
    if not is_kept:
        db.execute("UPDATE images SET excluded = 'near' WHERE image_id = ?", (between,))
    trained.decide([copy, *fresh])
    graded = trained.project.learning.evaluate(GradeRequest())
    assert graded.evaluation.n == len(fresh)
    assert graded.left_out == {"trained_on": len(learned) + 1}


def test_a_file_is_asked_where_it_has_proposed_nothing(trained: Person) -> None:
    project = trained.project
    fresh = sorted(trained.truth.keys() - set(trained.some_of_each(6)))[:12]
    trained.decide(fresh)
    known = project.learning.evaluate(GradeRequest())
    project.db.execute("DELETE FROM proposals")
    with pytest.raises(UsageError, match="12 images that the model was never asked about"):
        project.learning.evaluate(GradeRequest())
    asked = project.learning.evaluate(GradeRequest(str(project.folder / OUT)))
    assert asked.evaluation == known.evaluation
    assert project.db.one("SELECT COUNT(*) FROM proposals") == (0,)


@pytest.mark.slow
def test_the_test_rows_of_a_manifest_are_what_it_is_measured_on(
    person: Person, backbone: Path
) -> None:
    project = person.project
    person.decide(person.truth)
    project.balance(Recipe(splits=(0.6, 0.2, 0.2)), trust="human")
    model = project.learning.train(TrainRequest(backbone)).path
    assert model is not None
    project.models.prelabel(PrelabelRequest(model))
    graded = project.learning.evaluate(GradeRequest(manifest="v0001"))
    test = project.learning.evaluate(GradeRequest(manifest="v0001", split="test"))
    assert test == graded
    assert 8 <= graded.evaluation.n <= 24
    assert "trained_on" not in graded.left_out
    with pytest.raises(UsageError, match="was trained on"):
        project.learning.evaluate(GradeRequest(manifest="v0001", split="train"))
    with pytest.raises(UsageError, match="no split"):
        project.learning.evaluate(GradeRequest(manifest="v0001", split="exam"))
    with pytest.raises(PackError):
        project.learning.evaluate(GradeRequest(manifest="v0007"))


def test_a_model_that_is_not_there_is_named(person: Person) -> None:
    learning = person.project.learning
    with pytest.raises(UsageError, match="no model has proposed anything"):
        learning.evaluate(GradeRequest())
    with pytest.raises(UsageError, match="there is no model 123abc"):
        learning.evaluate(GradeRequest("123abc"))


def test_a_renamed_class_is_still_right(trained: Person) -> None:
    fresh = [each for each in sorted(trained.truth) if trained.truth[each] == ("city",)]
    trained.decide(fresh)
    before = trained.project.learning.evaluate(GradeRequest())
    trained.project.people.rename({"city": "town"}, "ann")
    after = trained.project.learning.evaluate(GradeRequest())
    assert after.evaluation.accuracy == before.evaluation.accuracy > 0.5
    assert "town" in after.evaluation.classes


def test_nothing_to_measure_on_is_said_in_plain_words(trained: Person) -> None:
    n = len(trained.some_of_each(6))
    with pytest.raises(UsageError) as refused:
        trained.project.learning.evaluate(GradeRequest())
    said = refused.value.message
    assert said.endswith(f": left out are {n} images that the model was trained on")
    assert "(" not in said


def test_a_page_shows_the_mistakes(trained: Person, tmp_path: Path) -> None:
    fresh = sorted(trained.truth.keys() - set(trained.some_of_each(6)))[:12]
    other = {("city",): ("trees",)}
    trained.decide(fresh, said=lambda each: other.get(trained.truth[each], ("city",)))
    graded = trained.project.learning.evaluate(GradeRequest())
    page = trained.project.learning.write_page(graded, tmp_path / "page.html")
    text = page.read_text(encoding="utf-8")
    assert graded.evaluation.verdict.split("'")[0] in text.replace("&#x27;", "'")
    assert text.count("data:image/jpeg") == len(graded.mistakes) >= 8
    assert "<script" not in text


def test_proposals_that_were_withheld_measure_how_far_others_sway(trained: Person) -> None:
    project = trained.project
    waiting = sorted(trained.truth.keys() - set(trained.some_of_each(6)))
    found = {key: each for key, each in project.people.proposals(waiting).items() if each}
    half = len(waiting) // 2
    assert half >= ENOUGH
    for image_id in waiting[:half]:
        each = found[image_id]
        trained.decide(
            [image_id],
            said=lambda _id, each=each: each.classes,  # type: ignore[misc] # bound now
            shown=each.classes,
            shown_score=each.score,
            shown_by=each.model,
            mode="one",
            seconds=1.0,
        )
    trained.decide(waiting[half:], mode="blind", seconds=2.0)
    pays = project.learning.pays()
    assert pays.saved == pytest.approx(0.5)
    assert pays.agreement_shown is not None
    assert pays.agreement_shown.share == 1.0
    assert pays.agreement_blind is not None
    right = np.mean([found[each].classes == trained.truth[each] for each in waiting[half:]])
    assert pays.agreement_blind.share == pytest.approx(right)
    assert pays.waiting > 0  # images of two classes, which nobody has looked at
