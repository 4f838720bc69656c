"""FiftyOne's image classification dataset: `SPLIT/data/IMAGE` and `SPLIT/labels.json`.

`labels.json` names the classes and gives each image (by its name without the extension) the
class's number, or a list of them where images may have several; null or an empty list:
none of the classes.
"""

from __future__ import annotations

from typing import TextIO

from curate.pack.export.base import Context, Format, Item, Placed
from curate.pack.export.files import dense, open_text

_HOW = """\
```python
import fiftyone
kind = fiftyone.types.FiftyOneImageClassificationDataset
train = fiftyone.Dataset.from_dir("train", dataset_type=kind)
```
"""


class FiftyOneWriter:
    """Writes the labels of each split as they come."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._files: dict[str, TextIO] = {}

    def where(self, item: Item) -> str:
        """Return `SPLIT/data/IMAGE`."""
        return f"{item.split}/data/{item.file}"

    def add(self, item: Item, placed: Placed) -> None:  # noqa: ARG002 - sizes are not told
        """Write the label of an image."""
        file = self._files.get(item.split)
        if file is None:
            path = self._context.folder / item.split / "labels.json"
            file = self._files[item.split] = open_text(path)
            file.write(f'{{"classes":{dense(self._context.classes)},"labels":{{\n')
        else:
            file.write(",\n")
        target: object = list(item.codes)
        if self._context.exclusive:
            target = item.codes[0] if item.codes else None
        file.write(f"{dense(item.stem)}:{dense(target)}")

    def close(self) -> None:
        """Finish the files."""
        for file in self._files.values():
            file.write("\n}}\n")
            file.close()

    def front(self) -> str:
        """Return nothing."""
        return ""


FORMAT = Format(
    name="fiftyone",
    text="FiftyOne's image classification dataset, one for each split.",
    make=FiftyOneWriter,
    how_to_load=_HOW,
)
