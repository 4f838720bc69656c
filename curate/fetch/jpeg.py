"""Strict JPEG: one reduced decode that refuses lost pixels and forgives the rest.

libjpeg-turbo reads every coded bit even when it only computes a 1/8-size grey image, and
reports damage as warnings that most callers drop. In strict mode simplejpeg raises the
text of the *first* warning only, so a harmless oddity could hide damage behind it.
Hence the rule: **a warning is benign exactly if removing its cause gives bytes that
decode without any warning.** Only JPEGs that warn pay for the second decode.

What is removed: odd JFIF revisions, Adobe transforms and scan parameters and bytes between
header segments (`_tidied`); zero, 0xFF or white-space padding before a marker, always the
whole run of it, so that a hole of zeros that the decoder took for data still shows
(`_without_padding`). A missing end marker is not forgiven: Pillow, and so most training
code, cannot load such a file.

Flavours that simplejpeg cannot do (arithmetic coding, odd sampling) go to Pillow.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace

import simplejpeg

from curate.fetch.hashes import Grey
from curate.fetch.raster import MIN_SIDE_PX, Decoded, decode_with_pillow, one_line
from curate.records import DAMAGED, Reason, Refused

_SOI, _EOI, _SOS, _APP0, _APP1, _APP14 = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xEE
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_HUFFMAN_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_PROGRESSIVE = frozenset({0xC2, 0xCA})
_NEEDED = _FRAMES | {0xC4, 0xCC, 0xDB, 0xDD, _APP0, _APP14}
"""Segments that decide how pixels are decoded: frame, tables, restart interval, colour."""

_MAX_SEGMENTS = 10_000
_MAX_REPAIRS = 4
_MAX_SCANS = 1000
_MAX_PASSES = 50
"""All scans of a progressive image together may cost so many passes over the largest image."""

_ODD_HEADER = re.compile(r"JFIF revision|Adobe color transform|ICC marker|Invalid SOS parameters")
_EXTRANEOUS = re.compile(r"extraneous bytes before marker 0x([0-9a-f]{2})")
_OTHER_FLAVOUR = re.compile(r"not implemented|[Uu]nsupported|subsampl|precision|conversion")
_PADDING = b"\0\xff\t\n\r "
_TELLING_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the first scan.

    Attributes:
        frame: the frame marker's second byte, e.g. 0xC0 baseline, 0xC2 progressive.
        precision: bits per sample.
        n_components: 1 grey, 3 colour, 4 CMYK.
        width_px: stored width.
        height_px: stored height.
        orientation: EXIF orientation 1-8.
        segments: (marker, start, end) of each segment, from its 0xFF to its last byte.
        scan_at: where the first scan's 0xFF stands.
    """

    frame: int
    precision: int
    n_components: int
    width_px: int
    height_px: int
    orientation: int
    segments: tuple[tuple[int, int, int], ...]
    scan_at: int


def decode_jpeg(data: bytes, max_pixels: int, *, keep_damaged: bool = False) -> Decoded | Refused:
    """Decode strictly to a small grey image.

    Args:
        data: bytes that begin with a JPEG's start marker.
        max_pixels: refuse larger images before decoding.
        keep_damaged: take a picture that has lost pixels, as far as Pillow can show it.
    """
    header = _judged(data, max_pixels)
    outcome = header if isinstance(header, Refused) else _decoded(data, header, max_pixels)
    if not isinstance(outcome, Refused) or outcome.reason is not Reason.CORRUPT:
        return outcome
    if cause := _text_mode(data):
        outcome = Refused(Reason.CORRUPT, f"{outcome.detail}; {cause}")
    if isinstance(header, Refused) or not keep_damaged:
        return outcome
    left = decode_with_pillow(data, "jpeg", max_pixels)
    return outcome if isinstance(left, Refused) else replace(left, note=DAMAGED + outcome.detail)


