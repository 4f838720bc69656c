"""The files of an archive, read without trusting it: a zip, a folder, or one bare table.

Nothing is ever unpacked: a file is a stream of bytes. A name that leads out of the archive,
a file that is not as long or not the same as the archive says, and one that grows out of all
proportion when it is decompressed (a bomb) end the reading with one clear line. Wrapping
folders and the litter that desktops add (`__MACOSX`, `.DS_Store`) are seen through.
"""

from __future__ import annotations

import contextlib
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

from curate.errors import SourceError
from curate.sources.inflated import Inflated

MAX_RATIO = 200
"""A file may become so many times as long; tables with mostly empty columns reach 50."""
FREE_BYTES = 64 << 20
"""Shorter files may have any ratio."""
MAX_WHOLE_BYTES = 16 << 20
"""The longest file that is read at once, such as meta.xml."""
_LITTER = ("__macosx", ".ds_store", "thumbs.db")
_ENCRYPTED = 0x1
_BAD_DIRECTORY = (UnicodeDecodeError, struct.error, OverflowError)
"""What `zipfile` raises besides for a damaged directory."""
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, *_BAD_DIRECTORY)


class Archive:
    """The files at a path, by name.

    Args:
        path: a zip, a folder, or a single file.

    Raises:
        SourceError: it is not there, not readable, or not to be trusted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise SourceError(
                f"there is no archive {path}", "Give a file or folder with --archive."
            )
        self.is_single = path.is_file() and not zipfile.is_zipfile(path)
        if self.is_single and path.suffix.lower() in (".zip", ".dwca"):
            raise SourceError(
                f"{path} is not a readable zip: its end is missing or it is none",
                "Download it again.",
            )
        self._files = self._list()

    @property
    def names(self) -> list[str]:
        """The names of all files, below the folder that may wrap them."""
        return list(self._files)

    def n_bytes(self, name: str) -> int:
        """Return a file's length as the archive says it."""
        if self.path.is_file() and not self.is_single:
            with self._zip() as opened:
                return opened.getinfo(self._files[name]).file_size
        return Path(self._files[name]).stat().st_size

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file for reading; whatever is wrong with it is said in one line.

        Raises:
            SourceError: it is damaged, encrypted, or grows without measure; also for what
                goes wrong while it is read.
        """
        try:
            if self.path.is_dir() or self.is_single:
                with Path(self._files[name]).open("rb") as file:
                    yield file
                return
            with self._zip() as opened, opened.open(self._files[name]) as member:
                info = opened.getinfo(self._files[name])
                if info.compress_type != zipfile.ZIP_DEFLATED:
                    yield member
                    return
            with Inflated(self.path, info) as inflated:
                yield cast("IO[bytes]", inflated)
        except _UNREADABLE as error:
            raise SourceError(
                f"{self.path}: {name} is damaged: {str(error) or 'it ends too early'}",
                "Download the archive again.",
            ) from error
        except OSError as error:
            raise SourceError(
                f"{self.path}: {name} cannot be read: {error.strerror or error}"
            ) from error

    def read(self, name: str) -> bytes:
        """Return a short file whole.

        Raises:
            SourceError: as `open`, or it is too long for what it is.
        """
        if self.n_bytes(name) > MAX_WHOLE_BYTES:
            raise SourceError(f"{self.path}: {name} is too long to be what its name says")
        with self.open(name) as file:
            return file.read(MAX_WHOLE_BYTES)

    def _list(self) -> dict[str, str]:
        if self.path.is_dir():
            return self._unwrapped(self._list_folder())
        if self.is_single:
            return {self.path.name: str(self.path)}
        return self._unwrapped(self._list_zip())

    def _list_folder(self) -> dict[str, str]:
        root = self.path.resolve()
        found = {}
        for each in sorted(self.path.rglob("*")):
            name = each.relative_to(self.path).as_posix()
            if _is_litter(name) or not each.is_file():
                continue
            if not each.resolve().is_relative_to(root):
                raise SourceError(f"{self.path}: {name} leads out of the folder")
            found[name] = str(each)
        return found

    def _list_zip(self) -> dict[str, str]:
        found: dict[str, str] = {}
        with self._zip() as opened:
            for info in opened.infolist():
                name = info.filename
                if not _is_inside(name):
                    raise SourceError(
                        f"{self.path} names a file outside itself: {name!r}",
                        "It is not an archive to be trusted.",
                    )
                if info.is_dir() or _is_litter(name):
                    continue
                if name in found:
                    raise SourceError(f"{self.path} holds two files called {name!r}")
                self._check(info)
                found[name] = name
        return found

    def _check(self, info: zipfile.ZipInfo) -> None:
        if info.flag_bits & _ENCRYPTED:
            raise SourceError(f"{self.path}: {info.filename} is encrypted", "Unpack it first.")
        # A header may lie about the packed size, but not be longer than the file it is in.
        packed = min(max(1, info.compress_size), self.path.stat().st_size)
        if info.file_size > FREE_BYTES and info.file_size > packed * MAX_RATIO:
            raise SourceError(
                f"{self.path}: {info.filename} would grow {info.file_size // packed:,} times to "
                f"{info.file_size:,} bytes: a bomb, not a table",
                "It is not an archive to be trusted.",
            )

    def _unwrapped(self, found: dict[str, str]) -> dict[str, str]:
        """See through the one folder that wraps all files."""
        tops = {name.partition("/")[0] for name in found}
        if len(tops) == 1 and all("/" in name for name in found):
            return {name.partition("/")[2]: where for name, where in found.items()}
        return found

    @contextlib.contextmanager
    def _zip(self) -> Iterator[zipfile.ZipFile]:
        try:
            opened = zipfile.ZipFile(self.path)
        except _UNREADABLE as error:
            raise SourceError(
                f"{self.path} is not a readable zip: {error}", "Download it again."
            ) from error
        except OSError as error:
            raise SourceError(f"{self.path} cannot be read: {error.strerror or error}") from error
        with opened:
            yield opened


def _is_inside(name: str) -> bool:
    """Whether a name stays below the place it is unpacked at."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return (
        bool(parts) and not name.startswith(("/", "\\")) and ".." not in parts and ":" not in name
    )


def _is_litter(name: str) -> bool:
    parts = name.lower().split("/")
    return any(part in _LITTER or part.startswith("._") for part in parts)
