"""The picture endpoints: what befalls a photo, then its bytes, at the size the URL asks for.

Three kinds of URL lead to the same pictures: imgix's parameters (Unsplash), named size
variants (iNaturalist's open data) and GBIF's image cache. Rendered files are kept in a small
cache; a failure that passes befalls only the first request for a photo.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping

from curate.demo import photos
from curate.demo.gbif_records import RecordWriter
from curate.demo.messages import Reply, Request, as_json, as_text, unavailable
from curate.demo.occurrences import FIRST_KEY, Occurrences
from curate.demo.options import SampleOptions
from curate.demo.photos import Fate, Photo, Rendition

_VARIANTS = {"original": None, "large": 1024, "medium": 500, "small": 240, "thumb": 100}
_CACHE_MAX_PX = 1200
_KINDS = {"jpg": "jpeg", "pjpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp"}
_CACHED_BYTES = 64 * 2**20
_PAGE = (
    "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>"
)


class FileCache:
    """Least recently used files are dropped once the sum of their lengths passes a limit."""

    def __init__(self, n_bytes: int = _CACHED_BYTES) -> None:
        self._left = n_bytes
        self._files: OrderedDict[object, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: object, make: Callable[[], bytes]) -> bytes:
        """The file under this key, made if it is not there (at worst twice at once)."""
        with self._lock:
            if key in self._files:
                self._files.move_to_end(key)
                return self._files[key]
        data = make()
        with self._lock:
            if key not in self._files:
                self._files[key] = data
                self._left -= len(data)
            while self._left < 0:
                _, old = self._files.popitem(last=False)
                self._left += len(old)
        return data


class ImageApi:
    """Serves pictures.

    Args:
        options: delays.
        find: the photo with an id, or None.
        occurrences: for the image cache's URLs.
        records: likewise.
    """

    def __init__(
        self,
        options: SampleOptions,
        find: Callable[[str], Photo | None],
        occurrences: Occurrences,
        records: RecordWriter,
    ) -> None:
        self._options = options
        self._find = find
        self._occurrences = occurrences
        self._records = records
        self._cache = FileCache()
        self._failed_once: set[str] = set()
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Reply | None:
        """The reply, or None if the path is not that of a picture."""
        if match := re.fullmatch(r"/photo/([^/]+)", request.path):
            return self._serve(match[1], _imgix(request))
        if match := re.fullmatch(r"/photos/([^/]+)/(\w+)\.jpe?g", request.path):
            if match[2] not in _VARIANTS:
                return as_text("Not Found", 404)
            longest = _VARIANTS[match[2]]
            return self._serve(match[1], Rendition(longest, longest))
        cached = r"/v1/image/cache/(?:(\d*)x(\d*)/)?occurrence/(\d+)/media/([0-9a-f]{32})"
        if match := re.fullmatch(cached, request.path):
            return self._from_cache(match[1] or "", match[2] or "", int(match[3]), match[4])
        if request.path.startswith("/sounds/"):
            return Reply(200, b"ID3" + bytes(61), "audio/mpeg")
        return None

    def _from_cache(self, width: str, height: str, key: int, digest: str) -> Reply:
        index = key - FIRST_KEY
        medium = None
        if 0 <= index < self._occurrences.n_occurrences:
            medium = self._records.by_digest(index, digest)
        if medium is None or medium.sound:
            return as_json({"status": 404, "error": "", "message": "Media not found"}, 404)
        most = _CACHE_MAX_PX
        width_px, height_px = (min(most, int(size)) if size else None for size in (width, height))
        if width_px and height_px:
            return self._serve(medium.photo_id, Rendition(width_px, height_px, fit="crop"))
        fitting = Rendition(width_px or most, height_px or most)
        return self._serve(medium.photo_id, fitting)

    def _serve(self, photo_id: str, rendition: Rendition) -> Reply:
        photo = self._find(photo_id)
        if photo is None or photo.fate is Fate.NOT_FOUND:
            return as_text("Not Found", 404)
        if photo.fate is Fate.GONE:
            return as_text("Gone", 410)
        if photo.fate is Fate.HTML:
            return as_text(_PAGE, 200, "image/jpeg")
        first = photo.fate.passes and self._first_time(photo_id)
        if first and photo.fate is Fate.UNAVAILABLE:
            return unavailable()
        if first and photo.fate is Fate.LIMITED:
            return Reply(429, b"Too Many Requests", "text/plain", {"Retry-After": "1"})
        # A duplicate is the same file as its original, so both share one place in the cache.
        key = (photo.twin_of if photo.fate is Fate.DUPLICATE else photo_id, rendition)
        data = self._cache.get(key, lambda: photos.bytes_of(photo, rendition))
        delay_s = self._options.slow_s if photo.fate is Fate.SLOW else 0.0
        trouble = _TROUBLES.get(photo.fate, "") if first else ""
        return Reply(200, data, f"image/{rendition.kind}", trouble=trouble, delay_s=delay_s)

    def _first_time(self, photo_id: str) -> bool:
        with self._lock:
            known = photo_id in self._failed_once
            self._failed_once.add(photo_id)
            return not known


_TROUBLES: Mapping[Fate, str] = {Fate.RESET: "reset", Fate.SHORT_BODY: "short"}


def _imgix(request: Request) -> Rendition:
    """The rendition that imgix's parameters ask for; what they say beyond that is ignored."""
    numbers = {name: request.first(name) for name in ("w", "h", "q")}
    width, height, quality = (int(text) if text.isdigit() else None for text in numbers.values())
    return Rendition(
        width_px=width or None,
        height_px=height or None,
        quality=min(100, quality) if quality else 85,
        kind=_KINDS.get(request.first("fm", "jpg"), "jpeg"),
        fit="crop" if request.first("fit") == "crop" else "clip",
    )
