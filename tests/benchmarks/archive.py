"""A GBIF download of the naturalist's size into the catalog, and against other readers.

Ours reads, joins, normalises licences and writes every candidate into SQLite; the others only
read: pandas both tables of the same rows and a merge, python-dwca-reader every row with its
extensions, at a smaller size. Quoting is off for all, or rows would be lost.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from pathlib import Path
from statistics import median
from typing import Final

from tests.benchmarks.archives import write_archive
from tests.benchmarks.measure import Cost, run
from tests.benchmarks.report import Options, setting, talk
from tests.benchmarks.runs import clean_env, script, table

FULL: Final = (1_430_000, 2_800_000)
COMPARED: Final = (50_000, 98_000)
QUICK: Final = (10_000, 19_600)
SELF: Final = "tests.benchmarks.archive"
HEAD: Final = ("what", "occurrences", "seconds", "peak MiB", "ours is faster by")


def add(archive: Path, project: Path) -> None:
    """Take an archive into the catalog of a new project."""
    from curate.catalog.database import NAME, Database
    from curate.catalog.searches import add_page, open_search
    from curate.sources import Query, SourceContext, create

    source = create("dwca", SourceContext(path=archive))
    db = Database(project / NAME)
    search = open_search(db, "dwca", "{}", "", now=0.0)
    for page in source.pages(Query(side_px=1024)):
        add_page(db, search.id, page.candidates, page.cursor, total=page.total)
    db.close()


def read_with_pandas(archive: Path) -> None:
    """Read both tables and merge them."""
    import pandas as pd

    with zipfile.ZipFile(archive) as opened:
        occurrences, media = (
            pd.read_csv(opened.open(name), sep="\t", quoting=3, dtype=str)
            for name in ("occurrence.txt", "multimedia.txt")
        )
    media["gbifID"] = media["gbifID"].str.strip()
    assert len(media.merge(occurrences, on="gbifID")) == len(media)


def read_with_dwca_reader(archive: Path) -> None:
    """Visit every row with its extensions."""
    from dwca.read import DwCAReader

    with DwCAReader(str(archive)) as reader:
        for row in reader:
            for _ in row.extensions:
                pass


def _cost(mode: str, archive: Path, work: Path) -> Cost:
    project = Path(tempfile.mkdtemp(dir=work))
    command = [sys.executable, "-m", SELF, mode, str(archive), str(project)]
    cost = run(command, clean_env(work, PYTHONPATH=str(Path.cwd())), work / "out")
    if cost.exit_code:
        raise RuntimeError(f"{command!r} ended with {cost.exit_code}: {cost.stderr[-2000:]}")
    return cost


def _row(what: str, n: int, costs: list[Cost], ours_s: float | None = None) -> list[str]:
    wall_s = median(cost.wall_s for cost in costs)
    ratio = "" if ours_s is None else f"{wall_s / ours_s:.1f}"
    peak = f"{max(cost.peak_mib for cost in costs):.0f}"
    return [what, f"{n:,}", f"{wall_s:.1f}", peak, ratio]


def bench(options: Options) -> str:
    """Return the report in Markdown."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="curate-bench-", dir=options.work) as folder:
        work = Path(folder)
        small = QUICK if options.quick else COMPARED
        write_archive(work / "small.zip", *small)
        costs: dict[str, list[Cost]] = {mode: [] for mode in MODES}
        for _ in range(options.rounds):
            for mode, each in costs.items():
                talk(f"archive: {mode}")
                each.append(_cost(mode, work / "small.zip", work))
        ours_s = median(cost.wall_s for cost in costs["add"])
        for mode, (what, _) in MODES.items():
            rows.append(_row(what, small[0], costs[mode], None if mode == "add" else ours_s))
        if not options.quick:
            rows += _whole(work)
    return f"Medians. {setting('pyarrow')}\n\n{table(HEAD, rows)}"


def _whole(work: Path) -> list[list[str]]:
    """The full size, once, and a plan of it."""
    talk("archive: the whole of it")
    write_archive(work / "whole.zip", *FULL)
    project = work / "project"
    project.mkdir()
    env = clean_env(work, PYTHONPATH=str(Path.cwd()))
    added = run(
        [sys.executable, "-m", SELF, "add", str(work / "whole.zip"), str(project)],
        env,
        work / "out",
    )
    plan = run([script("curate"), "plan", "-C", str(project), "--json"], env, work / "out")
    return [
        _row("curate, into the catalog", FULL[0], [added]),
        _row("`curate plan` of that catalog", FULL[0], [plan]),
    ]


MODES: Final = {
    "add": ("curate, into the catalog", add),
    "pandas": ("pandas, read and merged", lambda archive, _: read_with_pandas(archive)),
    "reader": ("python-dwca-reader", lambda archive, _: read_with_dwca_reader(archive)),
}

if __name__ == "__main__":
    MODES[sys.argv[1]][1](Path(sys.argv[2]), Path(sys.argv[3]))
