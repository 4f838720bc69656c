"""Tar files of a few hundred megabytes each, for training that streams.

Each sample is the image, `.cls` (the class's number, -1 for none of the classes) where images
have one class, and `.json` with classes and credits. Tar headers hold no times or owners, so
the same manifest gives the same bytes. Rows are in the manifest's order, which is that of
hashes: as good as shuffled.
"""

from __future__ import annotations

import io
import tarfile

from curate.pack.export.base import Context, Format, Item, Placed
from curate.pack.export.files import dense, write_json

SHARD_BYTES = 512 * 1024 * 1024
SHARD_SAMPLES = 10_000
_HOW = """\
```python
import webdataset
train = webdataset.WebDataset("train-{000000..NNNNNN}.tar").decode("pil").to_tuple("jpg", "cls")
```
"""


class TarWriter:
    """Fills one tar file after the other, split by split."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tar: tarfile.TarFile | None = None
        self._shards: dict[str, int] = {}
        self._samples = self._bytes = 0
        self._split = ""

    def where(self, item: Item) -> str:
        """Return the name of the image in its tar file."""
        return item.file

    def add(self, item: Item, placed: Placed) -> None:
        """Add a sample, in a new shard when the last is full."""
        full = self._samples >= SHARD_SAMPLES or self._bytes >= SHARD_BYTES
        if self._tar is None or full or item.split != self._split:
            self._next(item.split)
        self._member(item.file, placed.data)
        if self._context.exclusive:
            self._member(f"{item.stem}.cls", str(item.codes[0] if item.codes else -1).encode())
        facts = {"image_id": item.image_id, "labels": list(item.labels), **item.credit}
        self._member(f"{item.stem}.json", dense(facts).encode())
        self._samples += 1
        self._bytes += len(placed.data)

    def _next(self, split: str) -> None:
        if self._tar is not None:
            self._tar.close()
        number = self._shards.get(split, 0)
        path = self._context.folder / f"{split}-{number:06d}.tar"
        self._tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closed by _next or close
        self._shards[split] = number + 1
        self._samples = self._bytes = 0
        self._split = split

    def _member(self, name: str, data: bytes) -> None:
        assert self._tar is not None
        member = tarfile.TarInfo(name)
        member.size = len(data)
        self._tar.addfile(member, io.BytesIO(data))

    def close(self) -> None:
        """Close the last tar file, and write `classes.json`."""
        if self._tar is not None:
            self._tar.close()
        write_json(self._context.folder / "classes.json", list(self._context.classes))

    def front(self) -> str:
        """Return nothing."""
        return ""


FORMAT = Format(
    name="webdataset",
    text="Tar shards that stream.",
    make=TarWriter,
    how_to_load=_HOW,
    embeds=True,
)
