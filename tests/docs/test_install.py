"""Advice to install the program means this folder: on the index its name is another project's."""

from __future__ import annotations

import re
import tomllib

from curate.errors import install_hint
from tests.docs.pages import PAGES, ROOT

FROM_INDEX = re.compile(r"curate\[|pipx? install[^`\n]*\bcurate\b(?!-)")
EXTRA = re.compile(r"pip install '\.\[(\w+)\]'")


def test_nothing_says_to_install_it_from_an_index() -> None:
    said = [*PAGES, *(ROOT / "curate").rglob("*.py"), ROOT / "CHANGELOG.md"]
    found = [each.name for each in said if FROM_INDEX.search(each.read_text(encoding="utf-8"))]
    assert found == []


def test_extras_that_are_named_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [
        each.read_text(encoding="utf-8") for each in (*PAGES, *(ROOT / "curate").rglob("*.py"))
    ]
    hinted = {name for text in texts for name in re.findall(r"install_hint\(.(\w+).\)", text)}
    named = {name for text in texts for name in EXTRA.findall(text)} | hinted
    assert {"train", "report", "people", "hdf"} <= named <= set(project["optional-dependencies"])
    assert EXTRA.findall(install_hint("train")) == ["train"]
