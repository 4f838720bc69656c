"""Is somebody's test set among our images? A comparison with another dataset.

The other side is a manifest (a Parquet file or a folder of them) or a folder of images.
Images of a folder are hashed as a fetch would hash them. A manifest holds 64-bit hashes
only: if its image files are there too they give the 256-bit hashes that confirm a pair, and
if they are not, the radius is cut to one at which the 64 bits alone gave no false pair.

The other dataset is not ours to trust: only files named like images are read, up to a number
of bytes, and only below the folder that was named or that the manifest belongs to. A file
that kills its worker counts as unreadable, and costs nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from curate.catalog import groups
from curate.catalog.database import Database
from curate.catalog.groups import Print
from curate.config import DedupeSettings
from curate.dedupe.cache import Hashes, hashes_of, joined
from curate.dedupe.neighbours import pairs_between
from curate.dedupe.search import MIN_BITS_SET, confirmed, is_flat
from curate.dedupe.turns import turned64, turns_of
from curate.engine import Engine
from curate.errors import CurateError, SourceError
from curate.progress import Progress, silent
from curate.records import Refused, Verified

ALONE_RADIUS = 6
"""Largest radius used where no 256-bit hash can confirm."""
BATCH_FILES = 64
CONTAMINATES = "contaminates"
MAX_BYTES = 64 * 1024 * 1024
SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif"),
        *(".tiff", ".avif", ".heic", ".heif", ".ico", ".mpo", ".ppm", ".pgm", ".pbm", ".tga"),
    )
)
"""Names that a folder's images have; its other files are not opened."""

Describe = Callable[[bytes], Verified | Refused]


@dataclass(frozen=True, slots=True)
class Match:
    """One of our images that is also in the other dataset."""

    image_id: str
    """Our image."""
    other: str
    """The other dataset's image: its file, or its id if the file is not known."""
    kind: str
    """`equal`: the same bytes; `near`: the same photo."""
    distance: int
    """Differing bits of the 64-bit hashes."""
    confirmed: bool
    """Equal bytes, or near by the 256-bit hash too."""


@dataclass(frozen=True, slots=True)
class Contamination:
    """What the comparison found."""

    others: int
    """Images of the other dataset."""
    unreadable: int
    """Files of it that are no images."""
    matches: tuple[Match, ...]
    """Every pair found, ordered by our image and theirs."""

    @property
    def image_ids(self) -> list[str]:
        """Return our images that are among theirs, sorted."""
        return sorted({each.image_id for each in self.matches})

    def to_json(self) -> dict[str, Any]:
        """Return the document that `curate dedupe --against --json` prints."""
        return {
            "others": self.others,
            "unreadable": self.unreadable,
            "images": len(self.image_ids),
            "matches": [
                {name: getattr(each, name) for name in Match.__slots__} for each in self.matches
            ],
        }


@dataclass(frozen=True, slots=True)
class _Other:
    """An image of the other dataset."""

    name: str
    image_id: str
    phash: int | None
    seen: Print | None
    """What decoding it told; None if its file is not there."""


def compare(
    db: Database,
    path: Path,
    settings: DedupeSettings,
    describe: Describe,
    engine: Engine,
    progress: Progress = silent,
    max_bytes: int = MAX_BYTES,
) -> Contamination:
    """Find our kept images that equal, or nearly equal, images of another dataset.

    Args:
        db: our catalog.
        path: a Parquet manifest, a folder with such, or a folder of images.
        settings: radius, confirmation, invariance.
        describe: hashes the bytes of an image; importable by name.
        engine: runs it.
        progress: told how many files are hashed.
        max_bytes: larger files are not read.

    Raises:
        SourceError: `path` is neither, or cannot be read.
    """
    reader = _Reader(engine, partial(_described, describe, max_bytes), progress)
    others, unreadable = _others(path, reader)
    ours = [each for page in groups.prints(db, compared=False) for each in page]
    out = {
        image_id for (image_id,) in db.all("SELECT image_id FROM images WHERE excluded NOT NULL")
    }
    ours = [each for each in ours if each.image_id not in out]
    known = {each.image_id for each in ours}
    found = {
        (each.image_id, each.name): Match(each.image_id, each.name, "equal", 0, confirmed=True)
        for each in others
        if each.image_id in known
    }
    telling = hashes_of([each for each in ours if not is_flat(each, settings)])
    for match in (*_near(telling, others, settings), *_near_alone(telling, others, settings)):
        key = (match.image_id, match.other)
        if key not in found or match.distance < found[key].distance:
            found[key] = match
    return Contamination(len(others), unreadable, tuple(found[key] for key in sorted(found)))


def _near(ours: Hashes, others: list[_Other], settings: DedupeSettings) -> Iterator[Match]:
    decoded = [
        each for each in others if each.seen is not None and not is_flat(each.seen, settings)
    ]
    theirs = joined([hashes_of([each.seen for each in decoded if each.seen is not None])])
    for block, _ in confirmed(theirs, ours, settings):
        for left, right, distance in zip(
            block.left.tolist(), block.right.tolist(), block.distance.tolist(), strict=True
        ):
            image_id, other = ours.image_id(right), decoded[left]
            if image_id != other.image_id:
                yield Match(image_id, other.name, "near", distance, confirmed=True)


