"""One self-contained page about a dataset (see `curate.report.html` for what keeps it safe)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

from curate.report.charts import class_bars, count_bars
from curate.report.copies import copies_section
from curate.report.facts import MissingRow, ReportFacts, Thumb
from curate.report.html import picture, section, whole_page
from curate.report.sections import agreement, evaluation, human_size, outcomes, sizes, tail

BARS = 40
"""Classes with a bar of their own; the long tail shows the others."""


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
    parts = [
        _tiles(facts),
        _classes(facts),
        tail(facts),
        _missing(facts),
        sizes(facts),
        "<div class='pair'>",
        _counts("Licences", facts.licenses),
        _counts("Sources", facts.sources),
        "</div>",
        _quality(facts.quality),
        copies_section(facts.copies, facts.n_copy_groups) if facts.n_copy_groups else "",
        agreement(facts.agreement),
        evaluation(facts.evaluation),
        _sheets(facts),
    ]
    body = "".join(parts)
    return whole_page(facts.title, facts.lead, _nav(body) + body, facts.notes)


def _nav(body: str) -> str:
    """Return links to the sections that there are."""
    found = re.findall(r"<section id='([^']+)'><h2>([^<]+)</h2>", body)
    links = (f"<a href='#{name}'>{title}</a>" for name, title in found)
    return f"<nav>{''.join(links)}</nav>\n"


def _tiles(facts: ReportFacts) -> str:
    tiles = [
        (f"{facts.candidates:,}", "candidates offered"),
        (f"{facts.tried:,}", "looked at"),
        (
            f"{facts.images:,}",
            f"valid, distinct images not left out, {human_size(facts.n_bytes)}",
        ),
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
    largest = sorted(facts.classes, key=lambda row: (-row.n, row.name))
    hidden = len(largest) - BARS
    more = f"<p class='soft'>… and {hidden:,} smaller classes.</p>" if hidden > 0 else ""
    said = f"Manifest {escape(facts.manifest)}: {total:,} images, {escape(shares)}. "
    if not facts.manifest:
        said = "There is no manifest yet: these are class hints, and nothing is split. "
        legend = ""
    return section(
        "Classes and splits",
        said + "An image that belongs to several classes counts in each.",
        f"<div class='legend'>{legend}</div><div class='wide'>{class_bars(largest[:BARS])}</div>"
        + more,
    )


def _missing(facts: ReportFacts) -> str:
    bar = outcomes(facts)
    if not facts.missing:
        said = "Every candidate that was looked at gave an image."
        return section("What became of the candidates", said, bar)
    rows = "".join(_missing_row(row) for row in facts.missing)
    return section(
        "What became of the candidates",
        f"{facts.candidates:,} were offered. Those that gave no image of their own are below, by "
        "reason, with one example of each.",
        f"{bar}<div class='wide'><table><thead><tr><th>reason</th><th class='n'>candidates</th>"
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
    return section(title, "", f"<div class='wide'>{count_bars(counts, title)}</div>")


def _quality(counts: Mapping[str, int]) -> str:
    flagged = {name: n for name, n in counts.items() if name != "none" and n}
    if not flagged:
        return ""
    return section(
        "Quality",
        "Images under each flag; an image may have several, and none is left out for them "
        "unless asked.",
        f"<div class='wide'>{count_bars(flagged, 'Images by quality flag', whole=True)}</div>",
    )


def _sheets(facts: ReportFacts) -> str:
    if not facts.sheets:
        return ""
    sheets = "".join(
        f"<h3>{escape(name)}</h3><div class='sheet'>{_thumbs(thumbs)}</div>"
        for name, thumbs in facts.sheets.items()
    )
    return section("Contact sheet", "A few images of each class, as the manifest has them.", sheets)


def _thumbs(thumbs: Iterable[Thumb]) -> str:
    return "".join(picture(each) for each in thumbs)
