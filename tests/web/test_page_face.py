"""The audit page in a real browser: what it shows, to whom, and what it never runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_are_readable_in_light_and_dark(
    scheme: str, server: Inside, browser: Browser
) -> None:
    with user(browser, server.links["ben"], color_scheme=scheme) as ben:
        ground, ink = (
            _luminance(ben.page.evaluate(f"getComputedStyle(document.body).{name}"))
            for name in ("backgroundColor", "color")
        )
        assert (ground > ink) == (scheme == "light")
        lighter, darker = max(ground, ink), min(ground, ink)
        assert (lighter + 0.05) / (darker + 0.05) >= 7


def _luminance(colour: str) -> float:
    parts = [int(each) / 255 for each in colour.removeprefix("rgb(").rstrip(")").split(",")]
    linear = [each / 12.92 if each <= 0.04 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


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
