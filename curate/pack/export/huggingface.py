"""Parquet files with the pictures inside, as the Hugging Face Hub wants a dataset.

The types that `datasets` needs (pictures, class names) stand in the metadata of each file, so
nothing of it is imported here. One class each is a `ClassLabel` called `label` (-1: none of the
classes); several are a list of them called `labels`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curate.pack.card import ATTRIBUTION_COLUMNS
from curate.pack.export.base import Context, Format, Item, Placed
from curate.pack.export.files import dense

SHARD_BYTES = 480_000_000
GROUP_ROWS = 100
"""Rows of a row group: what a viewer must load to show one picture."""
GROUP_BYTES = 64 * 1024 * 1024
SPLIT_NAMES = {"val": "validation"}
"""The Hub's own word for it."""
_HOW = """\
```python
from datasets import load_dataset
dataset = load_dataset("DIR")  # or push the folder to the Hub as it is
```
"""
_CREDITS = [name for name in ATTRIBUTION_COLUMNS if name != "image_id"]


class ParquetWriter:
    """Fills one Parquet file after the other, split by split."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._schema = _schema(context)
        self._file: pq.ParquetWriter | None = None
        self._paths: dict[str, list[Path]] = {}
        self._rows: list[dict[str, Any]] = []
        self._split = ""
        self._shard_bytes = self._group_bytes = 0

    def where(self, item: Item) -> str:
        """Return the name that the picture has inside."""
        return item.file

    def add(self, item: Item, placed: Placed) -> None:
        """Add a row, in a new file when the last is full."""
        full = self._shard_bytes >= SHARD_BYTES
        if self._file is None or full or item.split != self._split:
            self._next(item.split)
        row: dict[str, Any] = {"image": {"bytes": placed.data, "path": item.file}}
        row["image_id"] = item.image_id
        if self._context.exclusive:
            row["label"] = item.codes[0] if item.codes else -1
        else:
            row["labels"] = list(item.codes)
        self._rows.append(row | {name: item.credit[name] for name in _CREDITS})
        self._group_bytes += len(placed.data)
        self._shard_bytes += len(placed.data)
        if len(self._rows) >= GROUP_ROWS or self._group_bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._rows and self._file is not None:
            self._file.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows, self._group_bytes = [], 0

    def _next(self, split: str) -> None:
        self._finish()
        paths = self._paths.setdefault(split, [])
        folder = self._context.folder / "data"
        folder.mkdir(exist_ok=True)
        name = SPLIT_NAMES.get(split, split)
        if not paths:
            for stale in folder.glob(f"{name}-*.parquet"):  # of a run that was stopped
                stale.unlink()
        paths.append(folder / f"{name}-{len(paths):05d}.parquet")
        # Pictures are compressed already.
        packed = [name for name in self._schema.names if name != "image"]
        compression = dict.fromkeys(packed, "zstd") | {"image.bytes": "none", "image.path": "zstd"}
        self._file = pq.ParquetWriter(paths[-1], self._schema, compression=compression)
        self._split, self._shard_bytes = split, 0

    def _finish(self) -> None:
        if self._file is not None:
            self._flush()
            self._file.close()
            self._file = None

    def close(self) -> None:
        """Close the last file, and give all names that tell how many there are."""
        self._finish()
        for paths in self._paths.values():
            for path in paths:
                path.rename(path.with_name(f"{path.stem}-of-{len(paths):05d}.parquet"))

    def front(self) -> str:
        """Return which files are which split, and what the dataset is for."""
        names = [SPLIT_NAMES.get(split, split) for split in self._paths]
        lines = "\n".join(f"  - split: {name}\n    path: data/{name}-*" for name in names)
        return (
            "---\ntask_categories:\n- image-classification\n"
            f"configs:\n- config_name: default\n  data_files:\n{lines}\n---\n"
        )


def _schema(context: Context) -> pa.Schema:
    names = {"names": list(context.classes), "_type": "ClassLabel"}
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    features["image_id"] = _text()
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    fields = [pa.field("image", picture), pa.field("image_id", pa.string())]
    if context.exclusive:
        features["label"] = names
        fields.append(pa.field("label", pa.int64()))
    else:
        features["labels"] = {"feature": names, "_type": "Sequence"}
        fields.append(pa.field("labels", pa.list_(pa.int64())))
    for name in _CREDITS:
        features[name] = _text()
        fields.append(pa.field(name, pa.string()))
    note = dense({"info": {"features": features}})
    return pa.schema(fields, metadata={"huggingface": note})


def _text() -> dict[str, str]:
    return {"dtype": "string", "_type": "Value"}


FORMAT = Format(
    name="huggingface",
    text="Parquet with the pictures inside, ready for the Hugging Face Hub.",
    make=ParquetWriter,
    how_to_load=_HOW,
    embeds=True,
)
