"""A manifest of a million rows: how long it takes to make, check and compare, and to be read.

The rows are those of a large natural collection (2,451 classes of very unequal size, one row in
ten in a group, every column filled). Each step runs in a process of its own, as a user's would;
making the input table is not counted. Readers count rows and labels, and must agree.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from hashlib import sha256
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from tests.benchmarks.measure import Cost, run
from tests.benchmarks.report import Options, setting, talk
from tests.benchmarks.runs import clean_env, table

FULL, QUICK = 1_000_000, 50_000
CLASSES: Final = 2_451
PROGRAM: Final = "tests.benchmarks.manifest"
HEAD: Final = ("what", "seconds", "CPU s", "peak MiB")
READERS: Final = {
    "pandas": "pandas.read_parquet",
    "polars": "polars.read_parquet",
    "duckdb": "DuckDB, every column",
    "datasets": "datasets.load_dataset, first time",
}
_COUNT = "print(json.dumps([rows, labels, time.perf_counter() - began]))\n"
_START = "import glob, json, sys, time\nfiles = sorted(glob.glob(sys.argv[1] + '/*.parquet'))\n"
_PROGRAMS: Final = {
    "pandas": "import pandas\nbegan = time.perf_counter()\n"
    "frame = pandas.concat(map(pandas.read_parquet, files))\n"
    "rows, labels = len(frame), int(frame['labels'].map(len).sum())\n",
    "polars": "import polars\nbegan = time.perf_counter()\n"
    "frame = polars.read_parquet(files)\n"
    "rows, labels = frame.height, int(frame['labels'].list.len().sum())\n",
    "duckdb": "import duckdb\nbegan = time.perf_counter()\n"
    "frame = duckdb.sql(f'SELECT * FROM read_parquet({files})').to_arrow_table()\n"
    "rows, labels = frame.num_rows, len(frame['labels'].combine_chunks().flatten())\n",
    "datasets": "import datasets\nbegan = time.perf_counter()\n"
    "loaded = datasets.load_dataset(sys.argv[1], cache_dir=sys.argv[2])\n"
    "rows = sum(part.num_rows for part in loaded.values())\n"
    "parts = [part.data['labels'] for part in loaded.values()]\n"
    "labels = sum(len(each.combine_chunks().flatten()) for each in parts)\n",
}


def rows_of(n: int) -> Any:
    """Make the table of kept images that `pack` takes, column by column."""
    import pyarrow as pa

    from curate.pack import INPUT

    chance = np.random.default_rng(11)
    digests = [sha256(str(number).encode()).hexdigest() for number in range(n)]
    weights = 1 / np.arange(1, CLASSES + 1) ** 0.8
    codes = chance.choice(CLASSES, n, p=weights / weights.sum())
    names = pa.array([f"Species {number:04d}" for number in range(CLASSES)])
    groups = [[f"occurrence:{number // 3}"] if number < n // 10 else [] for number in range(n)]
    authors = pa.array([f"Observer {number}" for number in range(5000)])
    who = authors.take(pa.array(chance.integers(0, 5000, n)))
    numbers = np.arange(n)
    single = pa.ListArray.from_arrays(
        pa.array(np.arange(n + 1), pa.int32()), names.take(pa.array(codes))
    )
    query = pa.ListArray.from_arrays(
        pa.array(np.arange(n + 1), pa.int32()), pa.array(["fungi"] * n)
    )
    empty = pa.array([[]] * n, pa.list_(pa.string()))
    columns: dict[str, Any] = {
        "image_id": digests,
        "path": [f"images/{name[:2]}/{name}.jpg" for name in digests],
        "n_bytes": chance.integers(20_000, 900_000, n),
        "width_px": pa.array(np.full(n, 1024), pa.int32()),
        "height_px": pa.array(chance.integers(600, 1024, n), pa.int32()),
        "format": ["jpeg"] * n,
        "phash": pa.array(chance.integers(0, 2**63, n).astype(np.uint64)),
        "labels": single,
        "label_origin": ["source"] * n,
        "annotators": empty,
        "audited": pa.array(np.zeros(n, dtype=bool)),
        "group_hints": groups,
        "source": ["gbif"] * n,
        "source_id": [f"{number}:0" for number in numbers],
        "url": [f"https://images.example.org/{number:08d}/original.jpg" for number in numbers],
        "page_url": [f"https://example.org/occurrence/{number}" for number in numbers],
        "author": who,
        "license": ["CC-BY-4.0"] * n,
        "attribution": who,
        "query": query,
        "meta": pa.array(
            [[("country", "DK"), ("year", str(2000 + number % 25))] for number in range(n)],
            INPUT.field("meta").type,
        ),
        "fetched_at": pa.array(numbers * 1_000_000, pa.timestamp("us", tz="UTC")),
    }
    made = []
    for field in INPUT:
        column = columns.get(field.name)
        if column is None:
            kind = pa.types.is_list(field.type) and not field.nullable
            made.append(empty if kind else pa.nulls(n, field.type))
        else:
            array = column if isinstance(column, pa.Array) else pa.array(column, field.type)
            made.append(array.cast(field.type))
    return pa.table(made, schema=INPUT)


def make(folder: Path, n: int) -> None:
    """Make a manifest; print the seconds of deciding and of writing."""
    from curate.pack import Recipe, pack

    given = rows_of(n)
    marks = [_now()]

    def progress(stage: str, done: int, total: int | None = None, **_counts: int) -> None:
        if stage == "balance" and done == total:
            marks.append(_now())

    pack(given, Recipe(min_per_class=2), folder, near_duplicates_searched=True, progress=progress)
    _tell(("decide", "write"), [*marks, _now()])


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _tell(names: tuple[str, ...], marks: list[tuple[float, float]]) -> None:
    """Print wall and CPU seconds between marks, by name."""
    spans = zip(names, pairwise(marks), strict=True)
    print(  # noqa: T201 - the result
        json.dumps({name: [b - a for a, b in zip(*pair, strict=True)] for name, pair in spans})
    )


def check(folder: Path) -> None:
    """Verify and compare; print the seconds of each."""
    from curate.pack import read_manifest, verify_manifest
    from curate.pack.diff import diff

    path = folder / "manifests" / "v0001"
    marks = [_now()]
    assert verify_manifest(path) == []
    marks.append(_now())
    manifest = read_manifest(path)
    assert diff(manifest, manifest).is_empty
    _tell(("verify", "diff"), [*marks, _now()])


def _child(words: list[str], work: Path) -> tuple[Any, Cost]:
    """Run a program that must succeed and prints one JSON document.

    Raises:
        RuntimeError: it did not; the message is its last output.
    """
    env = clean_env(work, PYTHONPATH=str(Path.cwd()), HF_HUB_OFFLINE="1")
    cost = run([sys.executable, *words], env, work)
    if cost.exit_code:
        raise RuntimeError(f"{words[:3]} ended with {cost.exit_code}: {cost.stderr[-2000:]}")
    return json.loads(cost.stdout.splitlines()[-1]), cost


def bench(options: Options) -> str:
    """Return the report in Markdown."""
    n = QUICK if options.quick else FULL
    rows = []
    with tempfile.TemporaryDirectory(prefix="curate-bench-", dir=options.work) as folder:
        work = Path(folder)
        times: list[dict[str, list[float]]] = []
        peak = 0.0
        for number in range(options.rounds):
            talk(f"manifest: {n:,} rows, round {number + 1}")
            project = work / f"project{number}"
            found, cost = _child(["-m", PROGRAM, "make", str(project), str(n)], work)
            times.append(found)
            peak = max(peak, cost.peak_mib)
        for key, what in (
            ("decide", "group, balance, split, count"),
            ("write", "write Parquet, hashes, card, attribution, and read back for leaks"),
        ):
            spans = [[each[key][place] for each in times] for place in (0, 1)]
            rows.append([what, *(f"{median(each):.1f}" for each in spans), f"{peak:.0f}"])
        project = work / "project0"
        found, cost = _child(["-m", PROGRAM, "check", str(project)], work)
        for key, what in (("verify", "`manifest verify --no-images`"), ("diff", "`manifest diff`")):
            rows.append([what, *(f"{each:.1f}" for each in found[key]), f"{cost.peak_mib:.0f}"])
        rows += _read(project / "manifests" / "v0001", work)
    return (
        f"{n:,} rows, {CLASSES:,} classes. "
        f"{setting('pyarrow', 'pandas', 'polars', 'duckdb', 'datasets')}\n\n{table(HEAD, rows)}"
    )


def _read(path: Path, work: Path) -> list[list[str]]:
    """Read the manifest by every library; all must count the same."""
    said = json.loads((path / "manifest.json").read_text("utf-8"))
    want = [sum(said["images"].values()), sum(each["after"] for each in said["classes"].values())]
    rows = []
    for name, what in READERS.items():
        if find_spec(name) is None:
            talk(f"manifest: {name} is not installed (dependency group `exports`)")
            continue
        talk(f"manifest: read by {name}")
        program = _START + _PROGRAMS[name] + _COUNT
        words = ["-c", program, str(path), str(work / "cache")]
        (n_rows, n_labels, seconds), cost = _child(words, work)
        assert [n_rows, n_labels] == want, f"{name} counts {n_rows} rows and {n_labels} labels"
        rows.append([what, f"{seconds:.1f}", f"{cost.cpu_s:.1f}", f"{cost.peak_mib:.0f}"])
    return rows


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        check(Path(sys.argv[2]))
