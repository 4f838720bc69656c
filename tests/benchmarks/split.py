"""Splits side by side: time, memory, how far classes are off their shares, and leaks.

Every splitter gets the same synthetic rows and divides them 80/10/10 in a process of its own
(`split_peers.py`); the folds of those that make folds become test, val and train. Deviation is
the same for all: the largest difference, over classes and splits, between the share that the
split has of the class and its due, in images and in percent of the class. A leak is a group on
two sides.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.report import Options, setting, talk
from tests.benchmarks.runs import table
from tests.benchmarks.split_peers import SHARES

Ints = NDArray[np.int64]
PROGRAM: Final = "tests.benchmarks.split_peers"
TIMEOUT_S: Final = 1800
HEAD: Final = (
    "splitter",
    "CPU s",
    "times ours",
    "peak MiB",
    "largest deviation, images",
    "of the class",
    "mean deviation, images",
    "sizes off, images",
    "groups on two sides",
)


@dataclass(frozen=True, slots=True)
class Data:
    """Rows to be split."""

    rows: Ints
    """Row of each (row, class) pair."""
    codes: Ints
    """Class of each pair."""
    groups: Ints
    """Group of each row."""
    n_classes: int


@dataclass(frozen=True, slots=True)
class Case:
    """One table of the report."""

    title: str
    make: Callable[[int], Data]
    n_rows: int
    quick_rows: int
    splitters: tuple[str, ...]


def in_groups(n_rows: int, share: float, rng: np.random.Generator) -> Ints:
    """Put a share of the rows into groups of 2 to 6; the others are alone."""
    sizes = rng.integers(2, 7, size=int(n_rows * share / 4))
    grouped = np.repeat(np.arange(len(sizes)), sizes)
    alone = np.arange(n_rows - len(grouped)) + len(sizes)
    return np.concatenate([grouped, alone]).astype(np.int64)


def long_tail(n_rows: int, n_classes: int = 2451, share: float = 0.1) -> Data:
    """One class each, sizes by Zipf's law; a group is of one class, as photos of one find are."""
    rng = np.random.default_rng(n_rows)
    groups = in_groups(n_rows, share, rng)
    weights = 1 / np.arange(1, n_classes + 1) ** 0.8
    of_group = rng.choice(n_classes, int(groups.max()) + 1, p=weights / weights.sum())
    return Data(np.arange(n_rows), of_group[groups].astype(np.int64), groups, n_classes)


def several(n_rows: int, n_classes: int = 20, share: float = 0.1, least: int = 1) -> Data:
    """Any number of classes each, from common to rare, each image its own even in a group."""
    rng = np.random.default_rng(n_rows)
    likely = np.geomspace(0.4, 0.01, n_classes)
    has = rng.random((n_rows, n_classes)) < likely
    has[np.flatnonzero(~has.any(axis=1)), 0] = True
    while len(few := np.flatnonzero(has.sum(axis=1) < least)):
        has[few, rng.integers(0, n_classes, len(few))] = True
    rows, codes = np.nonzero(has)
    return Data(rows, codes, in_groups(n_rows, share, rng), n_classes)


ITERATIVE: Final = (
    "iterative-stratification, folds",
    "iterative-stratification, shuffle split twice",
)
CASES: Final = (
    Case(
        "2,451 classes with a long tail, 10 % of the images in groups",
        long_tail,
        1_000_000,
        100_000,
        ("curate", "train_test_split"),
    ),
    Case(
        "20 classes, one each, 10 % in groups",
        lambda n: long_tail(n, 20),
        200_000,
        100_000,
        ("curate", "StratifiedGroupKFold", "train_test_split"),
    ),
    Case(
        "20 classes, one each, nearly all in groups",
        lambda n: long_tail(n, 20, 0.95),
        200_000,
        100_000,
        ("curate", "StratifiedGroupKFold"),
    ),
    Case(
        "20 classes, several each, no groups",
        lambda n: several(n, share=0.0),
        20_000,
        5_000,
        ("curate", *ITERATIVE, "scikit-multilearn"),
    ),
    Case(
        "20 classes, several each, no groups",
        lambda n: several(n, share=0.0),
        400_000,
        20_000,
        ("curate", *ITERATIVE),
    ),
    Case(
        "20 classes, two or more each, no groups",
        lambda n: several(n, share=0.0, least=2),
        20_000,
        5_000,
        ("curate", *ITERATIVE),
    ),
    Case(
        "60 classes, several each, nearly every image another combination, no groups",
        lambda n: several(n, 60, share=0.0),
        20_000,
        5_000,
        ("curate", *ITERATIVE),
    ),
    Case(
        "20 classes, several each, 10 % in groups",
        several,
        1_000_000,
        100_000,
        ("curate",),
    ),
)


def judge(data: Data, split: Ints) -> list[str]:
    """Measure a split: deviations, sizes, leaks."""
    shares = np.array(SHARES)
    found = np.zeros((data.n_classes, 3))
    np.add.at(found, (data.codes, split[data.rows]), 1)
    total = found.sum(axis=1, keepdims=True)
    off = np.abs(found - total * shares)
    sizes = np.abs(np.bincount(split, minlength=3) - len(split) * shares).max()
    sides = len(np.unique(data.groups * 3 + split)) - len(np.unique(data.groups))
    return [
        f"{off.max():.1f}",
        f"{(off / np.maximum(total, 1)).max():.2%}",
        f"{off.mean():.3f}",
        f"{sizes:.0f}",
        f"{sides:,}",
    ]


def _measured(
    case: Case, data: Data, name: str, rounds: int, work: Path
) -> tuple[float, int, Ints] | None:
    """Run a splitter some times; None if it cannot, after saying so."""
    source, target = work / "data.npz", work / "split.npy"
    runs = []
    for _ in range(rounds):
        command = [sys.executable, "-m", PROGRAM, name, str(source), str(target)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
            )
        except (subprocess.SubprocessError, OSError) as error:
            last = str(getattr(error, "stderr", None) or error).strip().splitlines()[-1:]
            talk(f"  {name} failed: {last}")
            return None
        runs.append(json.loads(done.stdout))
        if runs[-1]["cpu_s"] > 30:
            break
    return median(run["cpu_s"] for run in runs), runs[0]["peak_mib"], np.load(target)


def _case(case: Case, options: Options, work: Path) -> str:
    n_rows = case.quick_rows if options.quick else case.n_rows
    talk(f"split: {n_rows:,} rows, {case.title}")
    data = case.make(n_rows)
    np.savez(
        work / "data.npz",
        rows=data.rows,
        codes=data.codes,
        groups=data.groups,
        n_classes=data.n_classes,
    )
    lines, ours = [], 0.0
    for name in case.splitters:
        found = _measured(case, data, name, options.rounds, work)
        if found is None:
            lines.append([name, *["not run"] * (len(HEAD) - 1)])
            continue
        cpu_s, peak_mib, split = found
        ours = ours or cpu_s
        times = "" if name == "curate" else f"{cpu_s / ours:.1f}"
        lines.append([name, f"{cpu_s:.3g}", times, str(peak_mib), *judge(data, split)])
    return f"**{n_rows:,} images, {case.title}**\n\n{table(HEAD, lines)}"


def bench(options: Options) -> str:
    """Measure all; return the section's text."""
    with tempfile.TemporaryDirectory(dir=options.work) as name:
        parts = [_case(case, options, Path(name)) for case in CASES]
    packages = ("numpy", "scikit-learn", "iterative-stratification", "scikit-multilearn")
    return "\n\n".join([f"{setting(*packages)} Each in a process of its own; medians.", *parts])
