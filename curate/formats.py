"""Image formats by their first bytes: what a file is, whatever its name says.

Only the formats that are decoded; why something is none of them, `curate.fetch.sniff` tells.
"""

from __future__ import annotations

HEAD_BYTES = 256
"""So many first bytes are enough to tell."""

_PREFIXES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\0\0\1\0", "ico"),
)


def image_format(head: bytes) -> str | None:
    """Name the format of an image file; None if it is none that is decoded.

    Args:
        head: at least the first `HEAD_BYTES` of the file, or all of it.

    Returns:
        `jpeg`, `png`, `webp`, `gif`, `avif`, `tiff`, `bmp` or `ico`.
    """
    for prefix, name in _PREFIXES:
        if head.startswith(prefix):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    return "avif" if iso_brands(head) & {b"avif", b"avis"} else None


def iso_brands(head: bytes) -> set[bytes]:
    """Return the brands of an ISO media file (ISO/IEC 14496-12), none of any other file."""
    if head[4:8] != b"ftyp":
        return set()
    n_bytes = min(int.from_bytes(head[:4], "big"), HEAD_BYTES)
    return {head[i : i + 4] for i in (8, *range(16, n_bytes - 3, 4))}
