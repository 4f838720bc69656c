"""Photo-like pictures of a beach, a city, a sunset, trees, or several of these at once.

A picture is painted from back to front (sky, skyline, ground, trees) on a canvas of at most
`CANVAS_PX` and then resampled, so that every requested size shows the same scene and has
nearly the same perceptual hash. The trade-off: large sizes are soft, as an enlarged photo is.
The same scene and seed give the same pixels with the same numpy and Pillow.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageChops, ImageEnhance

from curate.demo.landscape import paint

SCENES = ("beach", "city", "sunset", "trees")
"""The classes that a picture may show; a picture of none of them shows mountains."""
EDITS = ("requality", "resize", "crop", "brighten")
"""The ways in which a near-duplicate differs from its original."""
CANVAS_PX = 400
JPEG_QUALITY = 85
_ASPECTS = ((3, 2), (4, 3), (16, 9), (1, 1), (5, 4), (2, 3), (3, 4), (4, 5))


def frame(seed: int, long_edge_px: int) -> tuple[int, int]:
    """Width and height that the picture of this seed has at its full size."""
    across, down = _ASPECTS[zlib.crc32(b"frame%d" % seed) % len(_ASPECTS)]
    scale = long_edge_px / max(across, down)
    return round(across * scale), round(down * scale)


def render(scenes: Sequence[str], seed: int, width_px: int, height_px: int) -> Image.Image:
    """Paint a picture that shows all of `scenes`, or mountains if there are none.

    Args:
        scenes: names out of `SCENES`; their order does not matter.
        seed: another seed is another picture.
        width_px: width of the result.
        height_px: height of the result; the scene follows the aspect ratio.

    Returns:
        An RGB image of `width_px` x `height_px`.

    Raises:
        ValueError: for a scene that is not in `SCENES`.
    """
    shows = frozenset(scenes)
    if unknown := shows.difference(SCENES):
        raise ValueError(f"no such scene: {sorted(unknown)}")
    rng = np.random.default_rng([zlib.crc32("+".join(sorted(shows)).encode()), seed])
    scale = CANVAS_PX / max(width_px, height_px)
    width, height = max(32, round(width_px * scale)), max(32, round(height_px * scale))
    canvas = _finish(rng, paint(rng, shows, height, width))
    if canvas.size == (width_px, height_px):
        return canvas
    return canvas.resize((width_px, height_px), Image.Resampling.BICUBIC, reducing_gap=2.0)


def encode(image: Image.Image, kind: str = "jpeg", quality: int = JPEG_QUALITY) -> bytes:
    """The image as a file: `jpeg`, `png` or `webp`."""
    out = io.BytesIO()
    if kind == "png":
        image.save(out, "PNG", compress_level=1)
    elif kind == "webp":
        image.save(out, "WEBP", quality=quality, method=0)
    else:
        image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def edit(image: Image.Image, kind: str) -> Image.Image:
    """Change a picture a little, as `EDITS` names it (`requality` is a matter of `encode`).

    Raises:
        ValueError: for a kind that is not in `EDITS`.
    """
    width, height = image.size
    if kind == "requality":
        return image
    if kind == "resize":
        return image.resize((round(width * 0.7), round(height * 0.7)), Image.Resampling.LANCZOS)
    if kind == "crop":
        x, y = max(1, round(width * 0.015)), max(1, round(height * 0.015))
        return image.crop((x, y, width - x, height - y))
    if kind == "brighten":
        return ImageEnhance.Brightness(image).enhance(1.12)
    raise ValueError(f"no such edit: {kind}")


def near_duplicate(data: bytes, kind: str) -> bytes:
    """A JPEG that a person would call the same photo, but with other bytes.

    Args:
        data: a picture in any format that Pillow opens.
        kind: out of `EDITS`: encoded again at quality 60, reduced to 0.7 of its size,
            3 % cropped, or brightened.

    Raises:
        ValueError: for a kind that is not in `EDITS`.
    """
    with Image.open(io.BytesIO(data)) as image:
        changed = edit(image.convert("RGB"), kind)
    return encode(changed, quality=60 if kind == "requality" else JPEG_QUALITY)


def _finish(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    """Uneven light, a colour cast and grain: what makes two pictures of one place differ."""
    width, height = image.size
    patches = np.kron(rng.uniform(-88, 88, (4, 4)), np.ones((2, 2)))
    patches = patches + rng.uniform(-32, 32, (8, 8))
    light = 128 + patches[..., None] + rng.uniform(-7, 7, 3)
    veil = Image.fromarray(np.clip(light, 0, 255).astype(np.uint8))
    image = ImageChops.soft_light(image, veil.resize(image.size, Image.Resampling.BICUBIC))
    grain = Image.fromarray(rng.integers(119, 138, (height, width), dtype=np.uint8))
    return ImageChops.add(image, grain.convert("RGB"), scale=1, offset=-128)
