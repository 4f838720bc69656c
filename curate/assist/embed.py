"""Embeddings of pictures by an ONNX model: files in, one row of numbers for each out.

The model says what it wants: its input's shape gives layout and size, the preset the scale of
the values. A picture is squeezed to that size as a whole, so that nothing at its edges is lost;
the distortion is the same for all copies of a photo. Threads decode the next batch while the
model is at one; no more than two batches are in memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate.errors import UsageError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Floats = NDArray[np.float32]

BATCH = 32
DEFAULT_SIDE_PX = 224
"""Where the model leaves the size open."""
PRESETS = {
    "symmetric": ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}
"""Mean and deviation of red, green and blue (0-255), taken off and divided by: `symmetric`
gives -1 to 1, `imagenet` what most PyTorch models were trained with."""


@dataclass(frozen=True, slots=True)
class Input:
    """What a model takes."""

    name: str
    """Name of its input."""
    height_px: int
    """Height of a picture."""
    width_px: int
    """Width."""
    channels_last: bool
    """NHWC instead of NCHW."""
    batch: int
    """Pictures at a time."""


class Embedder:
    """A model that is ready to run.

    Args:
        model: the ONNX file, with one float input of three channels.
        preset: name of `PRESETS`.
        threads: cores to use; 0: all.

    Raises:
        UsageError: onnxruntime is not installed, an unknown preset, or a model that cannot be
            used.
    """

    def __init__(self, model: Path, preset: str = "symmetric", threads: int = 0) -> None:
        if preset not in PRESETS:
            raise UsageError(f"{preset!r} is no preset", f"known are: {', '.join(PRESETS)}")
        mean, deviation = PRESETS[preset]
        self._mean = np.array(mean, dtype=np.float32)
        self._deviation = np.array(deviation, dtype=np.float32)
        self._threads = threads or os.cpu_count() or 1
        self._session = _open(model, self._threads)
        self.input = _input(model, self._session.get_inputs())

    def embed(self, paths: Sequence[Path]) -> Iterator[Floats]:
        """Yield embeddings batch by batch, in the order of the files.

        Args:
            paths: pictures of any format that Pillow reads.

        Yields:
            Rows of shape (b, d), not normalised; a row of zeros where a file is no picture.
        """
        size = self.input.batch
        starts = range(0, len(paths), size)
        with ThreadPoolExecutor(self._threads) as pool:
            ahead = self._decode(pool, paths[:size])
            for start in starts:
                batch = [each.result() for each in ahead]
                ahead = self._decode(pool, paths[start + size : start + 2 * size])
                yield self._run(batch)

    def _decode(
        self, pool: ThreadPoolExecutor, paths: Sequence[Path]
    ) -> list[Future[NDArray[np.uint8] | None]]:
        return [
            pool.submit(_pixels, path, self.input.width_px, self.input.height_px) for path in paths
        ]

    def _run(self, pictures: Sequence[NDArray[np.uint8] | None]) -> Floats:
        wanted = self.input
        shape = (len(pictures), wanted.height_px, wanted.width_px, 3)
        values = np.zeros(shape, dtype=np.float32)
        for row, picture in zip(values, pictures, strict=True):
            if picture is not None:
                row[:] = (picture - self._mean) / self._deviation
        fed = values if wanted.channels_last else np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        answer: Any = self._session.run(None, {wanted.name: fed})[0]
        rows = np.asarray(answer, dtype=np.float32).reshape(len(pictures), -1)
        rows[[picture is None for picture in pictures]] = 0
        return np.nan_to_num(rows, nan=0.0, posinf=0.0, neginf=0.0)


def _open(model: Path, threads: int) -> InferenceSession:
    try:
        import onnxruntime
    except ImportError:
        raise UsageError("models need onnxruntime", "pip install 'curate[train]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    if not model.is_file():
        raise UsageError(f"{model} is not there", "give an ONNX file with --model")
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no other class
        line = " ".join(str(error).split())
        raise UsageError(f"{model} is not a usable ONNX model: {line}") from error


def _input(model: Path, inputs: Sequence[Any]) -> Input:
    """Read layout and size out of the input's shape."""
    first = inputs[0]
    shape = list(first.shape)
    if len(inputs) != 1 or len(shape) != 4 or first.type != "tensor(float)" or 3 not in shape[1::2]:
        raise UsageError(
            f"{model} takes {first.type} of shape {shape}, not pictures of three float channels",
            "give a model with one float32 input, NCHW or NHWC",
        )
    channels_last = shape[3] == 3 and shape[1] != 3
    height, width = shape[1:3] if channels_last else shape[2:4]
    fixed = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else BATCH
    if fixed != BATCH and fixed > 1:
        raise UsageError(
            f"{model} takes exactly {fixed} pictures at a time", "export it with an open batch size"
        )
    return Input(
        name=first.name,
        height_px=height if isinstance(height, int) else DEFAULT_SIDE_PX,
        width_px=width if isinstance(width, int) else DEFAULT_SIDE_PX,
        channels_last=channels_last,
        batch=fixed,
    )


def _pixels(path: Path, width_px: int, height_px: int) -> NDArray[np.uint8] | None:
    """Decode a picture, upright, at the model's size; None if it is none."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            image.draft("RGB", (width_px * 2, height_px * 2))
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return np.asarray(upright.resize((width_px, height_px), Image.Resampling.BILINEAR))
