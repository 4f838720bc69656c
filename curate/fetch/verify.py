"""Bytes -> verified image, or the reason why not: the gate of the store.

First bytes, announced size, one full decode at reduced size, then hash and measure.
The order is the point: nothing is decoded before its format and size are known to be
acceptable, and nothing is accepted before every coded bit was read. See
docs/decisions/0002-decoder.md for the choice of decoders and what they cost.

Meant for worker processes: it imports little, keeps no state, and never raises on
hostile bytes (a decoder may still crash the process; the pool's owner deals with that).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from curate.fetch.hashes import displayed, measures, phashes, thumbnail
from curate.fetch.jpeg import decode_jpeg
from curate.fetch.raster import Decoded, decode_with_pillow, one_line
from curate.fetch.sniff import refuse_header, sniff
from curate.records import Reason, Refused, Verified


@dataclass(frozen=True, slots=True)
class Limits:
    """What an image may be.

    Attributes:
        max_pixels: width times height above which nothing is decoded.
        keep_damaged: whether a JPEG that has lost pixels, but has its end, is let in.
    """

    max_pixels: int = 50_000_000
    keep_damaged: bool = False


DEFAULT_LIMITS = Limits()


def verify(
    data: bytes, limits: Limits = DEFAULT_LIMITS, image_id: str | None = None
) -> Verified | Refused:
    """Check, decode once, hash and measure.

    Args:
        data: the whole body or file.
        limits: what is too large to be decoded.
        image_id: SHA-256 of the data as hexadecimal digits, if the caller has it.

    Returns:
        A row of the good image, or a reason with one line of detail. Never raises for
        what the bytes contain.
    """
    image_format = sniff(data)
    if isinstance(image_format, Refused):
        return image_format
    try:
        outcome = _decode(data, image_format, limits)
    except MemoryError:
        return Refused(Reason.DECODER_CRASH, "out of memory while decoding")
    except Exception as error:  # noqa: BLE001 - hostile bytes drive third-party decoders
        return Refused(Reason.CORRUPT, one_line(f"{type(error).__name__}: {error}"))
    if isinstance(outcome, Refused):
        return outcome
    return _described(data, image_format, outcome, image_id or hashlib.sha256(data).hexdigest())


def _decode(data: bytes, image_format: str, limits: Limits) -> Decoded | Refused:
    """Judge the announced size, then decode with the decoder of the format."""
    if image_format == "jpeg":
        return decode_jpeg(data, limits.max_pixels, keep_damaged=limits.keep_damaged)
    refused = refuse_header(data, image_format, limits.max_pixels)
    if refused is not None:
        return refused
    return decode_with_pillow(data, image_format, limits.max_pixels)


def _described(data: bytes, image_format: str, image: Decoded, image_id: str) -> Verified:
    """The row of a good image; hashes are of the image as displayed."""
    phash, phash256 = phashes(displayed(thumbnail(image.grey), image.orientation))
    seen = measures(image.grey)
    return Verified(
        image_id=image_id,
        format=image_format,
        n_bytes=len(data),
        width_px=image.width_px,
        height_px=image.height_px,
        orientation=image.orientation,
        phash=phash,
        phash256=phash256,
        brightness=seen.brightness,
        contrast=seen.contrast,
        sharpness=seen.sharpness,
        entropy=seen.entropy,
        note=image.note,
    )
