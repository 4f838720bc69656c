"""Training on labels: what counts as a label, what is kept out, and what comes out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from curate import Project
from curate.assist.decode import pixels
from curate.carriers.grading import GradeRequest
from curate.carriers.lessons import collect, held_out_images
from curate.carriers.models import PrelabelRequest
from curate.carriers.training import OUT, TrainRequest
from curate.catalog import images, proposals, trainings
from curate.errors import UsageError
from curate.pack.recipe import Recipe
from curate.records import Annotation, Kind
from curate.store import sha256_file
from tests.assist.scenery import CLASSES, Person, truth_of


def test_labels_become_a_model_that_prelabel_and_any_runtime_take(
    person: Person, backbone: Path
) -> None:
    project = person.project
    known = person.some_of_each(8)
    person.decide(known)
    trained = project.learning.train(TrainRequest(backbone))
    assert trained.path == project.folder / OUT
    assert trained.classes == {**dict.fromkeys(CLASSES, 8), "": 8}
    assert trained.held_out.balanced_accuracy > 0.7
    assert not trained.held_out.is_useless

    project.models.prelabel(PrelabelRequest(trained.path))
    found = proposals.by_model(project.db, trained.sha256, person.truth)
    rest = person.truth.keys() - known
    right = [found[each].classes == person.truth[each] for each in rest]
    assert np.mean(right) > 0.8
    assert () in {found[each].classes for each in rest}  # "none of them" is an answer

    session = onnxruntime.InferenceSession(trained.path)
    model = project.models.open(trained.path)
    page = images.some_kept(project.db, sorted(person.truth)[:10])
    for each in page:
        data = project.store.path(each.image_id, each.format).read_bytes()
        picture = pixels(data, model.preprocess)[np.newaxis]
        [[scores]] = session.run(None, {"input": model.fed(picture)})
        said = dict(zip(model.classes or (), scores.tolist(), strict=True))
        del said[""]
        assert found[each.image_id].scores == pytest.approx(said, abs=1e-4)


KILLED = """
import os, sys
from pathlib import Path
from curate import Project
from curate.assist import merge
from curate.carriers.training import TrainRequest

write = merge.write_model

def write_and_die(path, data):
    write(path, data)
    os._exit(9)

