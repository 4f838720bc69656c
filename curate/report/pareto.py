"""The Pareto picture: classes from the largest to the smallest, with thresholds drawn across.

Where the largest class has many times the images of the smallest, as in any natural collection,
images are on a logarithmic scale. A second curve adds images up: where it bends, the few
classes are that hold most images. Many classes are thinned to what a screen can show.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from curate.report.plan import Threshold

WIDTH, HEIGHT = 1000, 380
LEFT, RIGHT, TOP, BOTTOM = 66, 60, 18, 46
LONG = 20
"""From this ratio of the largest class to the smallest on, the scale is logarithmic."""
MANY = 300
"""From so many classes on, their ranks are on a logarithmic scale too: the head has room."""
POINTS = 700
"""Steps that are drawn at most."""


class _Scale:
    """Where ranks, images and shares are on the picture."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.n = len(sizes)
        self.bottom = HEIGHT - BOTTOM
        self.is_log = is_long(sizes)
        if self.is_log:
            first = math.floor(math.log10(sizes[-1]))
            last = math.ceil(math.log10(sizes[0]))
            self.marks = [10**power for power in range(first, last + 1)]
        else:
            step = _round_step(sizes[0])
            self.marks = list(range(0, sizes[0] + step, step))

    def x(self, rank: float) -> float:
        share = rank / self.n
        if self.n >= MANY:
            share = math.log1p(rank) / math.log1p(self.n)
        return LEFT + (WIDTH - LEFT - RIGHT) * share

    def y(self, images: float) -> float:
        least, most = self.marks[0], self.marks[-1]
        if self.is_log:
            return self.share_y(math.log(max(images, least) / least) / math.log(most / least))
        return self.share_y(images / most)

    def share_y(self, share: float) -> float:
        return self.bottom - (self.bottom - TOP) * share


def is_long(sizes: Sequence[int]) -> bool:
    """Tell whether classes differ so much that only a logarithmic scale shows them all."""
    return max(sizes) >= LONG * min(sizes)


def _round_step(most: int) -> int:
    """Return a round distance of marks, so that there are about four."""
    power = 10 ** math.floor(math.log10(max(1, most)))
    return int(next(s for s in (power // 5, power // 2, power, power * 2) if s and most / s <= 5))


def pareto(sizes: Sequence[int], chosen: Threshold | None) -> str:
    """Draw the distribution of classes.

    Args:
        sizes: images of each class, in any order; at least one above 0.
        chosen: limits to draw across; None: none.
    """
    ordered = sorted((n for n in sizes if n > 0), reverse=True)
    scale = _Scale(ordered)
    parts = [*_grid(scale), _area(scale, ordered), _added_up(scale, ordered)]
    if chosen is not None:
        parts += _limits(scale, ordered, chosen)
    title = f"Images of {len(ordered):,} classes, from the largest to the smallest"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def _grid(scale: _Scale) -> list[str]:
    parts = []
    for mark in scale.marks:
        y = scale.y(mark)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 10, y + 4, f"{mark:,}", "end"))
    right = WIDTH - RIGHT + 10
    parts += [
        _text(right, scale.share_y(share) + 4, f"{share:.0%}", "start", "added")
        for share in (0, 0.5, 1)
    ]
    parts += [
        _text(scale.x(rank), scale.bottom + 18, f"{rank:,}", "middle") for rank in _ticks(scale.n)
    ]
    parts.append(
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "classes, the largest first", "middle")
    )
    return parts


def _ticks(n: int) -> list[int]:
    """Return some ranks to name: round ones, and the last."""
    power = 10 ** math.floor(math.log10(n))
    if n >= MANY:
        tens = [10**each for each in range(round(math.log10(power)) + 1)]
        return [*(rank for rank in tens if n / rank > 1.5), n]
    steps = (power * 2, power, power // 2, power // 5)
    step = next((each for each in steps if each and n / each >= 4), 1)
    return [*(rank for rank in range(step, n, step) if n - rank > step * 0.6), n]


def _chosen_ranks(n: int) -> list[int]:
    """Return which classes get a step of their own; the first and the last always."""
    if n <= POINTS:
        return list(range(n))
    spread = (math.expm1(place / (POINTS - 1) * math.log(n)) for place in range(POINTS))
    return sorted({min(n - 1, round(rank)) for rank in spread})


def _area(scale: _Scale, ordered: Sequence[int]) -> str:
    ranks = _chosen_ranks(scale.n)
    path = [f"M{scale.x(0):.1f} {scale.bottom}"]
    for place, rank in enumerate(ranks):
        following = ranks[place + 1] if place + 1 < len(ranks) else scale.n
        path.append(f"V{scale.y(ordered[rank]):.1f}H{scale.x(following):.1f}")
    return f'<path class="area" d="{"".join(path)}V{scale.bottom}Z"/>'


def _added_up(scale: _Scale, ordered: Sequence[int]) -> str:
    total, added = sum(ordered), 0
    shown = set(_chosen_ranks(scale.n))
    path = [f"M{scale.x(0):.1f} {scale.bottom}"]
    for rank, n in enumerate(ordered):
        added += n
        if rank in shown:
            path.append(f"L{scale.x(rank + 1):.1f} {scale.share_y(added / total):.1f}")
    return f'<path class="added-line" d="{"".join(path)}"/>'


def _limits(scale: _Scale, ordered: Sequence[int], chosen: Threshold) -> list[str]:
    kept = sum(n >= chosen.min for n in ordered)
    capped = 0 if chosen.max is None else sum(n > chosen.max for n in ordered)
    if chosen.min == chosen.max:
        label = f"{chosen.min:,} of each: {kept:,} classes kept, {capped:,} of them capped"
        return _line(scale, chosen.min, label, kept)
    parts = []
    if chosen.min > 1:
        parts += _line(scale, chosen.min, f"at least {chosen.min:,}: {kept:,} classes", kept)
    if chosen.max is not None and capped:
        parts += _line(scale, chosen.max, f"at most {chosen.max:,}: {capped:,} capped", None)
    return parts


def _line(scale: _Scale, images: int, label: str, rank: int | None) -> list[str]:
    y = scale.y(images)
    path = f"M{LEFT} {y:.1f}H{WIDTH - RIGHT}"
    if rank is not None and rank < scale.n:
        path += f"M{scale.x(rank):.1f} {y:.1f}V{scale.bottom}"
    # A pale line below keeps the dashes apart from the area.
    parts = [f'<path class="halo" d="{path}"/><path class="limit" d="{path}"/>']
    parts.append(_text(WIDTH - RIGHT - 6, y - 7, label, "end", "limit-text"))
    return parts


def _text(x: float, y: float, text: str, anchor: str, kind: str = "soft") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )
