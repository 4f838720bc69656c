"""Where benchmark results go: a section of one Markdown page, and what they were run on."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

TITLE: Final = "# Benchmarks\n"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for."""

    quick: bool = False
    """The corpus of 1,000 files."""
    rounds: int = 3
    work: Path | None = None
    """Where output goes; a tmpfs if None and there is one."""
    scenarios: tuple[str, ...] = ()
    """Empty: all."""
    clients: tuple[str, ...] = ()
    """Empty: all."""


def talk(text: str) -> None:
    """Say something while working, on stderr."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - a command's talk


def setting(*packages: str) -> str:
    """The machine, the interpreter, the versions and the date, in one sentence."""
    found = []
    for name in packages:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    today = datetime.now(UTC).date().isoformat()
    python = f"Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {', '.join([python, *found])}, {today}."


def write_section(page: Path, name: str, heading: str, body: str) -> None:
    """Replace the section between the markers of `name`, or append it to the page."""
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    section = f"{start}\n## {heading}\n\n{body.strip()}\n{end}"
    text = page.read_text() if page.exists() else TITLE
    before, found, rest = text.partition(start)
    after = rest.partition(end)[2]
    text = before + section + after if found else f"{text.rstrip()}\n\n{section}\n"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text)
