"""`curate doctor`: is everything there that curate needs?"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from curate import __version__
from curate.cli.session import Session, command
from curate.config import without_login
from curate.errors import CurateError, ExitCode

if TYPE_CHECKING:
    from rich.console import Console

    from curate.config import Settings
    from curate.project import Project

LIBRARIES = (
    "pycurl",
    "simplejpeg",
    "pillow",
    "numpy",
    "pyarrow",
    "pandas",
    "requests",
    "python-unsplash",
)
REACH_TIMEOUT_S = 5.0
LOW_DISK_BYTES = 5 * 10**9
SQLITE_MIN = (3, 38, 0)
"""Older ones lack the JSON operators that the catalog uses."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    """What."""
    state: str
    """`ok`, `warn` (something will not work) or `fail` (nothing will)."""
    detail: str
    """One line for a person."""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app)(doctor)


def doctor(session: Session) -> ExitCode:
    """Check versions, keys, network, disk and project."""
    with session.project(may_be_new=True) as project:
        checks = list(_checks(project))

    def draw(console: Console) -> None:
        colours = {"ok": "green", "warn": "yellow", "fail": "red"}
        for check in checks:
            console.print(f"{check.state:>4}", style=colours[check.state], end="  ")
            console.print(f"{check.name}: {check.detail}", markup=False, soft_wrap=True)

    session.show({"checks": [asdict(check) for check in checks]}, draw)
    failed = any(check.state == "fail" for check in checks)
    return ExitCode.FAULTS_FOUND if failed else ExitCode.DONE


def _checks(project: Project) -> Iterator[Check]:
    yield Check("curate", "ok", f"{__version__} on Python {platform.python_version()}")
    yield from _libraries()
    yield _sqlite()
    yield from _keys(project.environ)
    yield from _reach(project.settings)
    yield _disk(project.folder)
    yield _catalog(project)


def _libraries() -> Iterator[Check]:
    import importlib.metadata

    for name in LIBRARIES:
        try:
            yield Check(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Check(name, "fail", f"not installed: pip install {name}")


def _sqlite() -> Check:
    import sqlite3

    good = sqlite3.sqlite_version_info >= SQLITE_MIN
    detail = sqlite3.sqlite_version + ("" if good else ": 3.38 or newer is needed")
    return Check("sqlite", "ok" if good else "fail", detail)


def _keys(environ: Mapping[str, str]) -> Iterator[Check]:
    if environ.get("UNSPLASH_ACCESS_KEY"):
        yield Check("Unsplash key", "ok", "UNSPLASH_ACCESS_KEY is set")
    else:
        hint = (
            "set UNSPLASH_ACCESS_KEY (free at https://unsplash.com/developers) to search Unsplash"
        )
        yield Check("Unsplash key", "warn", hint)


def _reach(settings: Settings) -> Iterator[Check]:
    import requests

    for name, url in (("Unsplash", settings.unsplash.url), ("GBIF", settings.gbif.url)):
        shown = without_login(url)
        try:
            status = requests.get(url, timeout=REACH_TIMEOUT_S, allow_redirects=False).status_code
            yield Check(f"{name} API", "ok", f"{shown} answers ({status})")
        except requests.RequestException as error:
            yield Check(f"{name} API", "warn", f"{shown} cannot be reached: {type(error).__name__}")


def _disk(folder: Path) -> Check:
    there = next(each for each in [folder.resolve(), *folder.resolve().parents] if each.exists())
    free = shutil.disk_usage(there).free
    state = "ok" if free > LOW_DISK_BYTES else "warn"
    return Check("disk", state, f"{free / 1e9:,.1f} GB free")


def _catalog(project: Project) -> Check:
    if not project.exists:
        return Check("project", "ok", f"there is no project in {project.folder.resolve()} yet")
    return _tried("project", lambda: f"{project.status()[0].total:,} candidates in the catalog")


def _tried(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", look())
    except CurateError as error:
        return Check(name, "fail", f"{error.message} ({error.hint})")
