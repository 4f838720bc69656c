"""Does the store hold what the catalog says? Every file is read and hashed again.

Files are hashed by worker processes in batches; only faults travel back. A file that no row
knows (stored at the moment of a kill) harms nothing and is counted apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from curate.catalog import candidates, images
from curate.catalog.database import Database
from curate.catalog.images import StoredFile, TakenBack
from curate.engine import Engine
from curate.progress import Progress, silent
from curate.records import Reason
from curate.store import Store, sha256_file

_OUT_OF_REACH = frozenset(
    {
        *(Reason.DNS, Reason.CONNECT, Reason.RESET, Reason.TIMEOUT, Reason.TOO_SLOW),
        *(Reason.SHORT_BODY, Reason.RATE_LIMITED, Reason.UNAVAILABLE, Reason.TLS, Reason.DENIED),
    }
)
REPAIRABLE = frozenset({"missing", "size", "changed"})
"""Faults of an image that fetching it again can mend."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as the catalog says."""

    kind: str
    """`missing`, `size`, `changed`, `unreadable`, `lost`, `catalog`, or a manifest's fault."""
    detail: str
    """One line for a person."""
    image_id: str | None = None
    """The image concerned, if it is one."""
    path: str | None = None
    """The file concerned, relative to the project folder."""


@dataclass(frozen=True, slots=True)
class Integrity:
    """What checking the store found."""

    checked: int
    """Images looked at."""
    faults: tuple[Fault, ...]
    """What is wrong."""
    unrecorded: tuple[Path, ...]
    """Files of the store that no row knows."""


def check_store(
    db: Database, store: Store, engine: Engine, progress: Progress = silent
) -> Integrity:
    """Hash every stored image and compare it with its row.

    Args:
        db: the catalog.
        store: the files.
        engine: runs the hashing.
        progress: told how many images are done.
    """
    (total,) = db.one("SELECT COUNT(*) FROM images")
    faults = [Fault("catalog", text) for (text,) in db.all("PRAGMA quick_check") if text != "ok"]
    checked = 0
    batches = images.stored_files(db)
    for batch, found in engine.map(partial(_check_files, str(store.root)), batches):
        checked += len(batch)
        faults.extend(found)
        progress("verify", checked, total, faults=len(faults))
    faults.sort(key=lambda fault: (fault.image_id or "", fault.kind))
    return Integrity(checked, tuple(faults), tuple(_unrecorded(db, store)))


@dataclass(frozen=True, slots=True)
class _Repair:
    fault: Fault
    image_id: str
    path: Path
    aside: Path | None
    taken: TakenBack


def repair_store(
    db: Database, store: Store, found: Integrity, fetch_chosen: Callable[[], object]
) -> tuple[int, list[Fault]]:
    """Fetch damaged and missing images again; delete files that no row knows.

    A damaged file is put aside (`.damaged`), and deleted only once its image is whole again;
    otherwise file and row are put back and stay a fault. So does the row of a missing file whose
    source cannot be reached. What cannot be read is left alone: the disk may be at fault, and
    the file whole.

    Call with the writer's lock held since before the check.

    Args:
        db: the catalog.
        store: the files.
        found: what the check found.
        fetch_chosen: fetches the candidates that `candidates.CHOSEN` means.

    Returns:
        How many images are whole again, and the faults that are left.
    """
    for path in found.unrecorded:
        path.unlink(missing_ok=True)
    repairs = [each for fault in found.faults if (each := _begin(db, store, fault)) is not None]
    begun = {each.image_id for each in repairs}
    left = [fault for fault in found.faults if fault.image_id not in begun]
    candidates.choose(db, [number for each in repairs for number in each.taken.ids])
    try:
        fetch_chosen()
    finally:
        ends = [_end(db, each) for each in repairs]
    lost = [fault for fault in ends if fault is not None]
    return len(repairs) - len(lost), [*left, *lost]


def _begin(db: Database, store: Store, fault: Fault) -> _Repair | None:
    """Put a damaged file aside and its candidates back into the queue, where that can help."""
    if fault.image_id is None or fault.kind not in REPAIRABLE:
        return None
    image_format = images.known_format(db, fault.image_id)
    if image_format is None:
        return None
    path = store.path(fault.image_id, image_format)
    aside: Path | None = path.with_name(f"{path.name}.damaged")
    try:
        path.rename(str(aside))
    except FileNotFoundError:
        aside = None
    except OSError:
        return None  # it could not be replaced either
    return _Repair(fault, fault.image_id, path, aside, images.take_back(db, fault.image_id))


def _end(db: Database, each: _Repair) -> Fault | None:
    """Drop the damaged file of an image that is back; else put it back. Return what is left."""
    if images.known_format(db, each.image_id) is not None:
        if each.aside is not None:
            each.aside.unlink(missing_ok=True)
        return None
    why = _why_lost(db, each.taken.ids)
    may_come = any(_is_out_of_reach(db, number) for number in each.taken.ids)
    if each.aside is None and not may_come:
        return Fault("lost", f"{why} (`curate fetch --retry REASON` asks again)", each.image_id)
    if not images.put_back(db, each.taken):
        kept = f"; what was left of it is {each.aside.name}" if each.aside else ""
        return Fault("lost", why + kept, each.image_id)
    if each.aside is not None:
        each.aside.rename(each.path)
    again = " (repair again when its source can be reached)" if may_come else ""
    return replace(each.fault, detail=f"{each.fault.detail}; {why}{again}")


def _is_out_of_reach(db: Database, candidate_id: int) -> bool:
    """Tell whether a source could not be asked: another day it may still have the image."""
    reason = candidates.last_reason(db, candidate_id)
    if reason is not Reason.UNREADABLE:
        return reason in _OUT_OF_REACH
    (url,) = db.one("SELECT url FROM candidates WHERE id = ?", (candidate_id,))
    original = Path(unquote(urlsplit(url).path, errors="surrogateescape"))
    return not original.parent.exists()  # a disk that is not there, and not a file


def _why_lost(db: Database, ids: list[int]) -> str:
    reasons = {candidates.last_reason(db, number) for number in ids} - {None}
    if not reasons:
        return "not fetched again: its source gives other bytes now"
    return f"not fetched again: {', '.join(sorted(str(each) for each in reasons))}"


def _unrecorded(db: Database, store: Store) -> Iterator[Path]:
    for path in store.files():
        image_id = path.name.partition(".")[0]
        known = images.known_format(db, image_id)
        if known is None or path != store.path(image_id, known):
            yield path


def _check_files(root: str, files: list[StoredFile]) -> list[Fault]:
    return list(_faults(Store(Path(root)), files))


def _faults(store: Store, files: list[StoredFile]) -> Iterator[Fault]:
    for each in files:
        name = f"{store.root.name}/{store.relative(each.image_id, each.format)}"
        path = store.path(each.image_id, each.format)
        try:
            n_bytes = path.stat().st_size
            digest = sha256_file(path)
        except FileNotFoundError:
            yield Fault("missing", "the file is not there", each.image_id, name)
            continue
        except OSError as error:
            yield Fault("unreadable", error.strerror or str(error), each.image_id, name)
            continue
        if n_bytes != each.n_bytes:
            detail = f"{n_bytes} bytes instead of {each.n_bytes}"
            yield Fault("size", detail, each.image_id, name)
        elif digest != each.image_id:
            yield Fault("changed", f"its SHA-256 is {digest}", each.image_id, name)
