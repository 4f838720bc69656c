"""Bodies that the fake servers send: small distinct images, and damaged ones.

Everything is made from a number, so that a test, a server in another process and a second
run agree about every byte. The pictures are smoothed noise: distinct to any hash, about
2 KB each, and made in under a millisecond.
"""

from __future__ import annotations

import functools
import io
import random
import struct
import zlib
from collections.abc import Callable

from PIL import Image

HTML = b"<!DOCTYPE html><html><head><title>Not found</title></head><body>Sorry.</body></html>"


def picture(seed: int, width_px: int = 96, height_px: int = 72) -> Image.Image:
    """A picture of smoothed noise, distinct for every seed."""
    noise = random.Random(seed).randbytes(8 * 6 * 3)
    small = Image.frombytes("RGB", (8, 6), noise)
    return small.resize((width_px, height_px), Image.Resampling.BICUBIC)


@functools.lru_cache(maxsize=8192)
def encoded(seed: int, format_name: str = "JPEG") -> bytes:
    """The picture of a seed as a file."""
    out = io.BytesIO()
    picture(seed).save(out, format_name)
    return out.getvalue()


def scan_start(jpeg: bytes) -> int:
    """Where the entropy-coded data of a baseline JPEG begins."""
    marker = jpeg.index(b"\xff\xda")
    return marker + 2 + int.from_bytes(jpeg[marker + 2 : marker + 4], "big")


def truncated(seed: int) -> bytes:
    """A JPEG cut in the middle of its pixels."""
    data = encoded(seed)
    start = scan_start(data)
    return data[: start + (len(data) - start) // 2]


def flipped(seed: int) -> bytes:
    """A JPEG of full length with 80 flipped bits among its pixels.

    A strict decoder notices nine of ten such files, seed 0 among them: Huffman codes are
    dense, and some damage is a valid picture of something else.
    """
    whole = encoded(seed)
    data = bytearray(whole)
    rng = random.Random(seed)
    for _ in range(80):
        data[rng.randrange(scan_start(whole), len(whole) - 2)] ^= 1 << rng.randrange(8)
    return bytes(data)


def pixel_bomb(side_px: int = 60_000) -> bytes:
    """A PNG of a few hundred bytes whose header announces 3,600 megapixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", side_px, side_px, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(64 * 1024)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


# What `?body=` may name, and under which Content-Type it is sent unless `?type=` says else.
BODIES: dict[str, tuple[Callable[[int], bytes], str]] = {
    "jpeg": (encoded, "image/jpeg"),
    "png": (lambda seed: encoded(seed, "PNG"), "image/png"),
    "gif": (lambda seed: encoded(seed, "GIF"), "image/gif"),
    "webp": (lambda seed: encoded(seed, "WEBP"), "image/webp"),
    "truncated": (truncated, "image/jpeg"),
    "flipped": (flipped, "image/jpeg"),
    "pixel_bomb": (lambda _seed: pixel_bomb(), "image/png"),
    "html": (lambda _seed: HTML, "text/html; charset=utf-8"),
    "text": (lambda _seed: b"not an image\n", "text/plain"),
    "noise": (lambda seed: random.Random(seed).randbytes(2000), "application/octet-stream"),
    "empty": (lambda _seed: b"", "image/jpeg"),
}
