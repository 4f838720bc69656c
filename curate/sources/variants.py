"""The URL of a size variant: the smallest whose shorter side is at least what is asked.

Unsplash tells width and height, so its variant is exact. GBIF tells neither: iNaturalist's
fixed sizes and GBIF's image cache are chosen as if no photo were longer than 16:9, which
cameras and phones keep to; a longer panorama comes out with a smaller shorter side. Where
no variant is large enough, the original is taken. Nothing is ever enlarged.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

try:  # three times as fast for short texts as OpenSSL's, which `hashlib` prefers
    from _md5 import md5 as _md5  # type: ignore[import-not-found]
except ImportError:  # a Python without its own
    _md5 = partial(hashlib.md5, usedforsecurity=False)

if TYPE_CHECKING:
    import pyarrow as pa

JPEG_QUALITY = 85
"""Above Unsplash's own 80: a classifier sees blocks before people do; +20 % bytes."""
GBIF_CACHE_MAX_PX = 1200
"""The largest width that GBIF's image cache serves."""
_INATURALIST = (
    r"(?i)^(?P<head>https?://"
    r"(?:inaturalist-open-data\.s3\.amazonaws\.com|static\.inaturalist\.org)/photos/[0-9]+/)"
    r"(?:original|large|medium|small)(?P<tail>\.[A-Za-z0-9_]+)(?:\?.*)?$"
)
_INATURALIST_USUAL = (
    r"^https://(?:inaturalist-open-data\.s3\.amazonaws\.com|static\.inaturalist\.org)/photos/"
    r"[0-9]+/original\.[A-Za-z0-9_]+$"
)
_INATURALIST_LONGER_PX = (("small", 240), ("medium", 500), ("large", 1024))


def with_params(url: str, **params: str | int) -> str:
    """Return the URL with query parameters set, those that it has kept in their order."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query.update({key: str(value) for key, value in params.items()})
    return urlunsplit(parts._replace(query=urlencode(query)))


def unsplash_variant(raw: str, width_px: int, height_px: int, side_px: int) -> str:
    """Return the Unsplash image URL whose shorter side is `side_px`, or the full photo's.

    `fit=max` never enlarges; `cs=tinysrgb` gives every photo one colour space. The
    parameters that are there already (`ixid`, which attributes the view) are kept.

    Args:
        raw: the photo's `urls.raw`.
        width_px: the photo's own width; 0 if unknown: the full size is taken.
        height_px: the photo's own height; 0 if unknown.
        side_px: the shorter side that is wanted.
    """
    url = with_params(raw, fm="jpg", q=JPEG_QUALITY, cs="tinysrgb", fit="max")
    if min(width_px, height_px) <= side_px:
        return url
    # Rounded up, so that the height that follows from it is not one pixel short.
    target_px = side_px if width_px <= height_px else -(-side_px * width_px // height_px)
    return with_params(url, w=target_px)


def unsplash_original(raw: str, full: str | None) -> str:
    """Return the photo in its own size as a JPEG.

    That is `urls.full`; `urls.raw` alone may answer with a TIFF or a PNG of 100 MB.
    """
    return full or with_params(raw, fm="jpg", q=JPEG_QUALITY, cs="srgb")


def inaturalist_variant(url: str, side_px: int) -> str | None:
    """Return iNaturalist's variant of a photo URL; None if it is not one of theirs.

    Its sizes are named by the *longer* side.
    """
    match = re.match(_INATURALIST, url)
    if match is None:
        return None
    return f"{match['head']}{_inaturalist_size(side_px)}{match['tail']}"


def inaturalist_variants(urls: pa.Array, side_px: int) -> pa.Array:
    """Return what `inaturalist_variant` does for each URL of a column; null if it is not theirs."""
    import pyarrow.compute as pc

    # To take a URL into parts costs many times as much as to match it, and most are spelled so.
    size = _inaturalist_size(side_px)
    is_usual = pc.match_substring_regex(urls, _INATURALIST_USUAL)
    sized = pc.replace_substring(urls, "/original.", f"/{size}.")
    parts = pc.extract_regex(urls.filter(pc.invert(is_usual)), _INATURALIST)
    head, tail = (pc.struct_field(parts, name) for name in ("head", "tail"))
    rest = pc.binary_join_element_wise(head, size, tail, "")
    rest = pc.if_else(pc.is_valid(parts), rest, None)
    return pc.replace_with_mask(sized, pc.invert(is_usual), rest)


def _inaturalist_size(side_px: int) -> str:
    wanted_px = _longer_px(side_px)
    sizes = (name for name, longer_px in _INATURALIST_LONGER_PX if longer_px >= wanted_px)
    return next(sizes, "original")


def gbif_variant(api_url: str, gbif_id: str, identifier: str, side_px: int) -> str:
    """Return the URL in GBIF's image cache, or the identifier where the cache is too small.

    Only the width is given: with both, the cache would crop to that shape.

    Args:
        api_url: base URL of the API, without the version.
        gbif_id: the occurrence's key.
        identifier: the medium's URL exactly as the API spells it; its MD5 is its name.
        side_px: the shorter side that is wanted.
    """
    width_px = _longer_px(side_px)
    if width_px > GBIF_CACHE_MAX_PX:
        return identifier
    return f"{_cached(api_url, width_px)}{gbif_id}/media/{md5_hex(identifier)}"


def gbif_variants(
    api_url: str, gbif_ids: pa.Array, identifiers: pa.Array, digests: pa.Array, side_px: int
) -> pa.Array:
    """Return what `gbif_variant` does for each row; `digests` are the identifiers' `md5_hex`."""
    import pyarrow.compute as pc

    width_px = _longer_px(side_px)
    if width_px > GBIF_CACHE_MAX_PX:
        return identifiers
    return pc.binary_join_element_wise(_cached(api_url, width_px), gbif_ids, "/media/", digests, "")


def _cached(api_url: str, width_px: int) -> str:
    return f"{api_url}/v1/image/cache/{width_px}x/occurrence/"


def md5_hex(text: str) -> str:
    """Return the MD5 of a text, as GBIF names media by it (not for security)."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def md5_hexes(texts: Iterable[bytes]) -> list[str]:
    """Return what `md5_hex` does for each text, given as UTF-8."""
    return [_md5(each).hexdigest() for each in texts]


def _longer_px(side_px: int) -> int:
    return -(-side_px * 16 // 9)
