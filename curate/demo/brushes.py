"""What the scenes are painted with: noise, gradients, buildings, trees.

Smooth textures come from small random grids that Pillow enlarges, which is several times
cheaper than computing noise per pixel; shapes with few edges are drawn by Pillow, regular
ones (facades) are array slices. Pictures are float32, 3 x height x width, RGB, 0-255: with the
channels first, a mask spreads over them in long inner loops, which is three times as fast.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Pixels = npt.NDArray[np.float32]
Color = npt.NDArray[np.float32]


def color(*rgb: float) -> Color:
    """An RGB colour, 0-255, as an array that can be mixed."""
    return np.array(rgb, dtype=np.float32)


def mix(a: Color, b: Color, share: float) -> Color:
    """The colour that has `share` (0-1) of `b` and the rest of `a`."""
    return a * np.float32(1 - share) + b * np.float32(share)


def wash(ink: Color) -> Pixels:
    """The colour as a 3 x 1 x 1 picture, which spreads over any area."""
    return ink[:, None, None]


def as_ink(value: Color) -> tuple[int, int, int]:
    """The colour as Pillow's drawing functions take it."""
    red, green, blue = (int(min(255, max(0, channel))) for channel in value)
    return red, green, blue


def noise(
    rng: np.random.Generator, height: int, width: int, rows: int, columns: int
) -> npt.NDArray[np.float32]:
    """Smooth noise.

    Args:
        rng: where chance comes from.
        height: rows of the result, in pixels.
        width: columns of the result, in pixels.
        rows: random values along the height; fewer make larger patches.
        columns: random values along the width.

    Returns:
        height x width, about 0-1 (bicubic enlargement overshoots a little).
    """
    grid = rng.random((max(2, rows), max(2, columns)), dtype=np.float32)
    large = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(large, dtype=np.float32)


def clouds(rng: np.random.Generator, height: int, width: int) -> npt.NDArray[np.float32]:
    """Noise in three octaves, about 0-1: large patches with ragged edges."""
    total = np.float32(0.6) * noise(rng, height, width, 4, 5)
    total += np.float32(0.28) * noise(rng, height, width, 11, 13)
    total += np.float32(0.12) * noise(rng, height, width, 34, 40)
    return total


def gradient(height: int, stops: Sequence[tuple[float, Color]]) -> Pixels:
    """A vertical gradient, 3 x height x 1, through `(position 0-1, colour)` stops."""
    at = np.linspace(0, 1, height, dtype=np.float32)
    places = [place for place, _ in stops]
    channels = [np.interp(at, places, [float(ink[i]) for _, ink in stops]) for i in range(3)]
    return np.stack(channels).astype(np.float32)[:, :, None]


def blend(pixels: Pixels, ink: Pixels, mask: npt.NDArray[np.float32]) -> None:
    """Paint `ink` over `pixels` in place, as opaque as `mask` (height x width, 0-1) says."""
    change = ink - pixels
    change *= mask
    pixels += change


