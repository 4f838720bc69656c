"""Class names as names of folders: safe on every file system, and no two alike.

`A/C`, `Café` in two Unicode spellings, `Aux` and `beach.` are class names; as folders they
would nest, merge, or not exist on one system or the other. A name that is safe stays as it
is. Two that would be one folder where case or spelling is ignored get a number.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

LONGEST_BYTES = 120
"""Of a folder's name: file systems end at 255, and archives and paths want room."""
_UNSAFE = re.compile(r'[/\\:*?"<>|]')
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\..*)?", re.IGNORECASE)


def safe_name(name: str) -> str:
    """Return a name that is a folder's on every system; a safe one is not changed.

    Example:
        >>> safe_name("AC/DC?"), safe_name("..")
        ('AC_DC_', '_')
    """
    shown = unicodedata.normalize("NFC", name)
    shown = "".join("_" if unicodedata.category(each)[0] == "C" else each for each in shown)
    shown = _UNSAFE.sub("_", shown).strip()
    while len(shown.encode()) > LONGEST_BYTES:
        shown = shown[:-1]
    # Hidden folders are skipped by readers; Windows drops final dots and blanks.
    shown = shown.lstrip(".").rstrip(". ")
    return f"{shown}_" if not shown or _DEVICES.fullmatch(shown) else shown


def safe_names(classes: Iterable[str]) -> dict[str, str]:
    """Return a folder's name for each class; no two are the same folder anywhere.

    Args:
        classes: distinct names, in any order; the result does not depend on it.
    """
    ordered = sorted(classes, key=lambda name: (safe_name(name) != name, name))
    taken: set[str] = set()
    found = {}
    for name in ordered:
        base = folder = safe_name(name)
        number = 1
        while _key(folder) in taken:
            number += 1
            folder = f"{base}-{number}"
        taken.add(_key(folder))
        found[name] = folder
    return {name: found[name] for name in sorted(found)}


def is_same(one: str, other: str) -> bool:
    """Tell whether two folders are one where case or Unicode spelling is ignored."""
    return _key(one) == _key(other)


def _key(folder: str) -> str:
    """Return what file systems that ignore case and Unicode spelling compare."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", folder).casefold())
