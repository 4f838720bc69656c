"""The tutorial as it is typed, with somebody in the place of the person.

The pictures are painted, an eighth as many as on the page; the backbone is a few kilobytes of
real weights. Whenever the page opens the audit, the images of that queue are decided truly,
through the ledger, as the page would do it.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from curate import Project
from curate.catalog.queues import read_queue
from curate.cli.main import app
from tests.assist.scenery import CLASSES, Person, truth_of, write_backbone, write_scenes
from tests.docs.pages import ROOT, blocks, console_lines

PAGE = ROOT / "docs" / "tutorial.md"
FURTHER = (ROOT / "docs" / "train.md", ROOT / "docs" / "evaluate.md")
OF_EACH = 50


@pytest.mark.slow
def test_the_loop_of_the_tutorial_makes_the_model_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CURATE_FETCH_WORKERS", "1")
    write_backbone(tmp_path / "backbone.onnx")
    write_scenes(tmp_path / "pictures", OF_EACH, [*((name,) for name in CLASSES), ()])
    accuracies: list[float] = []
    for line in typed_on(PAGE):
        run(line, tmp_path)
        if line.startswith("curate prelabel"):
            accuracies.append(accuracy(tmp_path))
            sys.stderr.write(f"round {len(accuracies)}: {accuracies[-1]:.1%} are proposed right\n")
    assert len(accuracies) == 2
    assert accuracies[1] > accuracies[0] > 0.5
    assert accuracies[1] > 0.9
    document = json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)
    assert document["pays"]["agreement_blind"]["n"] >= 40
    assert document["annotations"]["images"] == 200
    for page in FURTHER:
        for line in typed_on(page):
            run(line, tmp_path)


def typed_on(page: Path) -> list[str]:
    """Return what is typed on a page, in order."""
    shown = [block for language, block in blocks(page) if language == "console"]
    return [line for block in shown for line in console_lines(block)]


def run(line: str, folder: Path) -> None:
    """Type a line; where it opens the audit, decide the images of the queue instead."""
    program, *words = shlex.split(line)
    if program == "pip":
        return
    assert program == "curate"
    if words[0] == "audit":
        decide(folder, words[-1])
        return
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, f"$ {line}\n{done.output}"


def decide(folder: Path, queue: str) -> None:
    """Decide all images of a queue truly."""
    with Project(folder) as project:
        project.learning.fill_queue(queue)
        person = Person(project, truth_of(project), name=f"ann at {queue}")
        rows = read_queue(project.db, queue)
        assert rows
        for is_blind in (True, False):
            chosen = [each.image_id for each in rows if each.blind is is_blind]
            person.decide(chosen, queue=queue, mode="blind" if is_blind else "one", seconds=1.5)


def accuracy(folder: Path) -> float:
    """Share of all images whose proposal is right."""
    with Project(folder) as project:
        truth = truth_of(project)
        found = project.people.proposals(truth)
        return float(
            np.mean(
                [(each := found[key]) is not None and each.classes == truth[key] for key in truth]
            )
        )
