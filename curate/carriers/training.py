"""Trains a model on what people said: ties labels, embeddings and the assist room together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.carriers.lessons import Lessons, apart_from, collect, held_out_images
from curate.catalog import trainings
from curate.catalog.database import MEMORY
from curate.catalog.trainings import Training
from curate.errors import UsageError

if TYPE_CHECKING:
    from curate.assist.embed import Embedder
    from curate.assist.evaluate import Evaluation
    from curate.assist.head import Fitted
    from curate.assist.model import Floats, Model
    from curate.carriers.folder import ProjectFolder

OUT = Path("models") / "head.onnx"
"""Where a trained model goes, below the project folder."""


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """What to train, on what, and where it goes."""

    backbone: Path
    """The ONNX file that gives embeddings."""
    out: Path | None = None
    """The file to write; None: `OUT` in the project folder."""
    preset: str | None = None
    """How the backbone wants pixels; None: as it says, or as is guessed."""
    output: str | None = None
    """Its output that holds the embeddings, where it has several."""
    trust: str | None = None
    """The weakest origin of a label that counts; None: people only."""
    manifest: str | None = None
    """The manifest whose validation and test images are left out; None: the newest."""
    min_per_class: int | None = None
    """Classes with fewer images are left out of the model; None: they are an error."""
    is_weighted: bool = True
    """Classes count the same, however many images they have."""
    seed: int = 0
    """Of the folds."""
    dry_run: bool = False
    """Train and measure, but write nothing."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A model that was trained, and how good it was on what it had not seen."""

    path: Path | None
    """Its file; None: nothing was written."""
    sha256: str
    """Of that file."""
    n: int
    """Images that it learned from."""
    classes: Mapping[str, int]
    """Class to the number of images it was learned from; "" is "none of them"."""
    is_exclusive: bool
    """One class each."""
    thresholds: Mapping[str, float]
    """Class to the score from which it is proposed."""
    strength: float
    """Inverse regularisation that was chosen."""
    left_out: Mapping[str, int]
    """Labelled images that it did not learn from: why, and how many."""
    held_out: Evaluation
    """How good it is, each image judged by a model trained without its fold."""

    def to_json(self) -> dict[str, Any]:
        """Return the document that `curate train --json` prints."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {
            **plain,
            "path": None if self.path is None else str(self.path),
            "held_out": self.held_out.to_json(),
        }


def train(project: ProjectFolder, request: TrainRequest) -> Trained:
    """Train a linear head on a frozen backbone. See `Learning.train`."""
    from curate.assist.embed import Embedder
    from curate.assist.head import check_enough
    from curate.assist.merge import merge, write_model
    from curate.assist.model import Wish

    lessons = _lessons(project, request)
    check_enough(lessons.labels, lessons.names, lessons.groups.tolist())
    embedder = Embedder(request.backbone, request.preset, wish=Wish(output=request.output))
    _tell(project, request.backbone, embedder.model)
    lessons, embeddings = embedded(project, lessons, embedder)
    fitted = fit(project, lessons, embeddings, is_weighted=request.is_weighted, seed=request.seed)
    data = merge(
        request.backbone.read_bytes(),
        fitted.head,
        output=request.output,
        preprocess=embedder.model.preprocess.to_json(),
        backbone_sha256=embedder.model.sha256,
    )
    out = request.out or project.folder / OUT
    sha256 = hashlib.sha256(data).hexdigest()
    measured = grade(lessons, fitted)
    if not request.dry_run:
        # The note comes first: a model without one could be measured on what it has learned from.
        _note(project, request, out, sha256, embedder, measured, lessons)
        write_model(out, data)
    counts = lessons.labels.sum(axis=0).tolist()
    head = fitted.head
    return Trained(
        path=None if request.dry_run else out,
        sha256=sha256,
        n=len(lessons.image_ids),
        classes=dict(zip(lessons.names, counts, strict=True)),
        is_exclusive=lessons.is_exclusive,
        thresholds=dict(zip(head.names, head.thresholds, strict=True)),
        strength=fitted.strength,
        left_out=lessons.left_out,
        held_out=measured,
    )


def _lessons(project: ProjectFolder, request: TrainRequest) -> Lessons:
    """Return the labelled images that may be learned from."""
    found = collect(project, request.trust)
    found = apart_from(project, found, held_out_images(project, request.manifest))
    return found.without_small(request.min_per_class or 1)


def embedded(
    project: ProjectFolder, lessons: Lessons, embedder: Embedder
) -> tuple[Lessons, Floats]:
    """Return embeddings of images, from the cache where they are there, and who has one."""
    from curate.assist.embed import embedded

    folder = None if project.look().path is MEMORY else project.folder
    paths = dict(zip(lessons.image_ids, lessons.paths, strict=True))
    found = embedded(embedder, paths, folder, project.progress)
    there = np.asarray(found.any(axis=1))
    return lessons.some(there, "unreadable"), found[there]


def fit(
    project: ProjectFolder,
    lessons: Lessons,
    embeddings: Floats,
    *,
    is_weighted: bool = True,
    seed: int = 0,
) -> Fitted:
    """Train a head, and judge every image by one trained without it.

    Raises:
        UsageError: too few labels.
    """
    from curate.assist.head import fit

    return fit(
        embeddings,
        lessons.labels,
        lessons.names,
        lessons.groups.tolist(),
        is_exclusive=lessons.is_exclusive,
        is_weighted=is_weighted,
        seed=seed,
        progress=project.progress,
    )


def backbone(project: ProjectFolder, given: Path | None) -> Embedder:
    """Return what gives embeddings: the given model, or that of the last training.

    Raises:
        UsageError: none was given, and nothing was trained yet.
        ModelError: it cannot be used.
    """
    from curate.assist.embed import Embedder

    if given is not None:
        return Embedder(given)
    past = trainings.trainings(project.look())
    if not past:
        raise UsageError(
            "this needs a model that gives embeddings", "name one with --backbone FILE.onnx"
        )
    last = past[0]
    if not Path(last.backbone).is_file():
        raise UsageError(
            f"{last.backbone}, the backbone of the last training, is gone",
            "name one with --backbone FILE.onnx",
        )
    return Embedder(Path(last.backbone), last.preset)


def _tell(project: ProjectFolder, backbone: Path, model: Model) -> None:
    for each in model.guesses:
        if not each.startswith("outputs "):  # they are embeddings, whatever they look like
            project.notify(f"{backbone.name}: {each}")
    if model.outputs in ("softmax", "sigmoid"):
        project.notify(
            f"{backbone.name} answers scores of classes, not embeddings: it works, but the "
            "same model without its last layer works better"
        )


def _note(
    project: ProjectFolder,
    request: TrainRequest,
    out: Path,
    sha256: str,
    embedder: Embedder,
    measured: Evaluation,
    lessons: Lessons,
) -> None:
    note = Training(
        model=sha256,
        path=str(out.absolute()),
        backbone=str(request.backbone.absolute()),
        preset=request.preset,
        embeddings=embedder.key,
        size=embedder.size,
        held_out=measured.to_json(),
        trained_at=project.clock(),
    )
    trainings.record_training(project.db, note, lessons.image_ids)


def grade(lessons: Lessons, fitted: Fitted) -> Evaluation:
    """Measure a head by its scores on held-out folds."""
    from curate.assist.evaluate import evaluate_exclusive, evaluate_multilabel

    if lessons.is_exclusive:
        return evaluate_exclusive(lessons.names, lessons.truth, fitted.held_out)
    said = fitted.held_out >= fitted.head.thresholds
    return evaluate_multilabel(lessons.names, lessons.labels, fitted.held_out, said)
