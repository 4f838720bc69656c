"""Manifests on disk: written aside, renamed as a whole, read and checked.

A manifest is a folder `vNNNN` of Parquet files, one for each split, with `manifest.json`,
a card and the attributions. It is written under a name that starts with a dot and gets its
own name by one rename, so a folder with a manifest's name is complete; a kill leaves at most
a dotted folder, which nothing reads. The Parquet bytes depend on the rows and the recipe
only (rows sorted by image id, fixed row groups, no times, no version of ours) and on the
version of the Parquet library, which writes its own name into each file.

zstd: a third smaller than snappy, and read by pandas, DuckDB, Polars and `datasets` alike.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.errors import PackError
from curate.pack import croissant
from curate.pack.recipe import SPLITS
from curate.pack.schema import MANIFEST

INFO = "manifest.json"
CARD = "README.md"
ATTRIBUTION = "ATTRIBUTION.csv"
ROWS_PER_GROUP = 65_536
"""Rows of a Parquet row group: what a reader must hold at once, and what is written at once."""
BATCH_ROWS = 4096
"""Rows that are read at once where each becomes an object."""
PARQUET = ".parquet"
_VERSION = re.compile(r"v(\d{4,})")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest on disk, opened for reading."""

    path: Path
    """Its folder, e.g. `manifests/v0001`."""
    info: Mapping[str, Any]
    """What `manifest.json` says."""

    @property
    def version(self) -> str:
        """The name of the folder, e.g. `v0001`."""
        return self.path.name

    @property
    def parts(self) -> tuple[str, ...]:
        """Its Parquet files without the suffix: train, val, test, and what else there is."""
        listed = {name.removesuffix(PARQUET) for name in self.info["files"] if PARQUET in name}
        return (*SPLITS, *sorted(listed - set(SPLITS)))

    def n_rows(self, part: str) -> int:
        """Return how many rows a Parquet file was written with."""
        return int(self.info["files"][f"{part}{PARQUET}"]["rows"])

    @property
    def project(self) -> Path:
        """The project folder, to which the paths of images are relative."""
        return self.path.absolute().parent.parent

    def table(self, split: str | None = None, columns: list[str] | None = None) -> pa.Table:
        """Read the rows of one split, or of all in the order train, val, test."""
        names = SPLITS if split is None else (split,)
        paths = [self.path / f"{name}{PARQUET}" for name in names]
        parts = []
        for path in paths:
            with _readable(path):
                parts.append(pq.read_table(path, columns=columns))
        return pa.concat_tables(parts).replace_schema_metadata()

    def batches(
        self, columns: list[str], parts: Sequence[str] | None = None, n_rows: int = BATCH_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """Read rows in batches, in the order of the files: memory stays small.

        Args:
            columns: the columns to read.
            parts: Parquet files without the suffix; None: all of them.
            n_rows: rows of a batch at most.
        """
        for part in self.parts if parts is None else parts:
            path = self.path / f"{part}{PARQUET}"
            with _readable(path), pq.ParquetFile(path) as file:
                yield from file.iter_batches(n_rows, columns=columns)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say in one line what is wrong with a file that cannot be read."""
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        what = str(error).partition("\n")[0]
        raise PackError(
            f"{path} is damaged: {what}", "`curate manifest verify` tells what is wrong."
        ) from error


@dataclass(frozen=True, slots=True)
class Published:
    """Where a manifest has come to lie."""

    path: Path
    """Its folder."""
    is_new: bool
    """False: the newest one says the same, and nothing was added."""
    changed: tuple[str, ...]
    """What is not as in the version before: recipe, images, near_duplicates."""


def versions(manifests: Path) -> list[Path]:
    """List the manifests in a folder, oldest first; other names are passed over."""
    if not manifests.is_dir():
        return []
    numbered = [(_VERSION.fullmatch(path.name), path) for path in manifests.iterdir()]
    return [path for _, path in sorted((int(m[1]), path) for m, path in numbered if m)]


def find_manifest(manifests: Path, name: str | None) -> Manifest:
    """Open a manifest by its version, or the newest one.

    Args:
        manifests: where versions live.
        name: e.g. `v0002`, `2`, or the path of a manifest's folder; None: the newest.

    Raises:
        PackError: there is none, or none of that name.
    """
    known = versions(manifests)
    if name is None:
        if not known:
            raise PackError(f"there is no manifest in {manifests}", "make one: `curate balance`")
        return read_manifest(known[-1])
    if (Path(name) / INFO).is_file():
        return read_manifest(Path(name))
    wanted = f"v{int(name):04d}" if name.isdecimal() else name
    for path in known:
        if path.name == wanted:
            return read_manifest(path)
    there = ", ".join(path.name for path in known[-10:]) or "none"
    raise PackError(f"there is no manifest {name} in {manifests}", f"there are: {there}")


def read_manifest(path: Path) -> Manifest:
    """Open a manifest.

    Raises:
        PackError: there is none, or its description cannot be read.
    """
    try:
        info = json.loads((path / INFO).read_bytes())
    except (OSError, ValueError) as error:
        hint = "see what there is with `curate manifest list`"
        raise PackError(f"{path} is not a manifest: {error}", hint) from error
    if not isinstance(info, dict) or not isinstance(info.get("files"), dict):
        raise PackError(f"{path / INFO} does not describe a manifest")
    return Manifest(path, info)


@contextmanager
def aside(manifests: Path) -> Iterator[Path]:
    """Make a folder to write in; what is still there at the end is removed."""
    manifests.mkdir(parents=True, exist_ok=True)
    folder = manifests / f".writing-{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_split(path: Path, blocks: Iterable[pa.Table], recipe: Mapping[str, Any]) -> int:
    """Write one split as Parquet, a row group for each block; return the rows written."""
    note = {b"curate.recipe": json.dumps(recipe, sort_keys=True).encode()}
    n_rows = 0
    with pq.ParquetWriter(
        path,
        MANIFEST.with_metadata(note),
        compression="zstd",
        compression_level=3,
        version="2.6",
        data_page_version="1.0",
        write_statistics=True,
        use_dictionary=True,
    ) as writer:
        for block in blocks:
            writer.write_table(block.combine_chunks(), row_group_size=ROWS_PER_GROUP)
            n_rows += block.num_rows
    return n_rows


def write_info(folder: Path, info: Mapping[str, Any], rows: Mapping[str, int]) -> None:
    """Write `croissant.json` and `manifest.json`, which has the hash of every other file.

    Args:
        folder: where the other files lie already.
        info: everything else to say.
        rows: rows of each Parquet file, by file name.
    """
    files: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        files[path.name] = _file_facts(path)
        if path.name in rows:
            files[path.name]["rows"] = rows[path.name]
    described = croissant.croissant(info, {name: files[name] for name in rows})
    _write_json(folder / croissant.NAME, described)
    files[croissant.NAME] = _file_facts(folder / croissant.NAME)
    _write_json(folder / INFO, {**info, "files": dict(sorted(files.items()))})


def _file_facts(path: Path) -> dict[str, Any]:
    return {"sha256": sha256_of(path), "n_bytes": path.stat().st_size}


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    text = json.dumps(document, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def publish(folder: Path, manifests: Path) -> Published:
    """Give a finished folder the next version's name, unless the newest one equals it.

    Args:
        folder: a complete manifest, written `aside`.
        manifests: where versions live.

    Returns:
        The manifest's folder; and why it is new, if it is.
    """
    existing = versions(manifests)
    changed = _changes(existing[-1], folder) if existing else ()
    if existing and not changed:
        return Published(existing[-1], is_new=False, changed=())
    for path in [*folder.iterdir(), folder]:
        _sync(path)
    number = int(existing[-1].name[1:]) + 1 if existing else 1
    while True:
        target = manifests / f"v{number:04d}"
        # A rename onto a folder with files fails, so two writers cannot take one name.
        if not target.exists():
            try:
                folder.rename(target)
            except OSError:
                if not target.exists():
                    raise
            else:
                _sync(manifests)
                return Published(target, is_new=True, changed=changed)
        number += 1


def _changes(old: Path, new: Path) -> tuple[str, ...]:
    """Say in what two manifests differ: recipe, images, near_duplicates; nothing if equal.

    The files hold the recipe, so that with another one they tell nothing of the images.
    """
    try:
        before, after = read_manifest(old).info, read_manifest(new).info
    except PackError:
        return ("images",)
    changed = []
    names = {name for info in (before, after) for name in info["files"] if PARQUET in name}
    if before.get("recipe") != after.get("recipe"):
        changed.append("recipe")
    elif any(before["files"].get(name) != after["files"].get(name) for name in names):
        changed.append("images")
    searched = "near_duplicates_searched"
    if before.get(searched) != after.get(searched):
        changed.append("near_duplicates")
    return tuple(changed)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Hash a file in pieces; 64 lower-case hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def leaks(path: Path) -> list[str]:
    """Read the written files and name every group and image that stands in two of them."""
    columns = ["group_id", "image_id"]
    train, val, test = (pq.read_table(path / f"{s}.parquet", columns=columns) for s in SPLITS)
    found: set[str] = set()
    for column in columns:
        small = pa.concat_tables([val, test]).column(column)
        for here, others in (
            (train.column(column), small),
            (val.column(column), test.column(column)),
        ):
            both = here.filter(pc.is_in(here, value_set=others)).unique()
            found.update(f"{column} {value}" for value in both.to_pylist())
    return sorted(found)
