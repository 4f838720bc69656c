"""A Labelme JSON beside each image, its classes as flags.

The flags begin with `reviewed`, which is set where a person has looked: an image without any
class flag is then a real answer, "none of these". A class of that name, or one with line ends,
gets a flag that can be told apart. Sizes are those of the image as displayed, for which its
header is read once more: Labelme refuses a file that gives others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from curate.flags import REVIEWED, flag_names
from curate.pack.export.base import Context, Format, Item, Placed
from curate.pack.export.files import write_json

VERSION = "5.5.0"
"""Of the file format that the JSON says it has; newer Labelmes read it as their own."""
_TURNED = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""
_HOW = "```sh\nlabelme train --flags flags.txt --nodata\n```\n"


class LabelmeWriter:
    """Writes a JSON beside each image."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._flags = flag_names(context.classes)

    def where(self, item: Item) -> str:
        """Return `SPLIT/IMAGE`."""
        return f"{item.split}/{item.file}"

    def add(self, item: Item, placed: Placed) -> None:
        """Write the JSON of an image."""
        has = set(item.labels)
        flags = {REVIEWED: item.audited}
        flags |= {flag: name in has for flag, name in self._flags.items()}
        folder = self._context.folder / item.split
        width_px, height_px = _as_displayed(folder / item.file, placed)
        document: dict[str, Any] = {
            "version": VERSION,
            "flags": flags,
            "shapes": [],
            "imagePath": item.file,
            "imageData": None,
            "imageHeight": height_px,
            "imageWidth": width_px,
        }
        write_json(folder / f"{item.stem}.json", document)

    def close(self) -> None:
        """Write the file of flags."""
        lines = [REVIEWED, *self._flags]
        text = "".join(f"{line}\n" for line in lines)
        (self._context.folder / "flags.txt").write_text(text, encoding="utf-8")

    def front(self) -> str:
        """Return nothing."""
        return ""


def _as_displayed(path: Path, placed: Placed) -> tuple[int | None, int | None]:
    """Return width and height after the EXIF orientation; None where it cannot be read."""
    from PIL import ExifTags, Image

    try:
        with Image.open(path) as image:
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) in _TURNED
    except (OSError, ValueError, SyntaxError):
        return None, None
    size = placed.width_px, placed.height_px
    return size[::-1] if turned else size


FORMAT = Format(
    name="labelme",
    text="A Labelme JSON beside each image, classes as flags.",
    make=LabelmeWriter,
    how_to_load=_HOW,
)
