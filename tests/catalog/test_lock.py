"""One writer at a time: the second says who holds the lock, and a dead one frees it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from curate.catalog.database import writer_lock
from curate.errors import ExitCode, LockedError, StoreError

HOLD = """
import sys
from pathlib import Path
from curate.catalog.database import writer_lock
with writer_lock(Path(sys.argv[1]), "fetch"):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    """Start a process that holds the lock until its stdin ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_writer_is_told_who_is_at_work(tmp_path: Path) -> None:
    with hold(tmp_path) as first:
        with pytest.raises(LockedError) as refused, writer_lock(tmp_path, "import"):
            pytest.fail("two processes hold the lock")
        assert f"`curate fetch` (process {first.pid}, since " in refused.value.message
        assert refused.value.exit_code == ExitCode.LOCKED
        first.communicate("")
    with writer_lock(tmp_path, "import"):
        pass


def test_a_killed_writer_frees_the_lock(tmp_path: Path) -> None:
    with hold(tmp_path) as first:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    assert (tmp_path / "catalog.lock.owner").exists(), "the dead process could not tidy up"
    with writer_lock(tmp_path, "fetch"):
        pass
    assert not (tmp_path / "catalog.lock.owner").exists()


@pytest.mark.parametrize("owner", [None, "", "{", "[]", '{"pid": 1}', '{"task": 1, "since": "x"}'])
def test_a_lock_whose_owner_is_not_told_is_still_a_lock(tmp_path: Path, owner: str | None) -> None:
    with hold(tmp_path) as first:
        path = tmp_path / "catalog.lock.owner"
        path.unlink() if owner is None else path.write_text(owner)
        with (
            pytest.raises(LockedError, match="in use by another process"),
            writer_lock(tmp_path, "x"),
        ):
            pytest.fail("two processes hold the lock")
        first.communicate("")


def test_the_lock_is_freed_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError), writer_lock(tmp_path, "fetch"):
        raise KeyError
    with writer_lock(tmp_path, "fetch"):
        pass


def test_a_folder_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write into"), writer_lock(tmp_path / "file", "x"):
        pytest.fail("there is nothing to lock")
