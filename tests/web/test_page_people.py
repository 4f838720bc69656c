"""The audit page in a real browser: servers that go away, other people, other windows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from curate.records import Kind
from tests.full import size
from tests.web.user import User, user, window
from tests.web.world import NAMES, Inside, Served, World, inside, make_world, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow

KEYS = {name: str(place + 1) for place, name in enumerate(NAMES)}


def test_a_server_that_is_away_loses_nothing(
    world: World, mortal: Served, browser: Browser
) -> None:
    with user(browser, mortal.links["anna"]) as anna:
        go_on_without_a_server(world, mortal, anna)


def go_on_without_a_server(world: World, server: Served, anna: User) -> None:
    ids = [each["id"] for each in anna.shown()]
    anna.press("2", "Enter")
    anna.wait_saved()
    server.kill()
    anna.press("3", "Enter", "x", "Enter")
    anna.wait("() => document.getElementById('saved').dataset.state === 'away'")
    assert "kept here" in anna.words("saved-words")
    assert anna.tile(ids[1])["saved"] == "false"
    # The next page was loaded before: the person can go on.
    anna.press("Shift+Enter")
    anna.wait_turned(ids[0])
    anna.press("4")
    server.start()
    anna.wait_saved()
    assert len(world.ledger()) == len({each.key for each in world.ledger()})
    said = world.decisions()
    assert said[ids[1], "anna"].classes == ("sunset",)
    assert len(said) == 21


@pytest.mark.full
def test_a_minute_without_a_server_costs_nothing(
    browser: Browser, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    outage_s = size(6, 60)
    world = make_world(tmp_path / "project", 140)
    flags = ("--annotator", "anna", "--port", "0")
    with served(world, *flags) as server, user(browser, server.link) as anna:
        # This page and the next five are there, with their pictures.
        asked = "performance.getEntriesByType('resource').filter(({ name }) => /thumb/.test(name))"
        anna.wait(f"() => {asked}.length === 120")
        anna.press(KEYS[world.truth[anna.shown()[0]["id"]]])
        anna.wait_saved()
        server.kill()
        made = go_on_for(anna, world.truth, outage_s)
        anna.wait("() => document.getElementById('saved').dataset.state === 'away'")
        assert anna.words("saved-words") == f"No server: {made} kept here"
        assert len(world.ledger()) == 1
        server.start()
        anna.wait_saved()
        rows = world.ledger()
        assert len(rows) == len({each.key for each in rows}) == made + 1
        assert sum(each.kind is Kind.UNDO for each in rows) > 0
        anna.audit(world.truth, KEYS)
        anna.wait_saved()
        assert anna.problems == []
    said = {image_id: each.classes for (image_id, _), each in world.decisions().items()}
    assert said == {image_id: (name,) for image_id, name in world.truth.items()}
    record_property(f"decisions made in {outage_s} s without a server, lost", f"{made}, 0")


def go_on_for(anna: User, truth: Mapping[str, str], seconds: float) -> int:
    """Decide image by image for so long, some of it twice; return how many rows that makes."""
    end, made = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        tiles = anna.shown()
        tile = next((each for each in tiles if each["standing"] == "open"), None)
        if tile is None:
            anna.press(".")
            anna.wait_turned(tiles[0]["id"])
            continue
        name = truth[tile["id"]]
        anna.press(tile["letter"], "Enter" if tile["words"] == name else KEYS[name])
        made += 1
        if made % 5 == 0:
            anna.press("z", "Shift+Z")
            made += 2
        anna.page.wait_for_timeout(600)
    return made


def test_what_was_not_sent_survives_a_reload(
    world: World, mortal: Served, browser: Browser
) -> None:
    server = mortal
    with user(browser, server.links["anna"]) as anna:
        first = anna.shown()[0]["id"]
        server.kill()
        anna.press("2")
        anna.wait("() => document.getElementById('saved').dataset.state === 'away'")
        anna.page.close()
        again = window(anna.page.context)
        server.start()
        again.open(server.links["anna"]).wait_saved()
        rows = world.ledger()
        assert [(each.image_id, each.classes) for each in rows] == [(first, ("city",))]
        assert rows[0].decided_at > 0
        again.page.reload()
        again.ready().wait_saved()
        assert len(world.ledger()) == 1


def test_an_answer_that_was_lost_does_not_double_a_decision(world: World, anna: User) -> None:
    lost = []

    def lose(route: object) -> None:
        if not lost:
            lost.append(route.fetch())  # type: ignore[attr-defined]
            route.abort()  # type: ignore[attr-defined]
        else:
            route.continue_()  # type: ignore[attr-defined]

    anna.page.route("**/api/decisions", lose)
    anna.press("2")
    anna.wait("() => document.getElementById('saved').dataset.state === 'away'")
    anna.wait_saved()
    assert lost
    assert len(world.ledger()) == 1


def test_another_persons_session_does_not_send_ones_work(
    world: World, mortal: Served, browser: Browser
) -> None:
    server = mortal
    with user(browser, server.links["anna"]) as anna:
        server.kill()
        anna.press("2")
        anna.wait("() => document.getElementById('saved').dataset.state === 'away'")
        anna.page.close()
        server.start()
        ben = window(anna.page.context).open(server.links["ben"])
        ben.press("x")
        ben.wait_saved()
        assert "anna" in ben.words("notice-words")
        assert [each.annotator for each in world.ledger()] == ["ben"]


def test_two_people_on_one_image_see_that_they_disagree(
    world: World, server: Inside, browser: Browser, anna: User
) -> None:
    with user(browser, server.links["ben"]) as ben:
        first = anna.shown()[0]
        anna.press("2")
        anna.wait_saved()
        ben.press(first["letter"], "3")
        ben.wait_saved()
        assert ben.tile(first["id"])["standing"] == "conflict"
        assert "anna: city" in ben.tile(first["id"])["label"]
        anna.wait("(id) => document.querySelector(`[data-image='${id}']`).dataset.standing === "
                  "'conflict'", first["id"])  # fmt: skip
        assert "ben: sunset" in anna.tile(first["id"])["aside"]
    assert {who: each.classes for (_, who), each in world.decisions().items()} == {
        "anna": ("city",),
        "ben": ("sunset",),
    }


def test_two_windows_of_one_person_overwrite_nothing_silently(world: World, anna: User) -> None:
    other = window(anna.page.context)
    # Decided in one window, and in the other before it has heard of that.
    other.page.add_init_script("window.BroadcastChannel = class { postMessage() {} };")
    other.page.route("**/api/changes*", lambda route: route.abort())
    other.page.goto(anna.page.url)
    other.ready()
    first = anna.shown()[0]
    anna.press("2")
    anna.wait_saved()
    other.press("x")
    other.wait_saved()
    assert "another window" in other.tile(first["id"])["label"]
    assert [each.kind for each in world.ledger()] == [Kind.LABEL, Kind.REJECT]


def test_what_another_window_did_shows_here(world: World, anna: User) -> None:
    other = window(anna.page.context)
    other.page.goto(anna.page.url)
    other.ready()
    first = anna.shown()[0]["id"]
    other.press("x")
    other.wait_saved()
    anna.wait("(id) => document.querySelector(`[data-image='${id}']`).dataset.standing === "
              "'reject'", first)  # fmt: skip


def test_images_are_handed_out_so_that_nobody_works_twice(browser: Browser, tmp_path: Path) -> None:
    world = make_world(tmp_path / "project", 45)
    with (
        inside(world, "anna", "ben", overlap=1) as server,
        user(browser, server.links["anna"]) as anna,
        user(browser, server.links["ben"]) as ben,
    ):
        first, second = ({each["id"] for each in who.shown()} for who in (anna, ben))
        assert first
        assert second
        assert not first & second
        for who in (ben, anna):
            while tiles := who.shown():
                who.press("Shift+Enter")
                who.wait_turned(tiles[0]["id"])
            who.wait_saved()
        assert anna.problems + ben.problems == []
    assert sorted(str(each.image_id) for each in world.ledger()) == world.ids


def test_a_session_that_has_become_anothers_is_noticed(
    world: World, server: Inside, anna: User
) -> None:
    ben = window(anna.page.context).open(server.links["ben"])
    anna.press("x")
    anna.wait("() => document.getElementById('saved').dataset.state === 'stranger'")
    assert "ben" in anna.words("notice-words")
    assert not world.ledger()
    assert ben.words("who") == "ben"
