"""Bytes of a picture -> the pixels that a model sees, fast, upright, and under limits.

An ordinary JPEG is decoded by simplejpeg at the smallest reduced size that still has the pixels
wanted; everything else by Pillow. The cut and the resizing are one step, so that nothing is
computed that is cut off afterwards. All of it runs outside Python's lock: threads scale.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curate.assist.preprocess import Preprocess

if TYPE_CHECKING:
    from PIL import Image

Pixels = NDArray[np.uint8]

MAX_PIXELS = 50_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP", "ICO", "MPO")
"""What Pillow may try; nobody means its other plugins."""
_ORIENTATION = 0x0112
_SIDEWAYS = frozenset({5, 6, 7, 8})


class PictureError(ValueError):
    """The bytes are no picture, a broken one, or too large a one.

    Attributes:
        is_too_large: the header announces more pixels than are decoded.
    """

    def __init__(self, message: str, *, is_too_large: bool = False) -> None:
        super().__init__(message)
        self.is_too_large = is_too_large


def pixels(data: bytes, wanted: Preprocess, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode, cut and resize one picture.

    Args:
        data: a whole file.
        wanted: size and cut.
        max_pixels: larger pictures are refused from their header.

    Returns:
        Red, green and blue of shape (height_px, width_px, 3).

    Raises:
        PictureError: it cannot be used.
    """
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height > max_pixels:
            size = f"{image.width} x {image.height}"
            raise PictureError(f"{size} pixels are too many", is_too_large=True)
        return _pixels(data, image, wanted)
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError(str(error), is_too_large=True) from None
    except Exception as error:  # hostile bytes make plugins raise anything
        raise PictureError(f"no picture that can be decoded: {type(error).__name__}") from error


def _pixels(data: bytes, image: Image.Image, wanted: Preprocess) -> Pixels:
    from PIL import ImageOps

    if image.format not in ("JPEG", "MPO") or image.mode not in ("RGB", "L"):
        upright = _on_white(ImageOps.exif_transpose(image))
        return np.asarray(_cut(upright, wanted, wanted.width_px, wanted.height_px))
    orientation = image.getexif().get(_ORIENTATION, 1)
    width, height = wanted.width_px, wanted.height_px
    if orientation in _SIDEWAYS:
        width, height = height, width
    part = _cut(_decoded(data, image, wanted, width, height), wanted, width, height)
    if orientation in range(2, 9):
        exif = part.getexif()
        exif[_ORIENTATION] = orientation
        part = ImageOps.exif_transpose(part)
    return np.ascontiguousarray(np.asarray(part)[..., :3])


def _decoded(
    data: bytes, image: Image.Image, wanted: Preprocess, width: int, height: int
) -> Image.Image:
    """Decode a JPEG at the smallest size that has at least the pixels wanted."""
    import simplejpeg
    from PIL import Image

    left, top, right, bottom = _box(image.width, image.height, wanted, width, height)
    shrink = min((right - left) / width, (bottom - top) / height)
    least = (image.height / shrink, image.width / shrink) if shrink >= 2 else (0, 0)
    try:
        decoded = simplejpeg.decode_jpeg(
            data, "RGBX", min_height=int(least[0]), min_width=int(least[1]), strict=False
        )
    except ValueError:
        # Flavours that only Pillow's libjpeg does.
        return image.convert("RGB")
    # Four bytes a pixel is how Pillow keeps colours: it takes these as they are, without a copy.
    size = decoded.shape[1], decoded.shape[0]
    return Image.frombuffer("RGBX", size, decoded, "raw", "RGBX", 0, 1)


def _cut(image: Image.Image, wanted: Preprocess, width: int, height: int) -> Image.Image:
    box = _box(image.width, image.height, wanted, width, height)
    return image.resize((width, height), wanted.resample, box=box)


def _box(
    whole_width: int, whole_height: int, wanted: Preprocess, width: int, height: int
) -> tuple[float, float, float, float]:
    """Return the part of a picture that the model sees: left, top, right, bottom.

    Whole pixels as if it were resized first and cut afterwards, as models are trained.
    """
    if wanted.fit == "squeeze":
        resized_width, resized_height = round(width * wanted.scale), round(height * wanted.scale)
    else:
        shorter = wanted.scale * min(width, height) / min(whole_width, whole_height)
        # A wide cut of a tall picture: no wider than the picture.
        grow = max(shorter, width / whole_width, height / whole_height)
        resized_width, resized_height = round(whole_width * grow), round(whole_height * grow)
    left, top = round((resized_width - width) / 2), round((resized_height - height) / 2)
    across, down = whole_width / resized_width, whole_height / resized_height
    return left * across, top * down, (left + width) * across, (top + height) * down


def _on_white(image: Image.Image) -> Image.Image:
    """Return red, green and blue; what is transparent lies on white, where it is usually seen."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.uint16)
        return Image.fromarray((wide >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), layer).convert("RGB")
    return image.convert("RGB")
