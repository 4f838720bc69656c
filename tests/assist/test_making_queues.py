"""Queues of a project: who is in them, in what order, and who is shown no proposal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from curate import Project
from curate.carriers.queueing import ALL_DECIDED, NONE_DOUBTED
from curate.catalog.queues import queue_sizes, read_queue
from curate.config import LearningSettings, Settings
from curate.errors import UsageError
from tests.assist.scenery import CLASSES, Person


def test_the_most_uncertain_come_first_and_nobody_who_is_decided(trained: Person) -> None:
    project = trained.project
    made = project.learning.make_queue("uncertain", 20)
    rows = read_queue(project.db, "uncertain")
    assert made.n == len(rows) == 20
    decided = set(trained.some_of_each(6))
    assert decided.isdisjoint(each.image_id for each in rows)
    scores = [each.score or 0 for each in rows]
    assert scores == sorted(scores, reverse=True)
    found = project.people.proposals([rows[0].image_id])[rows[0].image_id]
    assert found is not None
    none = 1 - sum(found.scores.values())
    best = sorted([*found.scores.values(), none], reverse=True)
    assert scores[0] == pytest.approx(1 - (best[0] - best[1]), abs=1e-5)


def test_copies_of_one_photo_come_after_all_others(trained: Person) -> None:
    project = trained.project
    project.learning.make_queue("uncertain", 10)
    before = [each.image_id for each in read_queue(project.db, "uncertain")]
    for image_id in before[:3]:
        project.db.execute(
            "INSERT INTO near_groups VALUES (?, ?, ?, 0)", (image_id, min(before[:3]), image_id)
        )
    project.learning.make_queue("uncertain", 10)
    after = [each.image_id for each in read_queue(project.db, "uncertain")]
    assert after[:8] == [before[0], *before[3:10]]


def test_wrong_labels_are_suspected_and_the_right_class_is_suggested(
    person: Person, backbone: Path
) -> None:
    project = person.project
    ids = person.some_of_each(14)
    wrong = [each for each in ids if person.truth[each] == ("city",)][:2]
    person.decide(ids, said=lambda each: ("sunset",) if each in wrong else person.truth[each])
    made = project.learning.make_queue("suspects", backbone=backbone)
    rows = {each.image_id: each for each in read_queue(project.db, "suspects")}
    assert set(wrong) <= set(rows)
    assert all(rows[each].suggested == ("city",) for each in wrong)
    assert made.n == len(rows) <= 12


def test_the_most_different_are_unlike_what_is_labelled(person: Person, backbone: Path) -> None:
    project = person.project
    person.decide([each for each, names in person.truth.items() if names == ("beach",)])
    project.learning.make_queue("different", 8, backbone=backbone)
    rows = read_queue(project.db, "different")
    shown = {person.truth.get(each.image_id, ("beach", "trees")) for each in rows}
    assert len(shown) >= 3
    assert ("beach",) not in shown


def test_the_random_queue_is_blind_and_one_seed_is_one_queue(person: Person) -> None:
    project = person.project
    made = project.learning.make_queue("random", 12, seed=5)
    first = read_queue(project.db, "random")
    assert made.blind == made.n == 12
    assert all(each.blind for each in first)
    project.learning.make_queue("random", 12, seed=5)
    assert read_queue(project.db, "random") == first
    project.learning.make_queue("random", 12, seed=6)
    assert read_queue(project.db, "random") != first


def test_an_empty_queue_says_why(person: Person, backbone: Path) -> None:
    project = person.project
    assert "about no image" in project.learning.make_queue("disagreements").note
    person.decide(person.truth)
    project.learning.make_queue("random")
    person.decide(
        [each.image_id for each in read_queue(project.db, "random")], said=lambda _id: ("beach",)
    )
    made = project.learning.make_queue("random")
    assert (made.n, made.note) == (0, ALL_DECIDED)
    doubted = project.learning.make_queue("suspects", backbone=backbone)
    assert (doubted.n == 0) == (NONE_DOUBTED in doubted.note)


def test_a_share_of_what_waits_is_blind_whatever_queue_it_is_in(trained: Person) -> None:
    project = trained.project
    project.settings = _with_blind(project, 0.3)
    project.learning.fill_queue("")
    blind = {each.image_id for each in read_queue(project.db, "blind")}
    waiting = set(trained.truth) - set(trained.some_of_each(6))
    assert 0.1 < len(blind & waiting) / len(waiting) < 0.5
    project.learning.make_queue("uncertain", 40)
    rows = read_queue(project.db, "uncertain")
    assert {each.image_id for each in rows if each.blind} == blind & {e.image_id for e in rows}
    project.settings = _with_blind(project, 0.0)
    project.learning.fill_queue("")
    assert "blind" not in queue_sizes(project.db)


@pytest.mark.parametrize("name", ["uncertain", "random", "disagreements"])
def test_a_dry_run_counts_and_writes_nothing(trained: Person, name: str) -> None:
    project = trained.project
    Person(project, trained.truth, "bob").decide(
        trained.some_of_each(1), said=lambda _id: ("trees",)
    )
    tried = project.learning.make_queue(name, 7, dry_run=True)
    assert queue_sizes(project.db) == {}
    assert project.learning.make_queue(name, 7) == tried
    assert queue_sizes(project.db)[name] == tried.n > 0


def test_a_queue_is_filled_once_when_somebody_asks_for_it(trained: Person) -> None:
    learning = trained.project.learning
    made = learning.fill_queue("uncertain")
    assert made is not None
    assert made.n > 0
    assert learning.fill_queue("uncertain") is None
    assert learning.fill_queue("of my own") is None
    assert learning.fill_queue("") is None


def test_disagreements_are_those_of_people(person: Person) -> None:
    project = person.project
    ids = person.some_of_each(1)
    person.decide(ids)
    Person(project, person.truth, "bob").decide(ids, said=lambda _id: ("trees",))
    assert project.learning.make_queue("disagreements").n == len(CLASSES)


def test_what_a_queue_lacks_is_said(person: Person) -> None:
    learning = person.project.learning
    with pytest.raises(UsageError, match="no model has proposed"):
        learning.make_queue("uncertain")
    with pytest.raises(UsageError, match="needs a model that gives embeddings"):
        learning.make_queue("different")
    with pytest.raises(UsageError, match="there is no queue 'interesting' to make"):
        learning.make_queue("interesting")
    with pytest.raises(UsageError, match="--n 0 is not"):
        learning.make_queue("random", 0)


def test_a_backbone_that_is_gone_is_asked_for(trained: Person, backbone: Path) -> None:
    note = "UPDATE trainings SET backbone = '/nowhere/backbone.onnx'"
    trained.project.db.execute(note)
    with pytest.raises(UsageError, match="backbone of the last training, is gone"):
        trained.project.learning.make_queue("different")
    assert trained.project.learning.make_queue("different", 3, backbone=backbone).n == 3


def _with_blind(project: Project, share: float) -> Settings:
    return replace(project.settings, learning=LearningSettings(blind=share))
