"""Where image bytes live: one file per SHA-256, written once, never changed.

A file gets its final name by an atomic rename within one file system, so a process that is
killed leaves at most a `.part` file in the staging folder. Nothing is synced to the disk
one by one: after a power cut `curate verify` finds what is damaged and fetches it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from curate.errors import StoreError

EXTENSIONS = {"jpeg": "jpg", "tiff": "tif"}
"""File name extensions that differ from the format's name."""

COMMON_FORMATS = ("jpeg", "png")
COPY_BYTES = 1024 * 1024
_STORED = re.compile(r"[0-9a-f]{64}\.[a-z0-9]+")


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 lower-case hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class UnreadableError(Exception):
    """A user's file cannot be read, or is gone; the store itself is not at fault."""


class Store:
    """The folder `images/` of a project.

    Args:
        root: the folder; made when first written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.staging = root / ".staging"
        self._root = str(root)

    def prepare(self) -> Path:
        """Make the staging folder, empty it, and return it. Call with the project locked.

        Raises:
            StoreError: the folder cannot be made or emptied.
        """
        try:
            shutil.rmtree(self.staging, ignore_errors=True)
            self.staging.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot write into {self.root}: {error.strerror}",
                "check the folder's permissions and the space left on its disk",
            ) from error
        return self.staging

    def remove_if_empty(self) -> None:
        """Remove the folder, if it was made for nothing.

        Raises:
            OSError: it is not there, or something is in it.
        """
        shutil.rmtree(self.staging, ignore_errors=True)
        self.root.rmdir()

    def relative(self, image_id: str, image_format: str) -> str:
        """Return the image's path below the root, e.g. `ab/abcd….jpg`."""
        extension = EXTENSIONS.get(image_format, image_format)
        return f"{image_id[:2]}/{image_id}.{extension}"

    def path(self, image_id: str, image_format: str) -> Path:
        """Return where the image is, or would be."""
        return self.root / self.relative(image_id, image_format)

    def holds(self, image_id: str) -> bool:
        """Return whether a file of a common format is there under this id; it is not read."""
        return any(os.path.exists(self._text(image_id, each)) for each in COMMON_FORMATS)  # noqa: PTH110 - as in `adopt`

    def adopt(self, staged: str | Path, image_id: str, image_format: str) -> str:
        """Give a verified staged file its final name; the staged name is gone afterwards.

        Returns that name.

        A file of that name is replaced by these, the same bytes: that also heals it.
        """
        # Plain texts: this runs for every image, and `Path`s would cost more than the rename.
        final = self._text(image_id, image_format)
        try:
            os.rename(staged, final)  # noqa: PTH104
        except FileNotFoundError:
            os.makedirs(os.path.dirname(final), exist_ok=True)  # noqa: PTH103, PTH120
            os.rename(staged, final)  # noqa: PTH104
        # Renaming one hard link of a file to another does nothing, and leaves both.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(staged)  # noqa: PTH108
        return final

    def _text(self, image_id: str, image_format: str) -> str:
        return f"{self._root}/{self.relative(image_id, image_format)}"

    def stage_copy(self, original: Path, name: str, *, link: bool = False) -> Path:
        """Put a copy of a user's file into the staging folder; the original is not touched.

        Args:
            original: the file to copy.
            name: the staged file's name, unique in the staging folder.
            link: make a hard link, where the file system can; else a copy.

        Returns:
            The staged file. A copy shares its blocks where the file system can.

        Raises:
            UnreadableError: the original cannot be read.
            OSError: the copy cannot be written.
        """
        staged = self.staging / name
        if link:
            try:
                # Of a symbolic link, the file is meant.
                os.link(original.resolve(), staged)
            except OSError:
                pass  # another disk, or a file system without links: copy
            else:
                return staged
        _copy(original, staged)
        return staged

    def files(self) -> Iterator[Path]:
        """Yield every file that has a name of the store, in sorted order; no others."""
        if not self.root.is_dir():
            return
        for folder in sorted(self.root.iterdir()):
            if len(folder.name) == 2 and folder.is_dir():
                yield from (
                    path
                    for path in sorted(folder.iterdir())
                    if _STORED.fullmatch(path.name) and path.name.startswith(folder.name)
                )


def _copy(original: Path, copy: Path) -> None:
    """Copy bytes, sharing them where the file system can (`copy_file_range`)."""
    with contextlib.ExitStack() as stack:
        with _reading():
            source = stack.enter_context(original.open("rb"))
        target = stack.enter_context(copy.open("wb"))
        if hasattr(os, "copy_file_range") and _copy_in_kernel(source.fileno(), target.fileno()):
            return
        source.seek(0)
        target.seek(0)
        target.truncate()
        while True:
            with _reading():
                data = source.read(COPY_BYTES)
            if not data:
                return
            target.write(data)


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Tell what goes wrong while the original is read from what goes wrong with the copy."""
    try:
        yield
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error


def _copy_in_kernel(source: int, target: int) -> bool:
    """Let the kernel copy, or reflink; return whether it could."""
    try:
        while os.copy_file_range(source, target, 1 << 30):
            pass
    except OSError:
        return False
    return True
