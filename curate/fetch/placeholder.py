"""Recognises a host's stand-in for missing pictures: one file under many URLs.

Hosts answer "200 OK" with the same "image not available" for every picture that is gone. The
same bytes under many addresses are that, unless somebody did put one photo in many places: on
GBIF the same photo illustrates several occurrences, each under its own address, by the same
person. So the addresses must be many, of one host and on different pages, and where they
differ only behind the `?`, or one and the same person is named for all of them, several times
as many. It stays a guess, so nothing is deleted: the image is set aside and can be brought
back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from curate.catalog import placeholders
from curate.catalog.database import Database

DOUBTFUL = 5
"""So many times as many URLs are needed where it may be one photo in many places."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A candidate whose bytes are those in question."""

    url: str
    """Where they came from."""
    page: str
    """What it illustrates: its group, its page, else its id."""
    author: str | None
    """Who made it, if that is said."""


def stand_in(sightings: Sequence[Sighting], threshold: int) -> str | None:
    """Return the host whose stand-in an image is, as `name:port`; None if it is none's.

    Args:
        sightings: the candidates with these bytes.
        threshold: distinct URLs of one host from which on it is one; 0: never.

    Example:
        >>> gone = [Sighting(f"https://a.org/{i}.jpg", f"page {i}", None) for i in range(10)]
        >>> stand_in(gone, 10), stand_in(gone, 11)
        ('a.org', None)
    """
    if not threshold:
        return None
    by_host: dict[str, list[Sighting]] = {}
    for each in sightings:
        host = _host(each.url)
        if host:
            by_host.setdefault(host, []).append(each)
    for host, some in sorted(by_host.items()):
        if len({each.url for each in some}) >= threshold and _is_stand_in(some, threshold):
            return host
    return None


def _is_stand_in(some: Sequence[Sighting], threshold: int) -> bool:
    if len({each.page for each in some}) < 2:
        return False
    # Of URLs with the same path, that path may be the photo and the rest only asks for it.
    paths = {each.url.partition("?")[0] for each in some}
    if len(paths) >= threshold and not _is_of_one(some):
        return True
    return len({each.url for each in some}) >= threshold * DOUBTFUL


def _is_of_one(some: Iterable[Sighting]) -> bool:
    """Tell whether one and the same person is named for all."""
    authors = {each.author for each in some}
    return len(authors) == 1 and None not in authors


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return parts.netloc.rpartition("@")[2].lower() if parts.scheme in ("http", "https") else ""


class StandIns:
    """Sets stand-ins aside while a run goes on.

    Args:
        db: the catalog.
        threshold: as for `stand_in`.
    """

    def __init__(self, db: Database, threshold: int) -> None:
        self._db = db
        self._threshold = threshold

    def look_at_all(self) -> None:
        """Look at all images that have been seen so often."""
        if self._threshold:
            self.look(placeholders.repeated(self._db, self._threshold))

    def look(self, image_ids: Iterable[str]) -> bool:
        """Look at images that have come again; return whether any was set aside."""
        if not self._threshold:
            return False
        return bool(placeholders.look(self._db, image_ids, self._judge))

    def _judge(self, rows: Sequence[placeholders.Row]) -> str | None:
        return stand_in([Sighting(*row) for row in rows], self._threshold)
