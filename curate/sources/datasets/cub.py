"""Trees with numbered lists, as CUB-200, NABirds and others ship them.

`images.txt` numbers the files below `images/`, `image_class_labels.txt` gives each number a
class's number, `classes.txt` names those, and `train_test_split.txt` says 1 for training.
Class names stay as they are published (`001.Black_footed_Albatross`): `curate classes map`
renames them.
"""

from __future__ import annotations

from pathlib import Path

from curate.errors import SourceError
from curate.sources.datasets.base import Entry, Files, Found, Left, Options, is_file, pairs

_FILES, _LABELS, _NAMES = "images.txt", "image_class_labels.txt", "classes.txt"
_SPLIT = "train_test_split.txt"


class Cub:
    """See the module."""

    name = "cub"
    about = "images.txt, image_class_labels.txt, classes.txt, train_test_split.txt (CUB-200)"

    def detects(self, path: Path) -> bool:
        """Both lists are there."""
        return is_file(path / _FILES) and is_file(path / _LABELS)

    def entries(self, path: Path, options: Options) -> Found:
        """Yield the images in the order of `images.txt`.

        Raises:
            SourceError: a list cannot be read.
        """
        listed, labels = pairs(path / _FILES), pairs(path / _LABELS)
        names = pairs(path / _NAMES) if is_file(path / _NAMES) else {}
        sides = pairs(path / _SPLIT) if is_file(path / _SPLIT) else {}
        unknown = sorted(set(labels.values()) - set(names)) if names else []
        if unknown:
            raise SourceError(f"{path / _NAMES} names no class {unknown[0]!r}")
        files = Files(path, options, (path / "images",))
        for number, name in listed.items():
            found = files.find(name)
            if isinstance(found, Left):
                yield found
                continue
            label = labels.get(number)
            classes = None if label is None else (names.get(label, label),)
            side = {"1": "train", "0": "test"}.get(sides.get(number, ""))
            yield Entry(name, found, classes=classes, split=side)
