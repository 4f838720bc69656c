"""A GBIF download of the naturalist's size into the catalog, and against other readers.

Two questions, each asked of all on the same file, in turns. Reading: who joins the media with
their records, whatever comes of it? Ours ends with candidates as columns, licences read and
addresses chosen, python-dwca-reader with rows, pandas with a table. And filling a catalog:
ours, and python-dwca-reader with what its user would write around it (`archive_peers.feed`).
The two catalogs are compared candidate by candidate.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Final

from tests.benchmarks import archive_peers
from tests.benchmarks.archives import write_archive
from tests.benchmarks.measure import Cost, run
from tests.benchmarks.report import Options, setting, talk
from tests.benchmarks.runs import clean_env, script, table

FULL: Final = (1_430_000, 2_800_000)
COMPARED: Final = (200_000, 392_000)
QUICK: Final = (10_000, 19_600)
SELF: Final = "tests.benchmarks.archive"
OLD_READER: Final = "CURATE_BENCH_DWCA16"
"""Names a Python with python-dwca-reader 0.16, which was three times slower than 0.17."""
HEAD: Final = (
    *("what", "occurrences", "seconds", "CPU seconds", "peak MiB"),
    *("ours is faster by", "and takes less CPU by"),
)


def read(archive: Path) -> None:
    """Turn an archive into candidates as columns."""
    from curate.sources import Query, SourceContext, create

    source = create("dwca", SourceContext(path=archive))
    n = sum(len(page.candidates) for page in source.pages(Query(side_px=archive_peers.SIDE_PX)))
    assert n


def add(archive: Path, project: Path) -> None:
    """Take an archive into the catalog of a new project."""
    from curate.carriers.asked import FetchRequest
    from curate.project import Project

    with Project(project) as opened:
        finder = opened.finder()
        request = FetchRequest(source="dwca", path=archive)
        for question in finder.open(opened.db, request):
            finder.take(opened.db, question)


READ: Final = {
    "read": "curate, candidates as columns",
    "visit": "python-dwca-reader, rows with extensions",
    "visit-old": "python-dwca-reader 0.16, the same",
    "merge": "pandas, both tables merged",
}
FILL: Final = {
    "add": "curate, into the catalog",
    "feed": "python-dwca-reader, into the same catalog",
}


def _cost(mode: str, archive: Path, work: Path) -> tuple[Cost, Path]:
    """Run a mode in a process of its own; return what it cost, and its project."""
    project = Path(tempfile.mkdtemp(dir=work))
    python, module = sys.executable, SELF
    if mode == "visit-old":
        python, module = os.environ[OLD_READER], archive_peers.__name__
    command = [python, "-m", module, *([mode] if module == SELF else []), str(archive)]
    command += [str(project)] if module == SELF else []
    cost = run(command, clean_env(work, PYTHONPATH=str(Path.cwd())), work / "out")
    if cost.exit_code:
        raise RuntimeError(f"{command!r} ended with {cost.exit_code}: {cost.stderr[-2000:]}")
    return cost, project


def _row(what: str, n: int, costs: list[Cost], ours: list[Cost] | None = None) -> list[str]:
    seconds = [median(each.wall_s for each in costs), median(each.cpu_s for each in costs)]
    peak = f"{max(cost.peak_mib for cost in costs):.0f}"
    ratios = ["", ""]
    if ours is not None:
        least = [median(each.wall_s for each in ours), median(each.cpu_s for each in ours)]
        ratios = [f"{theirs / own:.1f}" for theirs, own in zip(seconds, least, strict=True)]
    return [what, f"{n:,}", *(f"{each:.1f}" for each in seconds), peak, *ratios]


def bench(options: Options) -> str:
    """Return the report in Markdown."""
    size = QUICK if options.quick else COMPARED
    with tempfile.TemporaryDirectory(prefix="curate-bench-", dir=options.work) as folder:
        work = Path(folder)
        archive = work / "compared.zip"
        write_archive(archive, *size)
        modes = [each for each in (*READ, *FILL) if each != "visit-old" or OLD_READER in os.environ]
        costs: dict[str, list[Cost]] = {mode: [] for mode in modes}
        projects: dict[str, Path] = {}
        for _ in range(options.rounds):
            for mode in modes:
                talk(f"archive: {mode}")
                cost, projects[mode] = _cost(mode, archive, work)
                costs[mode].append(cost)
        rows = [*_rows(READ, size[0], costs), *_rows(FILL, size[0], costs)]
        agreed = _agreed(projects["add"], projects["feed"])
        if not options.quick:
            rows += _whole(work)
    made_with = setting("pyarrow", "python-dwca-reader", "pandas")
    return f"Medians. {made_with}\n\n{table(HEAD, rows)}\n{agreed}"


def _rows(modes: Mapping[str, str], n: int, costs: Mapping[str, list[Cost]]) -> list[list[str]]:
    """The rows of one question; the first mode is ours."""
    ours = costs[next(iter(modes))]
    return [
        _row(what, n, costs[mode], None if costs[mode] is ours else ours)
        for mode, what in modes.items()
        if mode in costs
    ]


def _agreed(ours: Path, theirs: Path) -> str:
    """Compare the two catalogs; what is in both must be the same."""
    same, only_ours, other_medium, wrong = archive_peers.differences(ours, theirs)
    if wrong or not same:
        raise RuntimeError(f"{wrong} candidates of {same + wrong} are not as python-dwca-reader's")
    return (
        f"The two catalogs agree in {same:,} candidates, field by field; {only_ours:,} are ours "
        "alone: their media name their record with a blank behind the id, which "
        f"python-dwca-reader does not find. For {other_medium:,}, that was the first of two media "
        "with one address.\n"
    )


def _whole(work: Path) -> list[list[str]]:
    """The full size, once, and a plan of it."""
    talk("archive: the whole of it")
    write_archive(work / "whole.zip", *FULL)
    added, project = _cost("add", work / "whole.zip", work)
    command = [script("curate"), "plan", "-C", str(project), "--json"]
    plan = run(command, clean_env(work, PYTHONPATH=str(Path.cwd())), work / "out")
    if plan.exit_code:
        raise RuntimeError(f"{command!r} ended with {plan.exit_code}: {plan.stderr[-2000:]}")
    return [
        _row(FILL["add"], FULL[0], [added]),
        _row("`curate plan` of that catalog", FULL[0], [plan]),
    ]


def main() -> None:
    """Run one mode: `add|feed|merge|read|visit ARCHIVE PROJECT`."""
    mode, archive, project = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    match mode:
        case "read":
            read(archive)
        case "visit":
            archive_peers.visit(archive)
        case "merge":
            archive_peers.merge(archive)
        case "add":
            add(archive, project)
        case "feed":
            archive_peers.feed(archive, project)
        case _:
            raise SystemExit(f"no mode {mode!r}")


if __name__ == "__main__":
    main()
