"""A real Chromium for the tests of the page; they are skipped where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.web.user import User, user
from tests.web.world import Inside, Served, World, inside, make_world, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"there is no Chromium: none of {', '.join(PROGRAMS)} on the PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # In a container there is no second sandbox; the pages are our own.
        launched = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "project", 45)


@pytest.fixture
def server(world: World) -> Iterator[Inside]:
    with inside(world, "anna", "ben") as running:
        yield running


@pytest.fixture
def mortal(world: World) -> Iterator[Served]:
    """A server that can be killed."""
    with served(world, "--annotator", "anna", "--annotator", "ben", "--port", "0") as running:
        yield running


@pytest.fixture
def anna(browser: Browser, server: Inside) -> Iterator[User]:
    with user(browser, server.links["anna"]) as person:
        yield person
        assert person.problems == []
