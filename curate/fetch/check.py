"""What a worker process does with one staged file: verify it, then store or delete it.

The bytes are read once here. A good file gets its final name in the store before its row
is written: a kill in between leaves a stored file without a row, which the next run adopts
by fetching the candidate again, never a row without a file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from curate.engine.local import Pool
from curate.fetch.inside import take_out
from curate.fetch.verify import Limits, verify
from curate.records import Reason, Refused, Verified
from curate.store import Store, UnreadableError

if TYPE_CHECKING:
    from curate.config import FetchSettings


@dataclass(frozen=True, slots=True)
class Job:
    """One file to be checked."""

    staged: str
    """Path of the staged file; gone afterwards."""
    original: str | None = None
    """A user's file to be copied to `staged` first; it is never changed."""
    link: bool = False
    """Hard-link the original instead of copying it."""
    anew: bool = False
    """Decode it even if the store has a file of these bytes."""
    keep_damaged: bool = False
    """Take a JPEG that has lost pixels (see `curate.fetch.verify.Limits`)."""
    inside: str = ""
    """Where in the original the image is, e.g. `row=12&column=image`; empty: it is the file."""


@dataclass(frozen=True, slots=True)
class Known:
    """The store has a file of these bytes; the staged one was left where it is."""

    image_id: str
    """SHA-256 of the bytes."""


Checked: TypeAlias = Verified | Refused | Known
Decoders: TypeAlias = Pool[Job, Checked]


@contextmanager
def decoders(store: Store, settings: FetchSettings) -> Iterator[Decoders]:
    """Start the worker processes that check files; they load while the caller searches."""
    limits = Limits(settings.max_pixels)
    function = partial(check, store=store, limits=limits, max_bytes=settings.max_bytes)
    pool: Decoders = Pool(function, settings.workers)
    try:
        yield pool
    finally:
        pool.close()


def check(job: Job, *, store: Store, limits: Limits, max_bytes: int) -> Checked:
    """Verify a staged file and move it into the store, or delete it.

    Bytes that the store has are not decoded again. They may lack a row all the same, after a
    kill: only the caller can tell, and hands the job in once more with `anew` then.

    Args:
        job: the file.
        store: where good files go.
        limits: bounds on what is decoded.
        max_bytes: largest file taken from a folder; downloads are bounded before.

    Raises:
        OSError: the store cannot be written.
    """
    if job.original is not None:
        refused = _stage(store, job, max_bytes)
        if refused is not None:
            return refused
    # Plain texts instead of `Path`s: they would cost a twentieth of the whole.
    try:
        with open(job.staged, "rb", buffering=0) as file:  # noqa: PTH123
            data = file.readall()
    except OSError as error:
        if not job.link:
            raise
        # A hard link: it is the user's file that cannot be read.
        Path(job.staged).unlink(missing_ok=True)
        return Refused(Reason.UNREADABLE, error.strerror or str(error))
    image_id = hashlib.sha256(data).hexdigest()
    if not job.anew and store.holds(image_id):
        return Known(image_id)
    result = verify(data, Limits(limits.max_pixels, job.keep_damaged), image_id)
    if isinstance(result, Refused):
        os.unlink(job.staged)  # noqa: PTH108
        return result
    store.adopt(job.staged, result.image_id, result.format)
    return result


def _stage(store: Store, job: Job, max_bytes: int) -> Refused | None:
    original = Path(str(job.original))
    try:
        n_bytes = original.stat().st_size
        with original.open("rb"):
            pass
    except OSError as error:
        return Refused(Reason.UNREADABLE, error.strerror or str(error))
    if job.inside:
        return take_out(original, job.inside, Path(job.staged), max_bytes)
    if n_bytes == 0:
        return Refused(Reason.EMPTY, "a file of no bytes")
    if n_bytes > max_bytes:
        return Refused(Reason.TOO_BIG, f"more than {max_bytes} bytes")
    try:
        store.stage_copy(original, Path(job.staged).name, link=job.link)
    except UnreadableError as error:
        Path(job.staged).unlink(missing_ok=True)
        return Refused(Reason.UNREADABLE, str(error))
    return None
