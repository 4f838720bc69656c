"""A process that writes the ledger is killed again and again: what it said was saved, is.

The writer says "saved" for an operation only when `Ledger.add` has returned. After each kill
the operations that were acknowledged, and perhaps the one in flight, must be in the ledger,
each once and in order; and what is in force must be what a replay of them gives.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from curate.catalog import annotations as rows
from curate.label.replay import Renames, newest
from curate.records import Annotation, Kind
from tests.catalog.rows import image_id
from tests.full import size
from tests.label.ledgers import decisions_table, label, project, rename, said, undo

IMAGES = 20
CLASSES = "abcdef"


def operations(n: int, seed: int) -> list[Annotation]:
    """Labels, rejections, undos, redos, renames and merges by three people."""
    chance = random.Random(seed)
    made: list[Annotation] = []
    for number in range(n):
        who, key = f"p{chance.randrange(3)}", f"op{number}"
        mine = [each for each in made[-60:] if each.annotator == who]
        what = chance.random()
        if what < 0.02:
            made.append(rename(*chance.sample(CLASSES, 2), key=key, by=who))
        elif what < 0.25 and mine:
            made.append(undo(chance.choice(mine).key, by=who, own=key))
        elif what < 0.3:
            made.append(said(chance.randrange(IMAGES), Kind.REJECT, by=who, key=key))
        else:
            names = chance.sample(CLASSES, chance.randrange(3))
            made.append(label(chance.randrange(IMAGES), *sorted(names), by=who, key=key))
    return made


def write(folder: str, n: int, seed: int) -> None:
    """Add what the ledger does not have yet, one by one, and say so after each."""
    from curate.project import Project

    every = operations(n, seed)
    with Project(folder) as here, here.people.ledger() as ledger:
        done = rows.count(here.db)
        # One before: an operation whose acknowledgement was lost is sent a second time.
        for number in range(max(0, done - 1), n):
            ledger.add([every[number]])
            os.write(1, b"%d\n" % number)


def killed_runs(folder: Path, n: int, kills: int, seed: int) -> None:
    """Run the writer to its end, killing it `kills` times on the way."""
    chance = random.Random(seed)
    every = operations(n, seed)
    acknowledged = -1
    left = kills
    while acknowledged < n - 1:
        last = acknowledged
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"from {__name__} import write; write({str(folder)!r}, {n}, {seed})",
            ],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        stop_at = last + chance.randint(1, 2 * n // (kills + 1)) if left else n
        for line in process.stdout:
            acknowledged = int(line)
            if left and acknowledged >= stop_at:
                time.sleep(chance.random() * 0.002)
                process.send_signal(signal.SIGKILL)
                left -= 1
                break
        rest = process.stdout.read()
        process.wait()
        process.stdout.close()
        acknowledged = max([acknowledged, *map(int, rest.splitlines())])
        check(folder, every, acknowledged)
    assert left == 0, "the writer came to its end before it was killed often enough"


def check(folder: Path, every: list[Annotation], acknowledged: int) -> None:
    with project_at(folder) as here:
        whole = [row for page in rows.history(here.db) for row in page]
        keys = [each.key for _, each in whole]
        assert len(keys) >= acknowledged + 1, "something that was said to be saved is lost"
        assert len(keys) <= acknowledged + 2, "more than what was in flight"
        assert keys == [each.key for each in every[: len(keys)]], "lost, doubled or out of order"
        renames = Renames([row for row in whole if row[1].image_id is None])
        replayed = {each.key: each for each in (renames.apply(row) for row in newest(whole))}
        current = here.people.current(image_id(k) for k in range(IMAGES))
        assert {each.key: each for page in current.values() for each in page} == replayed
        before = decisions_table(here.db)
        rows.rebuild(here.db)
        assert decisions_table(here.db) == before


def project_at(folder: Path):  # type: ignore[no-untyped-def] # a context manager
    from curate.project import Project

    return Project(folder)


@pytest.mark.slow
@pytest.mark.full
def test_nothing_acknowledged_is_lost_or_doubled_by_kills(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    n, kills = size(600, 10_000), size(12, 200)
    project(tmp_path, IMAGES).close()
    killed_runs(tmp_path, n, kills, seed=1)
    record_property("operations of the ledger, kills -9", f"{n:,}, {kills}")
