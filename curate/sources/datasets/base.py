"""What every dataset format promises: a path goes in, entries come out, one for each image.

A format knows how a dataset is laid out, and nothing of candidates or catalogs. What it
names is looked up by `Files`, the one door to the disk: a name in a table is text of
anybody's making, so it leads out of the dataset's folder only if that was allowed. What
gives no image is yielded too, as `Left` with a reason, so that every row is accounted for.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from curate.errors import SourceError
from curate.licenses import normalise
from curate.sources.folder import EXTENSIONS, SPLITS

WEB = ("http://", "https://")
SNIFFED_BYTES = 1 << 20
"""As much of a file is read to find out what it is."""
MAX_JSON_BYTES = 2 << 30
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_WORDS = re.compile(r"[a-z]+")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Options:
    """What the user says of a dataset, where it does not say it itself."""

    label_columns: tuple[str, ...] = ()
    """Columns of a table with the classes: one with names, or several with 0 and 1."""
    file_column: str | None = None
    """Column of a table with the file or URL; None: found by its name."""
    images: Path | None = None
    """Folder that file names start from; None: found by the format."""
    outside: bool = False
    """Names may lead out of the dataset's folder."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a dataset."""

    name: str
    """What the dataset calls it."""
    path: Path | None = None
    """The local file that it is, or is in; None: it is at a URL."""
    url: str | None = None
    """Where it can be downloaded, if it is no local file."""
    inside: str = ""
    """Where in that file its bytes are, e.g. `row=12&column=image`; empty: it is the file."""
    classes: tuple[str, ...] | None = None
    """Its classes; empty: none of the classes; None: the dataset does not say."""
    split: str | None = None
    """The side of a split that it is on: `train`, `val` or `test`."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What else a candidate keeps, by the field's name, e.g. `author`."""
    meta: Mapping[str, str] = field(default_factory=dict)
    """Whatever else the dataset says of it, as text."""


@dataclass(frozen=True, slots=True)
class Left:
    """A row, or a file, that gives no image."""

    reason: str
    """One word, which is counted."""
    what: str
    """Which one."""


Found = Iterator[Entry | Left]


class Format(Protocol):
    """One way in which datasets are laid out."""

    name: str
    """The word it is called by."""
    about: str
    """What it is, for a person."""

    def detects(self, path: Path) -> bool:
        """Tell by the content whether a path is such a dataset; cheap, and never raises."""

    def entries(self, path: Path, options: Options) -> Found:
        """Yield the images, in the same order each time.

        Raises:
            SourceError: the dataset cannot be read.
        """


class Files:
    """Finds the files that a dataset names.

    Args:
        root: names may not lead out of it.
        options: whether they may, and where they start from.
        folders: where else they may start from, the first that has a file wins.
    """

    def __init__(self, root: Path, options: Options, folders: Sequence[Path] = ()) -> None:
        # Texts instead of `Path`s: these would be half of the time that a large table takes.
        self._root = os.path.abspath(options.images or root)  # noqa: PTH100 -- `..` goes, links stay
        self._below = self._root.rstrip(os.sep) + os.sep
        self._outside = options.outside
        # The one that had the last file is asked first: the others have none, as a rule.
        self._folders = [self._root] if options.images else [*map(str, folders), self._root]

    def find(self, name: str) -> Path | Left:
        """Return the file of that name, or why there is none."""
        text = name.strip()
        if "\0" in text or not text:
            return Left("no_file", name)
        found = self._look(text)
        if found is None and "\\" in text:
            found = self._look(text.replace("\\", "/"))
        if isinstance(found, Path):
            return found
        return Left(found or "missing_file", name)

    def _look(self, name: str) -> Path | str | None:
        is_whole = name.startswith("/") or _DRIVE.match(name)
        for number, folder in enumerate([""] if is_whole else self._folders):
            # Links are followed, as in any folder; only names are judged, as they are used.
            path = os.path.abspath(os.path.join(folder, name))  # noqa: PTH100, PTH118 -- as above
            if not self._outside and (_DRIVE.match(name) or not path.startswith(self._below)):
                return "outside"
            if os.path.isfile(path):  # noqa: PTH113 -- as above
                if number:
                    self._folders.insert(0, self._folders.pop(number))
                return Path(path)
        return None


def is_file(path: Path) -> bool:
    """Tell whether there is such a file, and it may be looked at."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False  # a name that no file can have


def is_url(text: str) -> bool:
    """Tell whether a text is a web address."""
    return text.lower().startswith(WEB)


def split_of(name: str) -> str | None:
    """Return the split that a file's or folder's name speaks of, e.g. `instances_val2017.json`."""
    found = {SPLITS[word] for word in _WORDS.findall(name.lower()) if word in SPLITS}
    return found.pop() if len(found) == 1 else None


def with_license(facts: Mapping[str, str]) -> Mapping[str, str]:
    """Return facts in which a licence has its SPDX id."""
    said = facts.get("license") or facts.get("license_url")
    if not said:
        return {key: text for key, text in facts.items() if text}
    known = normalise(said)
    found = {"license": known.id, "license_url": facts.get("license_url") or known.url}
    return {**facts, **{key: text for key, text in found.items() if text}}


def is_image(path: Path) -> bool:
    """Tell by its name whether a file is an image."""
    return path.suffix[1:].lower() in EXTENSIONS


def files_with(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Return the files of a folder that end so, in order; nothing if it cannot be read.

    Fast beside a million images, which a folder of class folders may well hold.
    """
    try:
        with os.scandir(folder) as entries:
            names = [
                entry.name
                for entry in entries
                if entry.name[0] != "."
                and os.path.splitext(entry.name)[1].lower() in suffixes  # noqa: PTH122 -- likewise
                and entry.is_file()
            ]
    except OSError:
        return []
    return [folder / name for name in sorted(names)]


def folders_in(folder: Path, *, links: bool = True) -> list[Path]:
    """Return the folders in a folder, in order; nothing if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            names = [
                entry.name
                for entry in entries
                if entry.name[0] != "." and entry.is_dir(follow_symlinks=links)
            ]
    except OSError:
        return []
    return [folder / name for name in sorted(names)]


def above(path: Path) -> Path:
    """Return the folder of a dataset that is a file: what `annotations/` stands in."""
    return path.parent.parent if path.parent.name == "annotations" else path.parent


def head(path: Path, n_bytes: int = SNIFFED_BYTES) -> bytes:
    """Return the beginning of a file; nothing if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(n_bytes)
    except OSError:
        return b""


def lines(path: Path) -> list[str]:
    """Return the lines of a text file that are neither blank nor a comment.

    Raises:
        SourceError: it cannot be read, or is not text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not UTF-8 text") from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
    return [line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"]


def pairs(path: Path) -> dict[str, str]:
    """Read lines of a key, a space and a value.

    Raises:
        SourceError: the file cannot be read, or a line has no value.
    """
    found = {}
    for number, line in enumerate(lines(path), 1):
        key, *rest = line.split(maxsplit=1)
        if not rest:
            raise SourceError(f"{path}: line {number} holds {line!r}, not an id and a value")
        found[key] = rest[0]
    return found


def read_json(path: Path, hook: Callable[[dict[str, Any]], _T] | None = None) -> Any:
    """Read a JSON file.

    Args:
        path: the file.
        hook: what becomes of each object, the innermost first.

    Raises:
        SourceError: it cannot be read, or is not JSON.
    """
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise SourceError(f"{path} has more than {MAX_JSON_BYTES:,} bytes")
        with path.open("rb") as file:
            return json.load(file, object_hook=hook)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not JSON: it is not text") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is not JSON: {error}") from error
