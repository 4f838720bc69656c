"""One self-contained page about a dataset: no script, no outside resource, light and dark.

Everything that came from outside (class names, authors, URLs, what servers said) is escaped,
and a Content-Security-Policy forbids scripts and requests, should escaping ever be forgotten.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from curate.report.charts import class_bars, count_bars
from curate.report.facts import MissingRow, ReportFacts, Thumb

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


def write_report(path: Path, facts: ReportFacts) -> Path:
    """Write the page.

    Args:
        path: the file; replaced if it is there.
        facts: all that it shows.

    Returns:
        The path.
    """
    path.write_text(page(facts), encoding="utf-8")
    return path


def page(facts: ReportFacts) -> str:
    """Return the page as HTML."""
    style = files("curate.report").joinpath("summary.css").read_text(encoding="utf-8")
    parts = [
        _HEAD.format(title=escape(facts.title), style=style),
        f"<h1>{escape(facts.title)}</h1>\n<p class='lead'>{escape(facts.lead)}</p>\n",
        _tiles(facts),
        _classes(facts),
        _missing(facts),
        "<div class='pair'>",
        _counts("Licences", facts.licenses),
        _counts("Sources", facts.sources),
        "</div>",
        _sheets(facts),
        "<footer>",
        *(f"<p>{escape(note)}</p>\n" for note in facts.notes),
        "</footer>\n</main>\n</body>\n</html>\n",
    ]
    return "".join(parts)


def _tiles(facts: ReportFacts) -> str:
    tiles = [
        (f"{facts.candidates:,}", "candidates offered"),
        (f"{facts.tried:,}", "looked at"),
        (f"{facts.images:,}", f"valid, distinct images, {facts.n_bytes / 1e6:,.1f} MB"),
        (f"{len(facts.classes):,}", "classes"),
        (f"{facts.groups:,}", "groups that stay together"),
        (f"{facts.leaks:,}", "groups on two sides"),
    ]
    shown = (f"<div class='tile'><b>{n}</b><span>{escape(text)}</span></div>" for n, text in tiles)
    return f"<div class='tiles'>{''.join(shown)}</div>\n"


def _classes(facts: ReportFacts) -> str:
    total = sum(facts.splits.values())
    shares = ", ".join(f"{n:,} {name}" for name, n in facts.splits.items())
    legend = "".join(f"<span><i class='{escape(s)}'></i>{escape(s)}</span>" for s in facts.splits)
    return _section(
        "Classes and splits",
        f"Manifest {escape(facts.manifest)}: {total:,} images, {escape(shares)}. "
        "An image that belongs to several classes counts in each.",
        f"<div class='legend'>{legend}</div><div class='wide'>{class_bars(facts.classes)}</div>",
    )


def _missing(facts: ReportFacts) -> str:
    if not facts.missing:
        return _section("Missing images", "Every candidate that was looked at gave an image.", "")
    rows = "".join(_missing_row(row) for row in facts.missing)
    return _section(
        "Why images are missing",
        "Every candidate that gave no image of its own, by reason, with one example of each.",
        "<div class='wide'><table><thead><tr><th>reason</th><th class='n'>candidates</th>"
        f"<th>meaning</th><th>for example</th></tr></thead><tbody>{rows}</tbody></table></div>",
    )


def _missing_row(row: MissingRow) -> str:
    detail = f"<br><span class='soft'>{escape(row.detail)}</span>" if row.detail else ""
    return (
        f"<tr><td class='reason'>{escape(row.reason)}</td><td class='n'>{row.n:,}</td>"
        f"<td class='meaning'>{escape(row.meaning)}</td>"
        f"<td><code title='{escape(row.example)}'>{escape(_short(row.example))}</code>"
        f"{detail}</td></tr>"
    )


def _short(url: str) -> str:
    """Return a URL without its parameters; the whole one stands in the tooltip."""
    return url.partition("?")[0]


def _counts(title: str, counts: Mapping[str, int]) -> str:
    return _section(title, "", f"<div class='wide'>{count_bars(counts, title)}</div>")


def _sheets(facts: ReportFacts) -> str:
    if not facts.sheets:
        return ""
    sheets = "".join(
        f"<h3>{escape(name)}</h3><div class='sheet'>{_thumbs(thumbs)}</div>"
        for name, thumbs in facts.sheets.items()
    )
    return _section(
        "Contact sheet", "A few images of each class, as the manifest has them.", sheets
    )


def _thumbs(thumbs: Iterable[Thumb]) -> str:
    return "".join(_thumb(each) for each in thumbs)


def _thumb(thumb: Thumb) -> str:
    data = base64.b64encode(thumb.jpeg).decode("ascii")
    title = escape(thumb.title)
    picture = (
        f"<img src='data:image/jpeg;base64,{data}' alt='{title}' title='{title}' "
        f"width='{thumb.width_px}' height='{thumb.height_px}'>"
    )
    # Only web pages: a source's own words must not become a `javascript:` link.
    if urlsplit(thumb.link).scheme not in ("http", "https"):
        return picture
    return f"<a href='{escape(thumb.link)}' rel='noreferrer'>{picture}</a>"


def _section(title: str, text: str, body: str) -> str:
    """Return a section; `text` and `body` are HTML already."""
    below = f"<p class='soft'>{text}</p>" if text else ""
    return f"<section><h2>{escape(title)}</h2>{below}{body}</section>\n"
