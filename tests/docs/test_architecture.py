"""The page about the architecture, and the rules for imports, know every room and module."""

from __future__ import annotations

import re
import tomllib

from tests.docs.pages import ROOT

FACES = {"cli", "web"}
ROOMS = {each.name for each in (ROOT / "curate").iterdir() if (each / "__init__.py").is_file()}
MODULES = {each.stem for each in (ROOT / "curate").glob("[a-z]*.py")}
CARRIERS = {each.stem for each in (ROOT / "curate" / "carriers").glob("[a-z]*.py")}


def test_the_page_names_every_room_and_module() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    missing = {name for name in ROOMS | MODULES | CARRIERS if not re.search(rf"\b{name}\b", page)}
    assert missing == set()


def test_the_rules_for_imports_name_everything_below_the_faces() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    rules = document["tool"]["importlinter"]["contracts"]
    expected = {f"curate.{name}" for name in (ROOMS | MODULES) - FACES}
    [faces] = [set(each["source_modules"]) for each in rules if "typer, rich" in each["name"]]
    [sample] = [set(each["source_modules"]) for each in rules if "sample source" in each["name"]]
    assert faces == expected
    assert sample == expected - {"curate.demo"} | {"curate.web"}
