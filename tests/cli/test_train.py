"""train, evaluate, queue and the paying part of status, as they are typed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from curate import Project
from curate.carriers.models import PrelabelRequest
from curate.carriers.training import TrainRequest
from curate.cli.main import app
from curate.errors import ExitCode
from tests.assist.scenery import (
    CLASSES,
    of_one_class,
    write_backbone,
    write_scenes,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after a first round, with 20 further labels, and its backbone beside it."""
    folder = tmp_path_factory.mktemp("made")
    write_backbone(folder / "backbone.onnx")
    write_scenes(folder / "scenes", 12, [*((name,) for name in CLASSES), ()])
    with Project(folder / "project", flags={"fetch.workers": 1}) as project:
        project.import_folder(folder / "scenes")
        project.people.set_classes(CLASSES, exclusive=True)
        person = of_one_class(project)
        first = person.some_of_each(6)
        person.decide(first)
        model = project.learning.train(TrainRequest(folder / "backbone.onnx")).path
        assert model is not None
        project.models.prelabel(PrelabelRequest(model))
        person.decide(sorted(person.truth.keys() - set(first))[:20], seconds=2.0)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / "project", tmp_path / "project")
    return tmp_path / "project"


def typed(folder: Path, *words: str, code: int = ExitCode.DONE) -> str:
    done = CliRunner().invoke(app, ["-C", str(folder), *words])
    assert done.exit_code == code, done.output
    return done.stdout if code == ExitCode.DONE else done.stderr


def answered(folder: Path, *words: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(typed(folder, *words, "--json", "--quiet"))
    return document


def test_train_says_what_it_is_worth_and_writes_one_file(folder: Path, made: Path) -> None:
    words = ("train", "--backbone", str(made / "backbone.onnx"))
    tried = answered(folder, *words, "--dry-run")
    assert tried["path"] is None
    text = typed(folder, *words, "--quiet", "--out", str(folder / "mine.onnx"))
    assert "trained on 50 images" in text
    assert "where always saying" in text
    assert "threshold" in text
    assert (folder / "mine.onnx").is_file()
    assert {"sha256", "n", "classes", "thresholds", "left_out", "held_out"} <= set(tried)
    assert tried["held_out"]["n"] == tried["n"] == sum(tried["classes"].values()) == 50


def test_evaluate_answers_with_the_documented_keys(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    document = answered(folder, "evaluate", "--page", str(page))
    assert {"n", "accuracy", "balanced_accuracy", "macro_f1", "classes", "confusion"} <= set(
        document
    )
    assert document["n"] == 20
    assert document["left_out"] == {"trained_on": 30}
    assert document["page"] == str(page)
    assert "How good is head.onnx?" in page.read_text(encoding="utf-8")
    text = typed(folder, "evaluate", "--model", document["model"]["sha256"][:8])
    assert document["verdict"] in text
    assert "left out: 30 images that the model was trained on" in text


def test_evaluate_of_a_model_that_always_says_one_thing_calls_it_useless(folder: Path) -> None:
    with Project(folder) as project:
        project.db.execute(
            """UPDATE proposals SET classes = '["beach"]', scores = '{"beach": 1}'"""
        )
    text = typed(folder, "evaluate")
    assert "Useless: it says 'beach' for every image." in text


def test_queue_says_how_many_and_what_to_run(folder: Path) -> None:
    text = typed(folder, "queue", "uncertain", "--n", "5")
    assert "5 images in the queue uncertain" in text
    assert "curate audit --queue uncertain" in text
    assert answered(folder, "queue", "random", "--n", "4") == {
        "queue": "random",
        "n": 4,
        "blind": 4,
        "note": "",
    }


def test_status_says_whether_proposals_pay(folder: Path) -> None:
    pays = answered(folder, "status")["pays"]
    assert pays["n_without"] == 20
    assert pays["saved"] is None
    assert len(pays["verdict"]) == 3
    assert "Whether proposals save time is not known yet" in typed(folder, "status")


def test_status_without_decisions_says_nothing_of_them(tmp_path: Path) -> None:
    (tmp_path / "curate.toml").touch()
    assert "pays" not in answered(tmp_path, "status")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "--backbone", "nothing.onnx"), "nothing.onnx"),
        (("train", "--backbone", "nothing.onnx", "--trust", "model"), "nothing to learn from"),
        (("evaluate", "--model", "nothing.onnx"), "there is no model nothing.onnx"),
        (("evaluate", "--manifest", "v0009"), "v0009"),
        (("evaluate", "--split", "val"), "--split is one of a manifest's"),
        (("queue", "interesting"), "known are: uncertain, suspects, different, random"),
    ],
)
def test_what_cannot_be_done_is_one_line(folder: Path, words: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(app, ["-C", str(folder), *words])
    assert done.exit_code in (ExitCode.ERROR, ExitCode.USAGE)
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
