"""Which image of a group is kept: an order of preferences, most important first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from curate.catalog.groups import NEAR_DUPLICATE, Member
from curate.errors import UsageError

OPEN_LICENSES = ("CC0", "CC-PDM", "CC-PDDC", "PDDL", "PUBLIC DOMAIN")


def openness(license_id: str | None) -> int:
    """Return how little a licence asks: 0 for the public domain, 9 where nothing is said.

    Args:
        license_id: SPDX id or a source's own words.
    """
    name = (license_id or "").upper()
    if not name:
        return 9
    if name.startswith(OPEN_LICENSES):
        return 0
    if not name.startswith("CC-BY"):
        return 7
    asks = ("-SA" in name) + 2 * ("-ND" in name) + 3 * ("-NC" in name)
    return 1 + min(asks, 5)


PREFERENCES: dict[str, Callable[[Member], int]] = {
    "annotated": lambda image: not image.annotated,
    "resolution": lambda image: -image.n_pixels,
    "license": lambda image: openness(image.license),
    "size": lambda image: -image.n_bytes,
}


BEHIND = {
    "annotated": "not annotated",
    "resolution": "fewer pixels",
    "license": "less open licence",
    "size": "smaller file",
}
"""What is said of an image that another one surpasses in a preference."""


def behind(image: Member, kept: Member, keep: Sequence[str]) -> str:
    """Return, in a few words, what made another image the one that is kept.

    Args:
        image: the image that is not.
        kept: the one that is.
        keep: names of `PREFERENCES`, as for `ranks`.
    """
    for name in keep:
        if PREFERENCES[name](image) != PREFERENCES[name](kept):
            return BEHIND[name]
    return "equally good"


def ranks(members: Sequence[Member], keep: Sequence[str]) -> NDArray[np.int64]:
    """Rank images by preference.

    An image that is left out for another reason comes after all that are not; the smaller
    id decides between equals, so that the order is total.

    Args:
        members: n images.
        keep: names of `PREFERENCES`.

    Returns:
        Numbers 0 to n - 1, 0 for the best image; shape (n,).

    Raises:
        UsageError: a name that is no preference.
    """
    for name in keep:
        if name not in PREFERENCES:
            known = ", ".join(PREFERENCES)
            raise UsageError(f"{name!r} is not a reason to keep an image", f"known are: {known}")

    def key(place: int) -> tuple[object, ...]:
        image = members[place]
        out = image.excluded not in (None, NEAR_DUPLICATE)
        return (out, *(PREFERENCES[name](image) for name in keep), image.image_id)

    rank = np.empty(len(members), dtype=np.int64)
    rank[sorted(range(len(members)), key=key)] = np.arange(len(members))
    return rank
