"""An existing tree of images: the folder's name is the class.

The tree is walked in the order of its names, without loading it: the order is that of the
paths' parts, so the cursor is simply the last path given, and files added or removed
between two runs do not shift it. Folders that are split levels (train, val, test) are not
classes but go into `meta`. Links are followed, each real folder once. What is not an image
by its extension, nor by its first bytes, is counted and left; whether it is a whole one is for
fetching to verify.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from curate.errors import SourceError, UsageError
from curate.formats import HEAD_BYTES, image_format
from curate.records import Candidate
from curate.sources.base import LeftOut, Page, Query, SourceContext, count_classes, hints, limited

PAGE_FILES = 1000
EXTENSIONS = frozenset(
    (
        *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "dib", "tif", "tiff"),
        *("avif", "heic", "heif", "jp2", "ico", "mpo", "ppm", "pgm", "pbm", "tga"),
    )
)
_ESCAPE = re.compile(rb"\\(\\|x[0-9a-f]{2})")
SPLITS: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True, slots=True)
class _File:
    """An image file, with what the folders above it say."""

    parts: tuple[str, ...]
    """Path below the root."""
    classes: tuple[str, ...]
    split: str | None


@dataclass(frozen=True, slots=True)
class _Dir:
    """A folder on the way down."""

    parts: tuple[str, ...]
    class_: str | None
    """The nearest folder's name that is not a split level."""
    split: str | None


class FolderSource:
    """Offer the image files below a folder.

    Args:
        context: `path` is the folder.

    Raises:
        UsageError: no folder is given.
    """

    name = "folder"
    is_remote = False
    terms = ""

    def __init__(self, context: SourceContext) -> None:
        if context.path is None:
            raise UsageError("the source folder needs a folder", "Give it with --folder DIR.")
        self._root: Path = context.path.absolute()
        self._prefix = id_prefix(self._root)
        self._own = context.own
        self.examples: dict[str, list[str]] = {}
        """What was left out of the last walk, by reason: the first names of each."""

    def pages(self, query: Query, cursor: str | None = None) -> Iterator[Page]:
        """Yield pages of up to 1,000 files; the cursor is the last path given.

        Raises:
            SourceError: the folder, or one below it, cannot be read.
            UsageError: `class_by` is set: here the folder is the class.
        """
        if query.class_by not in (None, "folder"):
            raise UsageError(
                f"a folder has no column {query.class_by!r}", "Its folders give the classes."
            )
        return limited(cursor, query.limit, lambda start: self._run(query, start))

    def count(self, query: Query) -> int | None:
        """Return the number of image files, by walking the tree."""
        return sum(len(page.candidates) for page in self.pages(replace(query, limit=None)))

    def class_counts(self, query: Query) -> Mapping[str, int] | None:
        """Return image files per class, by walking the tree; "" are those of none."""
        return count_classes(self.pages(replace(query, limit=None)))

    def _run(self, query: Query, start: str | None) -> Iterator[tuple[str, Page]]:
        if not self._root.is_dir():
            what = "is not a folder" if self._root.exists() else "does not exist"
            raise SourceError(f"{self._root} {what}", "Give a folder with images.")
        left = LeftOut()
        self.examples = left.examples
        after = tuple(map(_unescaped, start.split("/"))) if start else ()
        seen = {_identity(path): "project" for path in self._own if path.exists()}
        seen[_identity(self._root)] = "folder_seen"
        files = _walk(self._root, _Dir((), None, None), after, seen, left)
        own, some = start or "", []
        ahead = next(files, None)
        while ahead is not None:
            some.append(self._candidate(ahead, query))
            ahead = next(files, None)
            if len(some) == PAGE_FILES and ahead is not None:
                cursor = some[-1].source_id.partition("/")[2]
                yield own, Page(tuple(some), cursor, None, dict(left.counts))
                own, some = cursor, []
                left.counts.clear()
        yield own, Page(tuple(some), None, None, dict(left.counts))

    def _candidate(self, file: _File, query: Query) -> Candidate:
        path = self._root.joinpath(*file.parts)
        return Candidate(
            source="folder",
            source_id=self._prefix + "/".join(map(escaped, file.parts)),
            url=path.as_uri(),
            classes=hints(query, tuple(map(_readable, file.classes))),
            query=query.text,
            meta={"split": file.split} if file.split else {},
            split=file.split if "keep_split" in query.params else None,
        )


