"""A second search after a few new images, against the first one over all of them.

Both run in this process, and are measured by CPU time: a command adds its start-up to each
(`curate --help` in the catalog's table), which says nothing about searching. The images are
random hashes; in the harder cases a tenth of them are copies of others, and so are some or
all of the new ones, which is what costs: groups and exclusions must be made anew.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

from curate.catalog.database import Database
from curate.config import DedupeSettings
from curate.dedupe.search import dedupe
from tests.benchmarks.report import Options, talk
from tests.benchmarks.runs import table
from tests.dedupe.rows import Image, add

N_NEW: Final = 100
CASES: Final = (
    ("no copies", 0.0, 0.0),
    ("a tenth are copies", 0.1, 0.1),
    ("a tenth are copies, all new ones are", 0.1, 1.0),
)
HEAD: Final = ("images", "first search, CPU s", f"after {N_NEW} more, CPU s", "a part of the first")


def _world(n: int, copied: float, new_copied: float) -> tuple[list[Image], list[Image]]:
    rng = random.Random(n)
    first = [Image(f"{i}", rng.getrandbits(64), rng.randbytes(32)) for i in range(n)]
    for place in range(int(n * copied)):
        of = first[n - 1 - place]
        first[place] = Image(f"copy {place}", of.phash ^ 3, of.phash256)
    new = []
    for number in range(N_NEW):
        if number < N_NEW * new_copied:
            of = first[number * 7]
            new.append(Image(f"new {number}", of.phash ^ 5, of.phash256))
        else:
            new.append(Image(f"new {number}", rng.getrandbits(64), rng.randbytes(32)))
    return first, new


def _once(n: int, copied: float, new_copied: float, folder: Path) -> tuple[float, float]:
    first, new = _world(n, copied, new_copied)
    db = Database(folder / "catalog.db")
    try:
        add(db, first)
        start = time.process_time()
        dedupe(db, folder, DedupeSettings())
        middle = time.process_time()
        add(db, new)
        again = time.process_time()
        found = dedupe(db, folder, DedupeSettings())
        end = time.process_time()
    finally:
        db.close()
    if found.compared != N_NEW:
        raise RuntimeError(f"{found.compared} images were compared instead of {N_NEW}")
    return middle - start, end - again


def _rows(options: Options) -> Iterator[list[str]]:
    n = 10_000 if options.quick else 100_000
    for what, copied, new_copied in CASES:
        runs = []
        for number in range(options.rounds):
            with tempfile.TemporaryDirectory(dir=options.work) as folder:
                runs.append(_once(n, copied, new_copied, Path(folder)))
            talk(f"incremental {number + 1} {what}: {runs[-1][0]:.2f} s, {runs[-1][1]:.4f} s")
        first, second = (median(run[side] for run in runs) for side in (0, 1))
        part = f"1/{first / second:.0f}"
        yield [f"{n:,}: {what}", f"{first:.2f}", f"{second:.3f}", part]


def bench(options: Options) -> str:
    """Measure all cases; return a table."""
    return table(HEAD, list(_rows(options)))
