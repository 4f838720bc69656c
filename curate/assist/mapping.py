"""From a model's classes to the project's: by a file, or by name.

Several classes of the model may go up in one of the project: of an exclusive model their scores
add up, of others the best counts. Classes that go nowhere are what is left: "none of these".
By name, each synonym counts ("tench, Tinca tinca"; "Turdus merula (Blackbird)"), whatever its
capitals, underscores or plural.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curate.assist.names import is_imagenet
from curate.errors import UsageError

Floats = NDArray[np.float32]

_HEADERS = frozenset({"model", "from", "output", "index", "name", "class", "label", "imagenet"})
_BETWEEN = re.compile(r"[\s_\-]+")
_SAID_TOO = re.compile(r"\(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class Targets:
    """Which class of the project each output of a model counts for."""

    names: tuple[str, ...]
    """The project's classes that can be proposed, sorted as the project has them."""
    places: NDArray[np.int64]
    """For each output the place in `names`; -1: none of them. Shape (n_outputs,)."""

    def scores(self, scores: Floats, *, exclusive: bool) -> Floats:
        """Return scores of the project's classes, shape (b, len(names)).

        Args:
            scores: of the model's, shape (b, n_outputs).
            exclusive: they are shares of 1.
        """
        used = np.flatnonzero(self.places >= 0)
        order = used[np.argsort(self.places[used], kind="stable")]
        starts = np.searchsorted(self.places[order], np.arange(len(self.names)))
        join = np.add if exclusive else np.maximum
        found: Floats = join.reduceat(scores[:, order], starts, axis=1)
        return np.minimum(found, np.float32(1.0))

    def to_json(self, classes: Sequence[str]) -> dict[str, str]:
        """Return the model's class to the project's, where they differ or some go nowhere."""
        pairs = {
            name: self.names[place]
            for name, place in zip(classes, self.places, strict=True)
            if place >= 0
        }
        is_plain = len(pairs) == len(self.places) and all(a == b for a, b in pairs.items())
        return {} if is_plain else pairs


def choose(
    classes: tuple[str, ...] | None,
    n_outputs: int,
    wanted: Sequence[str],
    *,
    is_set: bool,
    file: Path | None = None,
    own: bool = False,
) -> tuple[Targets, str]:
    """Find out which classes of a project a model can propose.

    Args:
        classes: the model's; None: it has no names.
        n_outputs: how many it has.
        wanted: the project's.
        is_set: somebody chose them, and a file may name no others; else they are hints.
        file: a map from the model's classes to the project's.
        own: take the model's, whatever the project's are.

    Returns:
        The targets, and a sentence where something was guessed or is left out.

    Raises:
        UsageError: the file cannot be used, or nothing matches.
    """
    if file is not None:
        return _by_file(classes, n_outputs, wanted, file, is_set=is_set), ""
    if classes is None:
        return _by_place(n_outputs, wanted)
    if own or not any(wanted):
        return _its_own(classes, n_outputs)
    pairs = _by_name(classes, wanted)
    if pairs:
        targets = _targets(n_outputs, pairs, wanted)
        left = [name for name in wanted if name and name not in targets.names]
        plain = len(pairs) == sum(bool(each) for each in classes)
        if plain and not left:
            return targets, ""
        used = f"{len(pairs):,} of the model's {n_outputs:,} classes are the project's by name"
        lost = f"; it never proposes {_some(left)}" if left else ""
        return targets, used + lost
    other = "" if is_set else ", or take the model's own with `curate prelabel --own-classes`"
    raise UsageError(
        f"none of the model's {n_outputs:,} classes ({_some(classes)}) is one of the "
        f"project's {len(wanted):,} ({_some(wanted)})",
        "say which is which with `curate prelabel --map FILE.csv`, lines of `model class,project "
        f"class`; or choose other classes with `curate classes set`{other}",
    )


def _its_own(classes: Sequence[str], n_outputs: int) -> tuple[Targets, str]:
    short = is_imagenet(classes)
    own = {at: name.split(",")[0] if short else name for at, name in enumerate(classes) if name}
    told = f"classes are the model's own: {_some(classes)}"
    return _targets(n_outputs, own, sorted(set(own.values()))), told


