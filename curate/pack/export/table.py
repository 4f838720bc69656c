"""A CSV for each split beside one folder of images.

With `--one-hot`, the columns are `name`, one for each class with 0 or 1, and `url`: the form
in which multi-label data is often passed around.
"""

from __future__ import annotations

import csv
from typing import Any, TextIO

from curate.errors import PackError
from curate.pack.export.base import Context, Format, Item, Placed
from curate.pack.export.files import open_text

MARK = ";"
"""Stands between the classes of one image."""
_FIXED = {"name", "url"}
_HOW = """\
```python
import pandas
train = pandas.read_csv("train.csv")  # images/NAME
```
"""


class CsvWriter:
    """Writes a table for each split."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._files: dict[str, TextIO] = {}
        self._tables: dict[str, Any] = {}
        one_hot = context.options.one_hot
        if one_hot and (taken := _FIXED & set(context.classes)):
            raise PackError(
                f"a class is called {min(taken)}, as another column of the table is",
                "give it another name, or leave --one-hot out",
            )
        if not one_hot and (bad := [name for name in context.classes if MARK in name]):
            raise PackError(
                f"class {bad[0]!r} holds the {MARK} that stands between classes",
                "add --one-hot, which has a column for each class",
            )

    def where(self, item: Item) -> str:
        """Return `images/IMAGE`."""
        return f"images/{item.file}"

    def add(self, item: Item, placed: Placed) -> None:  # noqa: ARG002 - sizes are not told
        """Write a row."""
        if item.split not in self._tables:
            self._start(item.split)
        url = item.credit["url"] or ""
        if self._context.options.one_hot:
            has = set(item.codes)
            cells = [int(code in has) for code in range(len(self._context.classes))]
            self._tables[item.split].writerow([item.file, *cells, url])
        else:
            said = MARK.join(item.labels)
            rest = (item.credit[name] or "" for name in ("author", "license", "attribution"))
            self._tables[item.split].writerow([item.file, said, item.split, url, *rest])

    def _start(self, split: str) -> None:
        self._files[split] = open_text(self._context.folder / f"{split}.csv")
        self._tables[split] = csv.writer(self._files[split], lineterminator="\n")
        if self._context.options.one_hot:
            head = ["name", *self._context.classes, "url"]
        else:
            label = "label" if self._context.exclusive else "labels"
            head = ["name", label, "split", "url", "author", "license", "attribution"]
        self._tables[split].writerow(head)

    def close(self) -> None:
        """Close the tables."""
        for file in self._files.values():
            file.close()

    def front(self) -> str:
        """Return nothing."""
        return ""


FORMAT = Format(
    name="csv",
    text="A CSV for each split, also one-hot, beside a folder of images.",
    make=CsvWriter,
    how_to_load=_HOW,
)
