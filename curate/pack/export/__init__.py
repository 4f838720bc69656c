"""Exports of a manifest: the registry of formats, by name.

Our own are named in one explicit mapping; third parties add theirs by the entry point group
`curate.exporters`, each a `curate.pack.export.base.Format`. A format's module is imported when
it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import cast

from curate.errors import UsageError
from curate.pack.export.base import Context, Format, Item, Options, Placed, Writer

__all__ = [
    "BUILT_IN",
    "Context",
    "Format",
    "Item",
    "Options",
    "Placed",
    "Writer",
    "find_format",
    "names",
]

BUILT_IN = {
    "imagefolder": "curate.pack.export.imagefolder",
    "csv": "curate.pack.export.table",
    "webdataset": "curate.pack.export.webdataset",
    "huggingface": "curate.pack.export.huggingface",
    "coco": "curate.pack.export.coco",
    "yolo-cls": "curate.pack.export.yolo_cls",
    "labelme": "curate.pack.export.labelme",
    "fiftyone": "curate.pack.export.fiftyone",
}
GROUP = "curate.exporters"


def names() -> list[str]:
    """Return the names of all formats, our own first, without loading any."""
    others = {point.name for point in entry_points(group=GROUP)} - set(BUILT_IN)
    return [*BUILT_IN, *sorted(others)]


def find_format(name: str) -> Format:
    """Return the format called `name`.

    Raises:
        UsageError: there is none.
    """
    if name in BUILT_IN:
        return cast("Format", import_module(BUILT_IN[name]).FORMAT)
    for point in entry_points(group=GROUP):
        if point.name == name:
            return cast("Format", point.load())
    raise UsageError(f"there is no export called {name!r}", f"known are: {', '.join(names())}")