def id_prefix(root: Path) -> str:
    """Return what the ids of a folder's files begin with.

    Two folders may hold files of the same names; it tells them apart and names none.
    """
    return hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:8] + "/"


def escaped(name: str) -> str:
    r"""Return a file name as it stands in an id; `_unescaped` undoes it.

    Bytes that are not UTF-8 are written as `\xNN`, and a backslash as two.
    """
    return _readable(name.replace("\\", "\\\\"))


def _unescaped(text: str) -> str:
    return os.fsdecode(_ESCAPE.sub(_bytes_of, text.encode()))


def _bytes_of(escape: re.Match[bytes]) -> bytes:
    return bytes([int(escape[1][1:], 16)]) if escape[1] != b"\\" else b"\\"


def _readable(name: str) -> str:
    r"""Return a file name as text, bytes that are not UTF-8 as `\xNN`."""
    return name if name.isascii() else os.fsencode(name).decode(errors="backslashreplace")


def _walk(
    root: Path,
    here: _Dir,
    after: tuple[str, ...],
    seen: dict[tuple[int, int], str],
    left: LeftOut,
) -> Iterator[_File]:
    """Yield the image files below a folder in the order of their parts, those after `after`."""
    path = root.joinpath(*here.parts)
    try:
        with os.scandir(path) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        visible = [entry for entry in found if not entry.name.startswith(".")]
        dirs = {entry.name for entry in visible if entry.is_dir()}
    except OSError as error:
        raise SourceError(
            f"the folder {path} cannot be read: {error.strerror}", "Check its permissions."
        ) from error
    splits = _split_level(dirs)
    for entry in visible:
        parts = (*here.parts, entry.name)
        if entry.name in dirs:
            if reason := _enter(Path(entry.path), seen):
                left.add(reason, _name(parts))
                continue
            if parts < after[: len(parts)]:
                continue
            yield from _walk(root, _below(here, entry.name, splits), after, seen, left)
        elif parts > after:
            if reason := _not_an_image(entry, seen):
                left.add(reason, _name(parts))
                continue
            yield _File(parts, (here.class_,) if here.class_ else (), here.split)


def _below(here: _Dir, name: str, splits: frozenset[str]) -> _Dir:
    parts = (*here.parts, name)
    if name in splits:
        return _Dir(parts, here.class_, SPLITS[name.lower()])
    return _Dir(parts, name, here.split)


def _split_level(names: set[str]) -> frozenset[str]:
    """Return which of a folder's folders are splits.

    One called `train` between `bus` and `car` is a class; two splits, or nothing else, are
    a split level.
    """
    splits = frozenset(name for name in names if name.lower() in SPLITS)
    return splits if len(splits) > 1 or len(splits) == len(names) else frozenset()


def _name(parts: tuple[str, ...]) -> str:
    return "/".join(map(_readable, parts))


def _enter(path: Path, seen: dict[tuple[int, int], str]) -> str | None:
    """Return why a folder is not entered; each real one is once, so that links cannot loop.

    `seen` says of each that is not entered (again) as what it is counted.
    """
    identity = _identity(path)
    if identity in seen:
        return seen[identity]
    seen[identity] = "folder_seen"
    return None


def _identity(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise SourceError(f"the folder {path} cannot be read: {error.strerror}") from error
    return stat.st_dev, stat.st_ino


def _not_an_image(entry: os.DirEntry[str], seen: Mapping[tuple[int, int], str]) -> str | None:
    if not entry.is_file():
        return "broken_link" if entry.is_symlink() else "not_a_file"
    suffix = entry.name.rpartition(".")[2].lower() if "." in entry.name else ""
    if suffix in EXTENSIONS or _begins_as_one(entry.path):
        return None
    return seen.get(_identity(Path(entry.path)), "not_an_image")


def _begins_as_one(path: str) -> bool:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - for each file of a tree
            return image_format(file.read(HEAD_BYTES)) is not None
    except OSError:
        return False
