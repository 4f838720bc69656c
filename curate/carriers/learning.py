"""Learning from corrections: `Project.learning` hands out what is behind these.

Train a model on what people said, measure one, choose what to look at next, and work out
whether all that pays.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from curate.assist.pays import Pays
    from curate.carriers.folder import ProjectFolder
    from curate.carriers.grading import Graded, GradeRequest
    from curate.carriers.queueing import Made
    from curate.carriers.training import Trained, TrainRequest


@dataclass(frozen=True, slots=True)
class Learning:
    """What a project learns from its labels."""

    project: ProjectFolder
    """The project."""

    def train(self, request: TrainRequest) -> Trained:
        """Train a linear head on a frozen backbone, and write both as one ONNX file.

        Raises:
            UsageError: too few labels, or a package is missing.
            ModelError: the backbone cannot be used.
            PackError: there is no such manifest.
            StoreError: the file cannot be written.
        """
        from curate.carriers.training import train

        return train(self.project, request)

    def evaluate(self, request: GradeRequest) -> Graded:
        """Measure a model on labelled images that it has not learned from.

        Raises:
            UsageError: no such model, or nothing to measure it on.
            ModelError: its file cannot be used.
            PackError: there is no such manifest.
        """
        from curate.carriers.grading import grade_model

        return grade_model(self.project, request)

    def write_page(self, graded: Graded, path: Path) -> Path:
        """Write a page of what a model is worth, with pictures of its mistakes.

        Raises:
            StoreError: it cannot be written.
        """
        from curate.carriers.grading import write_page

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
        from curate.carriers.queueing import make

        return make(self.project, name, n, seed, backbone, dry_run=dry_run)

    def fill_queue(self, name: str) -> Made | None:
        """Make a queue that somebody is about to go through, if it is one of ours and empty.

        Also chooses which images are shown without a proposal. An empty name is the usual
        order.

        Raises:
            UsageError: something that the queue needs is missing.
        """
        from curate.carriers.queueing import fill, mark_blind

        mark_blind(self.project)
        return fill(self.project, name)

    def pays(self) -> Pays:
        """Work out whether proposals save time, and how far they can be trusted."""
        from curate.carriers.paying import pays

        return pays(self.project)
