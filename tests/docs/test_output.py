"""The JSON documents of docs/reference/output.md have the keys that the program prints."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from curate.cli.main import app
from curate.demo import scenes
from tests.docs.pages import ROOT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("output")
    for number, name in enumerate(["cat", "dog"] * 3):
        path = root / "pets" / name / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(scenes.encode(scenes.render(("trees",), number, 96, 72)))
    done = CliRunner().invoke(app, ["-C", str(root), "import", str(root / "pets"), "--quiet"])
    assert done.exit_code == 0, done.output
    return root


def documented(heading: str) -> dict[str, Any]:
    """Return the example below a heading of the page."""
    page = (ROOT / "docs" / "reference" / "output.md").read_text(encoding="utf-8")
    section = page.partition(f"### {heading}\n")[2].partition("\n### ")[0]
    match = re.search(r"```json\n(.*?)```", section, re.DOTALL)
    assert match is not None
    document: dict[str, Any] = json.loads(match[1])
    return document


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        ("fetch, import, status", ["status"]),
        ("plan", ["plan"]),
        ("verify", ["verify"]),
        ("balance", ["balance"]),
        ("dedupe", ["dedupe"]),
        ("init", ["init", "--dry-run"]),
    ],
)
def test_a_document_has_the_documented_keys(heading: str, words: list[str], folder: Path) -> None:
    done = CliRunner().invoke(app, ["-C", str(folder), *words, "--json"])
    assert done.exit_code == 0, done.output
    printed, shown = json.loads(done.stdout), documented(heading)
    assert printed.keys() == shown.keys()
    for key in ("candidates", "images", "chosen", "bytes_per_image"):
        if heading != "balance" and key in shown:
            assert printed[key].keys() == shown[key].keys()


def test_an_error_has_the_documented_keys(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["-C", str(tmp_path), "balance", "--json"])
    assert done.exit_code == 1
    assert json.loads(done.stderr)["error"].keys() == documented("Errors")["error"].keys()
