"""Names of a model's outputs: from a file, from the model's own notes, or from beside it.

Read are: one name a line (numbered or not), JSON lists, JSON objects of index to name (also with
a pair, as Keras writes ImageNet's) or of name to index, and the `id2label` of a Hugging Face
`config.json`. A model of 1,000 outputs without names is taken for one of ImageNet, and so is one
of 1,001, whose first output is then "background".
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from curate.assist.onnxfile import ModelFile
from curate.errors import ModelError, UsageError

BACKGROUND = "background"
IMAGENET = 1000
MAX_BYTES = 16 * 1024 * 1024
_NOTES = ("curate.classes", "names", "class_names", "classes", "labels", "id2label", "categories")
_BESIDE = ("{stem}.names", "{stem}.txt", "{stem}.json", "labels.txt", "classes.txt", "config.json")
_NUMBERED = re.compile(r"\s*(\d+)\s*[:,;\t ]\s*(.+)")


def names_for(
    file: ModelFile, n_outputs: int, given: Path | None
) -> tuple[tuple[str, ...] | None, str]:
    """Return the names of a model's outputs, and a sentence where they are a guess.

    Args:
        file: the model.
        n_outputs: how many names there must be.
        given: a file of names; None: look elsewhere.

    Returns:
        The names in order; None if nobody says.

    Raises:
        ModelError, UsageError: the names cannot be read, or are not as many as the outputs.
    """
    if given is not None:
        return _fitted(read_names(given), n_outputs, str(given), file.path), ""
    for key in _NOTES:
        if said := _from_note(file.found.metadata.get(key, "")):
            return _fitted(said, n_outputs, f"its note {key!r}", file.path), ""
    for pattern in _BESIDE:
        beside = file.path.parent / pattern.format(stem=file.path.stem)
        if beside.is_file() and (found := _names_beside(beside, n_outputs)):
            return found, f"class names of {beside.name}, which is beside it"
    if n_outputs in (IMAGENET, IMAGENET + 1):
        names = imagenet_names()
        names = names if n_outputs == IMAGENET else (BACKGROUND, *names)
        return names, f"the {n_outputs:,} classes of ImageNet (if that is wrong, give --names)"
    return None, ""


def imagenet_names() -> tuple[str, ...]:
    """Return ImageNet's 1,000 classes, each with its synonyms, in the usual order."""
    text = resources.files("curate.assist").joinpath("imagenet.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def is_imagenet(names: Sequence[str]) -> bool:
    """Whether these are the names that `imagenet_names` returns: the first of many says it."""
    return len(names) >= IMAGENET and "tench, Tinca tinca" in names[:2]


def read_names(path: Path) -> tuple[str, ...]:
    """Read a file of class names.

    Raises:
        UsageError: it cannot be read, or holds no names.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path} is too large for a file of names")
        text = path.read_text(encoding="utf-8-sig")
        names = _from_json(json.loads(text)) if path.suffix == ".json" else _lines(text)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{path} holds no class names: {error}") from error
    if not names:
        raise UsageError(f"{path} holds no class names")
    return names


def _names_beside(path: Path, n_outputs: int) -> tuple[str, ...] | None:
    """Read a file that lies beside a model; it may be about something else."""
    try:
        names = read_names(path)
    except UsageError:
        return None
    return names if len(names) == max(2, n_outputs) else None


def _lines(text: str) -> tuple[str, ...]:
    lines = [each.strip() for each in text.splitlines() if each.strip()]
    numbered = [_NUMBERED.fullmatch(each) for each in lines]
    found = [(int(each[1]), each[2].strip()) for each in numbered if each]
    if len(found) == len(lines) and sorted(n for n, _ in found) in (
        list(range(len(lines))),
        list(range(1, len(lines) + 1)),
    ):
        return tuple(name for _, name in sorted(found))
    return tuple(lines)


def _from_json(said: Any) -> tuple[str, ...]:
    if isinstance(said, Mapping):
        if "id2label" in said:
            return _from_json(said["id2label"])
        if all(isinstance(each, int) for each in said.values()):
            return _in_order({place: name for name, place in said.items()})
        return _in_order({int(place): name for place, name in said.items()})
    if isinstance(said, Sequence) and not isinstance(said, str):
        return tuple(_one(each) for each in said)
    raise ValueError("neither a list nor an object")


def _in_order(said: Mapping[int, Any]) -> tuple[str, ...]:
    if sorted(said) != list(range(len(said))):
        raise ValueError("the numbers do not count from 0")
    return tuple(_one(said[place]) for place in range(len(said)))


def _one(name: Any) -> str:
    if isinstance(name, list) and name:
        name = name[-1]
    if not isinstance(name, str):
        raise TypeError(f"{name!r} is no name")
    return name.strip()


def _from_note(text: str) -> tuple[str, ...]:
    """Read a note as JSON, as a Python literal, or as a list with commas or lines."""
    if not text.strip() or len(text) > MAX_BYTES:
        return ()
    for read in (json.loads, ast.literal_eval):
        try:
            return _from_json(read(text))
        except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError):
            continue
    parts = text.splitlines() if "\n" in text.strip() else text.split(",")
    return tuple(each.strip() for each in parts if each.strip())


def _fitted(names: tuple[str, ...], n_outputs: int, where: str, model: Path) -> tuple[str, ...]:
    """Check that there is a name for each output; ImageNet's background may be left out."""
    if len(names) == IMAGENET and n_outputs == IMAGENET + 1:
        return (BACKGROUND, *names)
    if len(names) == IMAGENET + 1 and n_outputs == IMAGENET and names[0].lower() == BACKGROUND:
        return names[1:]
    is_yes_or_no = n_outputs == 1 and len(names) == 2
    if len(names) != n_outputs and not is_yes_or_no:
        raise ModelError(
            f"{model} has {n_outputs:,} outputs, and {where} has {len(names):,} names",
            "give a name for each output, in order, with --names",
        )
    return names
