"""A project that nothing came of goes away again, and one that holds anything does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from curate.carriers.folder import ProjectFolder
from curate.catalog.database import NAME, Database
from curate.errors import CatalogError, SourceError
from curate.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project(tmp_path / "new", environ={}) as made:
        yield made


def take_nothing_in(project: Project, meanwhile: Callable[[], object]) -> None:
    """Begin to take something in, let something else happen, and fail."""

    def take_in() -> None:
        with project.taking_in("fetch"):
            meanwhile()
            raise SourceError("no answer")

    with pytest.raises(SourceError):
        take_in()


def test_what_nothing_came_of_is_gone(project: Project) -> None:
    take_nothing_in(project, lambda: None)
    assert not project.folder.exists()


def test_a_word_of_a_person_keeps_it(project: Project) -> None:
    def rename() -> None:
        with Project(project.folder) as other:
            other.people.rename({"a": "b"}, "ada")

    take_nothing_in(project, rename)
    assert project.people.write(lambda _text: None) == 1


def test_a_class_list_keeps_it(project: Project) -> None:
    take_nothing_in(project, lambda: project.people.set_classes(["a", "b"], exclusive=True))
    assert project.people.class_list().names == ("a", "b")


def test_whoever_else_has_it_open_keeps_it(project: Project) -> None:
    with ExitStack() as stack:
        take_nothing_in(
            project, lambda: stack.enter_context(closing(Database(project.folder / NAME)))
        )
        assert project.exists


def test_nobody_can_say_a_word_between_the_look_and_the_end(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curate.catalog.database.BUSY_TIMEOUT_S", 0.05)
    refused = []

    def look_and_be_slow(folder: ProjectFolder) -> bool:
        try:
            with Project(folder.folder) as other:
                other.people.rename({"a": "b"}, "ada")
        except CatalogError as error:
            refused.append(error)
        return True

    monkeypatch.setattr(ProjectFolder, "_is_empty", look_and_be_slow)
    take_nothing_in(project, lambda: None)
    assert len(refused) == 1
    assert not project.folder.exists()


def test_a_project_that_is_kept_is_open_to_others_again(project: Project) -> None:
    take_nothing_in(project, lambda: project.people.set_classes(["a", "b"], exclusive=True))
    assert project.db.one("PRAGMA journal_mode") == ("wal",)
    with Project(project.folder) as other:
        assert other.people.rename({"a": "c"}, "ada") == 1
    assert project.people.class_list().names == ("c", "b")
