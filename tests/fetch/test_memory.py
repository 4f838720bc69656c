"""The memory of a fetch does not grow with the number of URLs."""

from __future__ import annotations

import logging
import sys
import time
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.fakes.misbehaving import Misbehaving
from tests.fetch.command import environment, start

N_URLS = 20_000
LIMIT_MB = 300.0


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    with suppress(OSError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                found += family(int(child))
    return found


def pss_mb(pid: int) -> float:
    """Memory of a process and its children; what they share is counted once."""
    total_kb = 0
    for each in family(pid):
        with suppress(OSError):
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
            total_kb += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total_kb / 1000


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_twenty_thousand_urls_take_no_more_memory_than_a_few(tmp_path: Path) -> None:
    with Misbehaving() as server:
        urls = [server.url("ok", number, seed=number % 400) for number in range(N_URLS)]
        parquet.write_table(pa.table({"url": urls}), tmp_path / "list.parquet")
        process = start(
            *("fetch", "--urls", tmp_path / "list.parquet", "-C", tmp_path / "project"),
            *("--allow-host", "127.0.0.1", "--connections", 256, "--per-host", 256, "--json"),
            env=environment(fetch_workers=2, fetch_placeholder_urls=0),
        )
        seen = []
        while process.poll() is None:
            n_requests = server.stats.counts.total()
            seen.append((n_requests, pss_mb(process.pid)))
            time.sleep(0.1)
        _, err = process.communicate()
        assert process.returncode == 0, err
    early = max(mb for n, mb in seen if n <= N_URLS // 4)
    peak = max(mb for _, mb in seen)
    logging.getLogger(__name__).info("peak %.0f MB, %.0f in the first quarter", peak, early)
    assert server.stats.counts.total() == N_URLS
    assert peak < LIMIT_MB
    assert peak < early + 30
