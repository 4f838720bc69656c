"""What people do with a project: the ledger, and the labels that follow from it.

`Project.people` is one of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate.catalog.database import Database
from curate.config import Settings
from curate.progress import Progress, silent
from curate.records import Label

if TYPE_CHECKING:
    from curate.catalog.images import KeptImage


@dataclass(frozen=True, slots=True)
class People:
    """Annotations of one project."""

    db: Database
    """The catalog; one in memory where there is none, which leaves no trace."""
    settings: Settings
    """How labels are resolved."""
    clock: Callable[[], float]
    """Unix seconds."""
    progress: Progress = silent
    """Told of long work."""

    def labels(self, page: list[KeptImage]) -> Mapping[str, Label]:
        """Resolve the labels of some images; image id to label."""
        from curate.label.resolve import resolve

        return {each.image_id: resolve(each) for each in page}
