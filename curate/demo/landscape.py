"""The layers of a scene: sky, skyline, street, water, shore, hills, wood, trees.

Each layer is a function that paints into a picture (float32, 3 x height x width, RGB) or
draws onto a Pillow image; `paint` puts them one over the other, from back to front.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from curate.demo import brushes
from curate.demo.brushes import Color, Pixels, as_ink, blend, color, mix, noise, wash

_DAY_SKIES = (
    (color(38, 98, 176), color(190, 220, 240), color(250, 250, 252)),
    (color(84, 150, 214), color(226, 236, 240), color(255, 255, 255)),
    (color(120, 132, 148), color(198, 204, 210), color(232, 234, 238)),
    (color(20, 70, 140), color(120, 186, 220), color(244, 246, 248)),
    (color(140, 170, 196), color(240, 226, 206), color(252, 244, 236)),
)
_DUSK_SKIES = (
    (color(38, 30, 84), color(226, 96, 50), color(255, 206, 96)),
    (color(74, 34, 92), color(236, 82, 88), color(255, 184, 120)),
    (color(20, 40, 92), color(240, 138, 44), color(255, 226, 130)),
    (color(96, 48, 60), color(232, 110, 40), color(255, 190, 80)),
)
_SANDS = (color(222, 196, 150), color(236, 220, 186), color(196, 162, 112), color(160, 140, 120))
_SEAS = (
    (color(20, 84, 136), color(64, 178, 186)),
    (color(30, 110, 160), color(130, 206, 210)),
    (color(50, 86, 104), color(128, 160, 160)),
)
_LEAVES = (
    color(70, 128, 52),
    color(44, 96, 50),
    color(112, 146, 56),
    color(196, 120, 36),
    color(52, 110, 84),
)
_WALLS = (color(150, 140, 132), color(104, 116, 132), color(172, 128, 102), color(84, 90, 100))
_HALF = np.float32(0.5)

Mask = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Setting:
    """What the layers of one picture agree on."""

    shows: frozenset[str]
    """The scenes that the picture shows."""
    horizon: int
    """Row where the sky ends."""
    sun_x: float
    """Column of the sun."""
    light: Color
    """Factor for the colours of everything on the ground."""
    glow: Color
    """Colour of the sky at the horizon."""

    @property
    def dusk(self) -> bool:
        return "sunset" in self.shows


def paint(rng: np.random.Generator, shows: frozenset[str], height: int, width: int) -> Image.Image:
    """Paint a picture of everything in `shows`, or of mountains if that is empty."""
    dusk = "sunset" in shows
    low, high = (0.55, 0.8) if shows == {"sunset"} else (0.34, 0.62)
    skies = _DUSK_SKIES if dusk else _DAY_SKIES
    top, glow, cloud = skies[int(rng.integers(len(skies)))]
    if dusk:
        light = mix(color(0.5, 0.38, 0.36), color(0.24, 0.2, 0.26), float(rng.random()))
    else:
        light = color(1, 1, 1) * np.float32(rng.uniform(0.8, 1.08))
    setting = _Setting(
        shows=shows,
        horizon=int(height * rng.uniform(low, high)),
        sun_x=float(rng.uniform(0.08, 0.92)) * width,
        light=light,
        glow=glow,
    )
    pixels = np.empty((3, height, width), dtype=np.float32)
    if shows == {"trees"} and rng.random() < 0.4:
        return _wood(rng, pixels)
    pixels[:, setting.horizon :] = wash(glow)
    _sky(rng, pixels, setting, top, cloud)
    _ground(rng, pixels, setting)
    image = as_image(pixels)
    if "beach" in shows:
        _things_on_sand(rng, ImageDraw.Draw(image), setting, height, width)
    if "trees" in shows:
        _trees(rng, ImageDraw.Draw(image), setting, height, width)
    return image


def as_image(pixels: Pixels) -> Image.Image:
    """The picture as a Pillow image; values beyond 0-255 are cut."""
    np.clip(pixels, 0, 255, out=pixels)
    return Image.fromarray(np.ascontiguousarray(pixels.astype(np.uint8).transpose(1, 2, 0)))


def _sky(
    rng: np.random.Generator, pixels: Pixels, setting: _Setting, top: Color, cloud: Color
) -> None:
    height, width = pixels.shape[1:]
    sky = pixels[:, : setting.horizon]
    middle = mix(top, setting.glow, 0.45)
    stops = [(0.0, top), (0.6 if setting.dusk else 0.5, middle), (1.0, setting.glow)]
    sky[:] = brushes.gradient(setting.horizon, stops)
    texture = brushes.clouds(rng, setting.horizon, width)
    cover = np.clip((texture - np.float32(rng.uniform(0.4, 0.62))) * np.float32(4.5), 0, 0.92)
    if setting.dusk:
        cloud = mix(mix(top * np.float32(0.7), setting.glow, 0.25), cloud, 0.35)
    blend(sky, wash(cloud), cover)
    if not setting.dusk:
        return
    sun_y = setting.horizon - height * float(rng.uniform(0.02, 0.22))
    radius = height * float(rng.uniform(0.035, 0.075))
    ys = np.arange(setting.horizon, dtype=np.float32)[:, None] - np.float32(sun_y)
    xs = np.arange(width, dtype=np.float32)[None, :] - np.float32(setting.sun_x)
    away = np.sqrt(xs * xs + ys * ys)
    blend(
        sky, wash(color(255, 214, 120)), np.float32(0.85) * np.exp(away / np.float32(-3.2 * radius))
    )
    blend(sky, wash(color(255, 247, 214)), np.clip(np.float32(radius) - away, 0, 1))


def _ground(rng: np.random.Generator, pixels: Pixels, setting: _Setting) -> None:
    """Everything below the horizon, and the buildings on it."""
    shows = setting.shows
    if "city" in shows:
        _city(rng, pixels, setting)
    if "beach" in shows:
        _shore(rng, pixels, setting)
    elif "city" in shows:
        _street(rng, pixels, setting)
    elif "trees" in shows:
        leaf = _LEAVES[int(rng.integers(len(_LEAVES)))]
        _hills(rng, pixels, setting, mix(leaf, color(150, 160, 80), 0.4), 2)
    elif setting.dusk and rng.random() < 0.5:
        _water(rng, pixels[:, setting.horizon :], setting, color(40, 50, 80), color(90, 80, 100))
    else:
        stone = color(150, 120, 90) if rng.random() < 0.4 else color(176, 180, 190)
        _hills(rng, pixels, setting, stone, 4)


def _city(rng: np.random.Generator, pixels: Pixels, setting: _Setting) -> None:
    wall = _WALLS[int(rng.integers(len(_WALLS)))] * setting.light
    window = color(255, 220, 130) if setting.dusk else mix(setting.glow, wall, 0.2)
    lit = float(rng.uniform(0.2, 0.55))
    by_the_sea = "beach" in setting.shows
    tallest = 0.45 if by_the_sea else float(rng.uniform(0.6, 0.95))
    for layer in range(2):
        brushes.skyline(
            rng,
            pixels,
            setting.horizon + (0 if by_the_sea else int(pixels.shape[1] * 0.06) * layer),
            tallest=tallest * (1 - 0.15 * layer),
            tone=wall if layer else mix(wall, setting.glow, 0.5),
            lit=lit if layer else lit * 0.5,
            window=window,
        )


def _street(rng: np.random.Generator, pixels: Pixels, setting: _Setting) -> None:
    """A street that runs away from the viewer, or a river that mirrors the skyline."""
    height, width = pixels.shape[1:]
    start = setting.horizon + int(height * 0.06)
    rows = height - start
    ground = pixels[:, start:]
    if rng.random() < 0.4:
        mirrored = pixels[:, max(0, start - rows) : start][:, ::-1] * np.float32(0.6)
        ground[:] = wash(color(40, 60, 80) * setting.light)
        ground[:, : mirrored.shape[1]] = mirrored + wash(color(8, 18, 30))
        ground += np.float32(46) * (noise(rng, rows, width, rows // 3, 14) - _HALF)
        return
    depth = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    away = np.abs(np.arange(width, dtype=np.float32)[None, :] - np.float32(setting.sun_x))
    half = np.float32(0.03 * width) + depth * np.float32(rng.uniform(0.3, 0.6) * width)
    ground[:] = wash(color(150, 146, 140) * setting.light)
    blend(ground, wash(color(66, 68, 74) * setting.light), (away < half).astype(np.float32))
    dashes = np.sin(np.float32(18) / (depth + np.float32(0.16))) > 0
    stripe = ((away < half * np.float32(0.035)) & dashes).astype(np.float32)
    blend(ground, wash(color(236, 226, 190) * setting.light), stripe)
    ground += np.float32(26) * (noise(rng, rows, width, 20, 30) - _HALF)


def _water(
    rng: np.random.Generator, area: Pixels, setting: _Setting, far: Color, near: Color
) -> None:
    rows, width = area.shape[1:]
    share = 0.45 if setting.dusk else 0.15
    tint = mix(far * setting.light, setting.glow, share)
    area[:] = brushes.gradient(rows, [(0, tint), (1, near * setting.light)])
    waves = noise(rng, rows, width, max(6, rows // 4), 9)
    area += np.float32(58) * (waves - _HALF)
    if not setting.dusk:
        return
    away = np.abs(np.arange(width, dtype=np.float32) - np.float32(setting.sun_x))[None, :]
    spread = np.linspace(0.04, 0.16, rows, dtype=np.float32)[:, None] * np.float32(width)
    glitter = np.exp(-away / spread) * np.clip(waves * np.float32(1.5) - np.float32(0.3), 0, 0.9)
    blend(area, wash(color(255, 214, 130)), glitter)


def _shore(rng: np.random.Generator, pixels: Pixels, setting: _Setting) -> None:
    height, width = pixels.shape[1:]
    area = pixels[:, setting.horizon :]
    rows = height - setting.horizon
    far, near = _SEAS[int(rng.integers(len(_SEAS)))]
    _water(rng, area, setting, far, near)
    line = np.linspace(-1, 1, width, dtype=np.float32) * np.float32(rng.uniform(-0.3, 0.3))
    line += np.float32(rng.uniform(0.38, 0.6))
    line += np.float32(0.16) * (noise(rng, 1, width, 2, 6)[0] - _HALF)
    depth: Mask = np.arange(rows, dtype=np.float32)[:, None] / np.float32(rows) - line[None, :]
    sand = _SANDS[int(rng.integers(len(_SANDS)))] * setting.light
    blend(area, wash(sand * np.float32(0.72)), np.clip(depth * np.float32(40), 0, 1))
    blend(area, wash(sand), np.clip((depth - np.float32(0.09)) * np.float32(18), 0, 1))
    edge = np.clip(np.float32(1) - np.abs(depth) * np.float32(34), 0, 1)
    edge += np.clip(np.float32(0.6) - np.abs(depth + np.float32(0.1)) * np.float32(40), 0, 1)
    rough = np.clip(noise(rng, rows, width, 30, 60) * np.float32(1.6), 0, 1)
    foam = mix(color(250, 250, 250), setting.glow, 0.2)
    blend(area, wash(foam), np.clip(edge, 0, 1) * rough)
    dunes = (noise(rng, rows, width, 14, 22) - _HALF) * (depth > 0.05)
    area += dunes * wash(np.float32(44) * setting.light)


def _hills(
    rng: np.random.Generator, pixels: Pixels, setting: _Setting, tone: Color, n_ridges: int
) -> None:
    height, width = pixels.shape[1:]
    alpine = n_ridges > 2
    steep = np.float32(height * (0.34 if alpine else 0.1))
    start = max(0, setting.horizon - int(steep))
    area = pixels[:, start:]
    ys = np.arange(start, height, dtype=np.float32)[:, None]
    texture = noise(rng, height - start, width, 40, 40) - _HALF
    snow = wash(color(240, 243, 248) * setting.light)
    for ridge in range(n_ridges):
        share = (ridge + 1) / n_ridges
        line = np.float32(setting.horizon + height * 0.22 * (share - 1 / n_ridges))
        rise = noise(rng, 1, width, 2, 5 + 3 * ridge)[0] - np.float32(0.3)
        crest = line - steep * (rise + np.float32(0.25) * noise(rng, 1, width, 2, 24)[0])
        ink = mix(
            setting.glow * np.float32(0.85),
            tone * setting.light * np.float32(1.1 - 0.5 * share),
            0.3 + 0.7 * share,
        )
        below = ys - crest[None, :]
        covered = np.clip(below, 0, 1)
        blend(area, wash(ink) + np.float32(60) * texture * wash(setting.light), covered)
        if alpine and ridge < 2:
            high = (crest < line - steep * np.float32(0.2)).astype(np.float32)
            cap = np.float32(0.9) - below / (
                np.float32(height * 0.07) * (texture + np.float32(0.9))
            )
            blend(area, snow, np.clip(cap, 0, 0.85) * covered * high)


def _wood(rng: np.random.Generator, pixels: Pixels) -> Image.Image:
    """Inside a wood: trunks before hazy leaves."""
    height, width = pixels.shape[1:]
    leaf = _LEAVES[int(rng.integers(len(_LEAVES)))]
    floor = int(height * rng.uniform(0.62, 0.82))
    haze = mix(leaf, color(236, 240, 200), 0.55)
    pixels[:] = brushes.gradient(height, [(0, leaf), (0.5, haze), (1, leaf * np.float32(0.4))])
    pixels += np.float32(90) * (brushes.clouds(rng, height, width) - _HALF)
    litter = mix(leaf, color(96, 66, 38), float(rng.uniform(0.4, 0.9))) * np.float32(0.8)
    rough = noise(rng, height - floor, width, 16, 40) - _HALF
    pixels[:, floor:] = wash(litter) + np.float32(60) * rough
    image = as_image(pixels)
    draw = ImageDraw.Draw(image)
    for near in np.sort(rng.random(int(rng.integers(9, 20)))):
        ink = mix(mix(leaf, color(230, 232, 200), 0.3), color(46, 34, 24), float(near) ** 0.5)
        foot = floor + (height - floor) * float(near) * 0.8
        _trunk(rng, draw, foot, width, float(near), ink)
    for _ in range(140):
        x, y = float(rng.random()) * width, float(rng.random() ** 1.7) * height * 0.5
        size = width * float(rng.uniform(0.008, 0.035))
        ink = leaf * np.float32(rng.uniform(0.45, 1.35))
        draw.ellipse([x - size, y - size * 0.6, x + size, y + size * 0.6], fill=as_ink(ink))
    return image


def _trunk(
    rng: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    foot: float,
    width: int,
    near: float,
    ink: Color,
) -> None:
    x, half = float(rng.random()) * width, width * (0.004 + 0.03 * near * near)
    top = x + float(rng.uniform(-0.04, 0.04)) * width
    right = [(top + half * 0.6, 0.0), (x + half * 1.3, foot)]
    draw.polygon([(x - half * 1.3, foot), (top - half, 0.0), *right], fill=as_ink(ink))
    shadow = as_ink(ink * np.float32(0.65))
    draw.polygon([(x + half * 0.3, foot), (top, 0.0), *right], fill=shadow)


def _things_on_sand(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, setting: _Setting, height: int, width: int
) -> None:
    """Parasols, and a palm where no other trees stand."""
    for _ in range(int(rng.integers(0, 5))):
        x = float(rng.random()) * width
        y = height * float(rng.uniform(0.82, 0.95))
        size = height * float(rng.uniform(0.05, 0.1))
        cloth = rng.uniform(40, 250, 3).astype(np.float32) * setting.light
        white = color(250, 246, 240) * setting.light
        draw.line([(x, y), (x, y - size * 1.5)], fill=as_ink(white), width=2)
        box = (x - size, y - size * 2, x + size, y - size * 0.7)
        for part in range(4):
            start = 180 + 45 * part
            draw.pieslice(box, start, start + 45, fill=as_ink(cloth if part % 2 else white))
    if "trees" not in setting.shows and rng.random() < 0.4:
        aside = float(rng.uniform(0.02, 0.2))
        x = width * (aside if rng.random() < 0.5 else 1 - aside)
        leaf = color(60, 120, 50) * setting.light
        brushes.palm(rng, draw, x, height * 0.97, height * float(rng.uniform(0.5, 0.8)), leaf)


def _trees(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, setting: _Setting, height: int, width: int
) -> None:
    leaf = _LEAVES[int(rng.integers(len(_LEAVES)))] * setting.light
    kind: Callable[..., None] = brushes.broadleaf if rng.random() < 0.55 else brushes.conifer
    least, most = (6, 15) if setting.shows <= {"trees", "sunset"} else (3, 6)
    if "beach" in setting.shows:
        kind = brushes.palm
    for near in np.sort(rng.random(int(rng.integers(least, most)))):
        foot = setting.horizon + (height - setting.horizon) * (0.1 + 0.85 * float(near))
        tall = height * (0.16 + 0.5 * float(near)) * float(rng.uniform(0.8, 1.25))
        shade = mix(mix(leaf, setting.glow, 0.3), leaf, float(near))
        shade = shade * np.float32(rng.uniform(0.8, 1.15))
        kind(rng, draw, float(rng.random()) * width, foot, tall, shade)
