"""The audit page in a real browser: what it shows, to whom, and what it never runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from curate.catalog.queues import Queued, write_queue
from tests.web.user import User, user
from tests.web.world import Inside, World, inside, make_world

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


PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    '"><script>alert(1)</script>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "{{constructor.constructor('alert(1)')()}}",
    "</title><script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<iframe srcdoc='<script>parent.alert(1)</script>'>",
    "<style>*{background:url(javascript:alert(1))}</style>",
    "<math><mi xlink:href=javascript:alert(1)>x",
    "<details open ontoggle=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<a href=javascript:alert(1)>x</a>",
    "<base href=//evil.example/>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "${alert(1)}",
    "\u202e<script>alert(1)</script>",
]


@pytest.mark.parametrize("start", range(5))
def test_no_text_becomes_a_script(start: int, browser: Browser, tmp_path: Path) -> None:
    # 100 of them: each of 20 in every field, in five spellings.
    spell = [str, str.upper, lambda t: t.replace(" ", "/"), lambda t: t * 2, lambda t: f"x{t}"][
        start
    ]
    payloads = [spell(each)[:200] for each in PAYLOADS]
    texts = " ".join(payloads)
    details = dict.fromkeys(
        ("author", "license", "attribution", "page_url", "rights_holder"), texts
    )
    details["meta"] = dict(zip(payloads, payloads, strict=True))
    names = [each.strip() for each in dict.fromkeys(payloads)]
    world = make_world(tmp_path / "project", 20, names=names, details=details)
    db = world.db()
    for place, each in enumerate(payloads):
        write_queue(db, each[:100] or str(place), [Queued(world.ids[0], suggested=(each.strip(),))])
    db.close()
    asked: list[str] = []
    with inside(world, payloads[0].strip(), "ben") as server, user(browser) as person:
        person.page.on("request", lambda request: asked.append(request.url))
        person.open(server.link)
        for tile in person.shown()[:3]:
            person.press(tile["letter"], "2", "v")
            person.wait("() => document.querySelector('.facts')")
            person.press("v")
        person.press("?", "Escape", "/")
        person.page.keyboard.type("<")
        person.press("Escape")
        person.page.locator("#filter-queue").select_option(index=1)
        person.press("Shift+Enter")
        person.wait_saved()
        person.page.mouse.move(500, 300)
        assert person.page.evaluate("window.ran") == []
        assert person.page.locator("main script, nav script, dialog script, iframe").count() == 0
        assert person.page.locator("dialog img[onerror], nav img, #classes svg").count() == 0
        home = f"http://127.0.0.1:{server.port}/"
        assert all(url.startswith(home) for url in asked)
        assert person.problems == []
    assert world.ledger()
