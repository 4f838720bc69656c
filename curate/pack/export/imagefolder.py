"""`SPLIT/CLASS/IMAGE`: what torchvision's ImageFolder and many others read.

Readers number classes by the folders they find in a split. So every split gets a folder for
every class, an empty one too: a split that lacks a class would shift all numbers after it,
silently. `classes.json` tells folders, classes and numbers.
"""

from __future__ import annotations

from curate.errors import PackError
from curate.pack.export.base import Context, Format, Item, Placed
from curate.pack.export.files import write_json
from curate.pack.export.safe import is_same, safe_name, safe_names

_HOW = """\
```python
from torchvision.datasets import ImageFolder
train = ImageFolder("train")
val = ImageFolder("val", allow_empty=True)  # where a class has no image in a split
```

or `datasets.load_dataset("DIR")`, or anything else that reads a folder for each class.
"""
TORCHVISION = frozenset(("jpeg", "png", "bmp", "tiff", "webp"))
"""Formats that torchvision's ImageFolder looks at; it passes over others without a word."""


class FolderWriter:
    """Keeps a folder for each class in each split."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._folders = safe_names(context.classes)
        given = context.options.negatives
        self._nothing = None if given is None else safe_name(given)
        for name, folder in self._folders.items():
            if self._nothing is not None and is_same(self._nothing, folder):
                raise PackError(
                    f"--negatives {given} would put images of no class into the folder of the "
                    f"class {name}",
                    "give it another name",
                )
        self._seen: set[str] = set()

    def where(self, item: Item) -> str:
        """Return `SPLIT/CLASS/IMAGE`."""
        folder = self._folders[item.labels[0]] if item.labels else self._nothing
        return f"{item.split}/{folder}/{item.file}"

    def add(self, item: Item, placed: Placed) -> None:  # noqa: ARG002 - the place is all
        """Take note of the splits that there are."""
        self._seen.add(item.split)

    def close(self) -> None:
        """Make the folders that are still missing, and write `classes.json`."""
        every = [*self._folders.values(), *([self._nothing] if self._nothing else [])]
        for split in self._seen:
            for folder in every:
                (self._context.folder / split / folder).mkdir(parents=True, exist_ok=True)
        names = {folder: name for name, folder in self._folders.items()}
        rows = [
            {"index": number, "folder": folder, "class": names.get(folder)}
            for number, folder in enumerate(sorted(every))
        ]
        write_json(self._context.folder / "classes.json", rows)

    def front(self) -> str:
        """Return which files are which split, for `datasets`."""
        splits = [split for split in self._context.options.splits if split in self._seen]
        lines = [f"  - split: {split}\n    path: {split}/**" for split in splits]
        joined = "\n".join(lines)
        return f"---\nconfigs:\n- config_name: default\n  data_files:\n{joined}\n---\n"


FORMAT = Format(
    name="imagefolder",
    text="A folder for each split and class: torchvision, Keras, fastai, datasets.",
    make=FolderWriter,
    how_to_load=_HOW,
    one_label=True,
    readable=TORCHVISION,
)
