"""What a class threshold would keep, before anything is downloaded: the numbers of `curate plan`.

Candidates are counted per class; bytes and seconds are estimated from the images that the
project has already, so an empty project gives counts alone. Candidates are not images: some
are dead, corrupt or the same, so a plan is an upper bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
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
class Plan:
    """Candidates per class, and what thresholds would make of them."""

    classes: Mapping[str, int]
    """Candidates by class; empty text: of no class."""
    thresholds: tuple[Threshold, ...]
    """Several minima, each without a maximum and capped at the minimum itself."""
    chosen: Threshold
    """The limits that were asked for."""
    sample: Sample
    """The images behind the estimates."""

    def to_json(self) -> dict[str, Any]:
        """Return the document that `curate plan --json` prints."""
        mean, spread = self.sample.mean_bytes, _spread(self.sample)
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
        }


def make_plan(
    classes: Mapping[str, int], sample: Sample, min_per_class: int, max_per_class: int | None
) -> Plan:
    """Work out what thresholds would keep.

    Args:
        classes: candidates by class; those of no class (empty text) meet no threshold.
        sample: images to estimate sizes and times from.
        min_per_class: the chosen minimum.
        max_per_class: the chosen maximum; None: no cap.
    """
    sizes = sorted((n for name, n in classes.items() if name), reverse=True)
    largest = sizes[0] if sizes else 0
    steps = [step for step in STEPS if step <= largest]
    return Plan(
        classes=classes,
        thresholds=tuple(
            _threshold(sizes, sample, step, cap) for step in steps for cap in (None, step)
        ),
        chosen=_threshold(sizes, sample, max(1, min_per_class), max_per_class),
        sample=sample,
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


def _spread(sample: Sample) -> float:
    """Return half of the 95 % interval of the mean, in bytes."""
    if sample.n < 2 or sample.sd_bytes is None:
        return 0.0
    return Z_95 * sample.sd_bytes / math.sqrt(sample.n)
