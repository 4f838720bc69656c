"""Near-duplicates side by side: the search over random hashes, and copies planted in photos.

The search is measured by CPU time (one thread each; a busy machine moves wall time more) on
random hashes with planted neighbours, at sizes the peers can handle; every peer's number of
pairs must equal ours. The photos are real ones with planted edits: every tool gets the same
files, and is judged by pairs. Peers run in an environment of their own (`CURATE_BENCH_PEERS`,
see `dedupe_peers.py`); the photo part needs the shared test data and is left out without it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from curate.catalog.groups import Print
from curate.config import DedupeSettings
from curate.dedupe.cache import hashes_of
from curate.dedupe.search import confirmed, is_flat
from curate.fetch.verify import verify
from curate.records import Verified
from tests.benchmarks import incremental
from tests.benchmarks.report import Options, setting, talk
from tests.benchmarks.runs import table
from tests.dedupe.copies import PLAIN_EDITS, copies, origins, photos

SHARED: Final = Path(__file__).resolve().parents[3] / "shared" / "data"
PEER_PROGRAM: Final = Path(__file__).with_name("dedupe_peers.py")
TIMEOUT_S: Final = 1200

SEARCHES: Final = (
    (10_000, 4, ("faiss MultiHash", "faiss BinaryFlat", "pybktree", "imagededup")),
    (10_000, 8, ("faiss MultiHash", "faiss BinaryFlat", "pybktree", "imagededup")),
    (100_000, 4, ("faiss MultiHash", "faiss BinaryFlat")),
    (100_000, 8, ("faiss MultiHash", "faiss BinaryFlat")),
    (1_000_000, 4, ("faiss MultiHash",)),
    (1_000_000, 8, ()),
)
OURS: Final = """
import json, sys, time, resource
import numpy as np
from curate.dedupe.neighbours import pairs_within
hashes = np.load(sys.argv[1])
cpu, wall = time.process_time(), time.perf_counter()
n = sum(len(block.left) for block in pairs_within(hashes, int(sys.argv[2])))
print(json.dumps({"pairs": n, "cpu_s": time.process_time() - cpu,
    "wall_s": time.perf_counter() - wall,
    "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
"""


@dataclass(frozen=True, slots=True)
class Files:
    """Photos with planted copies, as files in one folder."""

    names: list[str]
    origin: list[int]
    mirrored_origin: list[int]
    """The same where mirror images among the photos count as one."""
    kind: list[str]

    def truth(self, kinds: Sequence[str]) -> set[tuple[str, str]]:
        """Pairs of files that show the same photo, among some kinds of file."""
        by_origin: dict[int, list[str]] = {}
        origins = self.mirrored_origin if "flip" in kinds else self.origin
        for name, origin, kind in zip(self.names, origins, self.kind, strict=True):
            if kind in kinds:
                by_origin.setdefault(origin, []).append(name)
        return {pair for each in by_origin.values() for pair in combinations(sorted(each), 2)}


def planted(n: int) -> NDArray[np.uint64]:
    """Random hashes; every hundredth is a copy of another with up to ten flipped bits."""
    rng = np.random.default_rng(n)
    hashes = rng.integers(0, 2**64, n, dtype=np.uint64)
    for place in range(0, n, 100):
        flips = np.uint64(sum(1 << int(bit) for bit in rng.choice(64, place // 100 % 11, False)))
        hashes[place] = hashes[place + 1] ^ flips
    return hashes


def _peer(python: str, *arguments: str) -> dict[str, Any] | None:
    """Run a peer; None if it fails, after saying so."""
    command = [python, str(PEER_PROGRAM), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
        result: dict[str, Any] = json.loads(done.stdout)
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        last = getattr(error, "stderr", None) or str(error)
        talk(f"  {arguments[0]} failed: {str(last).strip().splitlines()[-1:]}")
        return None
    return result


def _searches(options: Options, peers: str, work: Path) -> Iterator[list[str]]:
    for n, radius, names in SEARCHES:
        if options.quick and n > 100_000:
            continue
        talk(f"search {n:,} radius {radius}")
        file = work / f"{n}.npy"
        np.save(file, planted(n))
        runs = []
        for _ in range(options.rounds):
            command = [sys.executable, "-c", OURS, str(file), str(radius)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            runs.append(json.loads(done.stdout))
        ours = median(run["cpu_s"] for run in runs)
        others = []
        for name in names if peers else ():
            result = _peer(peers, name, "neighbours", str(file), str(radius))
            if result is None:
                continue
            agrees = "" if result["pairs"] == runs[0]["pairs"] else f" ({result['pairs']:,} pairs)"
            others.append(f"{name} {result['cpu_s']:.3g} s, {result['cpu_s'] / ours:.0f}x{agrees}")
        yield [
            f"{n:,}",
            str(radius),
            f"{runs[0]['pairs']:,}",
            f"{ours:.2f}",
            str(max(run["peak_mib"] for run in runs)),
            "; ".join(others) or "-",
        ]


def _plant(folder: Path, every: int) -> Files:
    """Write photos and their copies into one folder."""
    paths = photos(SHARED)
    same = origins(SHARED, paths)
    mirrored = origins(SHARED, paths, mirrored=True)
    files = Files([], [], [], [])
    for number, path in enumerate(paths[::every]):
        for kind, data in (("original", path.read_bytes()), *copies(path)):
            name = f"{number:05d}-{len(files.names) % 8}.jpg"
            (folder / name).write_bytes(data)
            files.names.append(name)
            files.origin.append(same[path])
            files.mirrored_origin.append(mirrored[path])
            files.kind.append(kind)
    return files


def _ours(folder: Path, files: Files, settings: DedupeSettings) -> dict[str, Any]:
    cpu = time.process_time()
    names, prints = [], []
    for name in files.names:
        row = verify((folder / name).read_bytes())
        assert isinstance(row, Verified)
        seen = Print(row.image_id, row.phash, row.phash256, row.contrast, row.entropy)
        if not is_flat(seen, settings):
            names.append(name)
            prints.append(seen)
    pairs = {
        (min(names[left], names[right]), max(names[left], names[right]))
        for block, _ in confirmed(hashes_of(prints), None, settings)
        for left, right in zip(block.left.tolist(), block.right.tolist(), strict=True)
        if left != right
    }
    return {"pairs": pairs, "cpu_s": time.process_time() - cpu}


def _scores(files: Files, kinds: Sequence[str], result: dict[str, Any], who: str) -> list[str]:
    inside = {name for name, kind in zip(files.names, files.kind, strict=True) if kind in kinds}
    found = {(a, b) for a, b in result["pairs"] if a in inside and b in inside}
    truth = files.truth(kinds)
    right = len(found & truth)
    precision, recall = right / max(1, len(found)), right / len(truth)
    by_edit = []
    for place, kind in enumerate(files.kind[:8]):
        if place and kind in kinds:
            pairs = zip(files.names[::8], files.names[place::8], strict=True)
            by_edit.append(np.mean([pair in found for pair in pairs]))
    return [
        who,
        f"{precision:.4f}",
        str(len(found) - right),
        f"{recall:.4f}",
        f"{2 * precision * recall / max(1e-9, precision + recall):.4f}",
        " / ".join(f"{share:.3f}" for share in by_edit),
        f"{result['cpu_s']:.1f}",
    ]


def _photos(options: Options, peers: str, work: Path) -> str:
    folder = work / "photos"
    folder.mkdir()
    files = _plant(folder, 8 if options.quick else 1)
    talk(f"photos: {len(files.names):,} files")
    results = {"curate": _ours(folder, files, DedupeSettings())}
    mirrored = _ours(folder, files, replace(DedupeSettings(), invariant=("flip",)))
    for name in ("imagededup", "czkawka", "fastdup") if peers else ():
        talk(f"  {name}")
        result = _peer(peers, name, "photos", str(folder))
        if result is not None:
            results[name] = result | {"pairs": {tuple(pair) for pair in result["pairs"]}}
    plain, mirrors = ("original", *PLAIN_EDITS), ("original", *PLAIN_EDITS, "flip")
    head = ["", "precision", "false pairs", "recall", "F1", " / ".join(PLAIN_EDITS), "CPU s"]
    text = [
        f"{len(files.names):,} files, {len(files.truth(plain)):,} true pairs without mirrors.\n"
    ]
    text.append(table(head, [_scores(files, plain, each, who) for who, each in results.items()]))
    results["curate --invariant flip"] = mirrored
    head[5] += " / flip"
    text.append("\nWith the mirror images:\n")
    text.append(table(head, [_scores(files, mirrors, each, who) for who, each in results.items()]))
    return "\n".join(text)


def bench(options: Options) -> str:
    """Measure both; return the section's text."""
    peers = os.environ.get("CURATE_BENCH_PEERS", "")
    if not peers:
        talk("CURATE_BENCH_PEERS is not set: no peers")
    with tempfile.TemporaryDirectory(dir=options.work) as name:
        work = Path(name)
        head = ("hashes", "radius", "pairs", "CPU s", "peak MiB", "others: CPU s, times ours")
        search = table(head, list(_searches(options, peers, work)))
        copied = _photos(options, peers, work) if SHARED.is_dir() else "The photos are not here."
    again = incremental.bench(options)
    text = f"{setting('numpy')} One thread each; CPU time.\n\n{search}\n\n{copied}"
    return f"{text}\n\nWhen images are added:\n\n{again}"
