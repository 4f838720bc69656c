"""The audit page on odd input: names, keyboards, missing pictures, a server that comes and goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from curate.carriers.auditing import Auditing
from curate.catalog.queues import Queued, write_queue
from curate.label.grid import View
from curate.project import Project
from tests.web.user import User, user
from tests.web.world import Caller, Inside, World, decision, inside, make_world, sent

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route


def test_a_rename_elsewhere_leaves_no_queue_empty(tmp_path: Path) -> None:
    world = make_world(tmp_path / "p", 3)
    db = world.db()
    write_queue(db, "odd", [Queued(each) for each in world.ids])
    db.close()
    auditing = Auditing(Project(world.folder))
    assert len(auditing.page("anna", View(queue="odd"), "", 9)["tiles"]) == 3
    Project(world.folder).people.rename({"city": "town"}, "ben")
    assert len(auditing.page("anna", View(queue="odd"), "", 9)["tiles"]) == 3


@pytest.mark.slow
def test_what_a_colleague_decides_meanwhile_is_seen(
    world: World, server: Inside, anna: User
) -> None:
    first, *_, last = anna.shown()
    ben = Caller.through(server, "ben")
    ben.post("/api/decisions", sent("ben", decision("of-ben", last["id"], "trees")))
    anna.press("3")
    anna.wait_saved()
    anna.wait(
        "(id) => document.querySelector(`[data-image='${id}']`).dataset.standing === 'others'",
        last["id"],
    )
    assert world.decisions()[first["id"], "anna"]


@pytest.mark.slow
def test_arrows_in_a_filter_stay_there_until_escape(anna: User) -> None:
    first = anna.shown()[0]["id"]
    anna.press("f", "ArrowDown")
    anna.wait("() => !document.querySelector('.tile')")
    anna.press("ArrowUp")
    anna.wait("() => document.querySelector('.tile')")
    assert anna.page.evaluate("document.activeElement.id") == "filter-state"
    anna.press("Escape")
    assert anna.tile(first)["focused"] == "true"


@pytest.mark.slow
def test_letters_that_are_not_latin_stand_for_those_in_their_place(anna: User) -> None:
    second = anna.shown()[1]
    code = f"Key{second['letter'].upper()}"
    script = "(code) => dispatchEvent(new KeyboardEvent('keydown', { key: 'ы', code }))"
    anna.page.evaluate(script, code)
    assert anna.tile(second["id"])["focused"] == "true"


@pytest.mark.slow
def test_a_class_may_have_the_name_of_anything(browser: Browser, tmp_path: Path) -> None:
    names = ("constructor", "__proto__", "חוף", "w" * 400, *(f"class {n}" for n in range(60)))
    world = make_world(tmp_path / "p", 1, names=names, exclusive=True)
    with inside(world) as server, user(browser, server.link) as anna:
        anna.wait("() => document.querySelectorAll('#classes button').length > 60")
        anna.press("?")
        anna.press("Escape", "/")
        anna.page.keyboard.type("חוף")
        anna.press("Enter")
        anna.wait_saved()
        assert world.decisions()[world.ids[0], "anna"].classes == ("חוף",)
        assert anna.problems == []


@pytest.mark.slow
def test_a_class_that_was_typed_once_is_found_again(browser: Browser, tmp_path: Path) -> None:
    world = make_world(tmp_path / "p", 2)
    with inside(world) as server, user(browser, server.link) as anna:
        anna.press("/")
        anna.page.keyboard.type("harbour")
        anna.press("Enter")
        anna.wait_saved()
        anna.wait("() => document.getElementById('classes').textContent.includes('harbour')")
        anna.press("ArrowRight", "/")
        anna.page.keyboard.type("har")
        anna.press("Enter")
        anna.wait_saved()
        assert {each.classes for each in world.decisions().values()} == {("harbour",)}


@pytest.mark.slow
def test_no_picture_is_confirmed_that_nobody_has_seen(browser: Browser, tmp_path: Path) -> None:
    world = make_world(tmp_path / "p", 3)
    gone = world.ids[1]
    next((world.folder / "images").rglob(f"{gone}.*")).unlink()
    with inside(world) as server, user(browser, server.link) as anna:
        anna.wait("() => document.querySelector('.tile.gone')")
        anna.press("Shift+Enter")
        anna.wait_saved()
        assert {image_id for image_id, _ in world.decisions()} == set(world.ids) - {gone}
        assert anna.tile(gone)["focused"] == "true"
        anna.press("v")
        anna.wait("() => document.querySelector('.zoom-broken')")


@pytest.mark.slow
def test_a_class_list_that_changes_is_told(world: World, anna: User) -> None:
    Project(world.folder).people.set_classes(["beach", "harbour"], exclusive=False)
    anna.wait("() => document.getElementById('notice-words').textContent.includes('classes')")
    anna.page.reload()
    anna.ready()
    assert "harbour" in anna.words("bar-classes")
    assert anna.page.locator("#notice").is_hidden()


@pytest.mark.slow
def test_a_server_that_leaves_at_the_first_page_does_not_double_keys(
    browser: Browser, tmp_path: Path
) -> None:
    world = make_world(tmp_path / "p", 3)
    asked: list[str] = []

    def once(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.abort()
        else:
            route.continue_()

    with inside(world) as server, user(browser) as anna:
        anna.page.route("**/api/page?*", once)
        anna.open(server.link)
        anna.press("3")
        anna.wait_saved()
        assert len(world.ledger()) == 1
        anna.page.unroute("**/api/page?*")
        anna.page.route("**/api/page?*", lambda route: route.abort())
        anna.page.locator("#filter-state").select_option("all")
        anna.wait("() => !document.getElementById('notice').hidden")
        anna.wait("() => document.getElementById('filter-state').value === 'open'")
        anna.press("u")
        anna.wait_saved()
        assert len(world.ledger()) == 2
        assert anna.problems == []
