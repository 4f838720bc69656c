"""How the sample source behaves: one frozen dataclass, whose defaults are those of the demo."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class SampleOptions:
    """Settings of a `SampleServer`. Shares are of all photos, 0-1; their sum is at most 1."""

    seed: int = 1
    """Another seed gives other photos, other ids and other faults."""
    photos_per_class: int = 120
    """Unsplash photos of each of the four scenes (those with a second scene count once)."""
    several_share: float = 0.12
    """Photos that show a second scene too."""
    none_share: float = 0.04
    """Photos that a query finds although they show none of the scenes."""
    long_edge_px: int = 1600
    """Longer edge of a photo at its full size."""

    duplicate_share: float = 0.04
    """The same bytes as another photo, under another id."""
    near_duplicate_share: float = 0.04
    """Another photo, encoded again, reduced, cropped or brightened."""
    truncated_share: float = 0.012
    """Files that end early, under a Content-Length that agrees."""
    flipped_share: float = 0.012
    """Files with damage inside."""
    html_share: float = 0.012
    """An HTML page that says it is image/jpeg."""
    not_found_share: float = 0.015
    """404."""
    gone_share: float = 0.01
    """410."""
    placeholder_share: float = 0.015
    """One stand-in picture, the same under every such URL."""
    unavailable_share: float = 0.04
    """503 at the first request, then good."""
    reset_share: float = 0.01
    """A connection reset at the first request, then good."""
    short_body_share: float = 0.01
    """Half of the body at the first request, then good."""
    slow_share: float = 0.01
    """Good, after `slow_s`."""
    limited_photos: int = 1
    """Unsplash photos that answer 429 with `Retry-After: 1` at the first request, then good."""
    slow_s: float = 0.4
    """Delay of slow photos."""
    latency_s: float = 0.0
    """Delay of every answer."""

    key: str = "sample-key"
    """The Unsplash access key that is accepted."""
    unsplash_limit: int = 5000
    """Unsplash API requests in one window."""
    window_s: float = 3600.0
    """Length of that window."""
    limit_status: int = 403
    """What a spent limit answers: 403, or 429 as has been seen too."""
    max_per_page: int = 30
    """Unsplash's largest page; more is silently reduced to it."""
    api_unavailable_every: int = 0
    """Every so-many-th API request answers 503; 0: none."""

    occurrences: int = 1200
    """GBIF occurrences; they are computed from their index when asked for."""
    first_year: int = 2005
    """Earliest year of an occurrence."""
    last_year: int = 2024
    """Latest year of an occurrence."""
    countries: int = 6
    """In how many countries they were seen, at most 12."""
    datasets: int = 4
    """In how many datasets they lie."""
    undated_share: float = 0.0
    """Occurrences without year and month, which no such facet reaches."""
    no_media_share: float = 0.0
    """Occurrences without any medium."""
    odd_media_share: float = 0.12
    """Media that lack identifier, type or licence, have a licence in free words, or are sounds."""
    max_limit: int = 300
    """GBIF's largest page; more is silently reduced to it."""
    max_offset: int = 100_000
    """offset + limit may not exceed this."""
    gbif_limit: int = 0
    """Occurrence searches before a 429; 0: no limit."""
    gbif_retry_after_s: int = 1
    """The Retry-After of that 429; searches before its end get another."""

    @classmethod
    def faultless(cls, **changes: object) -> Self:
        """Options under which every photo is good, then changed as asked.

        Example:
            >>> SampleOptions.faultless(gone_share=0.5).gone_share
            0.5
        """
        none = dict.fromkeys(FAULT_SHARES, 0.0)
        quiet = replace(cls(), **none, limited_photos=0, odd_media_share=0.0, none_share=0.0)  # type: ignore[arg-type]  # all of these are floats
        return replace(quiet, **changes)  # type: ignore[arg-type]  # dataclasses check the names


FAULT_SHARES = (
    "duplicate_share",
    "near_duplicate_share",
    "truncated_share",
    "flipped_share",
    "html_share",
    "not_found_share",
    "gone_share",
    "placeholder_share",
    "unavailable_share",
    "reset_share",
    "short_body_share",
    "slow_share",
)
"""Options that say how many photos have which fault."""
