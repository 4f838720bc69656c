"""Whether a manifest is what was written, and whether its images are what it says.

Three rounds, each blind to what the others see. The bytes of every file against the hashes
in `manifest.json`. The rows against that description, which also finds a Parquet file that
was edited and hashed anew. The image files against their names, which are their hashes: the
one round that takes long, so it is asked for, and runs in threads, for hashing leaves
Python's lock. Nothing is held whole but image ids and group ids.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.pack.manifest import INFO, Manifest, leaks, read_manifest, sha256_of
from curate.pack.recipe import SPLITS
from curate.pack.schema import MANIFEST
from curate.progress import Progress, silent

THREADS = 4
"""Files hashed at a time: enough to keep a disk busy."""
_JUDGED = ("split", "image_id", "group_id", "labels")
"""Columns that the rounds after the hashes read: those of changed bytes may not decode."""
_BROKEN = ("missing", "unreadable", "schema")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a manifest or with an image of it."""

    kind: str
    """missing, changed, unreadable, schema, rows, split, counts, recipe or leak; of an image
    missing, changed, swapped or path."""
    path: str
    """The file it is about: relative to the manifest's folder, an image's to the project's."""
    detail: str
    """One line for a person."""
    image_id: str | None = None
    """The image it is about; None: a file of the manifest."""


def verify_manifest(path: Path) -> list[Fault]:
    """Check that the files are those that were written, and that no group is on two sides.

    Args:
        path: a manifest's folder.

    Returns:
        What is wrong; empty if nothing is.

    Raises:
        PackError: there is no manifest to check.
    """
    manifest = read_manifest(path)
    faults: list[Fault] = []
    for name in sorted({*manifest.info["files"], *(f"{split}.parquet" for split in SPLITS)}):
        faults += _file_faults(path / name, manifest.info)
    if not any(fault.kind in _BROKEN for fault in faults):
        faults += [Fault("leak", INFO, f"{leak} is on two sides") for leak in leaks(path)]
        faults += _count_faults(manifest)
    return faults


def _file_faults(path: Path, info: Mapping[str, Any]) -> list[Fault]:
    said = info["files"].get(path.name)
    if not isinstance(said, dict):
        return [Fault("missing", path.name, f"{INFO} does not list it")]
    if not path.is_file():
        return [Fault("missing", path.name, "listed, but not there")]
    faults = []
    if sha256_of(path) != said.get("sha256"):
        faults.append(Fault("changed", path.name, "the bytes are not those that were written"))
    if path.suffix == ".parquet":
        faults += _parquet_faults(path, said, info, _JUDGED if faults else _JUDGED[:1])
    return faults


def _parquet_faults(
    path: Path, said: Mapping[str, Any], info: Mapping[str, Any], columns: Sequence[str]
) -> list[Fault]:
    sides: set[str] = set()
    try:
        with pq.ParquetFile(path) as file:
            schema, n_rows = file.schema_arrow, file.metadata.num_rows
            for batch in file.iter_batches(columns=list(columns)):
                batch.validate(full=True)
                sides.update(batch.column("split").unique().to_pylist())
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        detail = (str(error).splitlines() or [type(error).__name__])[0]
        return [Fault("unreadable", path.name, detail)]
    if not schema.remove_metadata().equals(MANIFEST):
        return [Fault("schema", path.name, "the columns are not those of a manifest")]
    faults = []
    if n_rows != said.get("rows"):
        faults.append(Fault("rows", path.name, f"{n_rows} rows, {said.get('rows')} were written"))
    own = path.stem if path.stem in SPLITS else "unassigned"
    if strangers := sides - {own}:
        detail = f"rows of split {', '.join(sorted(map(str, strangers)))}"
        faults.append(Fault("split", path.name, detail))
    note = (schema.metadata or {}).get(b"curate.recipe")
    if note is not None and _read_json(note) != info.get("recipe"):
        faults.append(Fault("recipe", path.name, f"made with another recipe than {INFO} says"))
    return faults


