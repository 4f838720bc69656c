"""What a class threshold would keep, before anything is downloaded: the numbers of `curate plan`.

Candidates are counted per class. Bytes and seconds are estimated from sizes that hosts tell of
a sample, or else from the images that the project has already, so an empty project gives
counts alone. Candidates are not images: some are dead, corrupt or the same, so a plan is an
upper bound.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

from curate.catalog.images import Sample

STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 350, 500, 1000, 2000, 5000, 10_000)
Z_95 = 1.96
"""Standard deviations on each side of the mean that hold 95 % of a normal distribution."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """What one choice of limits would keep."""

    min: int
    """Classes with fewer candidates are dropped."""
    max: int | None
    """At most this many of each class; None: all."""
    classes: int
    """Classes kept."""
    images: int
    """Candidates kept."""
    bytes: int | None
    """Their size, estimated; None without images to judge by."""
    seconds: float | None
    """Time to fetch them, estimated; None without images to judge by."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What a sample says of one size variant."""

    name: str
    """`original`, or the shorter side that is asked for, e.g. `512 px`."""
    n: int
    """URLs that told their size."""
    n_failed: int
    """URLs that did not: dead, or silent about it."""
    mean_bytes: float | None
    """Mean size; None if none told."""
    low_bytes: float | None
    """Lower end of the mean's 95 % interval."""
    high_bytes: float | None
    """Upper end of it."""
    seconds_each: float | None
    """Time for one image among many at once, as polite as the settings are."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What fits into a given space."""

    bytes: int
    """The space."""
    variant: str | None
    """The largest variant with which that cap fits; None: nothing fits."""
    max_per_class: int
    """The largest cap that fits in any variant; 0: none does."""
    images: int
    """Images under that cap."""
    needed_bytes: int
    """Their size, estimated."""
    caps: Mapping[str, int]
    """The largest cap of each variant; 0: it does not fit."""


@dataclass(frozen=True, slots=True)
class Tail:
    """How unevenly candidates are spread over classes."""

    classes: int
    """Classes that have any."""
    candidates: int
    """Candidates of all of them."""
    median: int
    """Candidates of the class in the middle."""
    top_fifth_share: float
    """Share of the candidates that the largest fifth of the classes holds, 0-1."""
    classes_for_80_percent: int
    """The largest classes that together hold 80 % of the candidates."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Candidates per class, and what thresholds would make of them."""

    classes: Mapping[str, int]
    """Candidates by class; empty text: of no class."""
    thresholds: tuple[Threshold, ...]
    """Several minima, each without a maximum and capped at the minimum itself."""
    chosen: Threshold
    """The limits that were asked for."""
    sample: Sample
    """The sizes behind the estimates."""
    tail: Tail
    """How long the tail is."""
    variants: tuple[Variant, ...] = ()
    """What a sample of URLs said, the largest variant first."""
    budget: Budget | None = None
    """What fits into the space that was given."""
    n_with_class: int | None = None
    """Different candidates that have a class, one of several classes once; None: not known."""

    def to_json(self) -> dict[str, Any]:
        """Return the document that `curate plan --json` prints."""
        mean, spread = self.sample.mean_bytes, spread_of(self.sample)
        return {
            "classes": dict(self.classes),
            "thresholds": [asdict(each) for each in self.thresholds],
            "chosen": asdict(self.chosen),
            "bytes_per_image": {
                "mean": mean,
                "low": None if mean is None else max(0.0, mean - spread),
                "high": None if mean is None else mean + spread,
                "n": self.sample.n,
            },
            "tail": asdict(self.tail),
            "with_class": self.n_with_class,
            "variants": [asdict(each) for each in self.variants],
            "budget": None if self.budget is None else asdict(self.budget),
        }


