"""The map of the house: opens a project folder and carries things between the rooms.

`Project` is the Python API; the command line and the web pages are faces on it.

Example:
    >>> from curate import FetchRequest, Project
    >>> with Project("photos") as project:  # doctest: +SKIP
    ...     project.fetch(FetchRequest(queries=("beach",), per_class=200))
    ...     project.balance()
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from curate import config
from curate.catalog import counts, failures, searches
from curate.catalog.candidates import Choice
from curate.catalog.counts import ClassCount, Counts
from curate.catalog.database import MEMORY, NAME, Database, writer_lock
from curate.catalog.text import clean
from curate.errors import CurateError, SourceError, StoreError, UsageError
from curate.progress import Progress, silent
from curate.store import Store

if TYPE_CHECKING:
    from curate.checking import VerifyResult
    from curate.duplicates import Duplicates
    from curate.exporting import Manifests
    from curate.fetch.check import Decoders
    from curate.fetch.run import FetchEnd
    from curate.finding import FetchRequest, Finder, Question
    from curate.importing import Imported, ImportRequest
    from curate.learning import Learning
    from curate.models import Models
    from curate.pack.recipe import Recipe
    from curate.pack.result import PackResult
    from curate.people import People
    from curate.report.plan import Plan


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What a fetch did and left."""

    counts: Counts
    """Where everything stands now."""
    classes: tuple[ClassCount, ...]
    """The classes as they stand now."""
    skipped: Mapping[str, int]
    """Rows of sources that gave no candidate, by reason."""
    tried: int
    """Downloads of this run, retries included."""
    next_due: float | None
    """When the next wanted retry is due (Unix seconds); None if none is left."""
    error: CurateError | None
    """What stopped a search before its end; what it had given was fetched."""
    reopened: int = 0
    """Earlier failures that this run put back into the queue."""

    @property
    def complete(self) -> bool:
        """Whether nothing is left to be retried."""
        return self.next_due is None and self.error is None


