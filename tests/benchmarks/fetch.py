"""Fetch end to end against img2dataset: same server, same bytes, two processes each.

Clients take turns within a round (the machine drifts by more than the differences that
matter), every run starts from an empty folder, and medians over the rounds are compared.
A short list first tells what each client's start-up costs, and warms the caches. Output
goes to a tmpfs where there is one, so that the disk is not what is measured.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tests.benchmarks import ours, peers
from tests.benchmarks.corpus import Corpus, load
from tests.benchmarks.decode import decode
from tests.benchmarks.report import Options, setting, talk
from tests.benchmarks.runs import Job, Run, Summary, summarize, table, write_urls
from tests.benchmarks.server import Server, serve

OURS: Final = "curate"
KEEP: Final = "img2dataset, verify and keep"
RE_ENCODE: Final = "img2dataset, re-encode"
DECODE: Final = "bare strict 1/8 decode"
CLIENTS: Final[Mapping[str, Callable[[Job], Run]]] = {
    OURS: ours.fetch,
    KEEP: peers.verify_and_keep,
    RE_ENCODE: peers.re_encode,
}
STARTUP_FILES: Final = 20
HEAD: Final = (
    "client",
    "images/s",
    "CPU-s per 1,000",
    "without start-up",
    "peak MiB",
    "damage found",
    "good images lost",
)
RATIO_HEAD: Final = ("curate against", "images/s", "images per CPU-s", "without start-up", "memory")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way in which the server answers."""

    name: str
    clients: tuple[str, ...]
    tls: bool = False
    delay_s: float = 0.0


SCENARIOS: Final = (
    Scenario("plain", (OURS, KEEP, RE_ENCODE)),
    Scenario("latency", (OURS, KEEP), delay_s=0.1),
    Scenario("tls", (OURS, KEEP), tls=True),
)
TITLES: Final = {"plain": "Plain HTTP", "latency": "100 ms latency", "tls": "TLS"}


def _one(client: str, corpus: Corpus, server: Server, folder: Path) -> Run:
    """One run of one client in a folder that is removed afterwards."""
    folder.mkdir()
    try:
        urls = folder / "urls.parquet"
        write_urls(corpus.items, server.base_url, urls)
        return CLIENTS[client](Job(corpus, server, urls, folder))
    finally:
        shutil.rmtree(folder)


def _scenario(
    scenario: Scenario, clients: Sequence[str], corpus: Corpus, rounds: int, folder: Path
) -> tuple[str, list[Summary]]:
    """Run the rounds of one scenario; return the server's kind and a summary per client."""
    runs: dict[str, list[Run]] = {client: [] for client in clients}
    runs[DECODE] = []
    startup_cpu_s = dict.fromkeys(runs, 0.0)
    short = replace(corpus, items=corpus.items[:STARTUP_FILES])
    with serve(
        corpus.files, folder / "server", tls=scenario.tls, delay_s=scenario.delay_s
    ) as server:
        for client in clients:
            startup_cpu_s[client] = _one(client, short, server, folder / "run").cost.cpu_s
        for number in range(rounds):
            for client in clients:
                run = _one(client, corpus, server, folder / "run")
                runs[client].append(run)
                speed = f"{len(corpus.items) / run.cost.wall_s:.0f} images/s"
                talk(f"{scenario.name} {number + 1} {client}: {speed}, {run.cost.cpu_s:.1f} CPU-s")
            runs[DECODE].append(decode(corpus))
        return server.kind, [
            summarize(name, corpus, done, startup_cpu_s[name]) for name, done in runs.items()
        ]


def _cells(row: Summary) -> list[str]:
    peak = f"{row.peak_mib:.0f}" if row.peak_mib else ""
    return [
        row.client,
        f"{row.images_per_s:.0f}",
        f"{row.cpu_s:.2f}",
        f"{row.steady_cpu_s:.2f}",
        peak,
        row.damage,
        str(row.lost),
    ]


def _ratios(rows: Sequence[Summary]) -> str:
    """How many times better ours is than each peer; empty if ours did not run."""
    mine = next((row for row in rows if row.client == OURS), None)
    if mine is None:
        return ""
    lines = []
    for row in rows:
        cpu = f"{row.cpu_s / mine.cpu_s:.2f}x"
        steady = f"{row.steady_cpu_s / mine.steady_cpu_s:.2f}x"
        if row.client == DECODE:
            whole, rest = mine.cpu_s / row.cpu_s, mine.steady_cpu_s / row.cpu_s
            lines.append([row.client, "", f"{whole:.2f}x its CPU", f"{rest:.2f}x its CPU", ""])
        elif row.client != OURS:
            speed = f"{mine.images_per_s / row.images_per_s:.2f}x"
            lines.append([row.client, speed, cpu, steady, f"{mine.peak_mib / row.peak_mib:.2f}x"])
    return "\n" + table(RATIO_HEAD, lines)


def bench(options: Options) -> str:
    """Run the chosen scenarios and clients; return the report in Markdown."""
    corpus = load(options.quick)
    base = Path("/dev/shm") if options.work is None and Path("/dev/shm").is_dir() else options.work
    parts, kinds = [], set()
    with tempfile.TemporaryDirectory(prefix="curate-bench-", dir=base) as folder:
        for scenario in SCENARIOS:
            if options.scenarios and scenario.name not in options.scenarios:
                continue
            clients = [c for c in scenario.clients if not options.clients or c in options.clients]
            work = Path(folder) / scenario.name
            work.mkdir()
            kind, rows = _scenario(scenario, clients, corpus, options.rounds, work)
            kinds.add(kind)
            text = table(HEAD, [_cells(row) for row in rows]) + _ratios(rows)
            parts.append(f"### {TITLES[scenario.name]}\n\n{text}")
    where = "a tmpfs" if base == Path("/dev/shm") else "a folder that was chosen"
    head = (
        f"{len(corpus.items):,} files, {corpus.n_bytes / 1e6:.0f} MB; median of {options.rounds}, "
        f"clients taking turns; two worker processes each; server: {', '.join(sorted(kinds))}; "
        f"output on {where}. {setting('img2dataset', 'pycurl', 'simplejpeg')}\n\n"
        f"Damage found is truncated / ten flipped bits / one flipped bit / HTML and empty, of "
        f"{' / '.join(str(n) for n in _damage(corpus))}; a single flipped bit may leave valid data."
    )
    return "\n\n".join([head, *(part.rstrip() for part in parts)]) + "\n"


def _damage(corpus: Corpus) -> list[int]:
    kinds = [item.kind for item in corpus.items]
    return [
        kinds.count("truncated"),
        kinds.count("flip10"),
        kinds.count("flip1"),
        kinds.count("html") + kinds.count("empty"),
    ]
