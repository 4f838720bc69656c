"""The report's pictures as PNG, for slides and papers. Needs matplotlib (the extra `report`).

Drawn with the object interface: nothing of pyplot's global state is touched, and no window
system is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from curate.report.facts import EvaluationFacts, ReportFacts
from curate.report.pareto import MANY, is_long
from curate.report.plan import Threshold

INK, SOFT, LINE = "#1d2327", "#626b72", "#e3e1da"
BLUE, PALE, ORANGE, RED, GREEN = "#2f6f8f", "#86b6c9", "#e0a458", "#c4553b", "#2f8f6b"
SPLIT_COLOURS = {"train": BLUE, "val": PALE, "test": ORANGE}
OUTCOME_COLOURS = {
    "stored": GREEN,
    "duplicate": PALE,
    "failed": RED,
    "to be retried": ORANGE,
    "waiting": LINE,
}
BARS = 40
"""Classes, or other names, with a bar of their own."""
DPI = 160


def draw(folder: Path, facts: ReportFacts) -> tuple[Path, ...]:
    """Draw every picture that there are numbers for.

    Args:
        folder: where they go; made if it is not there.
        facts: what the report shows.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Figure | None] = {
        "classes": _classes(facts),
        "long-tail": _tail(facts),
        "outcomes": _bars(facts.outcomes, "Candidates", OUTCOME_COLOURS),
        "reasons": _bars({row.reason: row.n for row in facts.missing}, "Why images are missing"),
        "licences": _bars(facts.licenses, "Images by licence"),
        "sources": _bars(facts.sources, "Images by source"),
        "shorter-side": _columns(facts.sides, "Images by shorter side, pixels"),
        "file-size": _columns(facts.weights, "Images by file size, kB"),
        "confusion": _confusion(facts.evaluation),
    }
    paths = []
    for name, figure in figures.items():
        if figure is not None:
            path = folder / f"{name}.png"
            # No date and no version inside: the same numbers give the same bytes.
            figure.savefig(path, dpi=DPI, metadata={"Software": None})
            paths.append(path)
    return tuple(paths)


