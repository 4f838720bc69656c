"""Labelme's annotation files: written so that Labelme takes them, read whatever they hold.

Labelme ticks boxes that it calls flags, and saves them in a JSON file beside the image. One
flag, `reviewed`, is ours: it tells an image that was looked at and has none of the classes
from one that nobody opened. What stands in a file is text of anybody's making, so every part
is checked before it counts, and what does not count is reported, never overwritten.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.flags import REVIEWED

SUFFIX = ".json"
MAX_BYTES = 256 * 1024 * 1024
"""Larger files are not read; one with an embedded image of the largest size is smaller."""
FORMAT_VERSION = "6.0.0"
"""What is written as `version`; Labelme puts its own there when it saves."""


class BadFileError(Exception):
    """A file that does not hold what Labelme writes; the message says why."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What one of Labelme's files says, as far as it matters here."""

    flags: tuple[str, ...]
    """The flags that are ticked, in the file's order."""
    image_path: str
    """Where the file says its image is; empty if it does not say."""
    embedded: str | None
    """SHA-256 of the image inside the file; None if there is none."""
    n_shapes: int
    """Outlines that somebody drew: they stay in the file, and count for nothing here."""
    saved_at: float
    """When it was saved, Unix seconds."""
    stamp: tuple[int, int]
    """Time of the change (ns) and length: another stamp, another content."""


def prefilled(
    image_name: str, flags: Sequence[str], ticked: Sequence[str], width_px: int, height_px: int
) -> bytes:
    """Return the file of an image with some flags ticked, as Labelme would have written it.

    Args:
        image_name: the image's file name, in the same folder.
        flags: the flags of all classes, in order; `reviewed` goes before them.
        ticked: those of them that are ticked.
        width_px: width as displayed: Labelme refuses a file that gives another one.
        height_px: height as displayed.
    """
    document: dict[str, Any] = {
        "version": FORMAT_VERSION,
        "flags": {REVIEWED: False, **{flag: flag in ticked for flag in flags}},
        "shapes": [],
        "imagePath": image_name,
        "imageData": None,
        "imageHeight": height_px,
        "imageWidth": width_px,
    }
    return json.dumps(document, ensure_ascii=False, indent=2).encode("utf-8", "replace")


def read(path: Path) -> Saved:
    """Read a file of Labelme.

    Raises:
        BadFileError: it is half-written, or not a file of Labelme at all.
        OSError: it cannot be read.
    """
    before = path.stat()
    if not stat.S_ISREG(before.st_mode):
        raise BadFileError("not a file")
    if before.st_size > MAX_BYTES:
        raise BadFileError(f"{before.st_size:,} bytes are too many")
    document = _object(path.read_bytes())
    after = path.stat()
    if _stamp(before) != _stamp(after):
        raise BadFileError("it changed while it was read")
    shapes = document.get("shapes")
    return Saved(
        flags=_ticked(document.get("flags")),
        image_path=_image_path(document.get("imagePath"), path.parent),
        embedded=_embedded(document.get("imageData")),
        n_shapes=len(shapes) if isinstance(shapes, list) else 0,
        saved_at=before.st_mtime,
        stamp=_stamp(before),
    )


def _image_path(named: object, folder: Path) -> str:
    """Return the path of the image; Windows writes it with backslashes, which names may hold."""
    if not isinstance(named, str):
        return ""
    try:
        is_name = "\\" in named and (folder / named).is_file()
    except (OSError, ValueError):
        is_name = False
    return named if is_name else named.replace("\\", "/")


def stamp(path: Path) -> tuple[int, int] | None:
    """Return time of the change (ns) and length of a file; None if there is none."""
    try:
        return _stamp(path.stat())
    except OSError:
        return None


def _stamp(found: Any) -> tuple[int, int]:
    return (found.st_mtime_ns, found.st_size)


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        document: object = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise BadFileError("it is not text") from None
    except ValueError as error:
        why = "it is empty" if not data.strip() else f"it is not JSON: {error}"
        raise BadFileError(why) from None
    except RecursionError:
        raise BadFileError("it is nested too deeply") from None
    if not isinstance(document, dict):
        raise BadFileError("it holds no JSON object")
    if not ({"flags", "shapes", "imagePath"} & document.keys()):
        raise BadFileError("it has neither flags nor shapes: another program's JSON")
    return document


def _ticked(flags: object) -> tuple[str, ...]:
    if flags is None:
        return ()
    if not isinstance(flags, dict):
        raise BadFileError("its flags are no JSON object")
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise BadFileError(f"its flag {name!r} is neither true nor false")
    return tuple(name for name, value in flags.items() if value)


def _embedded(data: object) -> str | None:
    if not isinstance(data, str) or not data:
        return None
    try:
        return hashlib.sha256(base64.b64decode(data)).hexdigest()
    except (binascii.Error, ValueError):
        return None
