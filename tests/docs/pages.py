"""The documentation as text: its pages, and the commands in them."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def generator() -> ModuleType:
    """Load docs/generate.py, which is a script and in no package."""
    spec = spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Yield language and text of every fenced block."""
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        yield match[1], match[2]


def console_lines(text: str) -> list[str]:
    """Return what is typed after the prompts of a console block."""
    return [line[2:] for line in text.splitlines() if line.startswith("$ ")]


def mentions(page: Path) -> Iterator[list[str]]:
    """Yield the words of every command that a page shows, without the word `curate`."""
    text = page.read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    shown = re.findall(r"`curate ([a-z-][^`]*)`", " ".join(prose.split()))
    for language, block in blocks(page):
        if language == "console":
            shown += [line[7:] for line in console_lines(block) if line.startswith("curate ")]
    for each in shown:
        words = shlex.split(each)
        if words[0] in ("-C", "--project"):
            words = words[2:]
        yield words
