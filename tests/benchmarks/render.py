"""Pictures that look like photos to a codec, drawn from a seed.

Web photos spend their bytes on texture: a 1/f spectrum of detail, masked so that some
regions are smooth and some are busy, with a few hard edges. Octaves of noise and some
shapes reproduce that, so that decoding costs per byte what decoding photos costs, without
a single photo in the repository. The same seed gives the same pixels.
"""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIZES_PX: Final = ((500, 375), (500, 375), (375, 500), (500, 333), (333, 500), (480, 480))
BIG_SIZE_PX: Final = (2048, 1536)
OCTAVES: Final = (3, 6, 12, 24, 48, 96, 192)

Floats = NDArray[np.float32]


def _octave(rng: np.random.Generator, size_px: tuple[int, int], cells: int) -> Floats:
    """Noise on a grid of `cells`, stretched smoothly over `size_px` (width, height)."""
    grid = rng.standard_normal((cells, cells), dtype=np.float32)
    return np.asarray(Image.fromarray(grid).resize(size_px, Image.Resampling.BICUBIC))


def _shapes(rng: np.random.Generator, size_px: tuple[int, int]) -> Floats:
    """A grey field of overlapping ellipses and polygons: the hard edges of a photo."""
    width, height = size_px
    field = Image.new("L", size_px, 128)
    draw = ImageDraw.Draw(field)
    for _ in range(int(rng.integers(4, 14))):
        grey = int(rng.integers(40, 216))
        xy = [(float(x * width), float(y * height)) for x, y in rng.random((5, 2))]
        if rng.random() < 0.5:
            (left, right), (top, bottom) = (sorted(axis) for axis in zip(xy[0], xy[1], strict=True))
            draw.ellipse((left, top, right, bottom), fill=grey)
        else:
            draw.polygon(xy, fill=grey)
    return np.asarray(field, dtype=np.float32) - 128.0


def render(rng: np.random.Generator, size_px: tuple[int, int]) -> Image.Image:
    """Draw one picture.

    Args:
        rng: the source of chance; its state is advanced.
        size_px: width and height.

    Returns:
        An RGB image.
    """
    width, height = size_px
    scale = max(size_px) / 500
    light = np.zeros((height, width), np.float32)
    for cells in OCTAVES:
        light += _octave(rng, size_px, int(cells * max(1.0, scale / 2))) * (62.0 / cells**0.5)
    light += 0.6 * _shapes(rng, size_px)
    busy = np.clip(_octave(rng, size_px, 5) * 0.8 + 0.9, 0.05, None)
    grain = rng.standard_normal((height, width), dtype=np.float32)
    light += grain * busy * float(rng.lognormal(2.45, 0.5))
    tint = rng.uniform(-0.35, 0.35, 3).astype(np.float32)
    hue = _octave(rng, size_px, 4) + 0.25 * _octave(rng, size_px, 32)
    base = rng.uniform(95, 160)
    rgb = base + light[..., None] + (hue * 30)[..., None] * tint + tint * 60
    return Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8))


def encode(image: Image.Image, quality: int, progressive: bool) -> bytes:
    """JPEG bytes, chroma halved as web photos have it."""
    out = io.BytesIO()
    options: dict[str, Any] = {"quality": quality, "progressive": progressive, "subsampling": 2}
    image.save(out, "JPEG", optimize=progressive, **options)
    return out.getvalue()
