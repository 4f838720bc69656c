"""A classifier, or a model of embeddings, that is ready to run: pictures in, rows of numbers out.

What a model wants is read from its input's shape and type, from its own notes, from a file beside
it, or from what the caller says; what is left is guessed, and each guess is told in `guesses`.
Before it is loaded, its file is looked through (`onnxfile`) and tried out in a process of its own
(`probe`). One `Model` may be shared by threads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.assist import guess
from curate.assist.names import names_for
from curate.assist.onnxfile import MAX_BYTES, ModelFile, read_model
from curate.assist.onnxwalk import Value
from curate.assist.preprocess import Preprocess, at_size, preset, read_sidecar
from curate.assist.probe import MEMORY_BYTES, TIMEOUT_S, Answer, Trial, probe
from curate.assist.probe import answer as answer_here
from curate.assist.runtime import INPUT_TYPES, best_provider, open_session
from curate.errors import ModelError, UsageError

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

SIDECAR = "preprocessor_config.json"
MAX_OUTPUTS = 1_000_000
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)


class Outputs(StrEnum):
    """What the numbers that a model answers are."""

    SOFTMAX = "softmax"
    """Probabilities that sum to 1: one class each."""
    SIGMOID = "sigmoid"
    """Probabilities of each class for itself."""
    LOGITS = "logits"
    """To be put through a softmax."""
    MULTI_LOGITS = "multi-logits"
    """To be put through a sigmoid, each for itself."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller says about a model; all of it may be left open."""

    preset: str | None = None
    """Name of a preset of `preprocess.PRESETS`."""
    preprocess: Path | None = None
    """A `preprocessor_config.json`."""
    whole: bool = False
    """Show it whole pictures, squeezed, whatever the preset cuts off."""
    names: Path | None = None
    """A file of class names in the order of its outputs."""
    output: str | None = None
    """Name of the output to read, where it has several."""
    outputs: Outputs | None = None
    """What its numbers are."""
    external: bool = False
    """Its weights may be in other files of the same folder."""
    trusted: bool = False
    """It was made here a moment ago: it is not tried in a process of its own first."""
    max_bytes: int = MAX_BYTES
    """Largest file read."""
    timeout_s: float = TIMEOUT_S
    """Longest time for trying it out."""
    memory_bytes: int = MEMORY_BYTES
    """Most memory while trying it out."""


