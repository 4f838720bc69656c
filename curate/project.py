"""The map of the house: opens a project folder and hands out what works on it.

`Project` is the Python API; the command line and the web pages are faces on it.

Example:
    >>> from curate import FetchRequest, Project
    >>> with Project("photos") as project:  # doctest: +SKIP
    ...     project.fetch(FetchRequest(queries=("beach",), per_class=200))
    ...     project.balance()
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from curate.carriers.folder import ProjectFolder

if TYPE_CHECKING:
    from curate.carriers.asked import FetchRequest
    from curate.carriers.checking import VerifyResult
    from curate.carriers.duplicates import Duplicates
    from curate.carriers.fetching import FetchResult
    from curate.carriers.importing import Imported, ImportRequest
    from curate.carriers.learning import Learning
    from curate.carriers.models import Models
    from curate.carriers.previewing import Preview
    from curate.pack.recipe import Recipe
    from curate.pack.result import PackResult
    from curate.report.plan import Plan


class Project(ProjectFolder):
    """A project: its folder, and all that can be done with it.

    Arguments and errors are those of `ProjectFolder`.
    """

    # Finding and fetching

    def fetch(self, request: FetchRequest) -> FetchResult:
        """Search, then fetch what is pending and wanted.

        Raises:
            LockedError: another process is fetching into this project.
            UsageError, SourceError: the request cannot be answered at all.
            StoreError: the disk is full or not writable.
            KeyboardInterrupt: stopped; what was finished is recorded.
        """
        from curate.carriers.fetching import fetch

        return fetch(self, request)

    def import_(self, request: ImportRequest) -> Imported:
        """Take in a dataset that is there: copy its images, keep what it says of them.

        Raises:
            SourceError: the dataset cannot be read, or nothing in it is an image.
            LockedError, StoreError: as for `fetch`.
        """
        from curate.carriers.importing import import_dataset

        return import_dataset(self, request)

    def import_folder(
        self, path: Path, *, classes: tuple[str, ...] | None = None, link: bool = False
    ) -> FetchResult:
        """Copy the images of a tree whose folders name the classes. See `import_`."""
        from curate.carriers.importing import ImportRequest

        return self.import_(ImportRequest(path, "folder", classes=classes, link=link)).result

    def preview(self, request: FetchRequest) -> Preview:
        """Return what a fetch would find and take, without writing anything.

        Raises:
            UsageError, SourceError: the request cannot be answered.
        """
        from curate.carriers.previewing import preview

        return preview(self, request)

    def plan(
        self,
        request: FetchRequest,
        *,
        sample: int = 0,
        budget_bytes: int | None = None,
        seed: int = 0,
    ) -> Plan:
        """Count candidates per class: of a search before it is made, or of the catalog.

        The limits of the settings' `[balance]` are the chosen threshold.

        Args:
            request: what would be fetched; of the catalog, if it names no source.
            sample: URLs of each size variant to ask for their sizes; 0: none.
            budget_bytes: disk space to find the largest cap and variant for.
            seed: of the sample.
        """
        from curate.carriers.planning import plan

        return plan(self, request, sample=sample, budget_bytes=budget_bytes, seed=seed)

    # Checking and correcting

    def verify(self, *, repair: bool = False) -> VerifyResult:
        """Read every image again and compare it with the catalog; check every manifest.

        Args:
            repair: fetch damaged and missing images again, and delete unrecorded files.

        Raises:
            LockedError: to be repaired, but another process is fetching into this project.
        """
        from curate.carriers.checking import verify

        return verify(self, repair=repair)

    @property
    def duplicates(self) -> Duplicates:
        """Near-duplicates, decisions about them, and quality flags."""
        from curate.carriers.duplicates import Duplicates

        return Duplicates(self.look(), self.settings, self.clock, self.progress)

    @property
    def models(self) -> Models:
        """Models, and what they propose."""
        from curate.carriers.models import Models

        return Models(self)

    @property
    def learning(self) -> Learning:
        """Training on labels, measuring models, and choosing what to look at next."""
        from curate.carriers.learning import Learning

        return Learning(self)

    # Making the dataset

    def balance(
        self, recipe: Recipe | None = None, *, trust: str | None = None, dry_run: bool = False
    ) -> PackResult:
        """Choose, split and write a manifest.

        Args:
            recipe: thresholds, shares and seed; from the settings by default.
            trust: the weakest origin of a label that counts, instead of the recipe's.
            dry_run: work it all out, write nothing.

        Raises:
            PackError: nothing is left under these thresholds.
            UsageError: the recipe contradicts itself, or names what there is not.
        """
        from curate.carriers.dataset import balance

        return balance(self, recipe, trust=trust, dry_run=dry_run)
