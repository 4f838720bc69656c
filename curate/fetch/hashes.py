"""Perceptual hashes and measures of a small grey image.

The image is averaged down to 32 x 32, transformed by a 2-D DCT-II, and the low
frequencies (without the first row and column, which hold plain brightness and
one-directional gradients) are compared with their median: 8 x 8 of them give the 64-bit
hash that finds candidates, 16 x 16 the 256-bit one that confirms them. One transform
serves both. Trade-off: a mirror image or a quarter turn hashes differently; the EXIF
orientation is applied before, so that a photo and its turned copy agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE_PX = 32
"""Side of the square that hashes are computed from."""

_EXACT_PX = 128
_LEVELS = np.arange(256.0)
_MOMENTS = np.stack([_LEVELS, np.square(_LEVELS)])

Grey = NDArray[np.uint8]
Small = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Measures:
    """What the reduced grey image looks like; see `curate.records.Verified`."""

    brightness: float
    contrast: float
    sharpness: float
    entropy: float


def thumbnail(grey: Grey) -> Small:
    """Average an image down (or repeat it up) to 32 x 32, ignoring its aspect ratio.

    Exact area averages, as two matrix products: three times as fast as a resize by an
    image library, and without its rounding. Large images are first averaged in whole
    pixels, to sides of 128 to 255.

    Args:
        grey: (height, width) grey values, not empty.

    Returns:
        (32, 32) grey values, 0-255.
    """
    height, width = grey.shape
    if max(height, width) >= 2 * _EXACT_PX:
        coarse = (max(1, width // _EXACT_PX), max(1, height // _EXACT_PX))
        grey = np.asarray(Image.fromarray(grey).reduce(coarse))
        height, width = grey.shape
    # Workers have one thread each (`curate.engine.worker`): OpenBLAS would wake more for these.
    small: Small = _shares(height) @ (grey.astype(np.float32) @ _shares(width).T)
    return small


@lru_cache(maxsize=128)
def _shares(n_px: int) -> Small:
    """Which part of each of 32 equal cells a pixel covers, shape (32, n_px), rows sum to 1."""
    edges = np.linspace(0, n_px, SIDE_PX + 1)[:, None]
    pixels = np.arange(n_px)[None, :]
    overlap = np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels)
    shares: Small = (np.clip(overlap, 0, None) * (SIDE_PX / n_px)).astype(np.float32)
    return shares


def displayed(small: Small, orientation: int) -> Small:
    """Turn and mirror a square thumbnail as its EXIF orientation (1-8) asks.

    Args:
        small: (32, 32) values as stored.
        orientation: EXIF orientation; anything outside 2-8 changes nothing.

    Returns:
        A view of the same values as a viewer would show them.
    """
    match orientation:
        case 2:
            return small[:, ::-1]
        case 3:
            return small[::-1, ::-1]
        case 4:
            return small[::-1]
        case 5:
            return small.T
        case 6:
            return small.T[:, ::-1]
        case 7:
            return small[::-1, ::-1].T
        case 8:
            return small.T[::-1]
        case _:
            return small


@cache
def _basis() -> Small:
    """Rows 1-16 of the 32-point DCT-II matrix, shape (16, 32)."""
    rows = np.arange(1, 17)[:, None]
    columns = np.arange(SIDE_PX)[None, :]
    return np.cos(np.pi * rows * (2 * columns + 1) / (2 * SIDE_PX)).astype(np.float32)


def _frequencies(small: Small) -> Small:
    """Rows and columns 1-16 of the 2-D DCT-II, shape (16, 16).

    These rows ignore the mean. A constant is taken off and the result rounded all the
    same, so that the frequencies a flat or a one-directional picture does not have are
    exactly zero on every machine.
    """
    basis = _basis()
    frequencies: Small = np.rint(basis @ (small - small[0, 0]) @ basis.T)
    return frequencies


def _bits(frequencies: Small) -> bytes:
    """One bit per frequency, row by row: is it above the median of all?"""
    flat = frequencies.ravel()
    ordered = np.sort(flat)
    middle = flat.size // 2
    median = (ordered[middle - 1] + ordered[middle]) / 2
    return np.packbits(flat > median).tobytes()


def phash64(small: Small) -> int:
    """64-bit perceptual hash.

    Args:
        small: (32, 32) values from `thumbnail`.

    Returns:
        An unsigned 64-bit integer; equal photos differ in at most about 8 bits.
    """
    return int.from_bytes(_bits(_frequencies(small)[:8, :8]), "big")


def phash256(small: Small) -> bytes:
    """256-bit perceptual hash, as 32 bytes.

    Args:
        small: (32, 32) values from `thumbnail`.

    Returns:
        32 bytes; equal photos differ in at most about 60 bits.
    """
    return _bits(_frequencies(small))


def phashes(small: Small) -> tuple[int, bytes]:
    """`phash64` and `phash256` from one transform.

    Args:
        small: (32, 32) values from `thumbnail`.
    """
    frequencies = _frequencies(small)
    return int.from_bytes(_bits(frequencies[:8, :8]), "big"), _bits(frequencies)


def measures(grey: Grey) -> Measures:
    """Brightness, contrast, sharpness and entropy.

    Sharpness depends on how far the image was reduced: compare it among images of a
    similar size.

    Args:
        grey: (height, width) grey values, not empty.
    """
    counts = np.bincount(grey.ravel(), minlength=256).astype(np.float64)
    total, squares = (_MOMENTS @ counts).tolist()  # whole numbers, without rounding
    brightness = total / grey.size
    variance = (squares - total * brightness) / grey.size
    bits = float(counts @ np.log2(np.maximum(counts, 1)))
    entropy = math.log2(grey.size) - bits / grey.size
    return Measures(brightness, math.sqrt(max(0.0, variance)), _sharpness(grey), max(0.0, entropy))


def _sharpness(grey: Grey) -> float:
    """Variance of the 4-neighbour Laplacian over the inner pixels; 0 if there are none."""
    if min(grey.shape) < 3:
        return 0.0
    height, width = grey.shape
    flat = grey.astype(np.int16).ravel()
    inner = flat[width:-width]
    # As one row after the other, which is faster than row by row: the pixels at both ends of a
    # row have wrong neighbours, and are left out afterwards.
    laplacian = flat[: -2 * width] + flat[2 * width :]
    laplacian += flat[width - 1 : -width - 1]
    laplacian += flat[width + 1 : flat.size - width + 1]
    laplacian -= inner * np.int16(4)
    found = laplacian.astype(np.float32).reshape(height - 2, width)[:, 1:-1]
    # einsum and not a dot product, which would wake the threads of the BLAS library
    mean = float(np.einsum("ij->", found)) / found.size
    return max(0.0, float(np.einsum("ij,ij->", found, found)) / found.size - mean * mean)
