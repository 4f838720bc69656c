"""Folders of Labelme's JSON files: the flags that are ticked are the classes.

Where a file has no flags at all, the labels of its outlines are. A file without a ticked
flag says "none of the classes", unless it has the flag `reviewed` (as curate's own working
folders do) and that is not ticked: then nobody has looked yet. Flags such as `__ignore__`
are Labelme's own; an image that is to be ignored is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from curate.errors import SourceError
from curate.flags import REVIEWED
from curate.sources.datasets.base import (
    Entry,
    Files,
    Found,
    Left,
    Options,
    files_with,
    folders_in,
    head,
    read_json,
    split_of,
)

_IGNORED = "__ignore__"
_PROBED = 20
"""Files that are looked into, before a folder is none of Labelme's."""


class Labelme:
    """See the module."""

    name = "labelme"
    about = "Labelme JSON files beside their images; ticked flags are the classes"

    def detects(self, path: Path) -> bool:
        """One of the first JSON files in it, or a folder below, has Labelme's keys."""
        if not path.is_dir():
            return False
        return any(map(_is_labelme, islice(_below(path), _PROBED)))

    def entries(self, path: Path, options: Options) -> Found:
        """Yield one entry for each JSON file, in the order of their paths.

        Raises:
            SourceError: the folder cannot be read.
        """
        if not path.is_dir():
            raise SourceError(f"{path} is not a folder", "give the one with the JSON files")
        files = Files(path, options)
        for json_path in _below(path):
            yield _entry(path, json_path, files, options)


def _below(path: Path) -> Iterator[Path]:
    yield from files_with(path, {".json"})
    for folder in folders_in(path, links=False):
        yield from _below(folder)


def _is_labelme(path: Path) -> bool:
    start = head(path)
    return b'"imagePath"' in start or (b'"flags"' in start and b'"shapes"' in start)


def _entry(root: Path, path: Path, files: Files, options: Options) -> Entry | Left:
    name = path.relative_to(root).as_posix()
    try:
        said = read_json(path)
    except SourceError:
        return Left("bad_json", name)
    if not isinstance(said, dict) or not ({"flags", "imagePath"} & said.keys()):
        return Left("not_labelme", name)
    flags = said.get("flags") or {}
    shapes = said.get("shapes") or []
    if not isinstance(flags, dict) or not isinstance(shapes, list):
        return Left("bad_json", name)
    if flags.get(_IGNORED) is True:
        return Left("ignored", name)
    found = _image(said.get("imagePath"), path, files, options)
    if isinstance(found, Left):
        return found
    return Entry(
        found.name,
        found,
        classes=_classes(flags, shapes),
        split=split_of(path.parent.relative_to(root).as_posix()),
    )


def _image(named: Any, path: Path, files: Files, options: Options) -> Path | Left:
    if not isinstance(named, str) or not named:
        return Left("no_file", path.name)
    if options.images is not None:
        return files.find(named)
    # The image is meant from where the JSON file is.
    return files.find(str(path.parent.absolute() / named))


def _classes(flags: dict[Any, Any], shapes: list[Any]) -> tuple[str, ...] | None:
    ticked = tuple(str(name) for name, value in flags.items() if value is True)
    plain = tuple(name for name in ticked if name != REVIEWED)
    if plain:
        return plain
    if REVIEWED in flags:
        return () if REVIEWED in ticked else None
    if flags:
        return ()
    labels = (one.get("label") for one in shapes if isinstance(one, dict))
    return tuple(dict.fromkeys(label for label in labels if isinstance(label, str) and label))
