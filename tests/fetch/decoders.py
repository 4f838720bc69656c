"""Stand-ins for the work of a decoding process, which do what the file says.

They are imported by worker processes, so they live in a module of their own.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from curate.fetch.check import Job, Known, check
from curate.fetch.verify import Limits
from curate.records import Refused, Verified
from curate.store import Store


def touchy(job: Job, *, store: Store, limits: Limits, max_bytes: int) -> Verified | Refused | Known:
    """Check a file, but die at one that says `kill`, and hang at one that says `hang`."""
    data = Path(job.staged).read_bytes()
    if data == b"kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if data == b"exit":
        os._exit(3)
    if data == b"hang":
        time.sleep(600)
    return check(job, store=store, limits=limits, max_bytes=max_bytes)


def buggy(job: Job, *, store: Store, limits: Limits, max_bytes: int) -> Verified | Refused:
    """Raise what no decoder raises."""
    raise LookupError(job.staged)