def _read_json(text: bytes) -> Any:
    """Return what the text says; None where it is damaged."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _count_faults(manifest: Manifest) -> Iterator[Fault]:
    """Compare the images of each class and split with what `manifest.json` says."""
    for split in SPLITS:
        found: Counter[str] = Counter()
        for batch in manifest.batches(["labels"], [split], 65_536):
            counted = pc.value_counts(pc.list_flatten(batch.column(0)))
            for item in counted.to_pylist():
                found[item["values"]] += item["counts"]
        # Where training rows are repeated, there are more rows than images.
        rows = f"{split}_rows"
        said = {name: n.get(rows, n[split]) for name, n in manifest.info["classes"].items()}
        for name in sorted(said.keys() | found.keys()):
            if said.get(name, 0) != found[name]:
                detail = f"{name}: {found[name]:,} images, {INFO} says {said.get(name, 0):,}"
                yield Fault("counts", f"{split}.parquet", detail)


def is_inside(path: str) -> bool:
    """Tell whether an image's path stays below the project folder.

    A manifest may come from somebody else: it must not make us read, or copy, other files.
    """
    pure = PurePosixPath(path)
    return bool(pure.parts) and not pure.is_absolute() and ".." not in pure.parts


def image_faults(
    manifest: Manifest, root: Path | None = None, progress: Progress = silent
) -> Iterator[Fault]:
    """Read the file of every image and compare its hash with the image's id.

    Args:
        manifest: an intact manifest.
        root: the project folder; None: the one that the manifest lies in.
        progress: told how many files were read.
    """
    root = manifest.project if root is None else root
    total = sum(manifest.n_rows(part) for part in manifest.parts)
    others: dict[str, tuple[str, str]] = {}
    with ThreadPoolExecutor(THREADS) as pool:
        for done, found in _hashed(manifest, root, pool):
            progress("verify", done, total)
            for image_id, path, seen in found:
                if len(seen) == 64:
                    others[image_id] = path, seen
                else:
                    yield Fault(seen, path, _DETAILS[seen], image_id)
    yield from _strangers(manifest, others)


_DETAILS = {
    "missing": "there is no such file",
    "unreadable": "the file cannot be read",
    "path": "the path leads out of the project; the file was not read",
}


def _hashed(
    manifest: Manifest, root: Path, pool: ThreadPoolExecutor
) -> Iterator[tuple[int, list[tuple[str, str, str]]]]:
    """Yield how many rows were done, and those whose file is not as it should be."""
    done, last = 0, ""
    for batch in manifest.batches(["image_id", "path"]):
        ids, paths = (column.to_pylist() for column in batch.columns)
        done += len(ids)
        # Rows of one image stand together, where training rows are repeated.
        fresh = [n for n, each in enumerate(ids) if each != (ids[n - 1] if n else last)]
        last = ids[-1]
        seen = pool.map(_look, ((root, paths[n], ids[n]) for n in fresh))
        yield done, [(ids[n], paths[n], what) for n, what in zip(fresh, seen, strict=True) if what]


def _look(place: tuple[Path, str, str]) -> str:
    """Return what is wrong with a file: a kind of fault, or the hash that it has; or nothing."""
    root, path, image_id = place
    if not is_inside(path):
        return "path"
    try:
        found = sha256_of(root / path)
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "unreadable"
    return "" if found == image_id else found


def _strangers(manifest: Manifest, others: Mapping[str, tuple[str, str]]) -> Iterable[Fault]:
    """Tell files that hold another image of the manifest from files that are damaged."""
    if not others:
        return
    seen = pa.array(sorted({seen for _, seen in others.values()}))
    known: set[str] = set()
    for batch in manifest.batches(["image_id"], n_rows=65_536):
        ids = batch.column(0)
        known.update(ids.filter(pc.is_in(ids, value_set=seen)).to_pylist())
    for image_id, (path, other) in others.items():
        if other in known:
            yield Fault("swapped", path, f"holds the bytes of image {other}", image_id)
        else:
            yield Fault("changed", path, "the bytes are not those of this image", image_id)
