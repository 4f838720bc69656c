"""One self-contained page about a dataset (see `curate.report.html` for what keeps it safe)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

from curate.report.charts import class_bars, count_bars
from curate.report.copies import copies_section
from curate.report.facts import MissingRow, ReportFacts, Thumb
from curate.report.html import picture, section, whole_page


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
        _missing(facts),
        "<div class='pair'>",
        _counts("Licences", facts.licenses),
        _counts("Sources", facts.sources),
        "</div>",
        copies_section(facts.copies, facts.n_copy_groups) if facts.n_copy_groups else "",
        _sheets(facts),
    ]
    return whole_page(facts.title, facts.lead, "".join(parts), facts.notes)


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
    return section(
        "Classes and splits",
        f"Manifest {escape(facts.manifest)}: {total:,} images, {escape(shares)}. "
        "An image that belongs to several classes counts in each.",
        f"<div class='legend'>{legend}</div><div class='wide'>{class_bars(facts.classes)}</div>",
    )


def _missing(facts: ReportFacts) -> str:
    if not facts.missing:
        return section("Missing images", "Every candidate that was looked at gave an image.", "")
    rows = "".join(_missing_row(row) for row in facts.missing)
    return section(
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
    return section(title, "", f"<div class='wide'>{count_bars(counts, title)}</div>")


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
