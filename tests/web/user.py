"""A person at the page: looks at it, and has a keyboard, but no mouse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

COUNT_KEYS = """
window.presses = 0;
addEventListener("keydown", () => { window.presses += 1; }, { capture: true });
window.ran = [];
window.alert = window.confirm = window.prompt = (text) => { window.ran.push(String(text)); };
"""
"""Every key counts, Shift too. `ran` fills if a script gets into the page."""


class User:
    """One window."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._console)

    def _console(self, message: Any) -> None:
        # The browser reports a server that is away by itself; that is no fault of the page.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.problems.append(message.text)

    def open(self, link: str) -> User:
        self.page.goto(link)
        return self.ready()

    def ready(self) -> User:
        self.page.wait_for_selector("body[data-ready=true]", timeout=20_000)
        return self

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    @property
    def presses(self) -> int:
        return int(self.page.evaluate("window.presses"))

    def shown(self) -> list[dict[str, str]]:
        """The page's images as they are seen: id, letter, classes, standing, saved, label."""
        found: list[dict[str, str]] = self.page.evaluate(
            """() => [...document.querySelectorAll(".tile")].map((tile) => ({
                id: tile.dataset.image, letter: tile.dataset.letter,
                standing: tile.dataset.standing, saved: tile.dataset.saved,
                words: [...tile.querySelectorAll(".chip")].map((c) => c.textContent).join(" + "),
                aside: tile.querySelector(".aside")?.textContent ?? "",
                label: tile.getAttribute("aria-label"),
                focused: String(tile === document.activeElement),
            }))"""
        )
        return found

    def tile(self, image_id: str) -> dict[str, str]:
        return next(each for each in self.shown() if each["id"] == image_id)

    def words(self, element_id: str) -> str:
        return str(
            self.page.evaluate("(id) => document.getElementById(id).textContent", element_id)
        )

    def wait(self, script: str, argument: Any = None, within_ms: int = 20_000) -> None:
        """Wait for a script to say true."""
        step = 20
        for _ in range(within_ms // step):
            if self.page.evaluate(script, argument):
                return
            self.page.wait_for_timeout(step)
        raise AssertionError(f"{script} did not come true")

    def wait_saved(self) -> None:
        self.wait("() => document.getElementById('saved').dataset.state === 'saved'")

    def wait_turned(self, first: str) -> None:
        """Wait for the page to show other images."""
        self.wait("(id) => document.querySelector('.tile')?.dataset.image !== id", first)

    def audit(self, truth: Mapping[str, str], keys: Mapping[str, str]) -> None:
        """Go through everything that is to do: correct what is wrong, confirm the rest."""
        while tiles := self.shown():
            for tile in tiles:
                if tile["standing"] == "open" and tile["words"] != truth[tile["id"]]:
                    self.press(tile["letter"], keys[truth[tile["id"]]])
            self.press("Shift+Enter")
            self.wait_turned(tiles[0]["id"])


@contextmanager
def user(browser: Browser, link: str | None = None, **options: Any) -> Iterator[User]:
    """A person in a browser of their own."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, **options)
    try:
        with_link = window(context)
        if link is not None:
            with_link.open(link)
        yield with_link
    finally:
        context.close()


def window(context: BrowserContext) -> User:
    """One more window of the same browser."""
    page = context.new_page()
    page.add_init_script(COUNT_KEYS)
    return User(page)
