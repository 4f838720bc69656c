"""What every page is made of: no script, no outside resource, light and dark.

Everything that came from outside (class names, authors, URLs, what servers said) is escaped,
and a Content-Security-Policy forbids scripts and requests, should escaping ever be forgotten.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from urllib.parse import urlsplit

from curate.report.facts import Thumb

_HEAD = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
"""


def whole_page(title: str, lead: str, body: str, notes: Iterable[str] = ()) -> str:
    """Return a page as HTML.

    Args:
        title: its heading.
        lead: a sentence or two below it.
        body: HTML already.
        notes: sentences at its end.
    """
    style = files("curate.report").joinpath("summary.css").read_text(encoding="utf-8")
    foot = "".join(f"<p>{escape(note)}</p>\n" for note in notes)
    return (
        _HEAD.format(title=escape(title), style=style)
        + f"<h1>{escape(title)}</h1>\n<p class='lead'>{escape(lead)}</p>\n{body}"
        + f"<footer>{foot}</footer>\n</main>\n</body>\n</html>\n"
    )


def picture(thumb: Thumb) -> str:
    """Return a picture with its tooltip, as a link if it has a page."""
    data = base64.b64encode(thumb.jpeg).decode("ascii")
    title = escape(thumb.title)
    shown = (
        f"<img src='data:image/jpeg;base64,{data}' alt='{title}' title='{title}' "
        f"width='{thumb.width_px}' height='{thumb.height_px}'>"
    )
    # Only web pages: a source's own words must not become a `javascript:` link.
    if urlsplit(thumb.link).scheme not in ("http", "https"):
        return shown
    return f"<a href='{escape(thumb.link)}' rel='noreferrer'>{shown}</a>"


def section(title: str, text: str, body: str) -> str:
    """Return a section; `text` and `body` are HTML already."""
    below = f"<p class='soft'>{text}</p>" if text else ""
    return f"<section id='{anchor(title)}'><h2>{escape(title)}</h2>{below}{body}</section>\n"


def anchor(title: str) -> str:
    """Return the name by which a section is linked, e.g. `why-images-are-missing`."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
