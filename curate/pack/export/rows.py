"""From the rows of a manifest to what an export takes, and what it must leave out and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate.errors import PackError
from curate.pack.card import ATTRIBUTION_COLUMNS
from curate.pack.export.base import Format, Item, Options
from curate.pack.manifest import Manifest
from curate.pack.recipe import SPLITS
from curate.pack.verify import is_inside
from curate.store import EXTENSIONS

_COLUMNS = [
    *("image_id", "path", "n_bytes", "width_px", "height_px", "format", "labels"),
    *("audited", "split"),
    *(name for name in ATTRIBUTION_COLUMNS if name != "image_id"),
]
LEFT_OUT = {
    "negative": "of no class: add --negatives NAME for a folder of them",
    "unreadable": "of a format that its readers pass over: --resize PX makes JPEG of all",
}
"""Why an image of the manifest is not in an export, for a person."""
_NAMES = {
    "image_id": re.compile(r"[0-9a-f]{64}"),
    "format": re.compile(r"[a-z0-9]{1,16}"),
    "split": re.compile("|".join((*SPLITS, "unassigned"))),
}
"""What becomes part of a file's name, and how it must look: a manifest may be somebody else's."""


@dataclass(slots=True)
class Tally:
    """What an export takes; counted before anything is written."""

    images: Counter[str] = field(default_factory=Counter)
    """Images by split."""
    classes: Counter[str] = field(default_factory=Counter)
    """Images by class."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Images not taken, by reason."""
    n_bytes: int = 0
    """Bytes of the originals."""

    def add(self, item: Item) -> None:
        """Count an image that is taken."""
        self.images[item.split] += 1
        self.classes.update(item.labels)
        self.n_bytes += item.n_bytes


class Rows:
    """The rows of a manifest that a format takes.

    Args:
        manifest: where they are read.
        format_: what it can hold.
        options: splits, and what becomes of images of no class.
        root: the project folder.
    """

    def __init__(self, manifest: Manifest, format_: Format, options: Options, root: Path) -> None:
        self._manifest = manifest
        self._format = format_
        self._options = options
        self._root = root
        self.classes = tuple(sorted(manifest.info["classes"]))
        self._codes = {name: code for code, name in enumerate(self.classes)}

    def tally(self) -> Tally:
        """Read everything once, and count.

        Raises:
            PackError: an image has several classes and the format can hold one, or a path
                leads out of the project.
        """
        tally = Tally()
        for items in self._read(tally.left_out):
            for item in items:
                self._refuse(item)
                tally.add(item)
        return tally

    def items(self) -> Iterator[list[Item]]:
        """Yield what is taken, batch by batch, in the manifest's order."""
        return self._read(Counter())

    def _refuse(self, item: Item) -> None:
        if len(item.labels) > 1 and self._format.one_label:
            raise PackError(
                f"{self._manifest.version} has images with several classes "
                f"({item.image_id[:12]}: {', '.join(item.labels)}), and {self._format.name} can "
                "hold one each",
                "export csv, webdataset, huggingface, coco, labelme or fiftyone instead",
            )

    def _read(self, left_out: Counter[str]) -> Iterator[list[Item]]:
        last, copies = "", 0
        for batch in self._manifest.batches(_COLUMNS, self._options.splits):
            found = []
            for row in batch.to_pylist():
                # Training rows may be repeated; those of one image stand together.
                copies = copies + 1 if row["image_id"] == last else 0
                last = row["image_id"]
                why = self._why_not(row)
                if why is None:
                    found.append(self._item(row, copies))
                else:
                    left_out[why] += 1
            if found:
                yield found

    def _why_not(self, row: Mapping[str, Any]) -> str | None:
        if not row["labels"] and self._format.one_label and not self._options.negatives:
            return "negative"
        readable = self._format.readable
        if readable and row["format"] not in readable and self._options.resize_px is None:
            return "unreadable"
        return None

    def _item(self, row: Mapping[str, Any], copies: int) -> Item:
        for name, pattern in _NAMES.items():
            if not pattern.fullmatch(row[name] or ""):
                raise PackError(
                    f"{self._manifest.version} has an image with the {name} {row[name]!r}, which "
                    "is none",
                    f"see what is wrong: `curate manifest verify {self._manifest.version}`",
                )
        if not is_inside(row["path"]):
            raise PackError(
                f"image {row['image_id']} of {self._manifest.version} has the path "
                f"{row['path']!r}, which leads out of the project"
            )
        labels = tuple(row["labels"])
        if unknown := [name for name in labels if name not in self._codes]:
            raise PackError(
                f"{self._manifest.version} has images of a class {unknown[0]!r} that its "
                "description does not know",
                f"see what is wrong: `curate manifest verify {self._manifest.version}`",
            )
        extension = EXTENSIONS.get(row["format"], row["format"])
        return Item(
            image_id=row["image_id"],
            source_path=self._root / row["path"],
            stem=f"{row['image_id']}-{copies}" if copies else row["image_id"],
            suffix=".jpg" if self._options.resize_px is not None else f".{extension}",
            split=row["split"],
            labels=labels,
            codes=tuple(self._codes[name] for name in labels),
            audited=row["audited"],
            width_px=row["width_px"],
            height_px=row["height_px"],
            n_bytes=row["n_bytes"],
            credit={name: row[name] for name in ATTRIBUTION_COLUMNS},
        )
