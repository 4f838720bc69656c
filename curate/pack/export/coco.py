"""COCO JSON, one file for each split, beside the images.

COCO is about boxes: a class of an image becomes an annotation whose box is the whole image.
Images go to the file as they come and annotations to a second one, which is put behind at the
end, so memory does not grow with the dataset.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TextIO

from curate.pack.export.base import Context, Format, Item, Placed
from curate.pack.export.files import dense, open_text

_HOW = """\
```python
from pycocotools.coco import COCO
train = COCO("annotations/train.json")  # images/train/FILE_NAME
```
"""


class _Split:
    """The JSON of one split, while it is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.beside = path.with_name(f".{path.name}.annotations")
        self.images: TextIO = open_text(path)
        self.annotations: TextIO = open_text(self.beside)
        self.n_images = self.n_annotations = 0
        self.licenses: dict[tuple[str, str], int] = {}
        self.images.write('{"images":[')

    def license_id(self, name: str | None, url: str | None) -> int:
        key = (name or "unknown", url or "")
        return self.licenses.setdefault(key, len(self.licenses) + 1)

    def finish(self, classes: tuple[str, ...], description: str) -> None:
        self.annotations.close()
        self.images.write('],"annotations":[')
        with self.beside.open(encoding="utf-8") as file:
            shutil.copyfileobj(file, self.images)
        self.beside.unlink()
        categories = [
            {"id": number, "name": name, "supercategory": ""}
            for number, name in enumerate(classes, start=1)
        ]
        licenses = [
            {"id": number, "name": name, "url": url}
            for (name, url), number in self.licenses.items()
        ]
        self.images.write(
            f'],"categories":{dense(categories)},"licenses":{dense(licenses)},'
            f'"info":{dense({"description": description})}}}\n'
        )
        self.images.close()


class CocoWriter:
    """Writes the JSON of each split."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._splits: dict[str, _Split] = {}
        self._next_image = self._next_annotation = 1

    def where(self, item: Item) -> str:
        """Return `images/SPLIT/IMAGE`."""
        return f"images/{item.split}/{item.file}"

    def add(self, item: Item, placed: Placed) -> None:
        """Write an image and an annotation for each of its classes."""
        split = self._splits.get(item.split)
        if split is None:
            path = self._context.folder / "annotations" / f"{item.split}.json"
            split = self._splits[item.split] = _Split(path)
        credit = item.credit
        image = {
            "id": self._next_image,
            "file_name": item.file,
            "width": placed.width_px,
            "height": placed.height_px,
            "license": split.license_id(credit["license"], credit["license_url"]),
            "coco_url": credit["url"] or "",
            "image_id": item.image_id,
            "attribution": credit["attribution"] or "",
        }
        split.images.write(("," if split.n_images else "") + dense(image))
        split.n_images += 1
        for code in item.codes:
            annotation = {
                "id": self._next_annotation,
                "image_id": self._next_image,
                "category_id": code + 1,
                "bbox": [0, 0, placed.width_px, placed.height_px],
                "area": placed.width_px * placed.height_px,
                "iscrowd": 0,
                "segmentation": [],
            }
            split.annotations.write(("," if split.n_annotations else "") + dense(annotation))
            split.n_annotations += 1
            self._next_annotation += 1
        self._next_image += 1

    def close(self) -> None:
        """Finish the JSON of each split."""
        for name, split in self._splits.items():
            split.finish(self._context.classes, f"{name} split")

    def front(self) -> str:
        """Return nothing."""
        return ""


FORMAT = Format(
    name="coco",
    text="COCO JSON for each split; a class is an annotation of the whole image.",
    make=CocoWriter,
    how_to_load=_HOW,
)
