"""The layout of the Oxford-IIIT Pet dataset: the breed stands in the file's name.

`annotations/list.txt` names every image with its breed's number and its species (1 cat,
2 dog); `trainval.txt` and `test.txt` divide them. The class is the breed;
`--label-column species` takes cat or dog instead.
"""

from __future__ import annotations

from pathlib import Path

from curate.errors import SourceError
from curate.sources.datasets.base import (
    Entry,
    Files,
    Found,
    Left,
    Options,
    head,
    is_file,
    is_image,
    lines,
)

_LIST = "annotations/list.txt"
_SPECIES = {"1": "cat", "2": "dog"}
_SPLITS = {"annotations/trainval.txt": "train", "annotations/test.txt": "test"}
_COLUMNS = ("breed", "species")


class Pets:
    """See the module."""

    name = "pets"
    about = "annotations/list.txt, images/BREED_NUMBER.jpg (Oxford-IIIT Pets)"

    def detects(self, path: Path) -> bool:
        """The list is there, and its first line has a name and three numbers."""
        text = head(path / _LIST, 1 << 16).decode("utf-8", "replace")
        rows = [line.split() for line in text.splitlines() if line.strip() and line[0] != "#"]
        return bool(rows) and len(rows[0]) == 4 and all(part.isdecimal() for part in rows[0][1:])

    def entries(self, path: Path, options: Options) -> Found:
        """Yield the images in the order of the list.

        Raises:
            SourceError: the list cannot be read, or there is no such column.
        """
        column = options.label_columns[0] if options.label_columns else "breed"
        if column not in _COLUMNS or len(options.label_columns) > 1:
            named = ", ".join(options.label_columns)
            raise SourceError(
                f"{path / _LIST} has no column {named!r}; its columns are: {', '.join(_COLUMNS)}"
            )
        sides = {
            line.split()[0]: side
            for name, side in _SPLITS.items()
            if is_file(path / name)
            for line in lines(path / name)
        }
        files = Files(path, options, (path / "images",))
        extensions = _extensions(path / "images")
        for line in lines(path / _LIST):
            name, *numbers = line.split()
            breed, _, number = name.rpartition("_")
            if len(numbers) < 2 or not breed or not number.isdecimal():
                yield Left("bad_row", line)
                continue
            whole = name if is_image(Path(name)) else name + extensions.get(name, ".jpg")
            found = files.find(whole)
            if isinstance(found, Left):
                yield found
                continue
            species = _SPECIES.get(numbers[1], numbers[1])
            yield Entry(
                found.name,
                found,
                classes=(breed if column == "breed" else species,),
                split=sides.get(name),
                meta={"breed": breed, "species": species},
            )


def _extensions(folder: Path) -> dict[str, str]:
    """Return how files that are no `.jpg` end, by their names without it."""
    try:
        return {
            path.stem: path.suffix
            for path in folder.iterdir()
            if path.suffix != ".jpg" and is_image(path)
        }
    except OSError:
        return {}