@dataclass(frozen=True, slots=True)
class Input:
    """What a model takes."""

    name: str
    """Name of its input."""
    kind: str
    """Element type, a key of `runtime.INPUT_TYPES`."""
    height_px: int
    """Height of a picture."""
    width_px: int
    """Width."""
    channels: int
    """3, or 1 for grey."""
    channels_last: bool
    """NHWC instead of NCHW."""
    batch: int
    """Pictures that it takes at a time, no more and no fewer; 0: any number."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model that is ready to run; made by `open_model`."""

    path: Path
    """Its file."""
    sha256: str
    """Its name in the catalog."""
    input: Input
    """What it takes."""
    preprocess: Preprocess
    """How pictures become that."""
    n_outputs: int
    """Numbers that it answers for a picture."""
    outputs: Outputs
    """What they are."""
    classes: tuple[str, ...] | None
    """Their names, in order; None: nobody says."""
    thresholds: Mapping[str, float]
    """Class to the score from which it is proposed, as the model's own notes say."""
    metadata: Mapping[str, str]
    """All of its notes."""
    guesses: tuple[str, ...]
    """What was guessed, a sentence each."""
    provider: str
    """Where it runs."""
    _session: Any = field(repr=False)
    _output: str = field(repr=False)

    @property
    def exclusive(self) -> bool:
        """Whether it gives each picture one class."""
        return self.outputs in (Outputs.SOFTMAX, Outputs.LOGITS) or self.is_yes_or_no

    @property
    def is_yes_or_no(self) -> bool:
        """Whether its lone output tells the second of two classes from the first."""
        return self.n_outputs == 1 and (self.classes is None or len(self.classes) == 2)

    @property
    def n_classes(self) -> int:
        """Columns of `scores`."""
        return 2 if self.is_yes_or_no else self.n_outputs

    @property
    def on_card(self) -> bool:
        """Whether it runs on a graphics card."""
        return not self.provider.startswith("CPU")

    def run(self, pictures: Pixels) -> Floats:
        """Return what the model answers, as it is.

        Args:
            pictures: shape (b, height_px, width_px, 3), 0-255, as `decode.pixels` gives them.

        Returns:
            Shape (b, n_outputs).

        Raises:
            ModelError: the runtime fails.
        """
        size = self.input.batch or len(pictures)
        starts = range(0, len(pictures), max(1, size))
        rows = [self._run(pictures[start : start + size]) for start in starts]
        return np.concatenate(rows) if rows else np.zeros((0, self.n_outputs), np.float32)

    def _run(self, pictures: Pixels) -> Floats:
        missing = self.input.batch - len(pictures) if self.input.batch else 0
        if missing > 0:
            pictures = np.concatenate(
                [pictures, np.zeros_like(pictures, shape=(missing, *pictures.shape[1:]))]
            )
        try:
            (out,) = self._session.run([self._output], {self.input.name: self.fed(pictures)})
        except Exception as error:  # the runtime's errors share no other class
            line = " ".join(str(error).split())[:240]
            raise ModelError(f"{self.path} failed on a picture: {line}") from error
        rows = np.asarray(out, dtype=np.float32).reshape(len(pictures), -1)
        return rows[: len(pictures) - missing] if missing > 0 else rows

    def fed(self, pictures: Pixels) -> NDArray[Any]:
        """Return pictures in the layout, order and range that the model takes."""
        wanted, taken = self.preprocess, self.input
        kind = INPUT_TYPES[taken.kind]
        if kind is np.uint8 and taken.channels == 3:
            return self._laid(pictures)
        seen = self._laid(pictures)
        mean, deviation = (
            np.array(each[:: -1 if wanted.bgr else 1][: taken.channels], dtype=np.float32)
            for each in (wanted.mean, wanted.deviation)
        )
        if taken.channels_last:
            # One long row of pixels is computed faster than many short ones of colours.
            mean, deviation = (np.tile(each, taken.width_px) for each in (mean, deviation))
            flat = seen.reshape(*seen.shape[:2], -1)
        else:
            mean, deviation = (each[:, np.newaxis, np.newaxis] for each in (mean, deviation))
            flat = seen
        values: NDArray[Any] = np.subtract(flat, mean, dtype=np.float32)
        if set(wanted.deviation) != {1.0}:
            values *= 1 / deviation
        return values.reshape(seen.shape).astype(kind, copy=False)

    def _laid(self, pictures: Pixels) -> NDArray[Any]:
        """Return pictures in the layout and the order of colours that the model takes."""
        seen: NDArray[Any] = pictures[..., ::-1] if self.preprocess.bgr else pictures
        if self.input.channels == 1:
            seen = (pictures @ _GREY)[..., np.newaxis]
        laid = seen if self.input.channels_last else seen.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(laid)

    def scores(self, pictures: Pixels) -> Floats:
        """Return probabilities, shape (b, n_classes)."""
        return self.probabilities(self.run(pictures))

    def probabilities(self, rows: Floats) -> Floats:
        """Turn answers of `run` into probabilities; what is no number counts as none."""
        known: NDArray[Any] = np.nan_to_num(rows, nan=0.0, posinf=1e30, neginf=-1e30)
        if self.outputs is Outputs.LOGITS and known.shape[1] > 1:
            raised = np.exp(known - known.max(axis=1, keepdims=True))
            known = raised / raised.sum(axis=1, keepdims=True)
        elif self.outputs in (Outputs.MULTI_LOGITS, Outputs.LOGITS):
            known = 1 / (1 + np.exp(-np.clip(known, -80, 80)))
        scores = np.clip(known, 0.0, 1.0).astype(np.float32)
        return np.concatenate([1 - scores, scores], axis=1) if self.is_yes_or_no else scores


def open_model(path: Path, wish: Wish | None = None) -> Model:
    """Look through a model's file, try it out, and load it.

    Args:
        path: the ONNX file.
        wish: what the caller says about it.

    Raises:
        ModelError: it cannot be used.
        UsageError: the wish contradicts the model.
    """
    wish = wish or Wish()
    file = read_model(path, max_bytes=wish.max_bytes, external=wish.external)
    given, shape = guess.picture(file)
    output = _output(file, wish)
    wanted, scaling = _preprocess(file, given, shape, wish)
    answer = _tried(file, [Trial(each, output) for each in guess.trials(shape, wanted)], wish)
    if answer.sha256 != file.sha256:
        raise ModelError(f"{path} changed while it was read", "run it again")
    taken = _input(given, shape, answer)
    n_outputs = _n_outputs(path, answer)
    kind, read_as = _outputs(file, output, answer, wish)
    classes, named = names_for(file, n_outputs, wish.names)
    fitted = at_size(wanted, taken.height_px, taken.width_px)
    _check_range(path, taken, fitted)
    provider = best_provider()
    told = (scaling, guess.layout(shape, answer.shape), read_as, named)
    return Model(
        path=path,
        sha256=file.sha256,
        input=taken,
        preprocess=fitted.whole if wish.whole else fitted,
        n_outputs=n_outputs,
        outputs=kind,
        classes=classes,
        thresholds=_thresholds(file, classes),
        metadata=file.found.metadata,
        guesses=tuple(each for each in told if each),
        provider=provider,
        _session=open_session(file, provider),
        _output=output,
    )


