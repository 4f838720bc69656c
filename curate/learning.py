"""Learning from corrections: ties labels, embeddings and the assist room together.

`Project.learning` is one of these: train a model on what people said, measure one, choose what
to look at next, and work out whether all that pays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.catalog import trainings
from curate.catalog.database import MEMORY
from curate.catalog.trainings import Training
from curate.errors import UsageError
from curate.lessons import Lessons, apart_from, collect, held_out_images

if TYPE_CHECKING:
    from curate.assist.embed import Embedder
    from curate.assist.evaluate import Evaluation
    from curate.assist.head import Fitted
    from curate.assist.model import Floats, Model
    from curate.assist.pays import Pays
    from curate.grading import Graded, GradeRequest
    from curate.project import Project
    from curate.queueing import Made

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


@dataclass(frozen=True, slots=True)
class Learning:
    """What a project learns from its labels."""

    project: Project
    """The project."""

    def train(self, request: TrainRequest) -> Trained:
        """Train a linear head on a frozen backbone, and write both as one ONNX file.

        Raises:
            UsageError: too few labels, or a package is missing.
            ModelError: the backbone cannot be used.
            PackError: there is no such manifest.
            StoreError: the file cannot be written.
        """
        from curate.assist.embed import Embedder
        from curate.assist.head import check_enough
        from curate.assist.merge import merge, write_model
        from curate.assist.model import Wish

        lessons = self.lessons(request)
        check_enough(lessons.labels, lessons.names, lessons.groups.tolist())
        embedder = Embedder(request.backbone, request.preset, wish=Wish(output=request.output))
        self._tell(request.backbone, embedder.model)
        lessons, embeddings = self.embedded(lessons, embedder)
        fitted = self.fit(lessons, embeddings, is_weighted=request.is_weighted, seed=request.seed)
        data = merge(
            request.backbone.read_bytes(),
            fitted.head,
            output=request.output,
            preprocess=embedder.model.preprocess.to_json(),
            backbone_sha256=embedder.model.sha256,
        )
        out = request.out or self.project.folder / OUT
        sha256 = hashlib.sha256(data).hexdigest()
        measured = grade(lessons, fitted)
        if not request.dry_run:
            write_model(out, data)
            self._note(request, out, sha256, embedder, measured, lessons)
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

    def lessons(self, request: TrainRequest) -> Lessons:
        """Return the labelled images that may be learned from."""
        project = self.project
        found = collect(project, request.trust)
        found = apart_from(project, found, held_out_images(project, request.manifest))
        return found.without_small(request.min_per_class or 1)

    def embedded(self, lessons: Lessons, embedder: Embedder) -> tuple[Lessons, Floats]:
        """Return embeddings of images, from the cache where they are there, and who has one."""
        from curate.models import embedded

        project = self.project
        folder = None if project.look().path is MEMORY else project.folder
        paths = dict(zip(lessons.image_ids, lessons.paths, strict=True))
        found = embedded(embedder, paths, folder, project.progress)
        there = np.asarray(found.any(axis=1))
        return lessons.some(there, "unreadable"), found[there]

    def fit(
        self, lessons: Lessons, embeddings: Floats, *, is_weighted: bool = True, seed: int = 0
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
            progress=self.project.progress,
        )

    def evaluate(self, request: GradeRequest) -> Graded:
        """Measure a model on labelled images that it has not learned from.

        Raises:
            UsageError: no such model, or nothing to measure it on.
            ModelError: its file cannot be used.
            PackError: there is no such manifest.
        """
        from curate.grading import grade_model

        return grade_model(self.project, request)

    def write_page(self, graded: Graded, path: Path) -> Path:
        """Write a page of what a model is worth, with pictures of its mistakes.

        Raises:
            StoreError: it cannot be written.
        """
        from curate.grading import write_page

        return write_page(graded, path)

    def make_queue(
        self,
        name: str,
        n: int | None = None,
        seed: int = 0,
        backbone: Path | None = None,
        *,
        dry_run: bool = False,
    ) -> Made:
        """Work out anew which images a person should look at next.

        Args:
            name: `uncertain`, `suspects`, `different`, `disagreements` or `random`.
            n: how many at most; None: as the settings say.
            seed: of all chance in it.
            backbone: what gives embeddings, where some are needed; None: that of the last
                training.
            dry_run: work it out, write nothing.

        Raises:
            UsageError: no such queue, or something that it needs is missing.
        """
        from curate.queueing import make

        return make(self, name, n, seed, backbone, dry_run=dry_run)

    def fill_queue(self, name: str) -> Made | None:
        """Make a queue that somebody is about to go through, if it is one of ours and empty.

        Also chooses which images are shown without a proposal. An empty name is the usual
        order.

        Raises:
            UsageError: something that the queue needs is missing.
        """
        from curate.queueing import fill, mark_blind

        mark_blind(self.project)
        return fill(self, name)

    def pays(self) -> Pays:
        """Work out whether proposals save time, and how far they can be trusted."""
        from curate.paying import pays

        return pays(self.project)

    def backbone(self, given: Path | None) -> Embedder:
        """Return what gives embeddings: the given model, or that of the last training.

        Raises:
            UsageError: none was given, and nothing was trained yet.
            ModelError: it cannot be used.
        """
        from curate.assist.embed import Embedder

        if given is not None:
            return Embedder(given)
        past = trainings.trainings(self.project.look())
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

    def _tell(self, backbone: Path, model: Model) -> None:
        for each in model.guesses:
            if not each.startswith("outputs "):  # they are embeddings, whatever they look like
                self.project.notify(f"{backbone.name}: {each}")
        if model.outputs in ("softmax", "sigmoid"):
            self.project.notify(
                f"{backbone.name} answers scores of classes, not embeddings: it works, but the "
                "same model without its last layer works better"
            )

    def _note(
        self,
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
            trained_at=self.project.clock(),
        )
        trainings.record_training(self.project.db, note, lessons.image_ids)


def grade(lessons: Lessons, fitted: Fitted) -> Evaluation:
    """Measure a head by its scores on held-out folds."""
    from curate.assist.evaluate import evaluate_exclusive, evaluate_multilabel

    if lessons.is_exclusive:
        return evaluate_exclusive(lessons.names, lessons.truth, fitted.held_out)
    said = fitted.held_out >= fitted.head.thresholds
    return evaluate_multilabel(lessons.names, lessons.labels, fitted.held_out, said)