def _text_mode(data: bytes) -> str:
    """Say whether a transfer as text has rewritten the ends of lines; empty if not.

    In coded data, as the last half surely is, each byte value comes about once in 256: of so
    many bytes none, or never without its companion, is no chance.
    """
    coded = data[len(data) // 2 :]
    if len(coded) < _TELLING_BYTES:
        return ""
    if b"\r" not in coded:
        return "no coded byte is a carriage return: it was transferred as text"
    if coded.count(b"\n") == coded.count(b"\r\n"):
        return "each line feed follows a carriage return: it was transferred as text"
    return ""


def _judged(data: bytes, max_pixels: int) -> Header | Refused:
    """Read the header, and refuse what is too large to be decoded."""
    header = read_header(data)
    if isinstance(header, Refused):
        return header
    size = f"{header.width_px} x {header.height_px} pixels"
    n_pixels = header.width_px * header.height_px
    if not n_pixels:
        return Refused(Reason.CORRUPT, size)
    if n_pixels > max_pixels:
        return Refused(Reason.TOO_MANY_PIXELS, size)
    if header.frame in _PROGRESSIVE:
        n_scans = data.count(b"\xff\xda", header.scan_at)  # cannot stand inside coded data
        if n_scans > _MAX_SCANS or n_scans * n_pixels > _MAX_PASSES * max_pixels:
            return Refused(Reason.TOO_MANY_PIXELS, f"{n_scans} scans of {size}")
    return header


def _decoded(data: bytes, header: Header, max_pixels: int) -> Decoded | Refused:
    if header.frame not in _HUFFMAN_FRAMES or header.precision != 8:
        return _by_pillow(data, header, max_pixels)
    return _strictly(data, header, max_pixels)


def read_header(data: bytes) -> Header | Refused:
    """Walk the segments up to the first scan, as libjpeg does.

    Args:
        data: bytes that begin with a JPEG's start marker.
    """
    segments: list[tuple[int, int, int]] = []
    at = 2
    for _ in range(_MAX_SEGMENTS):
        at = data.find(b"\xff", at)
        while at >= 0 and data[at + 1 : at + 2] == b"\xff":
            at += 1
        if at < 0 or at + 4 > len(data):
            return Refused(Reason.CORRUPT, "the header is cut off")
        marker = data[at + 1]
        if marker == 0 or marker in _WITHOUT_LENGTH:
            at += 2
            continue
        if marker in (_SOI, _EOI):
            return Refused(Reason.CORRUPT, f"marker 0x{marker:02x} inside the header")
        if marker == _SOS:
            return _header(data, segments, at)
        end = at + 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
        segments.append((marker, at, end))
        at = end
    return Refused(Reason.CORRUPT, f"more than {_MAX_SEGMENTS} header segments")


def _header(data: bytes, segments: list[tuple[int, int, int]], scan_at: int) -> Header | Refused:
    """Pick the frame and the orientation out of the segments."""
    frame = next((segment for segment in segments if segment[0] in _FRAMES), None)
    if frame is None:
        return Refused(Reason.CORRUPT, "a scan without a frame header")
    precision, height_px, width_px, n_components = struct.unpack_from(">BHHB", data, frame[1] + 4)
    orientation = 0
    for marker, start, end in segments:
        if marker == _APP1 and not orientation and data[start + 4 : start + 10] == b"Exif\0\0":
            orientation = exif_orientation(data[start + 10 : end])
    return Header(
        frame=frame[0],
        precision=precision,
        n_components=n_components,
        width_px=width_px,
        height_px=height_px,
        orientation=orientation or 1,
        segments=tuple(segments),
        scan_at=scan_at,
    )


def exif_orientation(tiff: bytes) -> int:
    """Find the orientation in the first directory of an EXIF block.

    Args:
        tiff: the block after the word Exif and two zeros; begins with a TIFF header.

    Returns:
        1-8; 0 if the block is broken or does not say.
    """
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return 0
    (directory,) = struct.unpack_from(order + "I", tiff, 4)
    if directory + 2 > len(tiff):
        return 0
    (count,) = struct.unpack_from(order + "H", tiff, directory)
    first = directory + 2
    for at in range(first, min(first + 12 * count, len(tiff) - 11), 12):
        tag, kind, n_values = struct.unpack_from(order + "HHI", tiff, at)
        if tag == 0x0112:
            layout = {3: "H", 4: "I"}.get(kind)
            if layout is None or n_values != 1:
                return 0
            (value,) = struct.unpack_from(order + layout, tiff, at + 8)
            return value if 1 <= value <= 8 else 0
    return 0


def _decode_grey(data: bytes) -> Grey:
    """Read every bit, compute the smallest grey image of at least 64 pixels a side.

    Raises:
        ValueError: libjpeg's first warning, or its error.
    """
    grey: Grey = simplejpeg.decode_jpeg(
        data, "GRAY", min_height=MIN_SIDE_PX, min_width=MIN_SIDE_PX, strict=True
    )[..., 0]
    return grey


def _strictly(data: bytes, header: Header, max_pixels: int) -> Decoded | Refused:
    """Decode; while a warning looks benign, remove its cause and decode again."""
    note = ""
    candidate = data
    for repair in range(_MAX_REPAIRS + 1):
        try:
            grey = _decode_grey(candidate)
        except ValueError as error:
            message = one_line(error)
        else:
            note = note or _trailing_note(data)
            return Decoded(grey, header.width_px, header.height_px, header.orientation, note)
        if not note and _OTHER_FLAVOUR.search(message):
            return _by_pillow(data, header, max_pixels)
        repaired = _repaired(candidate, header, message, first=repair == 0)
        if repaired is None or repaired == candidate:
            return Refused(Reason.CORRUPT, message if not note else f"{message}; also: {note}")
        note = note or message
        candidate = repaired
    return Refused(Reason.CORRUPT, note)


def _repaired(data: bytes, header: Header, message: str, *, first: bool) -> bytes | None:
    """The same picture without what a benign warning complains of; None if it is damage."""
    extraneous = _EXTRANEOUS.search(message)
    if not extraneous and not _ODD_HEADER.search(message):
        return None
    if first:
        tidied = _tidied(data, header)
        if tidied != data:
            return tidied
    if not extraneous or (header.frame in _PROGRESSIVE and not _is_refined(data, header)):
        return None  # what follows the last whole scan may be a hole, not padding
    return _without_padding(data, int(extraneous[1], 16))


def _tidied(data: bytes, header: Header) -> bytes:
    """Only what decoding needs, segment after segment, with odd values made plain."""
    parts = [b"\xff\xd8"]
    for marker, start, end in header.segments:
        if marker not in _NEEDED:
            continue
        segment = bytearray(data[start:end])
        if marker == _APP0 and segment[4:9] == b"JFIF\0" and len(segment) > 9:
            segment[9] = 1
        if marker == _APP14 and segment[4:9] == b"Adobe" and len(segment) > 15:
            segment[15] = min(segment[15], 2) if segment[15] in (0, 2) else 1
        parts.append(bytes(segment))
    parts.append(data[header.scan_at :])
    tidied = b"".join(parts)
    return _plain_scans(tidied) if header.frame not in _PROGRESSIVE else tidied


def _plain_scans(data: bytes) -> bytes:
    """Set the spectral parameters of sequential scans, which have no choice, to 0, 63, 0."""
    plain = bytearray(data)
    at = data.find(b"\xff\xda")
    while 0 <= at < len(data) - 5:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end - at == 8 + 2 * data[at + 4] and end <= len(data):
            plain[end - 3 : end] = b"\0\x3f\0"
        at = data.find(b"\xff\xda", at + 2)
    return bytes(plain)


def _is_refined(data: bytes, header: Header) -> bool:
    """Do the scans of a progressive image bring every coefficient to its last bit?"""
    missing: dict[int, list[int]] = {}
    at = data.find(b"\xff\xda")
    while 0 <= at < len(data) - 5:
        n_components = data[at + 4]
        end = at + 5 + 2 * n_components
        parameters = data[end : end + 3]
        if len(parameters) == 3:
            first, last, bits = parameters
            for component in data[at + 5 : end : 2]:
                band = missing.setdefault(component, [1] * 64)
                band[first : last + 1] = [bits & 15] * len(band[first : last + 1])
        at = data.find(b"\xff\xda", at + 2)
    return len(missing) >= header.n_components and not any(map(any, missing.values()))


def _without_padding(data: bytes, marker: int) -> bytes:
    """Drop whole runs of padding bytes before each marker of this kind."""
    kept = []
    start = 0
    mark = bytes((0xFF, marker))
    at = data.find(mark)
    while at >= 0:
        kept.append(data[start:at].rstrip(_PADDING))
        start = at
        at = data.find(mark, at + 2)
    kept.append(data[start:])
    return b"".join(kept)


def _trailing_note(data: bytes) -> str:
    """Say how many bytes follow the last end marker."""
    if data.endswith(b"\xff\xd9"):
        return ""
    n_bytes = len(data) - data.rfind(b"\xff\xd9") - 2
    return f"{n_bytes} bytes after the end"


def _by_pillow(data: bytes, header: Header, max_pixels: int) -> Decoded | Refused:
    """Decode a flavour that simplejpeg cannot do; warnings are lost on this road."""
    outcome = decode_with_pillow(data, "jpeg", max_pixels)
    if isinstance(outcome, Decoded):
        return Decoded(
            outcome.grey, header.width_px, header.height_px, header.orientation, outcome.note
        )
    if header.precision != 8 or header.frame not in _HUFFMAN_FRAMES:
        kind = f"JPEG process 0x{header.frame:02x} with {header.precision} bits"
        return Refused(Reason.UNSUPPORTED, f"{kind}: {outcome.detail}")
    return outcome
