"""The long tail as a picture: candidates of each class, the largest first, and their running share.

The scale is logarithmic on both sides, since a tail of thousands of classes shows nothing
otherwise. The same few shapes are written as SVG or drawn with Pillow, so that a picture needs
no plotting library.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from pathlib import Path

from curate.errors import UsageError
from curate.report.plan import Plan

WIDTH, HEIGHT = 1000, 560
LEFT, RIGHT, TOP, BOTTOM = 80, 70, 50, 60
INK, SOFT, BARS, SHARE, LIMIT = "#1f2933", "#9aa5b1", "#4a7fb5", "#c4662d", "#2e7d4f"
_MOST_POINTS = 600


@dataclass(frozen=True, slots=True)
class Line:
    """Connected points in pixels."""

    points: tuple[tuple[float, float], ...]
    """From one to the next."""
    color: str
    """As `#rrggbb`."""
    width: float = 1.0
    """In pixels."""


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text."""

    x: float
    """Pixels from the left to its anchor."""
    y: float
    """Pixels from the top to its base line."""
    text: str
    """What it says."""
    color: str = INK
    """As `#rrggbb`."""
    anchor: str = "start"
    """`start`, `middle` or `end`."""


Shape = Line | Words


def write_picture(plan: Plan, path: Path) -> None:
    """Draw a plan as SVG or PNG, by the file's extension.

    Raises:
        UsageError: another extension, or a plan without classes.
    """
    sizes = sorted((n for name, n in plan.classes.items() if name and n), reverse=True)
    if not sizes:
        raise UsageError("there are no classes to draw", "name them with --class-by")
    shapes = _shapes(sizes, plan)
    kind = path.suffix.lower()
    if kind == ".svg":
        path.write_text(_svg(shapes), encoding="utf-8")
    elif kind == ".png":
        _png(shapes, path)
    else:
        raise UsageError(f"--picture {path}: the name must end in .svg or .png")


def _shapes(sizes: Sequence[int], plan: Plan) -> list[Shape]:
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    across = max(math.log10(len(sizes)), 1.0)
    up = max(math.ceil(math.log10(sizes[0] + 1)), 1)

    def at(rank: int, n: float) -> tuple[float, float]:
        return LEFT + math.log10(rank) / across * wide, TOP + high * (1 - math.log10(n) / up)

    ranks = _ranks(len(sizes))
    sums = list(accumulate(sizes))
    shapes: list[Shape] = [Words(LEFT, 28, _title(plan))]
    for power in range(up + 1):
        y = at(1, 10**power)[1]
        shapes.append(Line(((LEFT, y), (LEFT + wide, y)), SOFT, 0.5))
        shapes.append(Words(LEFT - 8, y + 4, f"{10**power:,}", anchor="end"))
    shapes.extend(
        Words(at(10**power, 1)[0], TOP + high + 20, f"{10**power:,}", anchor="middle")
        for power in range(int(across) + 1)
    )
    shapes.append(
        Words(LEFT + wide / 2, HEIGHT - 14, "classes, the largest first", anchor="middle")
    )
    # A single class is a point: it is drawn as a bar beside the axis.
    if len(sizes) == 1:
        top = at(1, sizes[0])[1]
        bar = ((LEFT + 10, TOP + high), (LEFT + 10, top))
        shapes.append(Line(bar, BARS, 20.0))
        shapes.append(Words(LEFT + 28, top + 14, f"{sizes[0]:,}", BARS))
    shapes.append(Line(tuple(at(rank, sizes[rank - 1]) for rank in ranks), BARS, 2.5))
    share = tuple((at(rank, 1)[0], TOP + high * (1 - sums[rank - 1] / sums[-1])) for rank in ranks)
    shapes.append(Line(share, SHARE, 1.5))
    for percent in (0, 50, 80, 100):
        y = TOP + high * (1 - percent / 100)
        shapes.append(Words(LEFT + wide + 8, y + 4, f"{percent} %", SHARE))
    chosen = plan.chosen
    if 1 < chosen.min <= sizes[0] and chosen.classes:
        x, y = at(chosen.classes, chosen.min)
        shapes.append(Line(((LEFT, y), (x, y), (x, TOP + high)), LIMIT, 1.5))
        shapes.append(Words(LEFT + 8, y - 6, f"at least {chosen.min:,}", LIMIT))
    return shapes


def _title(plan: Plan) -> str:
    tail, chosen = plan.tail, plan.chosen
    cap = f", {chosen.max:,} at most" if chosen.max else ""
    return (
        f"{tail.candidates:,} candidates in {tail.classes:,} "
        f"{'class' if tail.classes == 1 else 'classes'}; {chosen.min:,} or more"
        f"{cap}: {chosen.images:,} in {chosen.classes:,}"
    )


def _ranks(n: int) -> list[int]:
    """Return ranks that are even on a logarithmic scale."""
    steps = min(n, _MOST_POINTS)
    ranks = {round(n ** (i / max(1, steps - 1))) for i in range(steps)}
    return sorted({*ranks, 1, n})


def _svg(shapes: Sequence[Shape]) -> str:
    parts = []
    for each in shapes:
        if isinstance(each, Line):
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in each.points)
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{each.color}" '
                f'stroke-width="{each.width}"/>'
            )
        else:
            parts.append(
                f'<text x="{each.x:.1f}" y="{each.y:.1f}" fill="{each.color}" '
                f'text-anchor="{each.anchor}">{escape(each.text)}</text>'
            )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="14"><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(parts)}</svg>\n"
    )


def _png(shapes: Sequence[Shape], path: Path) -> None:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(14)
    anchors = {"start": "ls", "middle": "ms", "end": "rs"}
    for each in shapes:
        if isinstance(each, Line):
            draw.line(each.points, fill=each.color, width=max(1, round(each.width)))
        else:
            place = (each.x, each.y)
            draw.text(place, each.text, each.color, font, anchor=anchors[each.anchor])
    image.save(path)
