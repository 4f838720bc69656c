"""The audit page in a real browser: what it shows, to whom, and what it never runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from curate.records import Kind
from tests.web.user import User, user
from tests.web.world import Inside, World

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow


def test_the_help_lists_every_key_and_changes_those_of_classes(world: World, anna: User) -> None:
    anna.press("?")
    assert anna.page.evaluate("document.getElementById('keys').open")
    words = anna.words("keys")
    for said in ("confirm the rest", "undo", "unsure", "reject", "none of these", "next page"):
        assert said in words
    for taken, why in (("x", "does not belong"), ("0", "digit")):
        anna.page.get_by_label("Key of city").fill(taken)
        anna.press("Tab")
        assert why in anna.words("keys-told")
    anna.page.get_by_label("Key of city").fill("c")
    anna.press("Tab")
    anna.press("Escape")
    assert "c" not in {each["letter"] for each in anna.shown()}
    first = anna.shown()[0]["id"]
    anna.press("c")
    anna.wait_saved()
    assert world.decisions()[first, "anna"].classes == ("city",)
    anna.page.reload()
    anna.ready()
    assert "c" not in {each["letter"] for each in anna.shown()}, "kept in the browser"


# Every text that can be seen, with the contrast to what is below it. Colours are read from a
# canvas, which takes all that styles may hold.
FAINT = """() => {
    const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 })
        .getContext("2d", { willReadFrequently: true });
    const read = (colour) => {
        pen.clearRect(0, 0, 1, 1);
        pen.fillStyle = colour;
        pen.fillRect(0, 0, 1, 1);
        return [...pen.getImageData(0, 0, 1, 1).data].map((each) => each / 255);
    };
    const over = (top, below) =>
        top.slice(0, 3).map((each, i) => each * top[3] + below[i] * (1 - top[3]));
    const ground = (each) => {
        if (!each) return [1, 1, 1];
        const own = read(getComputedStyle(each).backgroundColor);
        return own[3] === 1 ? own : over(own, ground(each.parentElement));
    };
    const light = (colour) => {
        const [r, g, b] = colour.map((c) => (c <= 0.04 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const top = document.querySelector("dialog[open]") ?? document.body;
    const said = [...top.querySelectorAll("*")].filter((each) =>
        [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())
        && each.checkVisibility({ visibilityProperty: true })
        && !each.closest(":disabled, .unseen"));
    return said.map((each) => {
        const style = getComputedStyle(each);
        const below = ground(each);
        const [one, other] = [light(over(read(style.color), below)), light(below)];
        const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        return [each.textContent.trim().slice(0, 40), each.className, ratio];
    }).filter(([, , ratio]) => ratio < 4.5);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_is_readable_in_light_and_dark(
    scheme: str, server: Inside, anna: User, browser: Browser
) -> None:
    tiles = anna.shown()
    anna.press("2", tiles[3]["letter"], "x", "u")
    anna.wait_saved()
    with user(browser, server.links["ben"], color_scheme=scheme) as ben:
        assert ben.page.evaluate("getComputedStyle(document.body).colorScheme") == scheme
        ben.page.locator("#filter-state").select_option("all")
        ben.wait("() => document.querySelector('.tile[data-standing=others]')")
        ben.press("Home", "3", tiles[1]["letter"], "x", "u", tiles[6]["letter"], "0")
        ben.wait_saved()
        ben.wait("() => document.querySelector('.tile[data-standing=conflict]')")
        assert ben.page.evaluate(FAINT) == []
        for key in "?v/":
            ben.press(key)
            ben.wait("() => document.querySelector('dialog[open]')")
            assert ben.page.evaluate(FAINT) == [], key
            ben.press("Escape")
        ben.page.locator("#filter-state").select_option("rejected")
        ben.wait("() => document.querySelectorAll('.tile').length === 2")
        assert ben.page.evaluate(FAINT) == []
        ben.page.locator("#classes button", has_text="trees").click()
        ben.wait("() => !document.getElementById('empty').hidden")
        assert ben.page.evaluate(FAINT) == []


@pytest.mark.parametrize("size_px", [(1440, 900), (1024, 768), (820, 1180)])
def test_a_page_is_seen_whole(
    size_px: tuple[int, int], world: World, server: Inside, browser: Browser
) -> None:
    with user(browser, server.links["ben"]) as ben:
        ben.page.set_viewport_size({"width": size_px[0], "height": size_px[1]})
        ben.page.wait_for_timeout(200)
        left_over = "(() => { const g = document.getElementById('grid'); "
        assert ben.page.evaluate(left_over + "return g.scrollHeight - g.clientHeight; })()") <= 0
        ben.press("Shift+Enter")
        ben.wait_saved()
    assert len(world.decisions()) == 20


def test_what_has_not_been_on_the_screen_is_not_confirmed(
    world: World, server: Inside, browser: Browser
) -> None:
    with user(browser, server.links["ben"]) as ben:
        ben.page.set_viewport_size({"width": 390, "height": 760})
        ben.page.reload()
        ben.ready().page.wait_for_timeout(200)
        presses = 0
        first = ben.shown()[0]["id"]
        while ben.shown()[0]["id"] == first:
            assert not world.ledger()
            ben.press("Shift+Enter")
            presses += 1
            ben.page.wait_for_timeout(400)
        assert presses > 3
        ben.wait_saved()
        assert "20 images confirmed" in ben.words("live")
    assert len(world.decisions()) == 20


def test_what_others_rejected_is_not_labelled_by_mistake(
    world: World, server: Inside, anna: User, browser: Browser
) -> None:
    first, second = anna.shown()[:2]
    anna.press("x", "u")
    anna.wait_saved()
    with user(browser, server.links["ben"]) as ben:
        ben.page.locator("#filter-state").select_option("all")
        ben.wait("() => document.querySelector('.tile[data-standing=others]')")
        assert (ben.tile(first["id"])["words"], ben.tile(first["id"])["aside"]) == (
            "rejected",
            "anna",
        )
        assert "decided by anna: does not belong" in ben.tile(first["id"])["label"]
        assert ben.tile(second["id"])["aside"] == "anna: unsure"
        ben.press("Shift+Enter")
        ben.wait_saved()
    assert world.decisions()[first["id"], "ben"].kind is Kind.REJECT
    assert world.decisions()[second["id"], "ben"].classes == (second["words"],)


def test_everything_has_a_name_and_a_place_to_be_touched(server: Inside, browser: Browser) -> None:
    options = {"has_touch": True, "is_mobile": True}
    with user(browser, server.links["ben"], **options) as ben:
        ben.page.set_viewport_size({"width": 820, "height": 1180})
        faults = ben.page.evaluate(
            """() => [...document.querySelectorAll("button, select, input, .tile")]
                .filter((each) => each.checkVisibility())
                .filter((each) => {
                    const box = each.getBoundingClientRect();
                    const name = each.getAttribute("aria-label") || each.labels?.length
                        || each.textContent.trim();
                    return !name || box.width < 44 || box.height < 44;
                }).map((each) => each.outerHTML.slice(0, 120))"""
        )
        assert faults == []
        tile = ben.shown()[0]
        assert "proposed" in tile["label"]
        assert ben.page.get_by_role("listbox", name="Images on this page").count() == 1
        assert ben.page.locator(".tile[role=option]").count() == 20
        ben.page.locator(".tile").nth(1).tap()
        ben.page.get_by_role("button", name="Reject").tap()
        ben.wait_saved()
        assert ben.shown()[1]["standing"] == "reject"
        assert "Does not belong" in ben.words("live")