def skyline(
    rng: np.random.Generator,
    pixels: Pixels,
    base: int,
    *,
    tallest: float,
    tone: Color,
    lit: float,
    window: Color,
) -> None:
    """Put a row of buildings into `pixels`.

    Args:
        rng: where chance comes from.
        pixels: the picture, changed in place.
        base: the row on which the buildings stand.
        tallest: height of the tallest as a share of `base`.
        tone: colour about which the facades vary.
        lit: share of the windows that have the colour `window`.
        window: colour of lit windows; others are darker than their wall.
    """
    width = pixels.shape[2]
    # Heights follow a slow wave, so that a skyline has a shape of its own.
    wave = noise(rng, 1, width, 2, int(rng.integers(3, 8)))[0]
    left = -int(rng.integers(0, width // 16))
    while left < width:
        across = int(rng.integers(width // 28, width // 9))
        middle = min(width - 1, max(0, left + across // 2))
        tall = (0.25 + 0.75 * float(wave[middle])) * tallest * float(rng.uniform(0.6, 1.0))
        top = base - int(max(12.0, tall * base))
        _building(
            rng, pixels[:, max(0, top) : base, max(0, left) : left + across], tone, lit, window
        )
        if rng.random() < 0.2:
            mast = left + across // 2
            pixels[:, max(0, top - across // 2) : max(0, top), max(0, mast) : mast + 2] = wash(
                tone * 0.5
            )
        left += across + (int(rng.integers(0, 6)) if rng.random() < 0.4 else 0)


def _building(
    rng: np.random.Generator, area: Pixels, tone: Color, lit: float, window: Color
) -> None:
    height, width = area.shape[1:]
    if height < 4 or width < 4:
        return
    wall = tone * np.float32(rng.uniform(0.55, 1.3)) + rng.uniform(-14, 14, 3).astype(np.float32)
    area[:] = wash(wall)
    area[:, :, : max(1, width // 6)] *= np.float32(1.15)
    area[:, :, -max(1, width // 5) :] *= np.float32(0.75)
    pitch_y, pitch_x = int(rng.integers(5, 9)), int(rng.integers(4, 8))
    tall, wide = int(rng.integers(2, pitch_y - 1)), int(rng.integers(2, pitch_x))
    rows, columns = (height - 3) // pitch_y, (width - 2) // pitch_x
    if rows < 1 or columns < 1:
        return
    on = rng.random((rows, columns)) < lit
    panes = np.where(on, wash(window), wash(wall * np.float32(0.55))).astype(np.float32)
    for dy in range(tall):
        for dx in range(wide):
            view = area[:, 3 + dy :: pitch_y, 2 + dx :: pitch_x]
            view[:, :rows, :columns] = panes[:, : view.shape[1], : view.shape[2]]


def broadleaf(
    rng: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    x: float,
    foot: float,
    tall: float,
    leaf: Color,
) -> None:
    """Draw a round-crowned tree of height `tall` that stands at (x, foot)."""
    trunk = as_ink(leaf * 0.35 + color(30, 16, 6))
    half = max(1.0, tall * 0.035)
    draw.polygon(
        [
            (x - half * 1.5, foot),
            (x - half, foot - tall * 0.6),
            (x + half, foot - tall * 0.6),
            (x + half * 1.5, foot),
        ],
        fill=trunk,
    )
    n_blobs = 34
    angles = rng.uniform(0, 2 * np.pi, n_blobs)
    reach = np.sqrt(rng.random(n_blobs)) * tall * 0.27
    sizes = tall * rng.uniform(0.05, 0.13, n_blobs)
    order = np.argsort(np.sin(angles) * -reach)
    for i in order:
        cx, cy = (
            x + np.cos(angles[i]) * reach[i] * 1.15,
            foot - tall * 0.66 + np.sin(angles[i]) * reach[i],
        )
        height_in_crown = 0.5 - np.sin(angles[i]) * reach[i] / (tall * 0.54)
        ink = as_ink(leaf * np.float32(0.5 + 0.65 * height_in_crown + rng.uniform(-0.14, 0.14)))
        draw.ellipse(
            [cx - sizes[i], cy - sizes[i] * 0.8, cx + sizes[i], cy + sizes[i] * 0.8], fill=ink
        )


def conifer(
    rng: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    x: float,
    foot: float,
    tall: float,
    leaf: Color,
) -> None:
    """Draw a pointed tree of height `tall` that stands at (x, foot)."""
    half = max(1.0, tall * 0.02)
    draw.rectangle(
        [x - half, foot - tall * 0.15, x + half, foot], fill=as_ink(leaf * 0.3 + color(26, 14, 6))
    )
    n_tiers = 6
    for tier in range(n_tiers):
        low = foot - tall * (0.08 + 0.145 * tier)
        top = min(low - tall * 0.26, foot - tall * (0.3 + 0.12 * tier))
        reach = tall * 0.2 * (1 - tier / (n_tiers + 0.5)) * rng.uniform(0.85, 1.15)
        shade = np.float32(0.6 + 0.09 * tier)
        draw.polygon([(x - reach, low), (x, top), (x + reach, low)], fill=as_ink(leaf * shade))
        draw.polygon(
            [(x, low - 2), (x, top), (x + reach, low)], fill=as_ink(leaf * shade * np.float32(0.74))
        )


def palm(
    rng: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    x: float,
    foot: float,
    tall: float,
    leaf: Color,
) -> None:
    """Draw a palm of height `tall` that stands at (x, foot) and leans a little."""
    lean = float(rng.uniform(-0.25, 0.25)) * tall
    steps = np.linspace(0, 1, 7)
    trunk = [(x + lean * t * t, foot - tall * t) for t in steps]
    draw.line(
        trunk,
        fill=as_ink(leaf * 0.4 + color(50, 32, 16)),
        width=max(2, int(tall * 0.045)),
        joint="curve",
    )
    head_x, head_y = trunk[-1]
    n_fronds = 11
    for angle in np.linspace(-0.35, np.pi + 0.35, n_fronds) + rng.uniform(-0.15, 0.15, n_fronds):
        reach = tall * float(rng.uniform(0.3, 0.42))
        tip = (head_x + np.cos(angle) * reach, head_y - np.sin(angle) * reach * 0.6 + reach * 0.42)
        elbow = (head_x + np.cos(angle) * reach * 0.55, head_y - np.sin(angle) * reach * 0.55)
        under = (elbow[0], elbow[1] + reach * 0.16)
        ink = as_ink(leaf * np.float32(rng.uniform(0.6, 1.1)))
        draw.polygon([(head_x, head_y), elbow, tip, under], fill=ink)
