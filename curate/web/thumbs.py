"""Pictures for the audit page: small ones made when first asked for, large ones as stored.

A thumbnail is a cache file: it may be deleted at any time, and comes into being under its
final name whole or not at all. Decoding at a reduced scale is libjpeg's own (`draft`), which
releases the interpreter lock, so a few threads keep up with a grid. Only formats that every
browser shows are sent as stored; others are turned into a large JPEG.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from curate.store import Store

if TYPE_CHECKING:
    from PIL.Image import Image

THUMB_PX = 512
"""Longest side of a thumbnail: sharp on a tile of 256 points on a dense screen."""
LARGE_PX = 2048
"""Longest side of the stand-in for a format that browsers do not show."""
QUALITY = 82
MEDIA_TYPES = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "avif": "image/avif",
    "bmp": "image/bmp",
}
"""Formats sent as stored, with the only type that each is ever given."""


class Thumbs:
    """The folder `thumbs/` of a project.

    Args:
        root: the folder; made when first written to.
        store: where the images are.
    """

    def __init__(self, root: Path, store: Store) -> None:
        self.root = root
        self.store = store

    def small(self, image_id: str, image_format: str) -> Path:
        """Return the thumbnail's file, made if it is not there.

        Raises:
            OSError: the image is missing or cannot be decoded, or the disk is full.
        """
        return self._made(image_id, image_format, "", THUMB_PX)

    def large(self, image_id: str, image_format: str) -> tuple[Path, str]:
        """Return a file to look at closely, and its media type.

        Raises:
            OSError: as for `small`.
        """
        if image_format in MEDIA_TYPES:
            return self.store.path(image_id, image_format), MEDIA_TYPES[image_format]
        return self._made(image_id, image_format, "-large", LARGE_PX), "image/jpeg"

    def _made(self, image_id: str, image_format: str, suffix: str, side_px: int) -> Path:
        final = self.root / image_id[:2] / f"{image_id}{suffix}.jpg"
        if final.is_file():
            return final
        final.parent.mkdir(parents=True, exist_ok=True)
        part = final.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")
        try:
            reduce(self.store.path(image_id, image_format), part, side_px)
            part.replace(final)
        finally:
            part.unlink(missing_ok=True)
        return final


def reduce(path: Path, out: Path, side_px: int) -> None:
    """Write a smaller JPEG of a picture, turned as EXIF says, transparency on white.

    Raises:
        OSError: it cannot be read, decoded or written.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            image.draft("RGB", (side_px, side_px))
            picture = _plain(ImageOps.exif_transpose(image))
        picture.thumbnail((side_px, side_px), reducing_gap=2.0)
        picture.save(out, "JPEG", quality=QUALITY)
    except OSError:
        raise
    except Exception as error:  # hostile bytes make decoders raise anything
        raise OSError(f"{path.name} cannot be decoded: {error}") from error


def _plain(image: Image) -> Image:
    """Return a picture of eight-bit colours, whatever it was."""
    import numpy as np
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float32))
        low, high = float(values.min()), float(values.max())
        scaled = (values - low) * (255 / (high - low or 1.0))
        return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