def _by_place(n_outputs: int, wanted: Sequence[str]) -> tuple[Targets, str]:
    """Number classes as Keras and torchvision number folders: in the order of their names."""
    names = sorted(each for each in wanted if each)
    if len(names) != n_outputs:
        raise UsageError(
            f"the model has {n_outputs:,} outputs without names, and the project "
            f"{len(names):,} classes",
            "name the outputs with --names FILE, a name a line, in their order; if they are an "
            "embedding, `curate train --backbone FILE.onnx` makes a classifier of it",
        )
    told = (
        f"the model names no classes: its outputs are taken for {_some(names)}, in the order of "
        "their names (if that is wrong, give --names)"
    )
    return _targets(n_outputs, dict(enumerate(names)), names), told


def _by_name(classes: Sequence[str], wanted: Sequence[str]) -> dict[int, str]:
    known = {_plain(each): each for each in reversed(wanted) if each}
    for each in wanted:
        if each:
            known.setdefault(_plain(each).removesuffix("s"), each)
    pairs = {}
    for place, name in enumerate(classes):
        for said in _synonyms(name):
            found = known.get(said) or known.get(said.removesuffix("s"))
            if found is not None:
                pairs[place] = found
                break
    return pairs


def _synonyms(name: str) -> list[str]:
    """All that a model's class is called: the whole, then each part, then what is in brackets."""
    bare = _SAID_TOO.sub(" ", name)
    said = [name, bare, *bare.split(","), *_SAID_TOO.findall(name)]
    return [plain for each in said if (plain := _plain(each))]


def _plain(name: str) -> str:
    return _BETWEEN.sub(" ", name.casefold()).strip()


def _by_file(
    classes: tuple[str, ...] | None,
    n_outputs: int,
    wanted: Sequence[str],
    file: Path,
    *,
    is_set: bool,
) -> Targets:
    places: dict[str, list[int]] = {str(place): [place] for place in range(n_outputs)}
    for place, name in enumerate(classes or ()):
        for said in (name, name.split(",")[0]):
            found = places.setdefault(_plain(said), [])
            if place not in found:
                found.append(place)
    pairs = {}
    for line, (model_class, project_class) in enumerate(_read_map(file, places), start=1):
        key = _plain(model_class)
        if key not in places:
            if line == 1 and key.split(" ")[0] in _HEADERS:
                continue
            raise UsageError(
                f"{file}: {model_class!r} is no class of the model",
                "name its classes, or count them from 0",
            )
        if project_class and is_set and project_class not in wanted:
            raise UsageError(
                f"{file}: {project_class!r} is no class of the project",
                f"its classes are: {_some(wanted)}",
            )
        if project_class:
            pairs.update(dict.fromkeys(places[key], project_class))
    if not pairs:
        raise UsageError(f"{file} maps nothing", "lines are `model class,project class`")
    order = [each for each in wanted if each in pairs.values()]
    return _targets(n_outputs, pairs, [*order, *sorted(set(pairs.values()) - set(order))])


def _read_map(file: Path, places: Mapping[str, object]) -> list[tuple[str, str]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
        if file.suffix == ".json":
            return _json_pairs(json.loads(text), places)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, AttributeError, RecursionError) as error:
        raise UsageError(f"{file} is not a map: {error}") from error
    delimiter = "\t" if "\t" in text else ","
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)]
    for row in rows:
        if len(row) < 2:
            raise UsageError(f"{file}: {row[0]!r} has no second column", "quote names with commas")
    # Unquoted commas belong to the model's name: ImageNet's have some.
    return [(delimiter.join(row[:-1]).strip(), row[-1].strip()) for row in rows]


def _json_pairs(said: Mapping[str, object], places: Mapping[str, object]) -> list[tuple[str, str]]:
    """Read `{model: project}` or `{project: [model, …]}`."""
    pairs = []
    for key, value in said.items():
        if isinstance(value, list):
            pairs += [(str(each), key) for each in value]
        elif _plain(key) in places or _plain(str(value)) not in places:
            pairs.append((key, "" if value is None else str(value)))
        else:
            pairs.append((str(value), key))
    return pairs


def _targets(n_outputs: int, pairs: Mapping[int, str], order: Sequence[str]) -> Targets:
    used = set(pairs.values())
    names = tuple(dict.fromkeys(each for each in order if each in used))
    places = np.full(n_outputs, -1, dtype=np.int64)
    at = {name: place for place, name in enumerate(names)}
    for place, name in pairs.items():
        places[place] = at[name]
    return Targets(names, places)


def _some(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(name.split(",")[0] for name in names[:most])
    return shown + (f" and {len(names) - most:,} more" if len(names) > most else "")
