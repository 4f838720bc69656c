"""The sections of the report that are more than a chart: thresholds, people, a model."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from curate.report.facts import AgreementRow, EvaluationFacts, ReportFacts
from curate.report.figures import columns, confusion, share_bar
from curate.report.html import section
from curate.report.pareto import is_long, pareto
from curate.report.plan import Threshold

KINDS = {
    "stored": "stored",
    "duplicate": "duplicate",
    "failed": "failed",
    "to be retried": "retry",
    "waiting": "waiting",
}
"""Colour of each outcome of a candidate."""
MATRIX_CLASSES = 40
"""Classes of which a confusion matrix is drawn at most."""
UNITS = ("B", "kB", "MB", "GB", "TB")


def tail(facts: ReportFacts) -> str:
    """Show the distribution of classes, and what each threshold would keep."""
    sizes = [n for n in facts.usable.values() if n]
    if len(sizes) < 2:
        return ""
    largest = max(sizes)
    text = (
        f"Labels of images before balancing: {sum(sizes):,} in {len(sizes):,} classes, from "
        f"{min(sizes):,} to {largest:,} a class. An image of several classes counts in each, and "
        f"images that a manifest leaves out count too. The blue steps are the classes"
        f"{', on logarithmic scales' if is_long(sizes) else ''}; the orange line adds their "
        "images up."
    )
    drawn = f"<div class='wide'>{pareto(sizes, facts.chosen)}</div>"
    return section("The long tail", text, drawn + _thresholds(facts.thresholds, facts.chosen))


def _thresholds(rows: Sequence[Threshold], chosen: Threshold | None) -> str:
    capped = {row.min: row for row in rows if row.max is not None}
    shown = _telling([row for row in rows if row.max is None], chosen)
    if not shown:
        return ""
    most = max(row.classes for row in shown)
    lines = "".join(
        _threshold(row, capped.get(row.min), most, is_chosen=row is chosen) for row in shown
    )
    return (
        "<h3>What each threshold would keep</h3><div class='wide'><table><thead><tr>"
        "<th>images a class</th><th class='n'>classes</th><th></th><th class='n'>images</th>"
        "<th class='n'>size</th><th class='n'>all capped there: images</th>"
        f"<th class='n'>size</th></tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _telling(rows: Sequence[Threshold], chosen: Threshold | None) -> list[Threshold]:
    """Return the thresholds that differ from the one before, with the chosen one among them."""
    shown: list[Threshold] = []
    for row in rows:
        if not shown or row.classes != shown[-1].classes:
            shown.append(row)
    if chosen is not None:
        shown = [row for row in shown if row.min != chosen.min] + [chosen]
    return sorted(shown, key=lambda row: row.min)


def _threshold(row: Threshold, capped: Threshold | None, most: int, *, is_chosen: bool) -> str:
    kind = " class='chosen'" if is_chosen else ""
    width = 120 * row.classes / max(1, most)
    limits = f"at least {row.min:,}"
    if row.max is not None:
        limits += f", at most {row.max:,}"
    cells = [f"{row.images:,}", human_size(row.bytes)]
    cells += ["", ""] if capped is None else [f"{capped.images:,}", human_size(capped.bytes)]
    return (
        f"<tr{kind}><td>{limits}</td><td class='n'>{row.classes:,}</td>"
        f"<td><span class='meter' style='width:{width:.0f}px'></span></td>"
        + "".join(f"<td class='n'>{cell}</td>" for cell in cells)
        + "</tr>"
    )


def human_size(n_bytes: int | None) -> str:
    """Return a size with its unit; nothing where it is not known."""
    if n_bytes is None:
        return ""
    value, power = float(n_bytes), 0
    while value >= 1000 and power < len(UNITS) - 1:
        value /= 1000
        power += 1
    return f"{value:,.1f} {UNITS[power]}" if power else f"{n_bytes:,} B"


def outcomes(facts: ReportFacts) -> str:
    """Show what became of all candidates, as one bar."""
    if not sum(facts.outcomes.values()):
        return ""
    shares = [(KINDS[name], name, n) for name, n in facts.outcomes.items()]
    return share_bar(shares, "What became of the candidates")


def sizes(facts: ReportFacts) -> str:
    """Show how large the images are, in pixels and in bytes."""
    if not (facts.sides or facts.weights):
        return ""
    return (
        "<div class='pair'>"
        + section(
            "Shorter side",
            "Images by their shorter side, in pixels.",
            columns(facts.sides, "Images by shorter side"),
        )
        + section(
            "File size",
            "Images by the size of their file, in kB.",
            columns(facts.weights, "Images by size of file"),
        )
        + "</div>"
    )


def agreement(rows: Sequence[AgreementRow]) -> str:
    """Show how far people agree."""
    if not rows:
        return ""
    lines = "".join(
        f"<tr><td>{escape(row.name) if row.name else '<b>whole answers</b>'}</td>"
        f"<td class='n'>{row.n:,}</td>"
        f"<td class='n'>{'' if row.percent is None else f'{row.percent:.1f} %'}</td>"
        f"<td class='n'>{'' if row.alpha is None else f'{row.alpha:.2f}'}</td></tr>"
        for row in rows
    )
    return section(
        "Agreement",
        "Images that several people have decided about. Alpha is Krippendorff's: 1 is perfect, "
        "0 is what chance would give; below 0.67 is little to build on.",
        "<div class='wide'><table><thead><tr><th>class</th><th class='n'>images</th>"
        "<th class='n'>equal answers</th><th class='n'>alpha</th></tr></thead>"
        f"<tbody>{lines}</tbody></table></div>",
    )


def evaluation(facts: EvaluationFacts | None) -> str:
    """Show what a model is worth: measures, and what it takes for what."""
    if facts is None:
        return ""
    tiles = "".join(
        f"<div class='tile'><b>{value:.1%}</b><span>{escape(name)}</span></div>"
        for name, value in facts.measures.items()
    )
    body = f"<div class='tiles'>{tiles}</div>"
    if facts.confusion and len(facts.names) <= MATRIX_CLASSES:
        body += (
            "<h3>What is taken for what</h3><p class='soft'>Rows are true, columns are said; "
            "colours are shares of a row.</p>"
            f"<div class='wide'>{confusion(facts.names, facts.confusion)}</div>"
        )
    elif facts.f1:
        body += _weakest(facts)
    text = f"{escape(facts.model)} on {facts.n:,} labelled images. {escape(facts.verdict)}"
    return section("The model", text, body)


def _weakest(facts: EvaluationFacts) -> str:
    weakest = sorted(facts.f1.items(), key=lambda item: (item[1], item[0]))[:20]
    lines = "".join(
        f"<tr><td>{escape(name)}</td><td class='n'>{value:.1%}</td></tr>" for name, value in weakest
    )
    return (
        "<h3>Weakest classes</h3><table><thead><tr><th>class</th><th class='n'>F1</th></tr>"
        f"</thead><tbody>{lines}</tbody></table>"
    )
