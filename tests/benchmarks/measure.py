"""What a command costs: wall time, CPU time and memory of its whole process tree.

CPU is what the kernel charges to the command and every descendant it has waited for
(`os.wait4`). Memory is the largest sum of PSS over the tree, sampled: PSS counts a shared
page once, where adding up resident sets would charge forked workers for the same pages
again and again. The tree is found by session id, so that a re-parented process still counts.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SAMPLE_EVERY_S: Final = 0.2
MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run of a command cost."""

    wall_s: float
    cpu_s: float
    """User and system time of the whole tree."""
    peak_mib: float
    """Largest sampled sum of PSS over the tree."""
    exit_code: int
    stdout: str
    stderr: str


def _session_of(folder: Path) -> int:
    # The command name may hold blanks and parentheses; fields are counted after the last one.
    text = (folder / "stat").read_text()
    return int(text.rpartition(")")[2].split()[3])


def _pss_bytes(session: int) -> int:
    """Sum of PSS over the processes of a session; ones that end meanwhile are left out."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if _session_of(folder) != session:
                continue
            text = (folder / "smaps_rollup").read_text()
        except (OSError, ValueError):
            continue
        total += sum(int(s.split()[1]) for s in text.splitlines() if s.startswith("Pss:")) * 1024
    return total


def run(command: Sequence[str], env: Mapping[str, str], work: Path) -> Cost:
    """Run a command to its end and measure it.

    Args:
        command: program and arguments.
        env: its whole environment.
        work: where its output is written, as `stdout` and `stderr`.
    """
    work.mkdir(parents=True, exist_ok=True)
    peak = 0
    ended = threading.Event()
    out_path, err_path = work / "stdout", work / "stderr"
    with out_path.open("wb") as out, err_path.open("wb") as err:
        start = time.perf_counter()
        process = subprocess.Popen(
            list(command), env=dict(env), stdout=out, stderr=err, start_new_session=True
        )

        def sample() -> None:
            nonlocal peak
            while not ended.wait(SAMPLE_EVERY_S):
                peak = max(peak, _pss_bytes(process.pid))

        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            raise
        finally:
            wall_s = time.perf_counter() - start
            ended.set()
            sampler.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    return Cost(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mib=peak / MIB,
        exit_code=process.returncode,
        stdout=out_path.read_text(errors="replace"),
        stderr=err_path.read_text(errors="replace"),
    )
