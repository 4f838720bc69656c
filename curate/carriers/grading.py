"""Measures a model on labelled images that it has not learned from: `curate evaluate`.

What it said before is taken from the catalog; images that it was never asked about it sees
now, without a proposal being written. Images that it was trained on here are left out, and
others of their groups: on those it is always good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate.assist.evaluate import Evaluation, evaluate_exclusive, evaluate_multilabel
from curate.carriers.lessons import Lessons, apart_from, collect, said_left_out
from curate.catalog import proposals as rows
from curate.catalog import trainings
from curate.errors import StoreError, UsageError
from curate.records import Proposal

if TYPE_CHECKING:
    from curate.carriers.folder import ProjectFolder
    from curate.report.facts import Thumb

SPLITS = ("train", "val", "test")
PICTURES = 200
"""Mistakes that a page shows."""


@dataclass(frozen=True, slots=True)
class GradeRequest:
    """Which model to measure, on what."""

    model: str | None = None
    """A file, or the beginning of a SHA-256 of a model that has proposed; None: the newest."""
    manifest: str | None = None
    """Only images of this manifest."""
    split: str = "test"
    """With a manifest: train, val or test."""
    trust: str | None = None
    """The weakest origin of a label that counts as true; None: people only."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """An image that the model gets wrong."""

    image_id: str
    """The image."""
    path: Path
    """Its file."""
    truth: tuple[str, ...]
    """What it shows."""
    said: tuple[str, ...]
    """What the model says."""
    score: float
    """How sure the model is of that."""


@dataclass(frozen=True, slots=True)
class Graded:
    """What a model is worth."""

    model: str
    """SHA-256 of its file."""
    name: str
    """The file's name."""
    evaluation: Evaluation
    """All measures."""
    mistakes: tuple[Mistake, ...]
    """What it gets wrong, the surest mistake first."""
    left_out: Mapping[str, int]
    """Labelled images that were not looked at: why, and how many."""

    def to_json(self) -> dict[str, Any]:
        """Return the document that `curate evaluate --json` prints."""
        return {
            **self.evaluation.to_json(),
            "model": {"sha256": self.model, "name": self.name},
            "left_out": dict(self.left_out),
            "misclassified": [
                {
                    "image_id": each.image_id,
                    "truth": list(each.truth),
                    "said": list(each.said),
                    "score": each.score,
                }
                for each in self.mistakes
            ],
        }


def grade_model(project: ProjectFolder, request: GradeRequest) -> Graded:
    """Measure a model. See `Learning.evaluate`."""
    lessons = _of_manifest(project, collect(project, request.trust), request)
    sha256, name, file = _find(project, request.model)
    seen = trainings.trained_on(project.look(), sha256)
    lessons = apart_from(project, lessons, seen, "trained_on")
    said = _proposals(project, lessons, sha256, file)
    lessons = lessons.some(
        np.array([each in said for each in lessons.image_ids], dtype=bool), "not_proposed"
    )
    if not lessons.image_ids:
        raise _nothing(lessons)
    given = [said[each] for each in lessons.image_ids]
    evaluation = _evaluated(lessons, given)
    return Graded(sha256, name, evaluation, _mistakes(lessons, given), lessons.left_out)


def _nothing(lessons: Lessons) -> UsageError:
    why = ", ".join(said_left_out(lessons.left_out))
    return UsageError(
        "there are no labelled images to measure this model on"
        + (f": left out are {why}" if why else ""),
        "label images that it has not learned from, e.g. `curate queue random`, or see what "
        "`curate train` says of held-out folds"
        if "trained_on" in lessons.left_out
        else "run `curate label` or `curate audit`, and `curate prelabel`; or let what sources say "
        "count: --trust source",
    )


def _find(project: ProjectFolder, wanted: str | None) -> tuple[str, str, Path | None]:
    """Return SHA-256, name and, if one was named, file of the model."""
    if wanted is not None and Path(wanted).is_file():
        from curate.assist.onnxfile import read_model

        path = Path(wanted)
        return read_model(path).sha256, path.name, path
    known = rows.models(project.look())
    fitting = [each for each in known if wanted is None or each.sha256.startswith(wanted.lower())]
    if not fitting:
        what = "no model has proposed anything" if wanted is None else f"there is no model {wanted}"
        raise UsageError(what, "give an ONNX file with --model, or run `curate prelabel` first")
    if wanted is not None and len(fitting) > 1:
        raise UsageError(f"{wanted!r} is the beginning of {len(fitting):,} models", "give more")
    return fitting[0].sha256, fitting[0].name, None


def _of_manifest(project: ProjectFolder, lessons: Lessons, request: GradeRequest) -> Lessons:
    if request.manifest is None:
        return lessons
    from curate.pack.manifest import find_manifest

    if request.split not in SPLITS:
        raise UsageError(f"{request.split!r} is no split", f"give one of {', '.join(SPLITS)}")
    found = find_manifest(project.folder / "manifests", request.manifest)
    wanted = set(found.table(request.split, ["image_id"])["image_id"].to_pylist())
    chosen = np.array([each in wanted for each in lessons.image_ids], dtype=bool)
    return lessons.some(chosen, f"not_in_{request.split}")


