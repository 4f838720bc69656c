"""What bytes claim to be: the format by the first bytes, the size by the header.

Nothing is decoded and nothing is allocated here, so an image of enormous dimensions is
told apart for the price of a few comparisons. Formats whose size sits deep in a
directory (TIFF) are left to the lazy `open` of the decoder.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from curate.formats import image_format, iso_brands
from curate.records import Reason, Refused

_UNSUPPORTED: tuple[tuple[bytes, str], ...] = (
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"8BPS", "Photoshop"),
    (b"icns", "Apple icon"),
    (b"\0\0\2\0", "Windows cursor"),
    (b"\x01\xda\0", "SGI"),
    (b"\x01\xda\1", "SGI"),
    (b"qoif", "QOI"),
    (b"DDS ", "DDS"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance"),
    (b"FUJIFILMCCD-RAW", "camera raw"),
)
"""Pictures, but of kinds that no decoder here may be let loose on."""

_NETPBM = re.compile(rb"P[1-7]\s")
_HTML = re.compile(
    rb"(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|script|title|meta)\b", re.S
)
_SVG = re.compile(rb"(?:<\?xml[^>]*>\s*|<!--.*?-->\s*|<!doctype\s+svg[^>]*>\s*)*<svg\b", re.S)
_TEXT_HEAD_BYTES = 1024


def sniff(data: bytes) -> str | Refused:
    """Name the format by its first bytes.

    Args:
        data: a whole body.

    Returns:
        `jpeg`, `png`, `webp`, `gif`, `avif`, `tiff`, `bmp` or `ico`; or why it is none.
    """
    if not data:
        return Refused(Reason.EMPTY, "no bytes")
    found = image_format(data)
    if found is not None:
        return found
    if data[4:8] == b"ftyp":
        return _other_iso_media(data)
    for prefix, name in _UNSUPPORTED:
        if data.startswith(prefix):
            return Refused(Reason.UNSUPPORTED, f"{name} is not decoded")
    if _NETPBM.match(data):
        return Refused(Reason.UNSUPPORTED, "Netpbm is not decoded")
    return _sniff_text(data)


def _other_iso_media(data: bytes) -> Refused:
    """Tell HEIF from the other ISO media files that are not AVIF."""
    brands = iso_brands(data)
    major = data[8:12].decode("ascii", "replace")
    if brands & {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"}:
        return Refused(Reason.UNSUPPORTED, f"HEIF ({major}) is not decoded")
    return Refused(Reason.NOT_AN_IMAGE, f"ISO media of brand {major!r}")


def _sniff_text(data: bytes) -> Refused:
    """Name what is not a picture: a page, XML, JSON, text, or plain unknown bytes."""
    head = data[:_TEXT_HEAD_BYTES].removeprefix(b"\xef\xbb\xbf")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        head = head[2:].replace(b"\0", b"")
    head = head.lstrip().lower()
    if _HTML.match(head) or (head.startswith(b"<?xml") and b"<html" in head):
        return Refused(Reason.HTML, "an HTML page")
    if _SVG.match(head):
        return Refused(Reason.UNSUPPORTED, "SVG is not decoded")
    if head.startswith(b"<"):
        return Refused(Reason.NOT_AN_IMAGE, "an XML document")
    if head.startswith((b"{", b"[")):
        return Refused(Reason.NOT_AN_IMAGE, "a JSON document")
    if head and not re.search(rb"[\0-\x08\x0e-\x1f\x7f-\xff]", head):
        return Refused(Reason.NOT_AN_IMAGE, f"text: {head[:60].decode('ascii')!r}")
    return Refused(Reason.NOT_AN_IMAGE, f"first bytes {data[:8].hex(' ')}")


def refuse_header(data: bytes, image_format: str, max_pixels: int) -> Refused | None:
    """Judge what the headers announce, without decoding.

    The size of a TIFF is not judged here, only whether its directory is there: its decoder
    reads that lazily.

    Args:
        data: a whole body whose first bytes are of `image_format`.
        image_format: what `sniff` named it.
        max_pixels: the largest acceptable width times height.

    Returns:
        A refusal if a picture or a frame in it is too large, or if the container ends
        before its parts do; nothing if it may be decoded.
    """
    try:
        for width_px, height_px in _sizes(data, image_format):
            if width_px * height_px > max_pixels:
                return Refused(Reason.TOO_MANY_PIXELS, f"{width_px} x {height_px} pixels")
    except (struct.error, IndexError):
        return Refused(Reason.CORRUPT, f"the {image_format} ends inside one of its parts")
    return None


def _sizes(data: bytes, image_format: str) -> Iterator[tuple[int, int]]:
    match image_format:
        case "png":
            yield struct.unpack_from(">II", data, 16)
        case "gif":
            yield from _gif_sizes(data)
        case "bmp":
            yield _dib_size(data, 14)
        case "webp":
            yield _webp_size(data)
        case "avif":
            _require_boxes(data)
            yield from _ispe_sizes(data)
        case "tiff":
            _require_directory(data)
        case "ico":
            yield from _ico_sizes(data)
        case _:
            return  # JPEG has a reader of its own


def _gif_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """The screen, and how far each frame reaches; walks the blocks of all frames.

    Raises:
        IndexError: the data ends inside a block.
    """
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    yield width, height
    at = 13 + _gif_palette_bytes(flags)
    while at < len(data):
        if data[at] == 0x21:  # an extension: label, then sub-blocks
            at += 2
        elif data[at] == 0x2C:  # a frame
            left, top, width, height, flags = struct.unpack_from("<HHHHB", data, at + 1)
            yield left + width, top + height
            at += 11 + _gif_palette_bytes(flags)
        else:
            return  # the trailer, or bytes after it
        while n_bytes := data[at]:
            at += n_bytes + 1
        at += 1


def _gif_palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _dib_size(data: bytes, offset: int) -> tuple[int, int]:
    (header_bytes,) = struct.unpack_from("<I", data, offset)
    layout = "<HH" if header_bytes == 12 else "<ii"
    width, height = struct.unpack_from(layout, data, offset + 4)
    return abs(width), abs(height)


def _webp_size(data: bytes) -> tuple[int, int]:
    """The canvas size.

    Raises:
        IndexError: the file is shorter than its RIFF header says.
    """
    (n_bytes,) = struct.unpack_from("<I", data, 4)
    if n_bytes + 8 > len(data):
        raise IndexError
    kind = data[12:16]
    if kind == b"VP8X":
        low, high = struct.unpack_from("<IH", data, 24)
        return (low & 0xFFFFFF) + 1, ((low >> 24) | (high << 8)) + 1
    if kind == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        return (packed & 0x3FFF) + 1, ((packed >> 14) & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _require_boxes(data: bytes) -> None:
    """Walk the outer boxes.

    Raises:
        IndexError: one of them reaches beyond the end.
    """
    at = 0
    while at + 8 <= len(data):
        (n_bytes,) = struct.unpack_from(">I", data, at)
        if n_bytes == 1:
            (n_bytes,) = struct.unpack_from(">Q", data, at + 8)
        if n_bytes < 8:
            return  # the last box reaches to the end, whatever its length
        at += n_bytes
    if at > len(data):
        raise IndexError


def _require_directory(data: bytes) -> None:
    """Look at the first directory of a TIFF, which often stands at the end.

    Raises:
        struct.error: it is not, or not wholly, in the file.
    """
    order = "<" if data[:2] == b"II" else ">"
    if data[2:4] in (b"+\0", b"\0+"):
        (at,) = struct.unpack_from(order + "Q", data, 8)
        (count,) = struct.unpack_from(order + "Q", data, at)
        struct.unpack_from("20s", data, at + 8 + 20 * (count - 1))
        return
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    if count:
        struct.unpack_from("12s", data, at + 2 + 12 * (count - 1))


def _ispe_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """Every image spatial extent of an AVIF file: the picture, its tiles, its alpha."""
    head = data[:65536]
    at = head.find(b"ispe")
    while at >= 0:
        yield struct.unpack_from(">II", head, at + 8)
        at = head.find(b"ispe", at + 4)


def _ico_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """True sizes of the pictures in an icon: its directory has one byte per side.

    Raises:
        IndexError: a PNG in it is cut off (a DIB may lack rows of its mask).
    """
    (count,) = struct.unpack_from("<H", data, 4)
    for entry in range(min(count, 256)):
        n_bytes, offset = struct.unpack_from("<II", data, 6 + 16 * entry + 8)
        if data[offset : offset + 4] == b"\x89PNG":
            if offset + n_bytes > len(data):
                raise IndexError
            yield struct.unpack_from(">II", data, offset + 16)
        else:
            width, height = _dib_size(data, offset)
            yield width, height // 2  # a DIB in an icon counts its mask as rows
