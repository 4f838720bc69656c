"""A small, bounded reader of Protocol Buffers: enough to look into a file before a library does.

It walks fields without building messages: numbers come as integers, everything else as a view of
the bytes, so a file of any size costs no copy. What is cut off, nested too deep or made of more
fields than any real file has is refused. It knows no schema; that is the caller's.
"""

from __future__ import annotations

from collections.abc import Iterator

MAX_FIELDS = 20_000_000
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10


class WireError(ValueError):
    """The bytes are no message."""


class Reader:
    """Reads the fields of messages, and counts them over all.

    Args:
        max_fields: most fields read before the file is refused.
    """

    def __init__(self, max_fields: int = MAX_FIELDS) -> None:
        self._left = max_fields

    def fields(self, data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
        """Yield number and value of each field of one message.

        Args:
            data: the whole message.

        Raises:
            WireError: it is cut off, or not a message.
        """
        at, end = 0, len(data)
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise WireError("it has more fields than any model")
            key, at = varint(data, at)
            number, kind = key >> 3, key & 7
            if number == 0:
                raise WireError("a field without a number")
            if kind == _VARINT:
                value, at = varint(data, at)
                yield number, value
                continue
            length = {_FIXED64: 8, _FIXED32: 4}.get(kind)
            if kind == _BYTES:
                length, at = varint(data, at)
            if length is None:
                raise WireError(f"a field of unknown kind {kind}")
            if at + length > end:
                raise WireError("it is cut off")
            yield number, data[at : at + length]
            at += length


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """Read one variable-length number; return it, unsigned, and where the next field begins.

    Raises:
        WireError: it is cut off or too long.
    """
    value = 0
    for place in range(_MAX_VARINT_BYTES):
        if at >= len(data):
            raise WireError("it is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise WireError("a number without an end")


def signed(value: int) -> int:
    """Return a varint as the signed 64-bit number that it stands for."""
    return value - 2**64 if value >= 2**63 else value


def numbers(value: int | memoryview) -> list[int]:
    """Return the varints of a repeated field, packed or one of them; signed.

    Raises:
        WireError: they are cut off.
    """
    if isinstance(value, int):
        return [signed(value)]
    found, at = [], 0
    while at < len(value):
        number, at = varint(value, at)
        found.append(signed(number))
    return found


def text(value: int | memoryview) -> str:
    """Return a field of text; bytes that are no UTF-8 are replaced.

    Raises:
        WireError: it is a number.
    """
    if isinstance(value, int):
        raise WireError("a number where a text belongs")
    return bytes(value).decode("utf-8", "replace")


def message(value: int | memoryview) -> memoryview:
    """Return a field that is a message.

    Raises:
        WireError: it is a number.
    """
    if isinstance(value, int):
        raise WireError("a number where a message belongs")
    return value