def _proposals(
    project: ProjectFolder, lessons: Lessons, sha256: str, file: Path | None
) -> dict[str, Proposal]:
    """Return what the model says, from the catalog or, with its file, from itself."""
    renames = project.people.renames()
    found = rows.by_model(project.look(), sha256, lessons.image_ids)
    if renames:
        found = {image_id: _renamed(each, renames) for image_id, each in found.items()}
    missing = {
        image_id: path
        for image_id, path in zip(lessons.image_ids, lessons.paths, strict=True)
        if image_id not in found
    }
    if missing and file is not None:
        found |= _asked(project, file, missing)
    return found


def _renamed(proposal: Proposal, renames: Any) -> Proposal:
    from dataclasses import replace

    after = renames.after(proposal.made_at)
    scores: dict[str, float] = {}
    for name, score in proposal.scores.items():
        now = renames.name(name, after)
        scores[now] = max(score, scores.get(now, score))
    return replace(proposal, classes=renames.names(proposal.classes, after), scores=scores)


def _asked(project: ProjectFolder, file: Path, paths: Mapping[str, Path]) -> dict[str, Proposal]:
    from curate.assist.pipeline import answers
    from curate.carriers.models import Models

    models = Models(project)
    model = models.open(file)
    judge, told = models.judge(model)
    for each in (*model.guesses, told):
        if each:
            project.notify(f"{file.name}: {each}")
    found: dict[str, Proposal] = {}
    left = iter(paths)
    done = 0
    for some in answers(model, paths.values()):
        for good, opinion in zip(some.good, judge.opinions(some.rows), strict=True):
            image_id = next(left)
            done += 1
            if good:
                found[image_id] = Proposal(
                    image_id,
                    model.sha256,
                    opinion.classes,
                    opinion.score,
                    opinion.scores,
                    project.clock(),
                )
        project.progress("evaluate", done, len(paths))
    return found


def _evaluated(lessons: Lessons, said: Sequence[Proposal]) -> Evaluation:
    names = _names(lessons, said)
    place = {name: column for column, name in enumerate(names)}
    scores: NDArray[np.float64] = np.zeros((len(said), len(names)))
    told = np.zeros((len(said), len(names)), dtype=bool)
    for row, each in enumerate(said):
        for name, score in each.scores.items():
            if name in place:
                scores[row, place[name]] = score
        for name in each.classes or (("",) if lessons.is_exclusive else ()):
            told[row, place[name]] = True
        if "" in place and "" not in each.scores:
            scores[row, place[""]] = max(0.0, 1 - sum(each.scores.values()))
    truth = np.zeros((len(said), len(names)), dtype=bool)
    for column, name in enumerate(lessons.names):
        truth[:, place[name]] = lessons.labels[:, column]
    if lessons.is_exclusive:
        return evaluate_exclusive(names, truth.argmax(axis=1), scores, told.argmax(axis=1))
    return evaluate_multilabel(names, truth, scores, told)


def _names(lessons: Lessons, said: Sequence[Proposal]) -> tuple[str, ...]:
    """Return all classes that are true or said somewhere."""
    told = {name for each in said for name in each.classes}
    if lessons.is_exclusive and any(not each.classes for each in said):
        told.add("")
    return (*lessons.names, *sorted(told - set(lessons.names)))


def _mistakes(lessons: Lessons, said: Sequence[Proposal]) -> tuple[Mistake, ...]:
    wrong = []
    for row, each in enumerate(said):
        truth = tuple(
            sorted(
                name
                for name, yes in zip(lessons.names, lessons.labels[row], strict=True)
                if yes and name
            )
        )
        if truth != tuple(sorted(each.classes)):
            path = lessons.paths[row]
            wrong.append(Mistake(each.image_id, path, truth, each.classes, each.score))
    return tuple(sorted(wrong, key=lambda each: (-each.score, each.image_id)))


def write_page(graded: Graded, path: Path) -> Path:
    """Write a page of what a model is worth. See `Learning.write_page`."""
    from curate.report.graded import WrongPicture, write_graded

    wrong = [
        WrongPicture(
            each.image_id, _thumb(each.path), _text(each.truth), _text(each.said), each.score
        )
        for each in graded.mistakes[:PICTURES]
    ]
    try:
        return write_graded(path, graded.to_json(), wrong)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from error


def _thumb(path: Path) -> Thumb | None:
    from curate.report.thumbs import make_thumb

    try:
        return make_thumb(path, path.name)
    except OSError:
        return None  # the file is missing or damaged: `curate verify` tells


def _text(names: Sequence[str]) -> str:
    return ", ".join(names) or "none of them"
