"""A working folder that is read late does not overrule what its annotator said since."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from curate.carriers.labeling import Asked, Labeling
from curate.flags import REVIEWED
from curate.project import Project
from curate.records import Annotation, Kind
from tests.label.labelme_world import folders, make_project, said, save


def prepared(path: Path) -> Path:
    with Project(path) as project:
        assert Labeling(project, Asked("ann", 100)).prepare() is not None
    return folders(path)[-1]


def decide(path: Path, image_id: str, name: str, at: float) -> None:
    """Decide in the audit page."""
    row = Annotation(
        key=f"audit-{image_id[:8]}-{name}",
        kind=Kind.LABEL,
        annotator="ann",
        decided_at=at,
        image_id=image_id,
        classes=(name,),
        tool="audit",
    )
    with Project(path) as project, project.people.ledger() as ledger:
        ledger.add([row])


def in_force(path: Path, image_id: str) -> list[tuple[str, ...] | None]:
    with Project(path) as project:
        return [each.classes for each in project.people.current([image_id])[image_id]]


def read(path: Path) -> int:
    with Project(path) as project:
        return Labeling(project, Asked("ann", 100)).import_all().labels


def test_a_file_left_behind_does_not_overrule_a_later_decision(tmp_path: Path) -> None:
    (only,) = make_project(tmp_path, [[]])
    folder = prepared(tmp_path)
    save(folder, only, "beach", REVIEWED, later_s=-60)  # and then everything was killed
    decide(tmp_path, only, "city", time.time())
    assert read(tmp_path) == 0
    assert in_force(tmp_path, only) == [("city",)]
    assert len(said(tmp_path)) == 1


def test_a_file_saved_after_a_decision_elsewhere_counts(tmp_path: Path) -> None:
    (only,) = make_project(tmp_path, [[]])
    folder = prepared(tmp_path)
    decide(tmp_path, only, "city", time.time() - 60)
    save(folder, only, "beach", REVIEWED)
    assert read(tmp_path) == 1
    assert in_force(tmp_path, only) == [("beach",)]


def test_of_two_folders_from_elsewhere_the_file_saved_last_counts_whichever_is_read_last(
    tmp_path: Path,
) -> None:
    project = tmp_path / "project"
    (only,) = make_project(project, [[]])
    now = time.time()
    for name, at in (("beach", now - 60), ("city", now - 30)):
        path = tmp_path / name / f"{only}.json"
        path.parent.mkdir()
        path.write_text(json.dumps({"flags": {name: True}, "imagePath": "x.jpg"}))
        os.utime(path, (at, at))
    for name in ("beach", "city", "beach", "city"):
        with Project(project) as opened:
            Labeling(opened, Asked("ann", 100)).import_all(tmp_path / name)
    assert in_force(project, only) == [("city",)]
    assert [row[2] for row in said(project)] == [("beach",), ("city",)]
