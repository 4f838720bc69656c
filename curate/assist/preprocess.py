"""How a picture becomes numbers for a model: size, cut, order of colours and range of values.

Said by a preset, by the notes that `curate train` writes into a model, by Hugging Face's
`preprocessor_config.json`, or guessed. All of them end in one `Preprocess`, whose values are on
the scale of 0-255 before they are shifted and divided.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from curate.errors import ModelError, UsageError

Triple = tuple[float, float, float]

SIDE_PX = 224
"""Where neither model nor preset says it."""
CROPPED_FROM_PX = 128
"""Smaller inputs take the whole shorter side: there are no margins to cut."""
MARGIN = 8 / 7
"""Shorter side before the centre is cut out, over the side of the cut: 256 to 224."""
MOST_SIDE_PX = 4096
_FITS = ("crop", "squeeze")
_RESAMPLERS = range(6)
_BILINEAR = 2


@dataclass(frozen=True, slots=True)
class Preprocess:
    """What is done to a picture."""

    height_px: int = SIDE_PX
    """Height of what the model sees."""
    width_px: int = SIDE_PX
    """Width of it."""
    mean: Triple = (0.0, 0.0, 0.0)
    """Taken off red, green and blue."""
    deviation: Triple = (1.0, 1.0, 1.0)
    """What the rest is divided by."""
    bgr: bool = False
    """Blue comes first."""
    fit: str = "crop"
    """`crop`: the centre of the picture, in its proportions; `squeeze`: all of it, distorted."""
    scale: float = MARGIN
    """Size of the whole over the size of the part that is cut out; 1: nothing is cut off."""
    resample: int = _BILINEAR
    """Pillow's number of the filter: 2 bilinear, 3 bicubic, …"""

    def __post_init__(self) -> None:
        sides_are_good = all(0 < each <= MOST_SIDE_PX for each in (self.height_px, self.width_px))
        if not sides_are_good or self.fit not in _FITS or self.resample not in _RESAMPLERS:
            raise ValueError(f"preprocessing that cannot be: {self}")
        if not 1 <= self.scale <= 4 or not all(each > 0 for each in self.deviation):
            raise ValueError(f"preprocessing that cannot be: {self}")

    @property
    def whole(self) -> Preprocess:
        """The same for the whole picture: nothing at its edges is lost."""
        return replace(self, fit="squeeze", scale=1.0)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads: the note `curate.preprocess` in a model's file."""
        return asdict(self)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Preprocess:
        """Read what `to_json` wrote.

        Raises:
            ValueError: values that cannot be.
        """
        try:
            return cls(
                height_px=int(said["height_px"]),
                width_px=int(said["width_px"]),
                mean=_triple(said.get("mean", 0.0)),
                deviation=_triple(said.get("deviation", 1.0)),
                bgr=bool(said.get("bgr", False)),
                fit=str(said.get("fit", "crop")),
                scale=float(said.get("scale", MARGIN)),
                resample=int(said.get("resample", _BILINEAR)),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"preprocessing without {error}") from error


PRESETS: Mapping[str, Preprocess] = {
    "imagenet": Preprocess(mean=(123.675, 116.28, 103.53), deviation=(58.395, 57.12, 57.375)),
    "keras-mobilenet": Preprocess(mean=(127.5,) * 3, deviation=(127.5,) * 3),
    "inception": Preprocess(299, 299, mean=(127.5,) * 3, deviation=(127.5,) * 3),
    "raw": Preprocess(),
    "unit": Preprocess(deviation=(255.0,) * 3),
    "caffe": Preprocess(mean=(123.0, 117.0, 104.0), bgr=True),
    "symmetric": Preprocess(mean=(127.5,) * 3, deviation=(127.5,) * 3, fit="squeeze", scale=1.0),
}
"""`imagenet`: what most PyTorch models were trained with. `keras-mobilenet`, `inception`: -1 to 1.
`raw`: 0 to 255. `unit`: 0 to 1. `caffe`: blue first, 0 to 255 less the mean. `symmetric`: -1 to 1,
the whole picture. Sizes give way to what the model itself says."""


def preset(name: str, height_px: int | None, width_px: int | None) -> Preprocess:
    """Return a preset at the model's size.

    Args:
        name: of `PRESETS`.
        height_px: what the model takes; None: it leaves that open.
        width_px: likewise.

    Raises:
        UsageError: there is no such preset.
    """
    if name not in PRESETS:
        raise UsageError(f"{name!r} is no preset", f"known are: {', '.join(PRESETS)}")
    return at_size(PRESETS[name], height_px, width_px)


def at_size(wanted: Preprocess, height_px: int | None, width_px: int | None) -> Preprocess:
    """Return the same at the model's size, where it has one.

    Raises:
        ModelError: a size that no picture is brought to.
    """
    height, width = height_px or wanted.height_px, width_px or wanted.width_px
    is_small = wanted.fit == "crop" and min(height, width) < CROPPED_FROM_PX
    scale = 1.0 if is_small else wanted.scale
    try:
        return replace(wanted, height_px=height, width_px=width, scale=scale)
    except ValueError:
        raise ModelError(f"the model takes pictures of {width} x {height} pixels") from None


def read_sidecar(path: Path) -> Preprocess:
    """Read Hugging Face's `preprocessor_config.json`.

    Raises:
        ModelError: it cannot be read, or makes no sense.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return _hugging_face(said)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"{path} says nothing that can be followed: {error}") from error


def _hugging_face(said: Mapping[str, Any]) -> Preprocess:
    size, crop = said.get("size", SIDE_PX), said.get("crop_size")
    resized = _sides(size)
    is_cut = bool(said.get("do_center_crop", crop is not None))
    cut = _sides(crop) if is_cut and crop is not None else resized
    keeps_shape = isinstance(size, Mapping) and "shortest_edge" in size
    keeps_shape = keeps_shape or (is_cut and isinstance(size, int))
    if not said.get("do_resize", True):
        resized = cut
    scale = min(resized) / min(cut)
    if "crop_pct" in said and keeps_shape and crop is None:
        scale = 1 / float(said["crop_pct"])
    unit = float(said.get("rescale_factor", 1 / 255)) if said.get("do_rescale", True) else 1.0
    normal = bool(said.get("do_normalize", True))
    mean, deviation = (
        _triple(said.get(key, other)) if normal else _triple(other)
        for key, other in (("image_mean", 0.0), ("image_std", 1.0))
    )
    return Preprocess(
        height_px=cut[0],
        width_px=cut[1],
        mean=(mean[0] / unit, mean[1] / unit, mean[2] / unit),
        deviation=(deviation[0] / unit, deviation[1] / unit, deviation[2] / unit),
        fit="crop" if keeps_shape else "squeeze",
        scale=max(1.0, scale),
        resample=int(said.get("resample", _BILINEAR)),
    )


def _sides(size: object) -> tuple[int, int]:
    """Height and width of any way to write a size."""
    if isinstance(size, int):
        return size, size
    if isinstance(size, Mapping):
        if "shortest_edge" in size:
            return int(size["shortest_edge"]), int(size["shortest_edge"])
        return int(size["height"]), int(size["width"])
    if isinstance(size, list) and len(size) == 2:
        return int(size[0]), int(size[1])
    raise ValueError(f"a size of {size!r}")


def _triple(value: object) -> Triple:
    """One number for all colours, or one for each."""
    if isinstance(value, int | float):
        return (float(value),) * 3
    if isinstance(value, list | tuple) and len(value) in (1, 3):
        red, green, blue = [float(each) for each in value] * (3 // len(value))
        return red, green, blue
    raise ValueError(f"{value!r} is not one number for each colour")
