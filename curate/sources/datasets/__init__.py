"""Datasets that people already have: the registry of formats, by name.

Formats are tried in this order, the most particular first; a folder that is none of them is
an ordinary tree of images (`curate.sources.folder`). A new one is one file and one line here.
"""

from __future__ import annotations

from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import cast

from curate.errors import SourceError, UsageError
from curate.sources.datasets.base import Format, folders_in

FORMATS = {
    "cub": "curate.sources.datasets.cub:Cub",
    "pets": "curate.sources.datasets.pets:Pets",
    "saved": "curate.sources.datasets.saved:Saved",
    "parquet-images": "curate.sources.datasets.parquet:ParquetImages",
    "imagefolder": "curate.sources.datasets.imagefolder:ImageFolder",
    "coco": "curate.sources.datasets.coco:Coco",
    "labelme": "curate.sources.datasets.labelme:Labelme",
    "hdf": "curate.sources.datasets.hdf:Hdf",
    "table": "curate.sources.datasets.table:Table",
}
TREES = ("folder", "yolo-cls")
"""Trees of images whose folders are the classes: `curate.sources.folder` reads them."""
ALIASES = {"huggingface": ("saved", "parquet-images", "imagefolder"), "csv": ("table",)}
"""Words for several formats, of which the content decides, or for one."""


def names() -> list[str]:
    """Return all words that `--format` takes."""
    return [*TREES, *FORMATS, *ALIASES]


def load(name: str) -> Format:
    """Return the format of that name.

    Raises:
        UsageError: there is none.
    """
    target = FORMATS.get(name)
    if target is None:
        raise UsageError(f"{name!r} is not a format", f"formats are: {', '.join(names())}")
    module, _, attribute = target.partition(":")
    return cast("Format", getattr(import_module(module), attribute)())


def choose(path: Path, name: str | None) -> tuple[str, Path]:
    """Return the format of a dataset, and the folder or file that it begins at.

    Args:
        path: what is to be imported.
        name: what the user says it is; None: found out from its content.

    Raises:
        SourceError: it is not there, or a file of no known format.
        UsageError: there is no such format.
    """
    if not path.exists():
        raise SourceError(f"{path} does not exist", "give a folder or a file")
    if name in FORMATS or name in TREES:
        chosen = _wrapped(path, [name]) if name in FORMATS else None
        return chosen or (str(name), path)
    if name is not None and name not in ALIASES:
        load(name)
    wanted = ALIASES[name] if name else tuple(FORMATS)
    found = _wrapped(path, list(wanted))
    if found is not None:
        return found
    if name is not None:
        return wanted[-1], path
    if path.is_dir():
        return ("yolo-cls" if _is_split_tree(path) else "folder"), path
    if path.suffix.lower() == ".zip":
        raise SourceError(
            f"{path} is a zip file, which `curate import` does not read",
            "a Darwin Core Archive, such as GBIF's downloads: `curate fetch --archive`; "
            "any other: unpack it, and give the folder",
        )
    raise SourceError(
        f"{path} is not a dataset that curate reads",
        f"give a folder, or say what it is with --format: {', '.join(names())}",
    )


def _wrapped(path: Path, wanted: list[str]) -> tuple[str, Path] | None:
    """Detect at the path, else in its only folder: archives often hold one around all."""
    places = [path]
    if path.is_dir():
        places += _only_folder(path)
    for place in places:
        for name in wanted:
            if load(name).detects(place):
                return name, place
    return None


def _only_folder(path: Path) -> list[Path]:
    """Return the folder that is all there is in a folder, if it is so."""
    inner = folders_in(path)
    if len(inner) != 1:
        return []
    visible = (each for each in path.iterdir() if not each.name.startswith("."))
    return inner if len(list(islice(visible, 2))) == 1 else []


def _is_split_tree(path: Path) -> bool:
    from curate.sources.folder import SPLITS

    folders = [each.name.lower() for each in folders_in(path)]
    return bool(folders) and all(name in SPLITS for name in folders)
