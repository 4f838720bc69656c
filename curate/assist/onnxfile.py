"""Looks into an ONNX file before any runtime sees it, and refuses what is not plainly a model.

Files come from anywhere, and a runtime follows what they say: it opens the files they name and
reserves the memory they claim. So the file is walked first (`curate.assist.wire`): it must be
whole, hold every weight it declares, ask for no operators of strangers, and point at no other
file, unless that was allowed; then the other file must lie plainly in the same folder, no link.
The bytes that were looked at are the bytes that the runtime gets.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from curate.assist.onnxwalk import Found, inspect, short
from curate.assist.wire import WireError
from curate.errors import ModelError

MAX_BYTES = 2 * 1024**3
"""Protocol Buffers themselves end here."""
MAX_EXTERNAL_BYTES = 8 * 1024**3
KNOWN_DOMAINS = frozenset(
    {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"}
)
"""Whose operators the runtime itself has."""
_OPENS_FILES = frozenset({"EPContext"})
_SIGNATURES = (
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "run `git lfs pull`"),
    (b"PK\x03\x04", "a zip archive, as PyTorch and Keras write them", "export the model to ONNX"),
    (b"\x89HDF", "an HDF5 file, as Keras writes it", "export the model to ONNX"),
    (b"\x80\x02", "a pickle, as old PyTorch writes it", "export the model to ONNX"),
    (b"<", "a page or XML, not a model", "download the file itself"),
    (b"{", "JSON, not a model", "give the .onnx file"),
    (b"\xff\xd8\xff", "a picture", "give the .onnx file"),
    (b"\x89PNG", "a picture", "give the .onnx file"),
)
_TFLITE_AT, _TFLITE = 4, b"TFL3"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file that may be handed to the runtime."""

    path: Path
    """Where it was read from."""
    data: bytes
    """All of it."""
    sha256: str
    """Its name in the catalog: of the file; with external weights, of those too."""
    found: Found
    """What it says of itself."""
    weights: Mapping[str, bytes]
    """Files of external weights by the name that the model gives them."""


def read_model(path: Path, *, max_bytes: int = MAX_BYTES, external: bool = False) -> ModelFile:
    """Read a model's file and look through it.

    Args:
        path: the file.
        max_bytes: largest file read.
        external: let weights come from other files in the same folder.

    Raises:
        ModelError: it is not there, too large, no model, or asks for what is not allowed.
    """
    data = _read(path, max_bytes)
    try:
        found = inspect(data)
    except WireError as error:
        raise _not_a_model(path, data, str(error)) from None
    if not (found.has_graph and found.has_version):
        raise _not_a_model(path, data, "it has no graph")
    _refuse_strange_operators(path, found)
    digest = hashlib.sha256(data)
    weights = {}
    for location in sorted(set(found.external)):
        if not external:
            raise ModelError(
                f"{path} keeps its weights in another file ({short(location)})",
                "save it as one file, or allow it with --external-data",
            )
        weights[location] = _read_weights(path, location)
        digest.update(hashlib.sha256(weights[location]).digest())
    return ModelFile(path, data, digest.hexdigest(), found, weights)


def _refuse_strange_operators(path: Path, found: Found) -> None:
    for domain, op in sorted(found.used):
        is_known = domain in KNOWN_DOMAINS or (domain, op) in found.functions
        if not is_known or op in _OPENS_FILES:
            raise ModelError(
                f"{path} uses the custom operator {short(op)} of {short(domain) or 'ai.onnx'}, "
                "which is not run",
                "export it with standard operators",
            )


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ModelError(f"{path} is not a file", "give an ONNX file")
            if status.st_size > max_bytes:
                raise ModelError(
                    f"{path} has {status.st_size:,} bytes, more than the {max_bytes:,} allowed"
                )
            return file.read(status.st_size)
    except FileNotFoundError:
        raise ModelError(f"{path} is not there", "give an ONNX file with --model") from None
    except IsADirectoryError:
        raise ModelError(f"{path} is a folder", "give the .onnx file in it") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error


def _without_waiting(path: str, flags: int) -> int:
    """Open without waiting for the other end of a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _read_weights(model: Path, location: str) -> bytes:
    """Read a file of weights that lies plainly in the model's folder."""
    named = PurePosixPath(location)
    is_plain = (
        len(named.parts) == 1
        and named.name not in ("", "..")
        and PureWindowsPath(location).name == location
    )
    if not is_plain or "\0" in location:
        raise ModelError(f"{model} points at a file outside its folder: {short(location)}")
    path = model.parent / location
    try:
        status = path.lstat()
    except OSError as error:
        raise ModelError(f"{path}, weights of {model}, cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode):
        raise ModelError(f"{path}, weights of {model}, is a link or no file")
    if status.st_nlink > 1:
        raise ModelError(f"{path}, weights of {model}, is a hard link", "copy it")
    return _read(path, MAX_EXTERNAL_BYTES)


def _not_a_model(path: Path, data: bytes, why: str) -> ModelError:
    if not data:
        return ModelError(f"{path} is empty", "give an ONNX file")
    if data[_TFLITE_AT : _TFLITE_AT + len(_TFLITE)] == _TFLITE:
        return ModelError(f"{path} is a TensorFlow Lite model", "convert it to ONNX")
    for signature, what, hint in _SIGNATURES:
        if data.lstrip()[: len(signature)] == signature:
            return ModelError(f"{path} is {what}", hint)
    return ModelError(f"{path} is not a whole ONNX model: {why}")
