"""A real Chromium for the tests of the page; they are skipped where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.web.chromium import PROGRAMS, launched, program
from tests.web.user import User, user
from tests.web.world import Inside, Served, World, inside, make_world, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = program()
    if found is None:
        pytest.skip(f"there is no Chromium: none of {', '.join(PROGRAMS)} on the PATH")
    with launched(found) as running:
        yield running


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