def _figure(width: float, height: float, title: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", color=INK, fontsize=13, fontweight="bold", pad=12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(colors=SOFT, labelsize=9, length=0)
    axes.set_axisbelow(True)
    return figure, axes


def _thousands() -> FuncFormatter:
    return FuncFormatter(lambda value, _place: f"{value:,.0f}")


def _classes(facts: ReportFacts) -> Figure | None:
    rows = sorted(facts.classes, key=lambda row: (-row.n, row.name))[:BARS]
    if not rows:
        return None
    figure, axes = _figure(9, 1.2 + 0.28 * len(rows), "Classes and splits")
    names, left = [_plain(row.name) for row in rows], [0] * len(rows)
    places = list(range(len(rows)))
    for split in facts.splits:
        counts = [row.split[split] for row in rows]
        colour = SPLIT_COLOURS.get(split, BLUE)
        axes.barh(places, counts, left=left, color=colour, height=0.72, label=split)
        left = [before + n for before, n in zip(left, counts, strict=True)]
    for place, n in zip(places, left, strict=True):
        axes.annotate(
            f"{n:,}",
            (n, place),
            (4, 0),
            textcoords="offset points",
            va="center",
            color=SOFT,
            fontsize=9,
        )
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(_thousands())
    axes.grid(axis="x", color=LINE)
    axes.legend(
        frameon=False,
        fontsize=9,
        labelcolor=SOFT,
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=3,
    )
    return figure


def _tail(facts: ReportFacts) -> Figure | None:
    sizes = sorted((n for n in facts.usable.values() if n), reverse=True)
    if len(sizes) < 2:
        return None
    figure, axes = _figure(9, 4.6, f"Images of {len(sizes):,} classes, the largest first")
    axes.stairs(sizes, range(len(sizes) + 1), fill=True, color=BLUE, alpha=0.85)
    if is_long(sizes):
        axes.set_yscale("log")
    axes.set_xlim(0, len(sizes))
    if len(sizes) >= MANY:
        axes.set_xscale("log")
        axes.set_xlim(0.8, len(sizes))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(_thousands())
    axes.xaxis.set_major_formatter(_thousands())
    axes.set_xlabel("classes", color=SOFT)
    axes.grid(axis="y", color=LINE)
    other = axes.twinx()
    other.plot(range(1, len(sizes) + 1), [n / sum(sizes) for n in accumulate(sizes)], color=ORANGE)
    other.set_ylim(0, 1.02)
    other.yaxis.set_major_formatter(PercentFormatter(1))
    other.tick_params(colors=ORANGE, labelsize=9, length=0)
    other.spines[:].set_visible(False)
    for limit, words in _limits(facts.chosen):
        if 1 < limit <= sizes[0]:
            axes.axhline(limit, color=RED, linestyle="--", linewidth=1.4)
            axes.annotate(
                words,
                (0.99, limit),
                (0, 4),
                color=RED,
                ha="right",
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                fontsize=9,
                fontweight="bold",
            )
    return figure


def _limits(chosen: Threshold | None) -> list[tuple[int, str]]:
    """Return what lines are drawn across, and their words."""
    if chosen is None:
        return []
    if chosen.max is None:
        return [(chosen.min, f"at least {chosen.min:,}")]
    if chosen.min == chosen.max:
        return [(chosen.min, f"{chosen.min:,} of each")]
    return [(chosen.min, f"at least {chosen.min:,}"), (chosen.max, f"at most {chosen.max:,}")]


def _bars(
    counts: Mapping[str, int], title: str, colours: Mapping[str, str] | None = None
) -> Figure | None:
    rows = sorted(((name, n) for name, n in counts.items() if n), key=lambda row: (-row[1], row[0]))
    rows = rows[:BARS]
    if not rows:
        return None
    figure, axes = _figure(9, 1.1 + 0.32 * len(rows), title)
    places = list(range(len(rows)))
    shades = [(colours or {}).get(name, BLUE) for name, _ in rows]
    axes.barh(places, [n for _, n in rows], color=shades, height=0.72)
    axes.bar_label(
        axes.containers[0], [f"{n:,}" for _, n in rows], padding=4, color=SOFT, fontsize=9
    )
    axes.margins(x=0.1)
    axes.set_yticks(places, [_plain(name) for name, _ in rows])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(_thousands())
    axes.grid(axis="x", color=LINE)
    return figure


def _columns(buckets: Sequence[tuple[str, int]], title: str) -> Figure | None:
    if not buckets:
        return None
    figure, axes = _figure(7, 3.6, title)
    places = list(range(len(buckets)))
    axes.bar(places, [n for _, n in buckets], color=BLUE, width=0.86)
    labels = [f"{n:,}" if n else "" for _, n in buckets]
    axes.bar_label(axes.containers[0], labels, padding=3, color=SOFT, fontsize=9)
    axes.set_xticks(places, [label for label, _ in buckets])
    axes.yaxis.set_major_formatter(_thousands())
    axes.grid(axis="y", color=LINE)
    return figure


def _confusion(facts: EvaluationFacts | None) -> Figure | None:
    if facts is None or not facts.confusion:
        return None
    n = len(facts.names)
    side = min(14.0, 2.6 + 0.42 * n)
    figure, axes = _figure(side + 0.6, side, f"{_plain(facts.model)}: true rows, said columns")
    shares = [[value / (sum(row) or 1) for value in row] for row in facts.confusion]
    scale = LinearSegmentedColormap.from_list("blue", ["#ffffff", BLUE])
    axes.imshow(shares, cmap=scale, vmin=0, vmax=1)
    names = [_plain(name) for name in facts.names]
    axes.set_xticks(range(n), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(n), names)
    if n <= 20:
        for row, values in enumerate(facts.confusion):
            for column, value in enumerate(values):
                colour = "white" if shares[row][column] > 0.5 else INK
                if value:
                    axes.text(
                        column,
                        row,
                        f"{value:,}",
                        ha="center",
                        va="center",
                        color=colour,
                        fontsize=8,
                    )
    return figure


def _plain(name: str) -> str:
    """Return a name as it is, not as a formula: matplotlib reads `$`."""
    short = name if len(name) <= 32 else name[:31] + "…"
    return short.replace("\\", "\\\\").replace("$", r"\$") if "$" in short else short
