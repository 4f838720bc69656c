"""Which bands a search by pigeonhole uses: chosen by what they will cost.

A hash of 64 bits is cut into bands. If two hashes differ in at most `radius` bits, then in
at least one band they differ in at most that band's number of `flips`, where the flips of
all bands sum to `radius - bands + 1` (the general pigeonhole principle). Few wide bands need
many flips and a large table, many narrow ones give many candidates; the best choice depends
on how many hashes there are, so every choice is priced and the cheapest taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, exp

HASH_BITS = 64
MAX_WIDTH = 24
"""Bits of the widest band: its table has 2**24 entries of 8 bytes."""
MIN_WIDTH = 8

# Seconds, measured on one core; only their ratios matter.
_STREAMED = 1.6e-9
_PROBED = 4e-9
_EXPANDED = 25e-9
_PER_MASK = 3e-5
_SORTED = 1.5e-7
_FILLED = 1e-8
_COMPARED = 1e-9


@dataclass(frozen=True, slots=True)
class Band:
    """Some neighbouring bits of a hash."""

    shift: int
    """Place of its lowest bit."""
    width: int
    """How many bits."""
    flips: int
    """Largest difference that is searched in this band."""


def choose_bands(n_hashes: int, radius: int) -> tuple[Band, ...]:
    """Return the cheapest bands for a search.

    Args:
        n_hashes: how many distinct hashes there are.
        radius: largest distance wanted, at least 1.

    Returns:
        Bands whose flips guarantee every pair; none if comparing all pairs is cheaper.
    """
    best: tuple[Band, ...] = ()
    cheapest = n_hashes * n_hashes / 2 * _COMPARED
    for n_bands in range(-(-HASH_BITS // MAX_WIDTH), HASH_BITS // MIN_WIDTH + 1):
        bands = _cut(n_bands, radius)
        cost = sum(_cost(band, n_hashes) for band in bands)
        if cost < cheapest:
            best, cheapest = bands, cost
    return best


def _cut(n_bands: int, radius: int) -> tuple[Band, ...]:
    """Cut evenly; the first bands, which are narrower, take the flips that are left over."""
    flips = max(0, radius - n_bands + 1)
    # A radius smaller than the number of bands leaves some bands unneeded.
    needed = min(n_bands, radius + 1)
    edges = [number * HASH_BITS // n_bands for number in range(n_bands + 1)]
    return tuple(
        Band(
            edges[number],
            edges[number + 1] - edges[number],
            flips // needed + (number < flips % needed),
        )
        for number in range(needed)
    )


def _cost(band: Band, n_hashes: int) -> float:
    slots = float(1 << band.width)
    load = n_hashes / slots
    further = n_hashes - slots * (1 - exp(-load))
    masks = sum(comb(band.width, flips) for flips in range(band.flips + 1))
    meetings = further * further / slots / 2
    each = slots / 2 * _STREAMED + further * _PROBED + meetings * _EXPANDED + _PER_MASK
    return masks * each + n_hashes * _SORTED + slots * _FILLED * (band.flips + 2)
