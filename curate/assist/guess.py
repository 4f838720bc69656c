"""What a model does not say of itself, guessed from its shape, its type and who wrote it.

Every guess comes with a sentence for the person who has to know it was one.
"""

from __future__ import annotations

from curate.assist.onnxfile import ModelFile
from curate.assist.onnxwalk import Value
from curate.assist.preprocess import SIDE_PX, Preprocess, preset
from curate.errors import ModelError

Shape = tuple[int | None, ...]

CHANNELS = (1, 3)
UINT8 = 2
KINDS = {1: "tensor(float)", 2: "tensor(uint8)", 10: "tensor(float16)", 11: "tensor(double)"}
"""Element types of pictures, by ONNX's number."""
_TRIED_ROWS = 2
_SMALL_PX = 64
_SCALES_ITSELF = frozenset({"Sub", "Mul", "Div", "Add", "BatchNormalization"})
_MINUS_ONE_TO_ONE = ("mobilenet", "inception", "xception", "nasnet")
_CAFFE = ("caffe", "squeezenet", "googlenet", "alexnet")
_SOFTENING = frozenset(
    {"Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Cast", "Transpose", "Clip"}
)
"""Operators that leave probabilities what they are."""
_SQUASHERS = {"Softmax": "softmax", "LogSoftmax": "logits", "Sigmoid": "sigmoid"}


def picture(file: ModelFile) -> tuple[Value, Shape]:
    """Return the one input of a model of pictures, and its shape of four sizes.

    Raises:
        ModelError: it takes something else.
    """
    inputs = file.found.inputs
    if len(inputs) != 1:
        names = ", ".join(each.name[:40] for each in inputs[:5]) or "none"
        raise ModelError(
            f"{file.path} has {len(inputs)} inputs ({names}), not one for pictures",
            "give a model with one input",
        )
    given = inputs[0]
    shape: Shape = given.shape if given.shape is not None else (None,) * 4
    sides = shape[1:]
    has_channels = any(each in (None, *CHANNELS) for each in (sides[:1] + sides[-1:]))
    if len(shape) != 4 or given.kind not in KINDS or not has_channels:
        raise ModelError(
            f"{file.path} takes {_said(shape)} of type {given.kind}, not pictures: four sizes, "
            "three colours, of 32-bit, 16-bit or 64-bit floats or of bytes"
        )
    return given, shape


def _said(shape: Shape) -> str:
    return " x ".join("any" if each is None else str(each) for each in shape) or "a number"


def preprocess(file: ModelFile, given: Value, shape: Shape) -> tuple[Preprocess, str]:
    """Guess how pictures are scaled; return it with a sentence."""
    channels_last = shape[3] in CHANNELS and shape[1] not in CHANNELS
    height, width = sides(shape)
    named = f"{file.path.stem} {file.found.producer}".lower()
    if given.kind == UINT8:
        name, why = "raw", "it takes bytes"
    elif given.name == "data_0" or any(each in named for each in _CAFFE):
        name, why = "caffe", "it looks like one of Caffe's"
    elif _SCALES_ITSELF.intersection(file.found.first_ops):
        name, why = "raw", "its first step scales by itself"
    elif channels_last and (height or SIDE_PX) <= _SMALL_PX:
        name, why = "raw", "it takes small pictures, colours last"
    elif channels_last:
        name, why = "keras-mobilenet", "it takes colours last, as Keras does"
    elif any(each in named for each in _MINUS_ONE_TO_ONE) and "tf" in named:
        name, why = "keras-mobilenet", "its name is of a network of TensorFlow's"
    else:
        name, why = "imagenet", "it takes colours first, as PyTorch does"
    return preset(
        name, height, width
    ), f"preset {name}, for {why} (if that is wrong, give --preset)"


def sides(shape: Shape) -> tuple[int | None, int | None]:
    """Return height and width as far as a shape has them."""
    channels_last = shape[3] in CHANNELS and shape[1] not in CHANNELS
    return (shape[1], shape[2]) if channels_last else (shape[2], shape[3])


def trials(shape: Shape, wanted: Preprocess) -> list[tuple[int, ...]]:
    """Return shapes that a model may take, the likeliest first."""
    layouts = [
        (False, wanted.height_px, wanted.width_px),
        (True, wanted.height_px, wanted.width_px),
    ]
    first, last = shape[1] in CHANNELS, shape[3] in CHANNELS
    if first != last:
        layouts = layouts[1:] if last else layouts[:1]
    found = []
    for rows in (_TRIED_ROWS, 1):
        for channels_last, height, width in layouts:
            for channels in reversed(CHANNELS):
                laid = (height, width, channels) if channels_last else (channels, height, width)
                tried = (rows, *laid)
                filled = tuple(known or open_ for known, open_ in zip(shape, tried, strict=True))
                colours = filled[3] if channels_last else filled[1]
                if colours in CHANNELS and filled not in found:
                    found.append(filled)
    return found


def layout(shape: Shape, taken: tuple[int, ...]) -> str:
    """Return a sentence if layout or size were found by trying."""
    if all(each is not None for each in shape[1:]):
        return ""
    return f"input of {_said(taken[1:])}, for the model leaves it open"


def outputs(file: ModelFile, name: str) -> str | None:
    """Follow an output back to a softmax or sigmoid; None where there is none of them."""
    for _ in range(len(_SOFTENING)):
        op, source = file.found.makers.get(name, ("", ""))
        if op not in _SOFTENING:
            return _SQUASHERS.get(op)
        name = source
    return None
