"""What an export format is, and what it is handed.

A format says what it can hold and makes a writer. The driver (`curate.pack.export.run`)
reads the manifest, puts image files where the writer wants them, and tells it of each row;
so a format is a few lines about names and text, and knows nothing of links, copies,
resizing or what happens when the run is stopped half-way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from curate.pack.recipe import SPLITS


@dataclass(frozen=True, slots=True)
class Options:
    """What may be chosen about an export."""

    link: bool = False
    """Hard-link images instead of copying them, where the file system can."""
    resize_px: int | None = None
    """Make the shorter side this long, as JPEG; smaller images keep their size. None: as is."""
    one_hot: bool = False
    """In tables, a column of 0 and 1 for each class."""
    negatives: str | None = None
    """Folder for images of no class, in formats of folders; None: they are left out there."""
    splits: tuple[str, ...] = SPLITS
    """Splits to export."""


@dataclass(frozen=True, slots=True)
class Item:
    """One row of the manifest, on its way out."""

    image_id: str
    """SHA-256 of the original bytes."""
    source_path: Path
    """Where the bytes are."""
    stem: str
    """Its file's name without the extension, unique in the export."""
    suffix: str
    """The extension, with its dot."""
    split: str
    """train, val or test."""
    labels: tuple[str, ...]
    """Its classes, sorted; empty: none of the classes."""
    codes: tuple[int, ...]
    """Their places in the list of classes."""
    audited: bool
    """A person has looked at the labels."""
    width_px: int
    """Stored width of the original."""
    height_px: int
    """Stored height of the original."""
    n_bytes: int
    """Length of the original."""
    credit: Mapping[str, str | None]
    """Values of `curate.pack.card.ATTRIBUTION_COLUMNS`."""

    @property
    def file(self) -> str:
        """Its file's name."""
        return self.stem + self.suffix


@dataclass(frozen=True, slots=True)
class Placed:
    """An image that is where it belongs."""

    width_px: int
    """Its width, after any resizing."""
    height_px: int
    """Its height."""
    n_bytes: int
    """Its length, after any resizing."""
    data: bytes = b""
    """Its bytes, for a format that embeds them; else empty."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a writer is told at the start."""

    folder: Path
    """Where to write."""
    classes: tuple[str, ...]
    """All classes, sorted: a class's number is its place here."""
    exclusive: bool
    """No image has two classes."""
    options: Options
    """What was chosen."""


class Writer(Protocol):
    """Writes what belongs beside, or around, the images."""

    def where(self, item: Item) -> str:
        """Return where an image goes, relative to the export, with slashes."""

    def add(self, item: Item, placed: Placed) -> None:
        """Take note of a row, in the order of the manifest: split by split."""

    def close(self) -> None:
        """Finish every file."""

    def front(self) -> str:
        """Return what the README must begin with; mostly nothing."""


Make = Callable[[Context], Writer]


@dataclass(frozen=True, slots=True)
class Format:
    """A way to export, as the registry knows it."""

    name: str
    """What a person types."""
    text: str
    """One sentence about it."""
    make: Make
    """Makes the writer of one export."""
    how_to_load: str
    """Lines for the README: how to load it."""
    one_label: bool = False
    """It can hold one class for each image only."""
    embeds: bool = False
    """Image bytes go into its own files."""
    readable: frozenset[str] | None = None
    """Image formats that its readers open; None: whatever they are, it does not matter."""
    notes: tuple[str, ...] = field(default=())
    """Sentences that its user must know."""
