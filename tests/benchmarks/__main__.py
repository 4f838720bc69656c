"""Run benchmarks: `python -m tests.benchmarks [fetch] [catalog] [--quick] [--out PAGE]`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.benchmarks import (
    archive,
    audit,
    catalog,
    dedupe,
    fetch,
    learning,
    manifest,
    models,
    split,
)
from tests.benchmarks.report import Options, write_section

BENCHMARKS: Final[Mapping[str, tuple[str, Callable[[Options], str]]]] = {
    "fetch": ("Fetch", fetch.bench),
    "catalog": ("Catalog and command line", catalog.bench),
    "archive": ("Darwin Core Archives", archive.bench),
    "dedupe": ("Near-duplicates", dedupe.bench),
    "learning": ("Learning from corrections", learning.bench),
    "models": ("Pre-labelling", models.bench),
    "split": ("Splits", split.bench),
    "manifest": ("Manifests", manifest.bench),
    "audit": ("The audit page", audit.bench),
}
PAGE: Final = Path("docs/benchmarks.md")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; all")
    parser.add_argument(
        "--quick", action="store_true", help="1,000 files; writes no page unless --out"
    )
    parser.add_argument("--rounds", type=int, default=3, help="runs of each client (%(default)s)")
    parser.add_argument("--out", type=Path, help=f"page to rewrite a section of ({PAGE})")
    parser.add_argument("--work", type=Path, help="folder for output (a tmpfs if there is one)")
    parser.add_argument("--scenario", action="append", choices=list(fetch.TITLES), default=[])
    parser.add_argument("--client", action="append", choices=list(fetch.CLIENTS), default=[])
    args = parser.parse_args()
    if unknown := set(args.names) - set(BENCHMARKS):
        parser.error(f"no benchmark called {', '.join(sorted(unknown))}")
    partial = args.quick or args.scenario or args.client
    page = args.out or (None if partial else PAGE)
    options = Options(args.quick, args.rounds, args.work, tuple(args.scenario), tuple(args.client))
    for name in args.names or BENCHMARKS:
        heading, bench = BENCHMARKS[name]
        body = bench(options)
        print(f"## {heading}\n\n{body}")  # noqa: T201 - the result
        if page is not None:
            write_section(page, name, heading, body)


if __name__ == "__main__":
    main()