class Project:
    """A project folder.

    Args:
        folder: any folder; made when something is first written.
        flags: settings that win over environment and curate.toml, as `"section.key": value`.
        environ: the environment.
        progress: told of long work.
        notify: told, a sentence each, what a person should know.
        clock: Unix seconds.

    Raises:
        UsageError: there is a file of that name, or a flag's value cannot be used.
        ConfigError: curate.toml or the environment cannot be used.
    """

    def __init__(
        self,
        folder: str | Path = ".",
        *,
        flags: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        progress: Progress = silent,
        notify: Callable[[str], None] = lambda _text: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"the project {self.folder} is not a folder", "give one with -C")
        self.environ = os.environ if environ is None else environ
        self.settings = config.load(self.folder, self.environ, flags or {})
        self.store = Store(self.folder / "images")
        self.progress = progress
        self.notify = notify
        self.clock = clock
        self._db: Database | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the catalog."""
        if self._db is not None:
            self._db.close()
            self._db = None

    @property
    def exists(self) -> bool:
        """Whether the folder holds a catalog."""
        return (self.folder / NAME).is_file()

    @property
    def db(self) -> Database:
        """The catalog, made if there is none, opened when first used."""
        if self._db is None or self._db.path is MEMORY:
            self.close()
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"cannot make {self.folder}: {error.strerror}") from error
            self._db = Database(self.folder / NAME)
        return self._db

    def look(self) -> Database:
        """Return the catalog for reading; an empty one, that leaves no trace, if there is none."""
        if self._db is None and not self.exists:
            self._db = Database(MEMORY)
        return self._db or self.db

    # Finding and fetching

    def fetch(self, request: FetchRequest) -> FetchResult:
        """Search, then fetch what is pending and wanted.

        Raises:
            LockedError: another process is fetching into this project.
            UsageError, SourceError: the request cannot be answered at all.
            StoreError: the disk is full or not writable.
            KeyboardInterrupt: stopped; what was finished is recorded.
        """
        from curate.fetch.check import decoders

        finder = self.finder()
        finder.queries(request)
        config.tell_trust(self.folder, self.settings, self.notify)
        with writer_lock(self.made(), "fetch"), decoders(self.store, self.settings.fetch) as pool:
            reopened = failures.requeue(self.db, request.retry, self.settings.fetch.allow_hosts)
            questions = finder.open(self.db, request) or finder.resumed(self.db)
            result = self._rounds(finder, questions, request, pool)
            return replace(result, reopened=reopened)

    def import_(self, request: ImportRequest) -> Imported:
        """Take in a dataset that is there: copy its images, keep what it says of them.

        Raises:
            SourceError: the dataset cannot be read, or nothing in it is an image.
            LockedError, StoreError: as for `fetch`.
        """
        from curate.importing import import_dataset

        return import_dataset(self, request)

    def import_folder(
        self, path: Path, *, classes: tuple[str, ...] | None = None, link: bool = False
    ) -> FetchResult:
        """Copy the images of a tree whose folders name the classes. See `import_`."""
        from curate.importing import ImportRequest

        return self.import_(ImportRequest(path, "folder", classes=classes, link=link)).result

    def preview(self, request: FetchRequest) -> dict[str, int | None]:
        """Count what each search would find, without writing anything.

        Returns:
            Query (or path) to the number of results; None where the source cannot say.
        """
        return {
            clean(query.text or str(request.path or "")): source.count(query)
            for source, query in self.finder().queries(request)
        }

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
        from curate.planning import plan

        return plan(self, request, sample=sample, budget_bytes=budget_bytes, seed=seed)

    def finder(self) -> Finder:
        """Return what opens sources and searches them."""
        from curate.finding import Finder

        told = self.notify, self.progress, self.clock
        return Finder(self.settings, self.environ, *told, self.folder)

    def _rounds(
        self, finder: Finder, questions: list[Question], request: FetchRequest, pool: Decoders
    ) -> FetchResult:
        """Search a little, fetch, and search on while classes need more than there was."""
        failed: SourceError | None = None
        tried = 0
        finder.set_quotas(self.db, request, questions)
        while True:
            taken = finder.take_all(self.db, questions)
            failed = failed or taken.error
            if taken.is_refused and request.source_name and not (tried or taken.gained):
                assert taken.error is not None
                raise taken.error  # what is pending can wait: the question was wrong
            # Classes that a source names itself are known only now.
            finder.set_quotas(self.db, request, questions)
            questions, gained = taken.open, taken.gained
            # With more to search for, candidates that wait for a retry are not waited for.
            end = self.run(pool, wait=not questions or not gained)
            tried += end.tried
            if not (questions and end.unmet and (gained or end.tried)):
                break
        finder.send_pings(self.db)
        result = self.result(end, failed, tried)
        if failed is not None and not result.counts.total:
            raise failed
        return result

    def run(
        self, pool: Decoders, *, wait: bool, link: bool = False, only: Choice | None = None
    ) -> FetchEnd:
        """Download what is pending and wanted, under the settings."""
        from curate.fetch.run import run

        return run(
            self.db,
            self.store,
            pool,
            self.settings.fetch,
            user_agent=config.user_agent(self.settings.fetch.contact),
            wait=wait,
            link=link,
            progress=self.progress,
            clock=self.clock,
            only=only,
        )

    def result(
        self, end: FetchEnd, error: CurateError | None, tried: int | None = None
    ) -> FetchResult:
        """Return how everything stands after a run."""
        return FetchResult(
            counts=counts.counts(self.db),
            classes=tuple(counts.class_counts(self.db)),
            skipped=searches.skipped_rows(self.db),
            tried=end.tried if tried is None else tried,
            next_due=end.next_due,
            error=error,
        )

    def made(self) -> Path:
        """Return the folder, which exists now."""
        return self.db.path.parent

    # Looking and checking

    def status(self) -> tuple[Counts, list[ClassCount], dict[str, int]]:
        """Return counts, classes under their names of now, and skipped rows by reason."""
        db = self.look()
        classes = counts.merged(db, counts.class_counts(db), self.people.renames().name)
        return counts.counts(db), classes, searches.skipped_rows(db)

    def verify(self, *, repair: bool = False) -> VerifyResult:
        """Read every image again and compare it with the catalog; check every manifest.

        Args:
            repair: fetch damaged and missing images again, and delete unrecorded files.

        Raises:
            LockedError: to be repaired, but another process is fetching into this project.
        """
        from curate.checking import verify

        return verify(self, repair=repair)

    @property
    def duplicates(self) -> Duplicates:
        """Near-duplicates, decisions about them, and quality flags."""
        from curate.duplicates import Duplicates

        return Duplicates(self.look(), self.settings, self.clock, self.progress)

    @property
    def people(self) -> People:
        """Annotations, and the labels that follow from them."""
        from curate.people import People

        return People(self.look(), self.settings, self.clock, self.progress, self.notify)

    @property
    def manifests(self) -> Manifests:
        """The manifests that there are: to look at, compare, check and export."""
        from curate.exporting import Manifests

        return Manifests(self.folder, self.progress)

    @property
    def models(self) -> Models:
        """Models, and what they propose."""
        from curate.models import Models

        return Models(self)

    @property
    def learning(self) -> Learning:
        """Training on labels, measuring models, and choosing what to look at next."""
        from curate.learning import Learning

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
        from curate.dataset import balance

        return balance(self, recipe, trust=trust, dry_run=dry_run)
