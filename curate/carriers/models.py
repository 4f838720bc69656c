"""What a project does with models: ties the assist room to the store and the catalog.

`Project.models` is one of these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.assist.model import Model, Wish
from curate.carriers.dataset import balance
from curate.catalog import class_lists
from curate.catalog import proposals as rows
from curate.catalog.database import MEMORY
from curate.catalog.proposals import ModelRow
from curate.errors import UsageError
from curate.records import Proposal

if TYPE_CHECKING:
    from curate.assist.pipeline import Answers
    from curate.assist.prelabel import Judge
    from curate.carriers.folder import ProjectFolder
    from curate.pack.recipe import Recipe

KEPT_TOGETHER = 256
"""Proposals that are written in one go: what a kill loses at most."""


@dataclass(frozen=True, slots=True)
class PrelabelRequest:
    """What to propose, and with which model."""

    model: Path
    """The ONNX file."""
    wish: Wish = field(default_factory=Wish)
    """What is known of it."""
    map: Path | None = None
    """A file from the model's classes to the project's."""
    own_classes: bool = False
    """Propose the model's classes, whatever the project's are."""
    threshold: float | None = None
    """Score from which a class is proposed; None: as the model says, else by the class list."""
    manifest: str | None = None
    """Only the images of this manifest, whose next version then has the proposals."""
    limit: int | None = None
    """At most so many images."""
    anew: bool = False
    """Also images that this model has looked at before."""
    dry_run: bool = False
    """Propose, but write nothing."""


@dataclass(frozen=True, slots=True)
class PrelabelResult:
    """What a model proposed."""

    model: ModelRow
    """The model."""
    guesses: tuple[str, ...]
    """What was guessed about it, a sentence each."""
    proposed: int
    """Images that it looked at now."""
    before: int
    """Images that it had looked at before."""
    unreadable: int
    """Images that could not be decoded."""
    left: int
    """Images that are left for the next run, because of a limit."""
    classes: Mapping[str, int]
    """Class to the number of images that it was proposed for, in the order of the project."""
    none: int
    """Images for which it proposes none of the classes."""
    manifest: str | None
    """The manifest that has the proposals now; None: none was asked for, or nothing changed."""

    def to_json(self) -> dict[str, Any]:
        """Return the document that `curate prelabel --json` prints."""
        return {
            "model": {
                "sha256": self.model.sha256,
                "name": self.model.name,
                "classes": list(self.model.classes),
                "exclusive": self.model.exclusive,
            },
            "guesses": list(self.guesses),
            "proposed": self.proposed,
            "before": self.before,
            "unreadable": self.unreadable,
            "left": self.left,
            "classes": dict(self.classes),
            "none": self.none,
            "manifest": self.manifest,
        }


@dataclass(frozen=True, slots=True)
class Models:
    """Models of one project, and what they propose."""

    project: ProjectFolder
    """The project."""

    def open(self, path: Path, wish: Wish | None = None) -> Model:
        """Load a model.

        Raises:
            ModelError, UsageError: it cannot be used.
        """
        from curate.assist.model import open_model

        return open_model(path, wish)

    def judge(
        self,
        model: Model,
        *,
        file: Path | None = None,
        own: bool = False,
        threshold: float | None = None,
    ) -> tuple[Judge, str]:
        """Return what turns a model's answers into proposals for this project's classes.

        Args:
            model: the model.
            file: a map from its classes to the project's.
            own: propose its classes, whatever the project's are.
            threshold: score from which a class is proposed.

        Returns:
            The judge, and a sentence about what was guessed, or nothing.

        Raises:
            UsageError: its classes and the project's have nothing in common, or its own are
                asked for where others are set.
        """
        from curate.assist.mapping import choose
        from curate.assist.prelabel import Judge, thresholds_for

        if threshold is not None and not 0 <= threshold <= 1:
            raise UsageError(f"--threshold {threshold:g} is not between 0 and 1")
        people = self.project.people
        wanted = people.class_list()
        # What people call images where nothing else names classes does not narrow a model down.
        names = wanted.names if wanted.is_set or class_lists.hinted(people.db) else ()
        if own and wanted.is_set:
            raise UsageError(
                "--own-classes proposes what the class list has not, which does not count",
                "say which is which with --map FILE.csv, or change the list: `curate classes set`",
            )
        targets, told = choose(
            model.classes, model.n_classes, names, is_set=wanted.is_set, file=file, own=own
        )
        # Hints do not say whether an image has one class; a model does.
        exclusive = wanted.exclusive or (model.exclusive and not wanted.is_set)
        least = thresholds_for(model, targets.names, threshold, exclusive=exclusive)
        return Judge(model, targets, exclusive, least), told

    def prelabel(self, request: PrelabelRequest) -> PrelabelResult:
        """Let a model propose classes for the images that it has not looked at.

        Proposals are written as they come: stopped at any moment, it goes on where it was.

        Raises:
            ModelError, UsageError: the model, its names or its map cannot be used.
            PackError: there is no such manifest.
            KeyboardInterrupt: stopped.
        """
        project = self.project
        only = self._only(request)
        model = self.open(request.model, request.wish)
        judge, told = self.judge(
            model, file=request.map, own=request.own_classes, threshold=request.threshold
        )
        guesses = tuple(each for each in (*model.guesses, told) if each)
        for each in guesses:
            project.notify(f"{request.model.name}: {each}")
        row = self._recorded(judge, request)
        count = _Count(Counter(), 0, 0, 0)
        wanted = _Wanted(project, row, request, only)
        total = min(wanted.total, request.limit or wanted.total)
        made: list[Proposal] = []
        project.progress("prelabel", 0, total)
        for proposal in self._proposed(judge, wanted.images(), request.limit):
            count.add(proposal)
            if proposal is not None:
                made.append(proposal)
            if len(made) >= KEPT_TOGETHER:
                self._write(made, request)
                made.clear()
            project.progress("prelabel", count.seen, total)
        self._write(made, request)
        return PrelabelResult(
            model=row,
            guesses=guesses,
            proposed=count.seen - count.unreadable,
            before=wanted.before,
            unreadable=count.unreadable,
            left=wanted.total - count.seen,
            classes={name: count.classes[name] for name in judge.targets.names},
            none=count.none,
            manifest=self._published(request),
        )

    def _recorded(self, judge: Judge, request: PrelabelRequest) -> ModelRow:
        model = judge.model
        row = ModelRow(
            sha256=model.sha256,
            name=request.model.name,
            classes=judge.targets.names,
            exclusive=judge.exclusive,
            settings={
                "preprocess": model.preprocess.to_json(),
                "outputs": str(model.outputs),
                "output": request.wish.output or "",
                "map": judge.targets.to_json(model.classes or judge.targets.names),
                "propose_from": dict(judge.thresholds),
                "thresholds": {
                    name: least
                    for name, least in model.thresholds.items()
                    if name in judge.targets.names
                },
            },
            added_at=self.project.clock(),
        )
        if request.dry_run or self.project.look().path is MEMORY:
            known = rows.find_model(self.project.look(), row.sha256)
            is_same = known is not None and (known.settings, known.classes, known.exclusive) == (
                row.settings,
                row.classes,
                row.exclusive,
            )
            return known if known is not None and is_same else row
        return rows.record_model(self.project.db, row)

    def _proposed(
        self, judge: Judge, images: Iterator[tuple[str, str]], limit: int | None
    ) -> Iterator[Proposal | None]:
        """Yield a proposal for each image; None where it cannot be decoded."""
        from curate.assist.pipeline import answers

        store, sha256 = self.project.store, judge.model.sha256
        ids: list[str] = []

        def paths() -> Iterator[Path]:
            for image_id, image_format in islice(images, limit):
                ids.append(image_id)
                yield store.path(image_id, image_format)

        found: Answers
        for found in answers(judge.model, paths()):
            some, ids[: len(found.good)] = ids[: len(found.good)], []
            now = self.project.clock()
            for image_id, good, opinion in zip(
                some, found.good, judge.opinions(found.rows), strict=True
            ):
                yield (
                    Proposal(image_id, sha256, opinion.classes, opinion.score, opinion.scores, now)
                    if good
                    else None
                )

    def _write(self, made: list[Proposal], request: PrelabelRequest) -> None:
        if made and not request.dry_run:
            rows.record_proposals(self.project.db, made)

    def _only(self, request: PrelabelRequest) -> frozenset[str] | None:
        """Return the images of the manifest that was asked for; None: all."""
        if request.manifest is None:
            return None
        return self.project.manifests.image_ids(request.manifest)

    def _published(self, request: PrelabelRequest) -> str | None:
        """Write the next version of the manifest, with the proposals in it."""
        if request.manifest is None or request.dry_run:
            return None
        manifest = self.project.manifests.open(request.manifest)
        recipe = _recipe(manifest.info.get("recipe", {}))
        return balance(self.project, recipe, trust=None, dry_run=False).manifest


def _recipe(said: Mapping[str, Any]) -> Recipe:
    """Return the recipe that a manifest was made with."""
    from curate.pack.recipe import Recipe

    names = {each.name for each in fields(Recipe)}
    known: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in said.items()
        if key in names
    }
    return Recipe(**known)


@dataclass(slots=True)
class _Count:
    """What was proposed so far."""

    classes: Counter[str]
    none: int
    seen: int
    unreadable: int

    def add(self, proposal: Proposal | None) -> None:
        self.seen += 1
        if proposal is None:
            self.unreadable += 1
            return
        self.classes.update(proposal.classes)
        self.none += not proposal.classes


class _Wanted:
    """The images that a model has to look at."""

    def __init__(
        self,
        project: ProjectFolder,
        model: ModelRow,
        request: PrelabelRequest,
        only: frozenset[str] | None,
    ) -> None:
        self._db = project.look()
        self._model, self._anew, self._only = model, request.anew, only
        kept = rows.count_to_propose(self._db, model, anew=True)
        self.total = rows.count_to_propose(self._db, model, anew=request.anew)
        if only is not None:
            kept, self.total = len(only), sum(1 for _ in self.images())
        self.before = kept - self.total

    def images(self) -> Iterator[tuple[str, str]]:
        """Yield id and format of each, a page in memory at a time."""
        for page in rows.to_propose(self._db, self._model, anew=self._anew):
            for image_id, image_format in page:
                if self._only is None or image_id in self._only:
                    yield image_id, image_format
