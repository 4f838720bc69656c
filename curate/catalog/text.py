"""Text that the catalog can hold: lists and file names bring halves of characters.

A lone surrogate (half of a character in JSON, or a byte of a file name that is not UTF-8)
is no text to SQLite, Parquet or a terminal. It is replaced where a person reads it, and
written as a JSON escape where it must come back as it was.
"""

from __future__ import annotations

import json
import re

_SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """Return the text with each lone surrogate replaced by U+FFFD.

    Example:
        >>> clean("beach") == "beach"
        True
    """
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def cleaned(text: str | None) -> str | None:
    """Return what `clean` does; None stays None."""
    return None if text is None else clean(text)


def exact_json(value: object) -> str:
    r"""Return JSON that gives back every text as it was, lone surrogates as `\udXXX`."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
