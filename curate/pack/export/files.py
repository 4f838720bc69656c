"""Small helpers for the text files of exports: the same bytes each time, in UTF-8."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO


def write_json(path: Path, value: Any) -> None:
    """Write a JSON document for people to read."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def open_text(path: Path) -> TextIO:
    """Open a new text file, with line ends as they are written; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("w", encoding="utf-8", newline="")


def dense(value: Any) -> str:
    """Return JSON in one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
