"""A hundred texts that want to be a script, and whether any of them has become one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.full import size
from tests.web.user import User

_MADE: Final = (
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
)
_SPELLINGS: Final[tuple[Callable[[str], str], ...]] = (
    str,
    str.upper,
    lambda text: text.replace(" ", "/"),
    lambda text: text * 2,
    lambda text: f"x{text}",
)
PAYLOADS: Final = tuple(spell(text)[:190].strip() for spell in _SPELLINGS for text in _MADE)
"""Each of twenty in five spellings; some spell the same, so a number makes each its own."""
TEXTS: Final = tuple(f"{text} {number}" for number, text in enumerate(PAYLOADS))
SOME: Final = TEXTS[:: size(7, 1)]
"""Those that the doors other than a candidate's fields are tried with."""
FILE_NAMES: Final = tuple(text.replace("/", "|") for text in SOME)
"""The same as far as a file can be called so."""

# What no text may have made: elements of the page itself have no handlers in attributes, and
# its scripts are in its head.
_FOREIGN: Final = """() => [...document.querySelectorAll("*")].filter((each) =>
    ["base", "embed", "iframe", "math", "object"].includes(each.localName)
    || (each.localName === "script" && !each.closest("head"))
    || (each.localName === "link" && !each.href.startsWith(location.origin))
    || (each.localName === "meta" && each.httpEquiv === "refresh")
    || (each.href?.baseVal ?? each.href ?? "").toString().startsWith("javascript:")
    || [...each.attributes].some(({ name }) => name.startsWith("on"))
).map((each) => each.outerHTML.slice(0, 200))"""


def watch(person: User) -> list[str]:
    """Return what the page will have asked for, address by address."""
    asked: list[str] = []
    person.page.on("request", lambda request: asked.append(request.url))
    return asked


def check(person: User, asked: list[str], home: str) -> None:
    """Make sure that nothing ran, nothing was made of a text, and nobody else was asked."""
    person.page.mouse.move(500, 300)
    assert person.page.evaluate("window.ran") == []
    assert person.page.evaluate(_FOREIGN) == []
    # A script that the page's policy has kept from running is told on the console.
    assert person.problems == []
    assert [url for url in asked if not url.startswith((home, "data:"))] == []
