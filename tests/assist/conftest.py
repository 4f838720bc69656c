"""Painted scenes, imported once for all tests that only read them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate import Project
from curate.carriers.models import PrelabelRequest
from curate.carriers.training import TrainRequest
from tests.assist.scenery import (
    CLASSES,
    Person,
    of_one_class,
    truth_of,
    write_backbone,
    write_scenes,
)

OF_EACH = 16


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_backbone(tmp_path_factory.mktemp("backbone") / "backbone.onnx")


@pytest.fixture(scope="session")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of scenes of one class, of two, and of none, that nobody has labelled."""
    folder = tmp_path_factory.mktemp("imported")
    kinds = [*((name,) for name in CLASSES), ("beach", "trees"), ()]
    write_scenes(folder / "scenes", OF_EACH, kinds)
    flags = {"fetch.workers": 1, "fetch.side_px": 0}
    with Project(folder / "project", flags=flags) as project:
        project.import_folder(folder / "scenes")
    return folder / "project"


@pytest.fixture
def person(imported: Path, tmp_path: Path) -> Iterator[Person]:
    """Somebody with a copy of that project, of one class each or none; images of two are out."""
    shutil.copytree(imported, tmp_path / "project")
    with Project(tmp_path / "project") as project:
        project.people.set_classes(CLASSES, exclusive=True)
        yield of_one_class(project)


@pytest.fixture(scope="session")
def trained_once(imported: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project after a first round: six images of each kind labelled, a model, proposals."""
    folder = tmp_path_factory.mktemp("trained") / "project"
    shutil.copytree(imported, folder)
    with Project(folder) as project:
        project.people.set_classes(CLASSES, exclusive=True)
        person = of_one_class(project)
        person.decide(person.some_of_each(6))
        model = project.learning.train(TrainRequest(backbone)).path
        assert model is not None
        project.models.prelabel(PrelabelRequest(model))
    return folder


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Iterator[Person]:
    """Somebody with a copy of that."""
    shutil.copytree(trained_once, tmp_path / "project")
    with Project(tmp_path / "project") as project:
        yield of_one_class(project)


@pytest.fixture
def generous(imported: Path, tmp_path: Path) -> Iterator[Person]:
    """The same where an image has any number of classes."""
    shutil.copytree(imported, tmp_path / "project")
    with Project(tmp_path / "project") as project:
        project.people.set_classes(CLASSES, exclusive=False)
        yield Person(project, truth_of(project))