def _tried(file: ModelFile, trials: list[Trial], wish: Wish) -> Answer:
    if wish.trusted:
        return answer_here(file, trials)
    return probe(
        file.path,
        trials,
        external=wish.external,
        timeout_s=wish.timeout_s,
        memory_bytes=wish.memory_bytes,
    )


def _output(file: ModelFile, wish: Wish) -> str:
    names = [each.name for each in file.found.outputs]
    if wish.output is not None:
        if wish.output not in names:
            raise UsageError(
                f"{file.path} has no output {wish.output!r}", f"it has: {', '.join(names[:10])}"
            )
        return wish.output
    if len(names) != 1:
        raise ModelError(
            f"{file.path} has {len(names)} outputs ({', '.join(names[:5]) or 'none'})",
            "say which one with --output NAME",
        )
    return names[0]


def _preprocess(
    file: ModelFile, given: Value, shape: guess.Shape, wish: Wish
) -> tuple[Preprocess, str]:
    """Return how pictures are prepared, and a sentence where that is a guess.

    What the caller says comes before the model's notes, and those before a file beside it.
    """
    height, width = guess.sides(shape)
    notes = file.found.metadata
    if wish.preset is not None:
        return preset(wish.preset, height, width), ""
    if wish.preprocess is not None:
        return read_sidecar(wish.preprocess), ""
    if "curate.preprocess" in notes:
        try:
            return Preprocess.from_json(json.loads(notes["curate.preprocess"])), ""
        except ValueError as error:
            raise ModelError(f"{file.path} has notes that make no sense: {error}") from None
    if "curate.preset" in notes:
        return preset(notes["curate.preset"], height, width), ""
    beside = file.path.parent / SIDECAR
    if beside.is_file():
        return read_sidecar(beside), f"preprocessing of {SIDECAR}, which is beside it"
    return guess.preprocess(file, given, shape)


def _input(given: Value, shape: guess.Shape, answer: Answer) -> Input:
    taken = answer.shape
    channels_last = taken[3] in guess.CHANNELS and taken[1] not in guess.CHANNELS
    height, width = (taken[1], taken[2]) if channels_last else (taken[2], taken[3])
    is_open = shape[0] is None and taken[0] > 1
    return Input(
        name=given.name,
        kind=guess.KINDS[given.kind],
        height_px=height,
        width_px=width,
        channels=taken[3] if channels_last else taken[1],
        channels_last=channels_last,
        batch=0 if is_open else taken[0],
    )


def _n_outputs(path: Path, answer: Answer) -> int:
    rows, n_pictures = answer.rows, answer.shape[0]
    n = prod(rows) // n_pictures
    has_rows = rows[:1] == (n_pictures,) or (n_pictures == 1 and len(rows) == 1)
    if not has_rows or max(rows[1:] or rows) != n or not 0 < n <= MAX_OUTPUTS:
        said = " x ".join(map(str, rows)) or "a single number"
        raise ModelError(
            f"{path} answers {said} for {n_pictures} pictures, not one row of scores for each"
        )
    return n


def _outputs(file: ModelFile, output: str, answer: Answer, wish: Wish) -> tuple[Outputs, str]:
    """Return what the numbers are, and a sentence where that is a guess."""
    if wish.outputs is not None:
        return wish.outputs, ""
    notes = file.found.metadata
    if notes.get("curate.outputs") in list(Outputs):
        return Outputs(notes["curate.outputs"]), ""
    is_multi = notes.get("curate.exclusive", "").lower() in ("false", "0")
    seen = guess.outputs(file, output)
    if seen is None and answer.is_between:
        seen = Outputs.SOFTMAX if answer.sums_to_one else Outputs.SIGMOID
    if seen in (None, Outputs.LOGITS):
        seen = Outputs.MULTI_LOGITS if is_multi else Outputs.LOGITS
    if "curate.exclusive" in notes:
        return Outputs(seen), ""
    return Outputs(seen), f"outputs are {seen} (if that is wrong, give --outputs)"


def _thresholds(file: ModelFile, classes: tuple[str, ...] | None) -> dict[str, float]:
    """Read the thresholds of the model's notes: by class, or in the order of its outputs."""
    try:
        said = json.loads(file.found.metadata.get("curate.thresholds", "{}"))
        if isinstance(said, list):
            said = dict(zip(classes or (), said, strict=True))
        return {str(name): float(value) for name, value in said.items()}
    except (ValueError, TypeError, AttributeError):
        raise ModelError(f"{file.path} has thresholds that make no sense in its notes") from None


def _check_range(path: Path, taken: Input, wanted: Preprocess) -> None:
    is_raw = set(wanted.mean) == {0.0} and set(wanted.deviation) == {1.0}
    if taken.kind == "tensor(uint8)" and not is_raw:
        raise UsageError(f"{path} takes bytes of 0-255, which are not scaled", "give --preset raw")
