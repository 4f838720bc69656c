"""Puts image files into an export: linked, copied or reduced, several at a time.

A file gets its name when it is whole, so that a stopped export can go on: what has its name
is done. A copy shares its blocks with the original where the file system can.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from curate.errors import PackError
from curate.pack.export.base import Item, Options, Placed

if TYPE_CHECKING:
    from PIL import Image

THREADS = 4
QUALITY = 90
"""JPEG quality of resized images."""
_PART = ".part"
_REPAIR = "find out with `curate verify`; `curate verify --repair` fetches it again"


class Placer:
    """Places the images of one export.

    Args:
        folder: where the export is written.
        options: link, copy or resize.
    """

    def __init__(self, folder: Path, options: Options) -> None:
        self._folder = folder
        self._options = options
        self._made: set[Path] = set()
        self.n_copied_for_link = 0
        """Files that were to be linked but had to be copied."""

    def place(
        self, items: Sequence[Item], where: Callable[[Item], str], pool: ThreadPoolExecutor
    ) -> Iterator[Placed]:
        """Put images where they belong.

        Raises:
            PackError: an image is missing or cannot be read.
        """
        targets = [self._folder / where(item) for item in items]
        for parent in {target.parent for target in targets} - self._made:
            parent.mkdir(parents=True, exist_ok=True)
            self._made.add(parent)
        return pool.map(self._place_one, items, targets)

    def read(self, items: Sequence[Item], pool: ThreadPoolExecutor) -> Iterator[Placed]:
        """Read images whose bytes go into other files.

        Raises:
            PackError: an image is missing or cannot be read.
        """
        return pool.map(self._read_one, items)

    def _place_one(self, item: Item, target: Path) -> Placed:
        side_px = self._options.resize_px
        if side_px is not None:
            return self._resized(item, target, side_px)
        if not (target.exists() and target.stat().st_size == item.n_bytes):
            with _reading(item):
                self._put(item.source_path, target)
        return Placed(item.width_px, item.height_px, item.n_bytes)

    def _resized(self, item: Item, target: Path, side_px: int) -> Placed:
        from PIL import Image

        if target.exists():
            with Image.open(target) as done:
                return Placed(*done.size, target.stat().st_size)
        data, size = _reduced(item, side_px)
        part = target.with_name(target.name + _PART)
        part.write_bytes(data)
        part.rename(target)
        return Placed(*size, len(data))

    def _put(self, source: Path, target: Path) -> None:
        target.unlink(missing_ok=True)
        if self._options.link:
            try:
                # Of a symbolic link, the file is meant.
                os.link(source.resolve(strict=True), target)
            except FileNotFoundError:
                raise
            except OSError:
                self.n_copied_for_link += 1  # another disk, or no links there
            else:
                return
        part = target.with_name(target.name + _PART)
        _copy(source, part)
        part.rename(target)

    def _read_one(self, item: Item) -> Placed:
        if self._options.resize_px is not None:
            data, size = _reduced(item, self._options.resize_px)
            return Placed(*size, len(data), data)
        with _reading(item):
            data = item.source_path.read_bytes()
        return Placed(item.width_px, item.height_px, len(data), data)


class _reading:  # noqa: N801 - reads as a word of the `with` that it stands in
    """Turns a file that cannot be read into an error that names the image."""

    def __init__(self, item: Item) -> None:
        self._item = item

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and error.filename == str(self._item.source_path):
            why = error.strerror or str(error)
            raise PackError(f"image {self._item.image_id}: {why}", _REPAIR) from error


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as one, target.open("wb") as other:
        try:
            while os.copy_file_range(one.fileno(), other.fileno(), 1 << 30):
                pass
        except (AttributeError, OSError):
            one.seek(0)
            other.seek(0)
            other.truncate()
            while data := one.read(1 << 20):
                other.write(data)


def _reduced(item: Item, side_px: int) -> tuple[bytes, tuple[int, int]]:
    """Return an image as JPEG, upright, its shorter side at most `side_px`; and its size."""
    from PIL import Image, ImageOps

    try:
        with Image.open(item.source_path) as image:
            image.draft("RGB", (side_px * 2, side_px * 2))
            upright = ImageOps.exif_transpose(image)
            plain = _flat(upright)
    except (OSError, ValueError, SyntaxError) as error:
        raise PackError(f"image {item.image_id} cannot be decoded: {error}", _REPAIR) from error
    scale = side_px / min(plain.size)
    if scale < 1:
        size = (max(1, round(plain.width * scale)), max(1, round(plain.height * scale)))
        plain = plain.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    out = io.BytesIO()
    plain.save(out, "JPEG", quality=QUALITY)
    return out.getvalue(), plain.size


def _flat(image: Image.Image) -> Image.Image:
    """Return an RGB image; what is transparent becomes white."""
    from PIL import Image

    if not image.has_transparency_data:
        return image.convert("RGB")
    shown = image.convert("RGBA")
    white = Image.new("RGBA", shown.size, "white")
    return Image.alpha_composite(white, shown).convert("RGB")