def make_plan(
    classes: Mapping[str, int],
    sample: Sample,
    min_per_class: int,
    max_per_class: int | None,
    *,
    variants: Sequence[Variant] = (),
    budget_bytes: int | None = None,
    n_with_class: int | None = None,
) -> Plan:
    """Work out what thresholds would keep.

    Args:
        classes: candidates by class; those of no class (empty text) meet no threshold.
        sample: images to estimate sizes and times from.
        min_per_class: the chosen minimum.
        max_per_class: the chosen maximum; None: no cap.
        variants: what size variants weigh, the largest first.
        budget_bytes: space to fit into; None: none is given.
        n_with_class: different candidates that have a class; None: not known.
    """
    sizes = sorted((n for name, n in classes.items() if name and n), reverse=True)
    largest = sizes[0] if sizes else 0
    steps = [step for step in STEPS if step <= largest]
    least = max(1, min_per_class)
    means = {each.name: each.mean_bytes for each in variants if each.mean_bytes}
    if not means and sample.mean_bytes:
        means = {"fetched so far": sample.mean_bytes}
    return Plan(
        classes=classes,
        thresholds=tuple(
            _threshold(sizes, sample, step, cap) for step in steps for cap in (None, step)
        ),
        chosen=_threshold(sizes, sample, least, max_per_class),
        sample=sample,
        tail=_tail(sizes),
        variants=tuple(variants),
        n_with_class=n_with_class,
        budget=None
        if budget_bytes is None
        else _budget(sizes, means, least, max_per_class, budget_bytes),
    )


def _threshold(sizes: list[int], sample: Sample, least: int, cap: int | None) -> Threshold:
    kept = [n if cap is None else min(n, cap) for n in sizes if n >= least]
    images = sum(kept)
    return Threshold(
        min=least,
        max=cap,
        classes=len(kept),
        images=images,
        bytes=None if sample.mean_bytes is None else round(images * sample.mean_bytes),
        seconds=None if sample.seconds_each is None else round(images * sample.seconds_each, 1),
    )


def _tail(sizes: list[int]) -> Tail:
    total = sum(sizes)
    sums = list(accumulate(sizes))
    fifth = math.ceil(len(sizes) / 5)
    return Tail(
        classes=len(sizes),
        candidates=total,
        median=sizes[len(sizes) // 2] if sizes else 0,
        top_fifth_share=round(sums[fifth - 1] / total, 4) if total else 0.0,
        classes_for_80_percent=bisect_left(sums, 0.8 * total) + 1 if total else 0,
    )


def _budget(
    sizes: list[int],
    means: Mapping[str, float],
    least: int,
    most: int | None,
    space_bytes: int,
) -> Budget:
    """Find the largest cap that fits in any variant, and the largest variant it fits in."""
    caps = {
        name: _largest_cap(sizes, least, most, int(space_bytes / mean))
        for name, mean in means.items()
    }
    cap = max(caps.values(), default=0)
    variant = next((name for name, own in caps.items() if own == cap), None) if cap else None
    images = _capped(sizes, least, cap) if cap else 0
    needed = round(images * means[variant]) if variant is not None else 0
    return Budget(space_bytes, variant, cap, images, needed, caps)


def _largest_cap(sizes: list[int], least: int, most: int | None, n_images: int) -> int:
    """Return the largest cap, not below the minimum, that keeps at most so many images."""
    high = min(sizes[0] if sizes else 0, most or math.inf)
    low = least - 1
    high = int(high)
    while low < high:
        middle = (low + high + 1) // 2
        if _capped(sizes, least, middle) <= n_images:
            low = middle
        else:
            high = middle - 1
    return low if low >= least else 0


def _capped(sizes: list[int], least: int, cap: int) -> int:
    return sum(min(n, cap) for n in sizes if n >= least)


def spread_of(sample: Sample) -> float:
    """Return half of the 95 % interval of the mean, in bytes."""
    if sample.n < 2 or sample.sd_bytes is None:
        return 0.0
    return Z_95 * sample.sd_bytes / math.sqrt(sample.n)
