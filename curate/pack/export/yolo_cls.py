"""The layout that Ultralytics wants for classification: `train`, `val`, `test` of class folders.

Its class numbers are the sorted folders of `train`, as in `classes.json`. Only the layout is
shared with imagefolder; which image formats count, and how it is loaded, is its own.
"""

from __future__ import annotations

from curate.pack.export.base import Format
from curate.pack.export.imagefolder import FolderWriter

FORMAT = Format(
    name="yolo-cls",
    text="The layout of Ultralytics' classification training.",
    make=FolderWriter,
    how_to_load='```python\nmodel.train(data="DIR", imgsz=224)\n```\n',
    one_label=True,
    readable=frozenset(("jpeg", "png", "bmp", "tiff", "webp")),
)
