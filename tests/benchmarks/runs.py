"""One measured run of one client over the corpus, and how runs become a table.

Whoever downloads, the yardstick is the same: which files were kept, judged by what the
corpus says they are, and what the process tree cost.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.benchmarks.corpus import DAMAGED, Corpus, Item
from tests.benchmarks.measure import Cost
from tests.benchmarks.server import Server


@dataclass(frozen=True, slots=True)
class Job:
    """What a client is given: the same for every client of a scenario."""

    corpus: Corpus
    server: Server
    url_list: Path
    """Parquet with the one column `url`."""
    work: Path
    """A fresh folder for the client's output."""


@dataclass(frozen=True, slots=True)
class Run:
    """What came of it."""

    cost: Cost
    kept: frozenset[str]
    """Names of the corpus files that the client kept as good images."""

    def found(self, corpus: Corpus, *kinds: str) -> int:
        """How many files of these kinds were not kept."""
        return sum(item.kind in kinds and item.name not in self.kept for item in corpus.items)

    def lost(self, corpus: Corpus) -> int:
        """How many good files were not kept: false alarms and failed downloads."""
        return sum(i.kind not in DAMAGED and i.name not in self.kept for i in corpus.items)


@dataclass(frozen=True, slots=True)
class Summary:
    """Medians over the runs of one client in one scenario."""

    client: str
    images_per_s: float
    """Files of the corpus, good and bad, by wall time."""
    cpu_s: float
    """CPU seconds per 1,000 files."""
    steady_cpu_s: float
    """The same without the start-up, as measured on a list of a few files."""
    peak_mib: float
    damage: str
    """Damage found by kind, as `truncated/ten flips/one flip/HTML and empty`."""
    lost: int
    """Most good files lost in any run."""


def summarize(client: str, corpus: Corpus, runs: Sequence[Run], startup_cpu_s: float) -> Summary:
    """Medians of one client's runs; damage and losses are those of the worst run."""
    cpu_s = median(run.cost.cpu_s for run in runs)
    n = len(corpus.items)
    kinds = (("truncated",), ("flip10",), ("flip1",), ("html", "empty"))
    damage = [min(run.found(corpus, *names) for run in runs) for names in kinds]
    return Summary(
        client=client,
        images_per_s=n / median(run.cost.wall_s for run in runs),
        cpu_s=cpu_s / n * 1000,
        steady_cpu_s=(cpu_s - startup_cpu_s) / n * 1000,
        peak_mib=median(run.cost.peak_mib for run in runs),
        damage=" / ".join(map(str, damage)),
        lost=max(run.lost(corpus) for run in runs),
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def clean_env(work: Path, **more: str) -> dict[str, str]:
    """An environment without the user's home, keys or proxies.

    Args:
        work: becomes the home folder.
        more: further variables.
    """
    scripts = str(Path(sys.executable).parent)
    path = os.pathsep.join((scripts, os.environ.get("PATH", os.defpath)))
    return {"PATH": path, "HOME": str(work), "LANG": "C.UTF-8", **more}


def script(name: str) -> str:
    """Path of a console script of the running interpreter's environment."""
    return str(Path(sys.executable).with_name(name))


def write_urls(items: Iterable[Item], base_url: str, path: Path) -> None:
    """Write the URL list that every client reads."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"url": [f"{base_url}/{item.name}" for item in items]}), path)
