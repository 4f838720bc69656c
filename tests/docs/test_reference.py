"""The reference is what the program says of itself, and pages mention only what exists."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

import curate
from curate.cli.main import app
from curate.config import Settings
from curate.errors import ExitCode
from curate.records import Reason
from curate.report.reasons import meanings
from tests.docs.pages import PAGES, ROOT, generator, mentions

GENERATED = generator()


@pytest.mark.parametrize("path", GENERATED.pages(), ids=lambda path: path.name)
def test_a_generated_page_is_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == GENERATED.pages()[path], "run `make reference`"


@pytest.mark.parametrize("name", GENERATED.commands())
def test_every_command_has_help_and_a_section(name: str) -> None:
    text, flags = GENERATED.commands()[name]
    assert text
    assert all(flag.text for flag in flags)
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert f"\n## curate {name}\n" in page


def test_the_reference_knows_every_registered_command() -> None:
    groups = [each.typer_instance for each in app.registered_groups]
    registered = [each for group in (app, *groups) if group for each in group.registered_commands]
    assert len(GENERATED.commands()) == len(registered)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_mentions_only_commands_and_flags_that_exist(page: Path) -> None:
    known = GENERATED.commands()
    everywhere = {"-h", "--help", "--version", "--install-completion"}
    groups = {name.split()[0] for name in known if " " in name}
    for first, *rest in mentions(page):
        if first.startswith("-"):
            assert first in everywhere
            continue
        if first in groups and not rest:
            continue  # the group as such
        name, words = (f"{first} {rest[0]}", rest[1:]) if first in groups else (first, rest)
        assert name in known, f"`curate {name}` does not exist"
        flags = {spelling for flag in known[name][1] for spelling in flag.names} | everywhere
        used = {word for word in words if re.match(r"--?[a-zA-Z]", word)}
        assert used <= flags, f"`curate {name}` has no {sorted(used - flags)}"


def test_every_reason_has_a_meaning() -> None:
    assert list(meanings()) == list(Reason)
    assert all(text.endswith(".") for text in meanings().values())


def test_every_exit_code_is_documented() -> None:
    text = (ROOT / "docs" / "reference" / "output.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (\d+) \|", text, re.MULTILINE) == [str(int(code)) for code in ExitCode]


def test_the_configuration_page_holds_a_settings_file() -> None:
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert set(tomllib.loads(block)) == {section.name for section in fields(Settings)}
    uncommented = re.sub(r"^# (\w+ = )", r"\1", block, flags=re.MULTILINE)
    assert tomllib.loads(uncommented)["fetch"]["tries"] == 5


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_public_names_are_pinned() -> None:
    assert curate.__all__ == ["CurateError", "FetchRequest", "Project", "__version__"]
    assert all(getattr(curate, name) is not None for name in curate.__all__)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Projekt'"):
        _ = curate.Projekt
