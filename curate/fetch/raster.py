"""Decoding by Pillow: everything that is not an ordinary JPEG.

One format at a time is allowed to Pillow, so that a disguised file cannot reach a plugin
that nobody meant to run. The header is judged first, then the checksums (`verify`, which
alone sees a bad PNG CRC), then the pixels (`load`, which alone sees a cut). Grey is made
in bands of rows: the full picture exists once, in the mode it is stored in.

Trade-offs: only the first frame counts; transparency is laid on white, where cut-outs
are usually seen; Pillow drops most decoder warnings, so damage that still decodes is only
caught where the format has checksums.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from curate.fetch.hashes import Grey
from curate.records import Reason, Refused

MIN_SIDE_PX = 64
"""The reduced grey image keeps at least this many pixels on each side, if the image has them."""
MAX_REDUCTION = 8
"""It is never reduced further than this, so that formats are measured alike."""
_MAX_SIDE_PX = 4096
_BAND_PX = 2_000_000
_PNG_END = b"IEND\xaeB`\x82"
_PNG_TAIL_BYTES = 64
_DETAIL_CHARS = 200


@dataclass(frozen=True, slots=True)
class Decoded:
    """A good image, reduced: what the hashes and measures are taken from.

    Attributes:
        grey: (height, width) reduced grey values, as stored (not turned).
        width_px: stored width of the full image.
        height_px: stored height of the full image.
        orientation: EXIF orientation 1-8.
        note: a benign warning, or nothing.
    """

    grey: Grey
    width_px: int
    height_px: int
    orientation: int = 1
    note: str = ""


def decode_with_pillow(data: bytes, image_format: str, max_pixels: int) -> Decoded | Refused:
    """Decode the first frame fully and reduce it.

    Warning filters are process-wide while this runs: call it from one thread at a time.

    Args:
        data: a whole body.
        image_format: what the first bytes say, as Pillow's format name in lower case.
        max_pixels: refuse larger images before decoding.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            outcome = _decode(data, image_format, max_pixels)
        except Exception as error:  # noqa: BLE001 - hostile bytes make plugins raise anything
            return _refusal(error, image_format)
    if isinstance(outcome, Decoded) and caught:
        note = one_line(caught[0].message)
        return Decoded(outcome.grey, outcome.width_px, outcome.height_px, outcome.orientation, note)
    return outcome


def one_line(message: object) -> str:
    """Shorten a decoder's message to one printable line.

    Args:
        message: an exception, a warning or a text; object addresses are left out.
    """
    text = " ".join(str(message).split("<_io.")[0].split())
    return "".join(c if c.isprintable() else "?" for c in text)[:_DETAIL_CHARS]


def _decode(data: bytes, image_format: str, max_pixels: int) -> Decoded | Refused:
    image = _open(data, image_format)
    width_px, height_px = image.size
    if width_px * height_px > max_pixels:
        return Refused(Reason.TOO_MANY_PIXELS, f"{width_px} x {height_px} pixels")
    found = (image.format or "").lower()
    if found != image_format and (image_format, found) != ("jpeg", "mpo"):
        return Refused(Reason.FORMAT_MISMATCH, f"starts as {image_format}, decodes as {found}")
    if image.mode == "P" and image_format == "png" and image.palette is None:
        return Refused(Reason.CORRUPT, "the palette is missing")
    if image_format == "png":
        if _PNG_END not in data[-_PNG_TAIL_BYTES:] and _PNG_END not in data:
            return Refused(Reason.CORRUPT, "the end chunk is missing or cut off")
        image.verify()  # leaves the image unusable
        image = _open(data, image_format)
    _load(image)
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if orientation not in range(2, 9):
        orientation = 1
    return Decoded(_reduced_grey(image), width_px, height_px, int(orientation))


def _open(data: bytes, image_format: str) -> Image.Image:
    """Read the header only."""
    return Image.open(io.BytesIO(data), formats=[image_format.upper()])


def _load(image: Image.Image) -> None:
    """Decode the pixels."""
    image.load()


def _refusal(error: Exception, image_format: str) -> Refused:
    """Turn whatever a plugin raised into a reason."""
    detail = one_line(error) or type(error).__name__
    if isinstance(error, Image.DecompressionBombError):
        return Refused(Reason.TOO_MANY_PIXELS, detail)
    if isinstance(error, MemoryError):
        return Refused(Reason.DECODER_CRASH, "out of memory while decoding")
    if isinstance(error, UnidentifiedImageError):
        if image_format in ("tiff", "avif"):
            return Refused(Reason.UNSUPPORTED, f"a {image_format} the decoder cannot open")
        return Refused(Reason.CORRUPT, f"the {image_format} header cannot be read")
    if "Decompressed data too large" in detail:
        return Refused(Reason.TOO_BIG, detail)
    if isinstance(error, NotImplementedError) or "nsupported" in detail:
        return Refused(Reason.UNSUPPORTED, detail)
    return Refused(Reason.CORRUPT, detail)


def _reduced_grey(image: Image.Image) -> Grey:
    """Grey values averaged over squares of 1 to 8 pixels, made band by band.

    Only the long side of an extreme strip is reduced further.
    """
    width, height = image.size
    factor = max(1, min(MAX_REDUCTION, min(width, height) // MIN_SIDE_PX))
    across, down = (max(factor, -(-side // _MAX_SIDE_PX)) for side in image.size)
    rows = max(down, _BAND_PX // width // down * down)
    extrema = image.getextrema() if image.mode in ("I", "F") else None
    bands = []
    for top in range(0, height, rows):
        whole = top == 0 and rows >= height
        strip = image if whole else image.crop((0, top, width, min(height, top + rows)))
        bands.append(np.asarray(_grey(strip, extrema).reduce((across, down))))
    return bands[0] if len(bands) == 1 else np.concatenate(bands)


def _grey(image: Image.Image, extrema: object) -> Image.Image:
    """Eight-bit grey of any mode, transparency on white."""
    mode = image.mode
    if mode == "L" and "transparency" not in image.info:
        return image
    if mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if mode in ("I", "F"):
        return _stretched(image, extrema)
    if mode == "LAB":
        return image.getchannel(0)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, layer).convert("L")
    if mode in ("CMYK", "HSV", "YCbCr"):
        return image.convert("RGB").convert("L")
    return image.convert("L")


def _stretched(image: Image.Image, extrema: object) -> Image.Image:
    """Grey of integer or float samples without a known range: lowest black, highest white."""
    low, high = extrema if isinstance(extrema, tuple) else (0, 0)
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=high, neginf=low)
    span = float(high) - float(low)
    if not np.isfinite(span) or span <= 0:
        return Image.new("L", image.size)
    scaled = np.clip((values - float(low)) * (255 / span), 0, 255)
    return Image.fromarray(scaled.astype(np.uint8))