merge.write_model = write_and_die
Project(sys.argv[1]).learning.train(TrainRequest(Path(sys.argv[2])))
"""


def test_a_model_never_lies_there_without_the_note_of_what_it_learned_from(
    person: Person, backbone: Path
) -> None:
    known = person.some_of_each(6)
    person.decide(known)
    folder = person.project.folder
    words = [sys.executable, "-c", KILLED, str(folder), str(backbone)]
    assert subprocess.run(words, check=False).returncode == 9
    with Project(folder) as project:
        learned = trainings.trained_on(project.db, sha256_file(folder / OUT))
        assert learned == set(known)
        with pytest.raises(UsageError, match="that the model was trained on"):
            project.learning.evaluate(GradeRequest(str(folder / OUT)))


@pytest.mark.slow
def test_one_seed_is_one_file_and_a_dry_run_writes_none(person: Person, backbone: Path) -> None:
    person.decide(person.some_of_each(6))
    learning = person.project.learning
    tried = learning.train(TrainRequest(backbone, dry_run=True))
    assert tried.path is None
    assert not (person.project.folder / OUT).exists()
    assert trainings.trainings(person.project.db) == []
    trained = learning.train(TrainRequest(backbone, out=person.project.folder / "mine.onnx"))
    assert trained.sha256 == tried.sha256
    again = learning.train(TrainRequest(backbone, out=person.project.folder / "mine.onnx"))
    assert again.sha256 == trained.sha256
    [note] = trainings.trainings(person.project.db)
    assert note.model == trained.sha256
    assert note.held_out["n"] == trained.n == 30
    assert len(trainings.trained_on(person.project.db, trained.sha256)) == 30


def test_validation_and_test_rows_are_never_trained_on_nor_what_belongs_to_them(
    person: Person, backbone: Path
) -> None:
    project = person.project
    person.decide(person.truth)
    project.balance(Recipe(splits=(0.6, 0.2, 0.2)), trust="human")
    held_out = held_out_images(project, None)
    assert len(held_out) >= 20
    # A photo of the test rows and one of the training rows turn out to be of one group.
    inside = sorted(held_out)[0]
    outside = sorted(person.truth.keys() - held_out)[0]
    for image_id in (inside, outside):
        project.db.execute(
            "INSERT INTO near_groups VALUES (?, ?, ?, 0)", (image_id, inside, image_id)
        )
    trained = project.learning.train(TrainRequest(backbone))
    seen = trainings.trained_on(project.db, trained.sha256)
    assert seen == person.truth.keys() - held_out - {outside}
    assert trained.left_out == {"held_out": len(held_out) + 1}


def test_too_few_labels_are_named_and_small_classes_can_be_left_out(
    person: Person, backbone: Path
) -> None:
    learning = person.project.learning
    with pytest.raises(UsageError, match="no labelled images"):
        learning.train(TrainRequest(backbone))
    few = [each for each in person.some_of_each(2) if person.truth[each] == ("city",)]
    plenty = [each for each in person.some_of_each(8) if person.truth[each] in (("beach",), ())]
    person.decide([*few, *plenty])
    with pytest.raises(UsageError, match="city has 2, at least 5 of each"):
        learning.train(TrainRequest(backbone))
    trained = learning.train(TrainRequest(backbone, min_per_class=5))
    assert trained.classes == {"beach": 8, "": 8}
    assert trained.left_out == {"small_class": 2}


def test_what_a_model_proposed_is_not_learned_from(trained: Person) -> None:
    project = trained.project
    known = trained.some_of_each(6)
    assert set(collect(project).image_ids) == set(known)
    # Sources may be trusted; a proposal does not hide what the folder says.
    everyone = collect(project, "source")
    assert len(everyone.image_ids) > len(known)
    with pytest.raises(UsageError, match="nothing to learn from"):
        collect(project, "model")


def test_what_people_cannot_agree_on_or_reject_is_left_out(person: Person) -> None:
    project = person.project
    first, second, third, fourth = sorted(person.truth)[:4]
    person.decide([first, second])
    Person(project, person.truth, "bob").decide([second], said=lambda _id: ("trees", "x")[:1])
    clash = person.truth[second] == ("trees",)
    with project.people.ledger() as ledger:
        ledger.add(
            [
                Annotation("r", Kind.REJECT, "ann", 1.0, third),
                Annotation("u", Kind.UNSURE, "ann", 1.0, fourth),
            ]
        )
    found = collect(project)
    assert set(found.image_ids) == {first} | ({second} if clash else set())
    assert found.left_out == {
        "rejected": 1,
        "unsure": 1,
        **({} if clash else {"conflict": 1}),
    }


@pytest.mark.slow
def test_several_classes_are_learned_with_their_own_thresholds(
    generous: Person, backbone: Path
) -> None:
    project = generous.project
    known = generous.some_of_each(10)
    generous.decide(known)
    trained = project.learning.train(TrainRequest(backbone))
    assert not trained.is_exclusive
    assert trained.classes == {"beach": 20, "city": 10, "sunset": 10, "trees": 20}
    assert trained.held_out.macro_f1 > 0.7
    assert trained.path is not None
    project.models.prelabel(PrelabelRequest(trained.path))
    found = proposals.by_model(project.db, trained.sha256, generous.truth)
    for each in found.values():
        reached = {name for name, score in each.scores.items() if score >= trained.thresholds[name]}
        assert set(each.classes) == reached
    assert {2, 1, 0} <= {len(each.classes) for each in found.values()}


def test_a_renamed_class_is_trained_under_its_new_name(person: Person, backbone: Path) -> None:
    person.decide(person.some_of_each(6))
    person.project.people.rename({"sunset": "dusk"}, "ann")
    trained = person.project.learning.train(TrainRequest(backbone, dry_run=True))
    assert trained.classes == {"beach": 6, "city": 6, "dusk": 6, "trees": 6, "": 6}


@pytest.mark.slow
def test_embeddings_are_computed_once(person: Person, backbone: Path) -> None:
    person.decide(person.some_of_each(6))
    told: list[tuple[str, int, int]] = []
    person.project.progress = lambda *each: told.append(each)
    person.project.learning.train(TrainRequest(backbone, dry_run=True))
    assert ("embed", 30, 30) in told
    told.clear()
    person.project.learning.train(TrainRequest(backbone, dry_run=True))
    assert "embed" not in {name for name, *_ in told}


@pytest.mark.slow
def test_real_photos_and_a_real_backbone(shared: Path, tmp_path: Path) -> None:
    """Cats and dogs: 60 labels, each photo held against what the folder says."""
    backbone = shared / "onnx" / "mobilenet_v1_1.0_224_embed_nchw_f32.onnx"
    with Project(tmp_path, flags={"fetch.workers": 1}) as project:
        project.import_folder(shared / "photos" / "dog-cat")
        project.duplicates.search()
        person = Person(project, truth_of(project))
        project.people.set_classes(("cat", "dog"), exclusive=True)
        known = person.some_of_each(30)
        person.decide(known)
        trained = project.learning.train(TrainRequest(backbone))
        assert trained.n == 60
        assert trained.held_out.accuracy > 0.85
        rest = sorted(person.truth.keys() - known)
        person.decide(rest)
        graded = project.learning.evaluate(GradeRequest(str(trained.path)))
        assert graded.evaluation.n == len(rest)
        assert graded.evaluation.accuracy > 0.9
        assert graded.evaluation.balanced_accuracy > 0.9
