"""The commands of the pages about manifests, exports and reports are typed as they stand."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curate.cli.main import app
from curate.demo import scenes
from tests.docs.pages import ROOT, blocks, console_lines

PAGES = ("docs/manifests.md", "docs/export.md", "docs/report.md")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two dozen pictures of pets."""
    for number, name in enumerate(["cat", "dog"] * 12):
        path = tmp_path / "pets" / name / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(scenes.encode(scenes.render(("trees",), number, 120, 90)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_the_examples_of_a_page_work_in_their_order(name: str, folder: Path) -> None:
    typed = 0
    for language, block in blocks(ROOT / name):
        if language == "python":
            exec(compile(block, name, "exec"), {})
        if language != "console":
            continue
        for line in console_lines(block):
            program, *words = shlex.split(line)
            assert program == "curate"
            done = CliRunner().invoke(app, words)
            differs = words[:2] == ["manifest", "diff"]
            assert done.exit_code == (5 if differs else 0), f"$ {line}\n{done.output}"
            typed += 1
    assert typed >= 4
    assert (folder / "manifests" / "v0001").is_dir()
