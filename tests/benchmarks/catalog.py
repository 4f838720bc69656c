"""100,000 candidates into the catalog, and how long the everyday commands then take.

The list is read and committed page by page by a process of its own, through the same calls
that `curate fetch --urls` makes before the first download; its imports are part of the time.
`curate status` and `curate --help` are timed as a user starts them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Final

from tests.benchmarks.measure import Cost, run
from tests.benchmarks.report import Options, setting, talk
from tests.benchmarks.runs import clean_env, script, table

FULL, QUICK = 100_000, 20_000
CLASSES: Final = 50
HELP_RUNS: Final = 10
STATUS_RUNS: Final = 5
HEAD: Final = ("what", "seconds", "peak MiB")
ADD: Final = "tests.benchmarks.catalog"


def _write_list(path: Path, n: int) -> None:
    """A list as a GBIF or Unsplash user would bring it: URL, class, licence, author."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "url": [f"https://images.example.org/photos/{i:08d}/original.jpg" for i in range(n)],
        "class": [f"class {i % CLASSES}" for i in range(n)],
        "license": ["CC-BY-4.0"] * n,
        "author": [f"Author {i % 997}" for i in range(n)],
    }
    pq.write_table(pa.table(columns), path)


def add(url_list: Path, project: Path) -> None:
    """Take a URL list into the catalog of a new project: what the measured process does."""
    from curate.catalog.database import NAME, Database
    from curate.catalog.searches import add_page, open_search
    from curate.sources import Query, SourceContext, create

    source = create("urls", SourceContext(path=url_list))
    db = Database(project / NAME)
    search = open_search(db, "urls", "{}", "", now=0.0)
    for page in source.pages(Query()):
        add_page(db, search.id, page.candidates, page.cursor, total=page.total)
    db.close()


def _run(command: list[str], work: Path) -> Cost:
    """Run a command that must succeed.

    Raises:
        RuntimeError: it did not; the message is its last output.
    """
    cost = run(command, clean_env(work, PYTHONPATH=str(Path.cwd())), work)
    if cost.exit_code:
        raise RuntimeError(f"{command!r} ended with {cost.exit_code}: {cost.stderr[-2000:]}")
    return cost


def _median(what: str, costs: list[Cost]) -> list[str]:
    wall_s = median(cost.wall_s for cost in costs)
    # Commands shorter than a few samples of memory have no peak worth printing.
    peak = f"{max(c.peak_mib for c in costs):.0f}" if wall_s > 1 else ""
    return [what, f"{wall_s:.2f}", peak]


def bench(options: Options) -> str:
    """Return the report in Markdown."""
    n = QUICK if options.quick else FULL
    rows = []
    with tempfile.TemporaryDirectory(prefix="curate-bench-", dir=options.work) as folder:
        work = Path(folder)
        url_list = work / "list.parquet"
        _write_list(url_list, n)
        adds, projects = [], [work / f"project{i}" for i in range(options.rounds)]
        for project in projects:
            project.mkdir()
            talk(f"catalog: {n:,} candidates")
            adds.append(
                _run([sys.executable, "-m", ADD, str(url_list), str(project)], work / "out")
            )
        rows.append(_median(f"{n:,} candidates from Parquet into the catalog", adds))
        status = [script("curate"), "status", "-C", str(projects[0]), "--json"]
        rows.append(
            _median(
                f"`curate status` on {n:,} candidates",
                [_run(status, work / "out") for _ in range(STATUS_RUNS)],
            )
        )
        helps = [_run([script("curate"), "--help"], work / "out") for _ in range(HELP_RUNS)]
        rows.append(_median("`curate --help`", helps))
    return f"Medians. {setting('pyarrow')}\n\n{table(HEAD, rows)}"


if __name__ == "__main__":
    add(Path(sys.argv[1]), Path(sys.argv[2]))
