"""How an image gets before Labelme: as a link, or as a picture that Labelme can show.

A link costs nothing and is the rule. Labelme cannot show everything that is an image, though:
no CMYK, no 16 bits, no AVIF, no sides beyond what Qt can paint. Of such an image a picture is
made, which is thrown away with the working folder; what was decided counts for the image.
"""

from __future__ import annotations

import os
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image, ImageOps

_SHOWN_MODES = {
    "jpeg": {"L", "RGB"},
    "png": {"1", "L", "P", "RGB", "RGBA", "LA", "PA"},
    "webp": {"RGB", "RGBA"},
    "bmp": {"L", "RGB"},
}
"""Formats and pixel modes that Labelme 6 and 7 open as they are."""
_TURNED = range(5, 9)
"""EXIF orientations that exchange width and height."""
MAX_SIDE_PX = 32767
"""Qt paints no longer side."""
PICTURE_SIDE_PX = 4096
"""Longest side of a picture that stands for an image."""
QUALITY = 92


class UnshowableError(Exception):
    """An image that cannot be shown; the message says why."""


@dataclass(frozen=True, slots=True)
class View:
    """The file that Labelme shows."""

    name: str
    """Its name in the working folder."""
    width_px: int
    """Its width as displayed."""
    height_px: int
    """Its height as displayed."""


def show(image: Path, image_format: str, folder: Path, stem: str) -> View:
    """Put an image into a working folder: a link, or a picture where Labelme needs one.

    Args:
        image: the file in the store.
        image_format: its true format.
        folder: the working folder.
        stem: the name that it gets there, without extension.

    Raises:
        UnshowableError: the image is missing or cannot be opened.
        OSError: nothing can be written into the folder.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata; the pixels were verified before
            with Image.open(image) as opened:
                size = _size_as_linked(opened, image_format, image)
                picture = None if size else _picture(opened)
    # Decoders raise almost anything on odd files, and one image must not end the batch.
    except Exception as error:
        raise UnshowableError(f"{type(error).__name__}: {error}") from error
    if picture is not None:
        picture.save(folder / f"{stem}.jpg", "JPEG", quality=QUALITY)
        return View(f"{stem}.jpg", *picture.size)
    assert size is not None
    name = f"{stem}{image.suffix}"
    link(image, folder / name)
    return View(name, *size)


def link(image: Path, path: Path) -> None:
    """Make a symbolic link to an image, else a hard link, else a copy.

    Raises:
        OSError: not even a copy can be written.
    """
    # Relative, so that the project may be moved; of real paths, so that `..` leads there.
    target = os.path.relpath(image.resolve(), path.parent.resolve())
    try:
        path.symlink_to(target)
    except OSError:
        try:
            path.hardlink_to(image.resolve())
        except OSError:
            shutil.copyfile(image, path)


def _size_as_linked(opened: Image.Image, image_format: str, path: Path) -> tuple[int, int] | None:
    """Return width and height as Labelme displays the file; None if it cannot."""
    if opened.mode not in _SHOWN_MODES.get(image_format, ()) or max(opened.size) > MAX_SIDE_PX:
        return None
    if image_format == "png" and _has_exif(path):
        opened.load()  # it may stand after the pixels
    width, height = opened.size
    # Labelme heeds EXIF only; Pillow's own reading would also take an orientation from XMP.
    has_exif = "exif" in opened.info or "Raw profile type exif" in opened.info
    turned = has_exif and opened.getexif().get(ExifTags.Base.Orientation) in _TURNED
    return (height, width) if turned else (width, height)


def _has_exif(path: Path) -> bool:
    data = path.read_bytes()
    return b"eXIf" in data or b"Raw profile type exif" in data


def _picture(opened: Image.Image) -> Image.Image:
    """Return the first frame, upright, as an RGB image of moderate size."""
    image = ImageOps.exif_transpose(opened)
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        above = image.convert("RGBA")
        image = Image.new("RGBA", above.size, "white")
        image.alpha_composite(above)
    image = image.convert("RGB")
    image.thumbnail((PICTURE_SIDE_PX, PICTURE_SIDE_PX))
    return image


def _eight_bits(image: Image.Image) -> Image.Image:
    """Stretch grey values of more bits over 0-255."""
    wide = image.convert("F")
    darkest, brightest = wide.getextrema()
    assert isinstance(darkest, float)
    assert isinstance(brightest, float)
    scale = 255 / ((brightest - darkest) or 1)
    return wide.point(lambda value: value * scale - darkest * scale).convert("L")
