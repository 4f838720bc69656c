"""The audit page in a real browser, by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from curate.catalog.queues import Queued, write_queue
from curate.records import Kind
from tests.web.user import User, user, window
from tests.web.world import NAMES, Inside, Served, World, inside, make_world, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser

KEYS = {name: str(place + 1) for place, name in enumerate(NAMES)}


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


@pytest.mark.slow
@pytest.mark.parametrize("exclusive", [False, True])
def test_500_images_cost_at_most_a_third_of_a_key_press_each(
    exclusive: bool, browser: Browser, tmp_path: Path
) -> None:
    world = make_world(tmp_path / "project", 500, exclusive=exclusive)
    with inside(world) as server, user(browser, server.link) as person:
        person.audit(world.truth, KEYS)
        person.wait_saved()
        assert person.problems == []
        presses = person.presses
    found = {image_id: each for (image_id, _), each in world.decisions().items()}
    assert {image_id: each.classes for image_id, each in found.items()} == {
        image_id: (name,) for image_id, name in world.truth.items()
    }
    assert len(world.ledger()) == 500
    assert presses <= 0.35 * 500
    modes = [each.mode for each in found.values()]
    assert (modes.count("one"), modes.count("page")) == (50, 450)


def test_the_default_view_is_audited_by_keys_alone(world: World, anna: User) -> None:
    anna.audit(world.truth, KEYS)
    anna.wait_saved()
    assert "Nothing left" in anna.words("empty-title")
    assert anna.words("done-words") == "45 of 45"
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
