"""kill -9 at random moments: what is left is always sound, and little is asked for again.

One server answers the undisturbed run and then the killed one; what becomes of an image
depends on the image and on how often it was asked for, never on time.

Every request either is recorded as a try or was in flight at a kill. In flight are at most
the open connections, the files that wait for a decoder, and the outcomes that wait for
their commit: that bound is the code's promise, and what was really lost is logged.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pyarrow as pa
import pytest
from pyarrow import parquet

from curate.catalog.images import stored_files
from curate.fetch.run import COMMIT_ROWS, STAGED_LIMIT
from curate.store import sha256_file
from tests.fakes.flaky import Corpus, First
from tests.fakes.misbehaving import Misbehaving
from tests.fetch.command import curate, environment, start
from tests.fetch.runs import Folder, Row
from tests.full import size

CONNECTIONS = 8
IN_FLIGHT = CONNECTIONS + STAGED_LIMIT + COMMIT_ROWS
LATENCY_S = 0.02
# Without drips, which would hold their connection for the idle timeout.
FAILURES = (First.BUSY, First.ERROR, First.RESET, First.SHORT)


@dataclass(frozen=True, slots=True)
class End:
    """What a project holds, as far as it must not depend on kills."""

    candidates: list[tuple[str, str, str | None]]
    images: list[tuple[str, str, int]]
    """URL of the first candidate, image id, size."""
    files: set[str]


class Road:
    """One list of URLs, fetched into projects that may be killed."""

    def __init__(self, folder: Path, server: Misbehaving) -> None:
        assert server.corpus is not None
        self.server = server
        self.folder = folder
        self.urls = folder / "list.parquet"
        rows = [server.base + server.corpus.path(number) for number in range(server.corpus.n)]
        parquet.write_table(pa.table({"url": rows}), self.urls)
        self.env = environment()

    def arguments(self, project: Path) -> tuple[object, ...]:
        bounds = ("--connections", CONNECTIONS, "--per-host", CONNECTIONS)
        source = ("--urls", self.urls, "--allow-host", "127.0.0.1")
        return ("fetch", *source, "-C", project, "--json", *bounds)

    def kill(self, project: Path, rng: random.Random) -> bool:
        """Start a run and kill it; return whether it was still running."""
        process = start(*self.arguments(project), env=self.env)
        wait_for_requests = rng.random() < 0.85
        n_requests = self.n_requests + rng.randint(1, 30)
        give_up_at = time.monotonic() + (60.0 if wait_for_requests else rng.uniform(0.0, 1.5))
        while process.poll() is None and time.monotonic() < give_up_at:
            if wait_for_requests and self.n_requests >= n_requests:
                time.sleep(rng.uniform(0.0, 0.04))
                break
            time.sleep(0.001)
        process.kill()
        _, err = process.communicate(timeout=60)
        assert "Traceback" not in err, err
        return process.returncode < 0

    @property
    def n_requests(self) -> int:
        return self.server.stats.counts.total()


def rows_of(project: Path) -> dict[str, Row]:
    if not (project / "catalog.db").exists():
        return {}
    folder = Folder(project)
    rows = folder.rows()
    folder.close()
    return rows


def check_files(project: Path, known: set[str]) -> None:
    """Every file under a final name has the bytes of its name; every image has its file."""
    for path in (project / "images").glob("??/*"):
        if path.name not in known:
            assert sha256_file(path) == path.stem
            known.add(path.name)
    if (project / "catalog.db").exists():
        ids = {row.image_id for row in rows_of(project).values() if row.image_id}
        assert ids <= {name.partition(".")[0] for name in known}


def end_of(project: Path) -> End:
    folder = Folder(project)
    rows = folder.rows()
    images = folder.db.all(
        "SELECT url, images.image_id, n_bytes FROM images JOIN candidates ON id = first_id "
        "ORDER BY id"
    )
    assert sum(len(page) for page in stored_files(folder.db)) == len(images)
    folder.close()
    return End(
        [(url, row.end, row.image_id) for url, row in rows.items()],
        images,
        {path.name for path in (project / "images").glob("??/*")},
    )


def fetch_and_kill(folder: Path, n_images: int, n_kills: int, seed: int) -> None:
    rng = random.Random(seed)
    corpus = Corpus(n_images, seed=11, failures=FAILURES)
    with Misbehaving(corpus, latency_s=LATENCY_S) as server:
        road = Road(folder, server)
        calm, killed = folder / "calm", folder / "killed"
        undisturbed = curate(*road.arguments(calm), env=road.env)
        assert undisturbed.code == 0, undisturbed.err
        n_calm = road.n_requests
        server.stats.counts.clear()
        lost: list[int] = []
        known: set[str] = set()
        recorded = 0
        while len(lost) < n_kills:
            before = road.n_requests
            if not road.kill(killed, rng):
                break  # it was done before its turn came
            tries = sum(row.tries for row in rows_of(killed).values())
            lost.append(road.n_requests - before - (tries - recorded))
            recorded = tries
            check_files(killed, known)
        done = curate(*road.arguments(killed), env=road.env)
        assert done.code == 0, done.err
        n_killed = road.n_requests
    logging.getLogger(__name__).info(
        "%d kills; requests %d undisturbed, %d killed; lost at a kill: median %d, most %d, all %d",
        *(len(lost), n_calm, n_killed, median(lost), max(lost), sum(lost)),
    )
    assert len(lost) == n_kills
    assert end_of(killed) == end_of(calm)
    assert max(lost) <= IN_FLIGHT
    assert n_killed <= n_calm + sum(lost)
    verified = curate("verify", "-C", killed, "--json")
    assert verified.code == 0, verified.err
    assert (verified.document["faults"], verified.document["unrecorded"]) == ([], 0)


def test_five_kills_change_nothing_about_the_result(tmp_path: Path) -> None:
    fetch_and_kill(tmp_path, n_images=300, n_kills=5, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.full
def test_many_kills_change_nothing_about_the_result(tmp_path: Path) -> None:
    fetch_and_kill(tmp_path, n_images=size(800, 2000), n_kills=size(35, 100), seed=2)
