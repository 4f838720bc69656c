"""The Unsplash Dataset's TSVs: photos.tsv, with keywords.tsv and colors.tsv beside it.

Photo columns are renamed to those of any other table, so that one reader serves both.
Keywords and colours come in other files of 100 times as many rows, in their own order:
when they are asked for they are read once into a temporary SQLite file, which costs a
minute for millions of rows and next to no memory. The dataset's docs call a colour's
weight `score`, its SQL `ai_score`: both are read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from curate.errors import SourceError
from curate.licenses import UNSPLASH
from curate.sources import tables
from curate.sources.variants import unsplash_original, unsplash_variant, with_params

KEYWORD = "keyword"
COLOR = "color"
MIN_CONFIDENCE = 50.0
"""Of 100: a keyword that only a service suggested counts from here on."""
_TRUE = {"t", "true", "1", "yes"}
_USED = {
    "photo_id",
    "photo_url",
    "photo_image_url",
    "photographer_first_name",
    "photographer_last_name",
}


def is_photos(columns: Sequence[str]) -> bool:
    """Tell whether a table's header is that of photos.tsv."""
    return {"photo_id", "photo_image_url"} <= set(columns)


def renamed(batch: tables.Batch, side_px: int | None) -> tables.Batch:
    """Return a batch of photos.tsv with the columns of an ordinary table.

    Args:
        batch: rows as they are in the file.
        side_px: the shorter side that is wanted; None: the original.
    """
    old = batch.columns
    n = len(old["photo_id"])
    blank: Sequence[Any] = [""] * n
    first, last, user = (
        old.get(f"photographer_{name}", blank) for name in ("first_name", "last_name", "username")
    )
    authors = [
        " ".join(part for part in (a, b) if part) or c or ""
        for a, b, c in zip(first, last, user, strict=True)
    ]
    sizes = (old.get("photo_width", blank), old.get("photo_height", blank))
    columns: dict[str, Sequence[Any]] = {
        "url": [
            _sized(url, width, height, side_px)
            for url, width, height in zip(old["photo_image_url"], *sizes, strict=True)
        ],
        "id": old["photo_id"],
        "license": [UNSPLASH] * n,
        "author": authors,
        "page_url": [_with_utm(url) for url in old.get("photo_url", blank)],
        "attribution": [f"Photo by {name or 'an unknown author'} on Unsplash" for name in authors],
    }
    columns.update({name: values for name, values in old.items() if name not in _USED})
    return replace(batch, columns=columns)


def _sized(url: str | None, width: object, height: object, side_px: int | None) -> str:
    if not url:
        return ""
    if side_px is None:
        return unsplash_original(url, None)
    return unsplash_variant(url, _whole(width), _whole(height), side_px)


def _whole(value: object) -> int:
    try:
        return int(float(str(value)))
    except (ValueError, OverflowError):
        return 0


def _with_utm(url: str | None) -> str:
    return with_params(url, utm_source="curate", utm_medium="referral") if url else ""


class Sidecar:
    """A photo's words (keywords, or colours by weight), looked up by photo id.

    Args:
        folder: where photos.tsv is.
        kind: `keyword` or `color`.

    Raises:
        SourceError: the file is not there, or has other columns.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        files = sorted(folder.glob(f"{kind}s.tsv*"))
        if not files:
            raise SourceError(
                f"there is no {kind}s.tsv beside the photos in {folder}",
                f"The Unsplash Dataset has it; without it there is no choosing by {kind}.",
            )
        self._kind = kind
        # "" is a temporary file that SQLite deletes; it keeps the memory flat.
        self._db = sqlite3.connect("")
        with ExitStack() as undo:
            undo.callback(self._db.close)
            self._db.execute("CREATE TABLE word (photo TEXT, word TEXT, weight REAL)")
            for file in files:
                self._db.executemany("INSERT INTO word VALUES (?, ?, ?)", self._rows(file))
            self._db.execute("CREATE INDEX by_photo ON word (photo)")
            undo.pop_all()

    def words(self, photo_ids: Sequence[str]) -> dict[str, list[str]]:
        """Return the words of each photo, the weightiest first; photos without any are absent."""
        found: dict[str, list[str]] = {}
        for start in range(0, len(photo_ids), 500):
            some = photo_ids[start : start + 500]
            marks = ",".join("?" * len(some))
            sql = (
                f"SELECT photo, word FROM word WHERE photo IN ({marks}) ORDER BY weight DESC, word"  # noqa: S608 -- only question marks
            )
            for photo, word in self._db.execute(sql, some):
                found.setdefault(photo, []).append(word)
        return found

    def close(self) -> None:
        """Drop the temporary file."""
        self._db.close()

    def _rows(self, file: Path) -> Iterator[tuple[str, str, float]]:
        for batch in tables.read(file):
            columns = batch.columns
            if not {"photo_id", "keyword"} <= set(columns):
                listed = ", ".join(columns)
                raise SourceError(f"{file} has no photo_id and keyword columns, but: {listed}")
            weights = _confidences(columns) if self._kind == KEYWORD else _scores(columns)
            for photo, word, weight in zip(
                columns["photo_id"], columns["keyword"], weights, strict=True
            ):
                if word and weight is not None:
                    yield photo, word, weight


def _confidences(columns: Mapping[str, Sequence[Any]]) -> list[float | None]:
    """The weight of each keyword row: 100 from a person, else a service's; None: too doubtful."""
    n = len(columns["photo_id"])
    names = ("ai_service_1_confidence", "ai_service_2_confidence", "suggested_by_user")
    weights: list[float | None] = []
    for one, two, user in zip(*(columns.get(name, [""] * n) for name in names), strict=True):
        if str(user).lower() in _TRUE:
            weights.append(100.0)
            continue
        best = max(_number(one), _number(two))
        weights.append(best if best >= MIN_CONFIDENCE else None)
    return weights


def _scores(columns: Mapping[str, Sequence[Any]]) -> list[float | None]:
    values = columns.get("score", columns.get("ai_score"))
    if values is None:
        raise SourceError(f"colors.tsv has no score and no ai_score, but: {', '.join(columns)}")
    return [_number(value) for value in values]


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return 0.0
