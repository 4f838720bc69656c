"""A Labelme JSON beside each image, its classes as flags.

The flags begin with `reviewed`, which is set where a person has looked: an image without any
class flag is then a real answer, "none of these".
"""

from __future__ import annotations

from typing import Any

from curate.pack.export.base import Context, Format, Item, Placed
from curate.pack.export.files import write_json

REVIEWED = "reviewed"
VERSION = "5.5.0"
"""Of the file format that the JSON says it has; newer Labelmes read it as their own."""
_HOW = "```sh\nlabelme train --flags flags.txt --nodata\n```\n"


class LabelmeWriter:
    """Writes a JSON beside each image."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def where(self, item: Item) -> str:
        """Return `SPLIT/IMAGE`."""
        return f"{item.split}/{item.file}"

    def add(self, item: Item, placed: Placed) -> None:
        """Write the JSON of an image."""
        has = set(item.labels)
        flags = {REVIEWED: item.audited}
        flags |= {name: name in has for name in self._context.classes}
        document: dict[str, Any] = {
            "version": VERSION,
            "flags": flags,
            "shapes": [],
            "imagePath": item.file,
            "imageData": None,
            "imageHeight": placed.height_px,
            "imageWidth": placed.width_px,
        }
        write_json(self._context.folder / item.split / f"{item.stem}.json", document)

    def close(self) -> None:
        """Write the file of flags."""
        lines = [REVIEWED, *self._context.classes]
        text = "".join(f"{line}\n" for line in lines)
        (self._context.folder / "flags.txt").write_text(text, encoding="utf-8")

    def front(self) -> str:
        """Return nothing."""
        return ""


FORMAT = Format(
    name="labelme",
    text="A Labelme JSON beside each image, classes as flags.",
    make=LabelmeWriter,
    how_to_load=_HOW,
)
