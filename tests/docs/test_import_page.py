"""The examples of the page about imports work in their order, on small datasets."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curate.cli.importing import FormatOption
from curate.cli.main import app
from curate.sources import datasets
from tests.docs.pages import ROOT, blocks, console_lines
from tests.sources import made

PAGE = ROOT / "docs/import.md"


def test_the_examples_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made.pets(tmp_path / "oxford-pets", 3)
    names = {1: "cat", 2: "dog"}
    pairs = "".join(f"{breed},{names[number]}\n" for breed, number in made.BREEDS.items())
    made.text(tmp_path / "pets.csv", f"old,new\n{pairs}")
    rows = [f"{made.put(tmp_path / f'{n}.jpg', 200 + n).name},{n % 2},1" for n in range(5)]
    made.text(tmp_path / "labels.csv", "\n".join(["name,beach,city", *rows]))
    shown = ""
    for language, block in blocks(PAGE):
        if language == "python":
            exec(compile(block, "import.md", "exec"), {})
        elif language == "console":
            for line in console_lines(block):
                done = CliRunner().invoke(app, shlex.split(line)[1:])
                assert done.exit_code == 0, f"$ {line}\n{done.output}"
                shown += done.output
    assert "The classes are imbalanced: dog" in shown


def test_every_format_has_its_line_on_the_page_and_in_the_help() -> None:
    text = PAGE.read_text(encoding="utf-8")
    told = FormatOption.__metadata__[0].help
    for name in (*datasets.TREES, *datasets.FORMATS):
        assert re.search(rf"^\| `{name}`", text, re.MULTILINE), name
        assert name in told
    assert all(f"`{name}`" in text for name in datasets.ALIASES)


def test_every_reason_to_leave_a_row_out_is_explained() -> None:
    folder = ROOT / "curate/sources/datasets"
    code = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    text = PAGE.read_text(encoding="utf-8")
    reasons = set(re.findall(r'Left\(\s*"(\w+)"', code))
    assert "no_file" in reasons
    assert not [each for each in sorted(reasons) if f"`{each}`" not in text]
