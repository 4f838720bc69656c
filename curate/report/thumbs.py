"""Reduced pictures for contact sheets, small enough to stand inside a page."""

from __future__ import annotations

import io
from pathlib import Path

from curate.report.facts import Thumb

SIDE_PX = 132
"""Height of a thumbnail."""
WIDEST = 2.2
"""Pictures wider than this many heights are cut at the sides."""
QUALITY = 72


def make_thumb(path: Path, title: str, link: str = "", side_px: int = SIDE_PX) -> Thumb:
    """Reduce a stored picture to a JPEG of a few kilobytes, turned as EXIF says.

    Args:
        path: a file of the store, verified before.
        title: what its tooltip says.
        link: the page a person would open.
        side_px: its height.
    """
    from PIL import Image, ImageOps

    with Image.open(path) as image:
        image.draft("RGB", (side_px * 2, side_px * 2))
        small = ImageOps.exif_transpose(image).convert("RGB")
    width = min(round(small.width * side_px / small.height), round(side_px * WIDEST))
    small = ImageOps.fit(small, (max(1, width), side_px))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=QUALITY, optimize=True)
    return Thumb(out.getvalue(), title, link, small.width, small.height)
