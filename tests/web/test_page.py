"""The audit page in a real browser: deciding by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from curate.catalog.queues import Queued, write_queue
from curate.records import Kind
from tests.full import size
from tests.web.user import User, user
from tests.web.world import NAMES, World, inside, make_world

if TYPE_CHECKING:
    from playwright.sync_api import Browser

KEYS = {name: str(place + 1) for place, name in enumerate(NAMES)}


@pytest.mark.slow
@pytest.mark.full
@pytest.mark.parametrize(("n", "exclusive"), [(500, False), (size(200, 500), True)])
def test_an_image_costs_at_most_a_third_of_a_key_press(
    n: int,
    exclusive: bool,
    browser: Browser,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    world = make_world(tmp_path / "project", n, exclusive=exclusive)
    with inside(world) as server, user(browser, server.link) as person:
        person.audit(world.truth, KEYS)
        person.wait_saved()
        assert person.problems == []
        presses = person.presses
    found = {image_id: each for (image_id, _), each in world.decisions().items()}
    assert {image_id: each.classes for image_id, each in found.items()} == {
        image_id: (name,) for image_id, name in world.truth.items()
    }
    assert len(world.ledger()) == n
    assert presses <= 0.35 * n
    modes = [each.mode for each in found.values()]
    assert (modes.count("one"), modes.count("page")) == (n // 10, n - n // 10)
    record_property(f"key presses per image on the page, {n} images", f"{presses / n:.3f}")


def test_the_default_view_is_audited_by_keys_alone(world: World, anna: User) -> None:
    anna.audit(world.truth, KEYS)
    anna.wait_saved()
    assert "Nothing left" in anna.words("empty-title")
    # The counts come from the server, a moment after the page's last image has gone.
    anna.wait("(all) => document.getElementById('done-words').textContent === all", "45 of 45")
    right = {image_id: (name,) for image_id, name in world.truth.items()}
    assert {image_id: each.classes for (image_id, _), each in world.decisions().items()} == right


def test_a_decision_holds_what_was_shown_and_how_long_it_took(world: World, anna: User) -> None:
    first = anna.shown()[0]
    anna.press("3")
    anna.wait_saved()
    [row] = world.ledger()
    assert (row.image_id, row.classes, row.annotator) == (first["id"], ("sunset",), "anna")
    assert row.shown == (first["words"],)
    assert row.shown_score is not None
    assert row.shown_by == "a" * 64
    assert (row.tool, row.mode, row.queue) == ("audit", "one", "")
    assert row.seconds is not None


def test_every_answer_has_a_key(world: World, anna: User) -> None:
    tiles = anna.shown()
    anna.press("0", "n", "x", "u", "Enter", " ")
    anna.wait_saved()
    rows = {each.image_id: each for each in world.ledger()}
    said = [rows[tile["id"]] for tile in tiles[:6]]
    assert [each.kind for each in said] == [
        Kind.LABEL, Kind.LABEL, Kind.REJECT, Kind.UNSURE, Kind.LABEL, Kind.LABEL,
    ]  # fmt: skip
    assert [each.classes for each in said[:2]] == [(), ()]
    assert [each.classes for each in said[4:]] == [(tiles[4]["words"],), (tiles[5]["words"],)]


def test_several_classes_are_typed_one_after_the_other(world: World, anna: User) -> None:
    first = anna.shown()[0]["id"]
    anna.press("1", "2", "3", "1")
    anna.wait_saved()
    assert world.decisions()[first, "anna"].classes == ("city", "sunset")
    assert anna.tile(first)["words"] == "city + sunset"


def test_an_exclusive_list_keeps_one_class(browser: Browser, tmp_path: Path) -> None:
    world = make_world(tmp_path / "project", 4, exclusive=True)
    with inside(world) as server, user(browser, server.link) as anna:
        tile = anna.shown()[0]
        anna.press("1", tile["letter"], "2")
        anna.wait_saved()
    assert world.decisions()[tile["id"], "anna"].classes == ("city",)


def test_undo_and_redo_go_back_and_forth_by_whole_steps(world: World, anna: User) -> None:
    first, second = (each["id"] for each in anna.shown()[:2])
    page = [each["id"] for each in anna.shown()]
    anna.press("2", "Enter", "Shift+Enter")
    anna.wait_turned(first)
    anna.press("z")
    anna.wait("(id) => document.querySelector('.tile').dataset.image === id", first)
    anna.wait_saved()
    assert [each["id"] for each in anna.shown()] == page
    assert {image for image, _ in world.decisions()} == {first}
    anna.press("z")
    anna.wait_saved()
    assert world.decisions() == {}
    assert anna.tile(first)["standing"] == "open"
    anna.press("Shift+Z")
    anna.wait_saved()
    assert world.decisions()[first, "anna"].classes == ("city",)
    anna.press("Shift+Z")
    anna.wait_saved()
    assert len(world.decisions()) == 20
    assert anna.tile(second)["standing"] == "label"


def test_an_undo_brings_back_what_was_decided_before(world: World, anna: User) -> None:
    tile = anna.shown()[0]
    anna.press("x", tile["letter"], "u", "z")
    anna.wait_saved()
    assert world.decisions()[tile["id"], "anna"].kind is Kind.REJECT
    assert anna.tile(tile["id"])["standing"] == "reject"


def test_undo_still_works_after_a_reload(world: World, anna: User) -> None:
    anna.press("x")
    anna.wait_saved()
    anna.page.reload()
    anna.ready().press("z")
    anna.wait_saved()
    anna.wait("() => document.getElementById('saved').dataset.state === 'saved'")
    assert [each.kind for each in world.ledger()] == [Kind.REJECT, Kind.UNDO]


def test_a_blind_image_shows_no_proposal(browser: Browser, tmp_path: Path) -> None:
    world = make_world(tmp_path / "project", 6)
    db = world.db()
    blind = world.ids[:3]
    write_queue(db, "random", [Queued(each, blind=True) for each in blind])
    db.close()
    with inside(world, queue="random") as server, user(browser, server.link) as anna:
        assert [each["id"] for each in anna.shown()] == blind
        assert not any(
            name in each["words"] + each["label"] for each in anna.shown() for name in NAMES
        )
        anna.press("v")
        anna.wait("() => document.getElementById('zoom').open")
        assert not any(name in anna.words("zoom") for name in NAMES)
        anna.press("v", "1", "Shift+Enter")
        anna.wait_saved()
    [row] = world.ledger()
    assert (row.mode, row.shown, row.shown_by, row.queue) == ("blind", None, None, "random")


def test_the_queue_of_another_opinion_shows_it_and_keeps_its_order(
    browser: Browser, tmp_path: Path
) -> None:
    world = make_world(tmp_path / "project", 6)
    order = world.ids[::-1][:4]
    db = world.db()
    write_queue(db, "suspects", [Queued(each, suggested=("city", "trees")) for each in order])
    db.close()
    with inside(world, queue="suspects") as server, user(browser, server.link) as anna:
        assert [each["id"] for each in anna.shown()] == order
        assert {each["words"] for each in anna.shown()} == {"city + trees"}
        anna.press("1", "Shift+Enter")
        anna.wait_saved()
        anna.wait("() => !document.getElementById('empty').hidden")
    rows = world.decisions()
    assert rows[order[0], "anna"].classes == ("beach",)
    assert rows[order[1], "anna"].classes == ("city", "trees")
    assert {(each.queue, each.shown_by) for each in rows.values()} == {("suspects", "queue")}


def test_a_class_is_chosen_by_typing_its_name(world: World, anna: User) -> None:
    first = anna.shown()[0]["id"]
    anna.press("/")
    anna.page.keyboard.type("sun")
    anna.press("Enter")
    anna.wait_saved()
    assert world.decisions()[first, "anna"].classes == ("sunset",)


def test_filters_and_arrows_work_by_keyboard(world: World, anna: User) -> None:
    anna.press("ArrowRight", "ArrowDown", "End", "Home", "ArrowRight")
    focused = [each["focused"] for each in anna.shown()]
    assert focused.index("true") == 1
    anna.press("x", "f")
    assert anna.page.evaluate("document.activeElement.id") == "filter-state"
    anna.wait_saved()
    anna.page.locator("#filter-state").select_option("rejected")
    anna.wait("() => document.querySelectorAll('.tile').length === 1")
    assert anna.shown()[0]["standing"] == "reject"
    anna.page.locator("#filter-state").select_option("open")
    anna.page.locator("#classes button", has_text="city").click()
    anna.wait(
        "() => [...document.querySelectorAll('.chip')].every((c) => c.textContent === 'city')"
    )
    assert anna.words("heading") == "city"
