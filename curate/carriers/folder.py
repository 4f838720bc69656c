"""The project folder, opened: its settings, its catalog and its images, and whom to tell.

Other carriers work on one of these, and know nothing of `curate.project`, which hands them out.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from curate import config
from curate.carriers.exporting import MANIFESTS
from curate.catalog import annotations as ledger_rows
from curate.catalog import class_lists, counts, searches
from curate.catalog.counts import ClassCount, Counts
from curate.catalog.database import MEMORY, NAME, Database, catalog_files, writer_lock
from curate.errors import CurateError, NoProjectError, StoreError, UsageError
from curate.progress import Progress, silent
from curate.sources.base import RateLimitedError
from curate.store import Store

if TYPE_CHECKING:
    from curate.carriers.exporting import Manifests
    from curate.carriers.finding import Finder
    from curate.carriers.people import People


class ProjectFolder:
    """A folder that is or becomes a project.

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
        self._people: People | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
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
    def is_begun(self) -> bool:
        """Whether it is a project: it holds a catalog, settings, or a manifest."""
        return (
            self.exists
            or (self.folder / config.CONFIG_NAME).is_file()
            or any((self.folder / MANIFESTS).glob("v[0-9]*"))
        )

    def require(self) -> None:
        """Refuse a folder in which nothing was begun.

        Raises:
            NoProjectError: that is so.
        """
        if self.is_begun:
            return
        there = self.folder.resolve()
        raise NoProjectError(
            f"there is no project in {there}{'' if there.is_dir() else ', which does not exist'}",
            "`curate fetch` or `curate import` begins one, and -C DIR names another folder",
        )

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

    def made(self) -> Path:
        """Return the folder, which exists now."""
        return self.db.path.parent

    @contextlib.contextmanager
    def taking_in(self, task: str) -> Iterator[None]:
        """Hold the writer's lock of the project, which is made if there is none.

        One that is made here goes away again if an error comes before a candidate does:
        nothing was begun. A source that asks for a pause leaves a search to go on with.

        Args:
            task: what is being done, e.g. `fetch`.

        Raises:
            LockedError: another process is taking something in.
        """
        is_new, had_folder = not self.exists, self.folder.is_dir()
        with writer_lock(self.made(), task):
            try:
                yield
            except CurateError as error:
                is_paused = isinstance(error, RateLimitedError)
                if is_new and not is_paused and self.db.shut_out():
                    if self._is_empty():
                        self._unmake(keep_folder=had_folder)
                    else:
                        self.db.let_in()
                raise

    def _is_empty(self) -> bool:
        """Whether the catalog holds nothing, no word of a person either."""
        said = ledger_rows.count(self.db) or class_lists.newest(self.db)
        return not said and not counts.counts(self.db).total

    def _unmake(self, *, keep_folder: bool) -> None:
        for path in catalog_files(self.folder):
            path.unlink(missing_ok=True)
        self.close()  # only now: nobody can have written meanwhile
        with contextlib.suppress(OSError):  # not there, or not empty
            self.store.remove_if_empty()
        with contextlib.suppress(OSError):
            if not keep_folder:
                self.folder.rmdir()

    def finder(self) -> Finder:
        """Return what opens sources and searches them."""
        from curate.carriers.finding import Finder

        told = self.notify, self.progress, self.clock
        return Finder(self.settings, self.environ, *told, self.folder)

    def status(self) -> tuple[Counts, list[ClassCount], dict[str, int]]:
        """Return counts, classes under their names of now, and skipped rows by reason."""
        db = self.look()
        classes = counts.merged(db, counts.class_counts(db), self.people.renames().name)
        return counts.counts(db), classes, searches.skipped_rows(db)

    @property
    def people(self) -> People:
        """Annotations, and the labels that follow from them."""
        from curate.carriers.people import People

        db = self.look()
        if self._people is None or self._people.db is not db:
            self._people = People(db, self.settings, self.clock, self.progress, self.notify)
        return self._people

    @property
    def manifests(self) -> Manifests:
        """The manifests that there are: to look at, compare, check and export."""
        from curate.carriers.exporting import Manifests

        return Manifests(self.folder, self.progress)