def _near_alone(ours: Hashes, others: list[_Other], settings: DedupeSettings) -> Iterator[Match]:
    """Compare by the 64-bit hash only, with a smaller radius."""
    only = [each for each in others if each.seen is None and each.phash is not None]
    theirs = np.array([each.phash for each in only], dtype=np.uint64)
    telling = np.bitwise_count(theirs) >= MIN_BITS_SET
    radius = min(settings.radius, ALONE_RADIUS)
    for turn in (0, *turns_of(settings.invariant)):
        for block in pairs_between(turned64(theirs, turn), ours.phash, radius):
            for left, right, distance in zip(
                block.left.tolist(), block.right.tolist(), block.distance.tolist(), strict=True
            ):
                image_id, other = ours.image_id(right), only[left]
                if telling[left] and image_id != other.image_id:
                    yield Match(image_id, other.name, "near", distance, confirmed=False)


def _others(path: Path, reader: _Reader) -> tuple[list[_Other], int]:
    """Read the other dataset; return its images and how many files were none."""
    if path.is_file():
        tables = [path]
    elif path.is_dir():
        tables = sorted(path.glob("*.parquet"))
    else:
        raise SourceError(f"{path} is not there", "give a manifest or a folder of images")
    if tables:
        return _from_manifest(tables, reader), 0
    files = sorted(
        each
        for each in path.rglob("*")
        if each.suffix.lower() in SUFFIXES and each.name[0] != "." and each.is_file()
    )
    if not files:
        raise SourceError(f"{path} holds no images", "give a manifest or a folder of images")
    seen = reader.prints(files)
    made = [
        _Other(str(file.relative_to(path)), row.image_id, row.phash, row)
        for file in files
        if (row := seen.get(str(file))) is not None
    ]
    return made, len(files) - len(made)


def _from_manifest(tables: list[Path], reader: _Reader) -> list[_Other]:
    rows = [row for table in tables for row in _manifest_rows(table)]
    folder = tables[0].resolve().parent
    # A manifest stands at manifests/vNNNN/ in its project, and paths start at the project.
    root = folder.parents[1] if folder.parent.name == "manifests" else folder
    files = {name: root / name for _, name, _ in rows if name and _is_inside(root, name)}
    seen = reader.prints(list(files.values()))
    return [
        _Other(name or image_id, image_id, phash, seen.get(str(root / name)) if name else None)
        for image_id, name, phash in rows
    ]


def _is_inside(root: Path, name: str) -> bool:
    """Return whether a foreign manifest's path names a file of its own folder."""
    try:
        path = (root / name).resolve()
        return path.is_relative_to(root) and path.is_file()
    except (OSError, ValueError):
        return False  # too long a name, or one with a zero byte


def _manifest_rows(path: Path) -> Iterable[tuple[str, str, int | None]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
        wanted = [name for name in ("image_id", "path", "phash") if name in names]
        table = pq.read_table(path, columns=wanted)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{path} cannot be read as Parquet: {error}") from error
    if "image_id" not in wanted:
        raise SourceError(f"{path} has no column image_id", "give a manifest of curate")
    empty = [None] * table.num_rows
    columns = [
        table.column(name).to_pylist() if name in wanted else empty
        for name in ("image_id", "path", "phash")
    ]
    return [(str(one), two or "", three) for one, two, three in zip(*columns, strict=True)]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Hashes files in worker processes."""

    engine: Engine
    described: Callable[[list[str]], list[Print | None]]
    progress: Progress

    def prints(self, files: list[Path]) -> dict[str, Print]:
        """Return what decoding told of each file; those that are no images are left out."""
        names = [str(each) for each in files]
        seen: dict[str, Print | None] = {}
        self._read(names, seen, len(names))
        return {name: row for name, row in seen.items() if row is not None}

    def _read(self, names: list[str], seen: dict[str, Print | None], total: int) -> None:
        """Read files; where a worker is lost for good, halve what is left to find its file."""
        size = max(1, min(BATCH_FILES, len(names) // 2))
        batches = (names[start : start + size] for start in range(0, len(names), size))
        try:
            for batch, rows in self.engine.map(self.described, batches):
                seen.update(zip(batch, rows, strict=True))
                self.progress("hash", len(seen), total)
        except CurateError:
            # An engine that cannot even do nothing is broken: that is no file's fault.
            list(self.engine.map(self.described, [[]]))
            left = [name for name in names if name not in seen]
            if len(left) < 2:
                seen.update(dict.fromkeys(left))
                return
            middle = len(left) // 2
            self._read(left[:middle], seen, total)
            self._read(left[middle:], seen, total)


def _described(describe: Describe, max_bytes: int, names: list[str]) -> list[Print | None]:
    return [_print(describe, max_bytes, Path(name)) for name in names]


def _print(describe: Describe, max_bytes: int, path: Path) -> Print | None:
    try:
        if path.stat().st_size > max_bytes:
            return None
        with path.open("rb") as file:
            row = describe(file.read(max_bytes))
    except (OSError, MemoryError):
        return None
    if isinstance(row, Refused):
        return None
    return Print(row.image_id, row.phash, row.phash256, row.contrast, row.entropy)
