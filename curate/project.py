"""The map of the house: opens a project folder and carries things between the rooms.

`Project` is the Python API; the command line and the web pages are faces on it.

Example:
    >>> from curate import FetchRequest, Project
    >>> with Project("photos") as project:  # doctest: +SKIP
    ...     project.fetch(FetchRequest(queries=("beach",), per_class=200))
    ...     project.balance()
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from curate import __version__, config
from curate.catalog import candidates, counts, errands, images, searches
from curate.catalog.candidates import Choice
from curate.catalog.counts import ClassCount, Counts
from curate.catalog.database import NAME, Database, writer_lock
from curate.catalog.searches import Search
from curate.errors import CurateError, SourceError, StoreError, UsageError
from curate.progress import Progress, silent
from curate.records import Reason
from curate.store import Store

if TYPE_CHECKING:
    from curate.fetch.integrity import Fault
    from curate.fetch.run import FetchEnd
    from curate.pack.build import PackResult
    from curate.pack.recipe import Recipe
    from curate.sources.base import Query, Source

RESERVE = 1.3
"""Candidates asked for, per image that a quota needs: some are always dead or the same."""
RESERVE_MIN = 30
PINGS_A_RUN = 500


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What to look for. With no source of candidates, what is pending is fetched."""

    source: str | None = None
    """Name of the source; found out from `path` and `queries` by default."""
    queries: tuple[str, ...] = ()
    """Search texts, each a search of its own."""
    path: Path | None = None
    """The file or folder of a source that reads one."""
    classes: tuple[str, ...] | None = None
    """Class hints for all that is found; None takes the query; ("",) marks negatives."""
    class_by: str | None = None
    """Column or field that gives the class."""
    url_column: str | None = None
    """Column of a list that holds the URL."""
    class_column: str | None = None
    """Column of a list that holds the class."""
    params: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """More parameters for the source's API."""
    licenses: tuple[str, ...] = ()
    """Licences wanted; empty: all."""
    per_class: int | None = None
    """Valid, distinct images to end with for each class."""
    limit: int | None = None
    """Candidates to take from each search at most."""
    retry: tuple[Reason, ...] = ()
    """Failures to put back into the queue."""

    @property
    def source_name(self) -> str | None:
        """The source that is meant; None if no candidates are asked for."""
        if self.source is not None:
            return self.source
        if self.path is not None:
            return "folder" if self.path.is_dir() else "urls"
        return "unsplash" if self.queries else None


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

    @property
    def complete(self) -> bool:
        """Whether nothing is left to be retried."""
        return self.next_due is None and self.error is None


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What checking a project found, and what repairing it did."""

    checked: int
    """Images looked at."""
    faults: tuple[Fault, ...]
    """What is wrong, after any repair."""
    unrecorded: int
    """Files of the store that no row knows: left by a kill, harmless."""
    repaired: int
    """Images that were fetched again."""


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
        self.environ = os.environ if environ is None else environ
        self.settings = config.load(self.folder, self.environ, flags or {})
        self.store = Store(self.folder / "images")
        self._progress = progress
        self._notify = notify
        self._clock = clock
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
        """The catalog, opened when first used."""
        if self._db is None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"cannot make {self.folder}: {error.strerror}") from error
            self._db = Database(self.folder / NAME)
        return self._db

    # Finding and fetching

    def fetch(self, request: FetchRequest) -> FetchResult:
        """Search, then fetch what is pending and wanted.

        Raises:
            LockedError: another process is fetching into this project.
            UsageError, SourceError: the request cannot be answered at all.
            StoreError: the disk is full or not writable.
            KeyboardInterrupt: stopped; what was finished is recorded.
        """
        asked = self._questions(request)
        with writer_lock(self._made(), "fetch"):
            if request.retry:
                candidates.requeue(self.db, request.retry)
            opened = [
                (source, query, self._open(source, query, request)) for source, query in asked
            ]
            self._set_quotas(request)
            if not opened:
                opened = list(self._resumed())
            return self._rounds(opened, request)

    def import_folder(
        self, path: Path, *, classes: tuple[str, ...] | None = None, link: bool = False
    ) -> FetchResult:
        """Copy the images of a folder into the project; nothing of the folder is changed.

        Args:
            path: the folder; class hints are the names of its sub-folders.
            classes: class hints for all its images instead.
            link: hard-link files instead of copying them.

        Raises:
            SourceError: the folder cannot be read.
            LockedError, StoreError: as for `fetch`.
        """
        request = FetchRequest(source="folder", path=path, classes=classes)
        [(source, query)] = self._questions(request)
        with writer_lock(self._made(), "import"):
            self._pull(source, query, self._open(source, query, request), None)
            candidates.choose_source(self.db, source.name)
            end = self._run(wait=False, link=link, only=candidates.CHOSEN)
            return self._result(end, None)

    def preview(self, request: FetchRequest) -> dict[str, int | None]:
        """Count what each search would find, without writing anything.

        Returns:
            Query (or path) to the number of results; None where the source cannot say.
        """
        return {
            query.text or str(request.path or ""): source.count(query)
            for source, query in self._questions(request)
        }

    def plan(self, request: FetchRequest) -> dict[str, int]:
        """Return candidates per class: of a search before it is made, or of the catalog."""
        asked = self._questions(request)
        if not asked:
            return {each.name: each.images + each.pending for each in counts.class_counts(self.db)}
        found: dict[str, int] = {}
        for source, query in asked:
            by_class = source.class_counts(query) if query.class_by else None
            if by_class is None:
                by_class = {name: source.count(query) or 0 for name in query.classes or ("",)}
            for name, n in by_class.items():
                found[name] = found.get(name, 0) + n
        return found

    def _questions(self, request: FetchRequest) -> list[tuple[Source, Query]]:
        name = request.source_name
        if name is None:
            return []
        from curate.sources import create

        source = create(name, self._context(request))
        texts: Sequence[str | None] = request.queries or (None,)
        return [(source, self._query(request, text)) for text in texts]

    def _query(self, request: FetchRequest, text: str | None) -> Query:
        from curate.sources.base import Query

        classes = request.classes
        if classes is None:
            classes = (text,) if text is not None and request.class_by is None else ()
        return Query(
            text=text,
            classes=classes,
            side_px=self.settings.fetch.side_px or None,
            licenses=frozenset(request.licenses),
            class_by=request.class_by,
            params=request.params,
            limit=request.limit,
        )

    def _context(self, request: FetchRequest) -> Any:
        from curate.sources.base import SourceContext

        return SourceContext(
            environ=self.environ,
            unsplash_url=self.settings.unsplash.url,
            gbif_url=self.settings.gbif.url,
            contact=self.settings.fetch.contact,
            notify=self._notify,
            clock=self._clock,
            max_wait_s=self.settings.fetch.max_wait_s,
            path=request.path,
            url_column=request.url_column,
            class_column=request.class_column,
        )

    def _open(self, source: Source, query: Query, request: FetchRequest) -> Search:
        return searches.open_search(
            self.db, source.name, _request_json(query, request), query.text or "", self._clock()
        )

    def _resumed(self) -> Iterator[tuple[Source, Query, Search]]:
        """Ask again what was not answered to the end."""
        for search in searches.unfinished(self.db):
            request, text = _request_from_json(search.source, search.request)
            try:
                [(source, _)] = self._questions(request)
            except SourceError as error:
                self._notify(f"A search was not resumed: {error.message}.")
                continue
            yield source, self._query(request, text), search

    def _set_quotas(self, request: FetchRequest) -> None:
        if request.per_class is None:
            return
        if request.per_class < 1:
            raise UsageError(f"--per-class must be at least 1, not {request.per_class}")
        names = request.classes if request.classes is not None else request.queries
        named = [name for name in names if name]
        searches.set_quota(self.db, request.per_class, named or None)

    def _rounds(
        self, opened: list[tuple[Source, Query, Search]], request: FetchRequest
    ) -> FetchResult:
        """Search a little, fetch, and search on while classes need more than there was."""
        failed: CurateError | None = None
        tried = 0
        while True:
            still_open = []
            gained = 0
            for source, query, search in opened:
                try:
                    after = self._pull(source, query, search, request.per_class)
                except SourceError as error:
                    failed = failed or error
                    continue
                gained += after.given - search.given
                if not after.done:
                    still_open.append((source, query, after))
            if request.per_class is not None and request.classes is None and not request.queries:
                searches.set_quota(self.db, request.per_class)
            opened = [each for each in still_open if self._wants(each)]
            # With more to search for, candidates that wait for a retry are not waited for.
            end = self._run(wait=not opened or not gained)
            tried += end.tried
            if not (opened and end.unmet and (gained or end.tried)):
                break
        self._send_pings()
        result = self._result(end, failed, tried)
        if failed is not None and not result.counts.total:
            raise failed
        return result

    def _pull(self, source: Source, query: Query, search: Search, per_class: int | None) -> Search:
        """Take in pages until the search ends, its limit is reached, or a reserve is there."""
        from dataclasses import replace

        if search.done:
            return search
        self._tell_terms(source)
        if query.limit is not None:
            query = replace(query, limit=max(0, query.limit - search.given))
        metered = per_class is not None and source.is_remote and query.class_by is None
        given = search.given
        if not (metered and self._has_reserve(query)):
            for page in source.pages(query, search.cursor):
                given += len(page.candidates)
                searches.add_page(
                    self.db,
                    search.id,
                    page.candidates,
                    page.cursor,
                    total=page.total,
                    skipped=page.skipped,
                )
                self._progress("search", given, page.total)
                if metered and self._has_reserve(query):
                    break
        return searches.by_id(self.db, search.id)

    def _wants(self, each: tuple[Source, Query, Search]) -> bool:
        """Whether another page of a search may be asked for in this run."""
        _, query, search = each
        return query.limit is None or search.given < query.limit

    def _has_reserve(self, query: Query) -> bool:
        """Whether every class of the query has images or candidates enough for its quota."""
        known = {each.name: each for each in counts.class_counts(self.db)}
        for name in query.classes:
            each = known.get(name)
            if each is None or each.quota is None:
                return False
            missing = each.quota - each.images
            if missing > 0 and each.pending < missing * RESERVE + RESERVE_MIN:
                return False
        return bool(query.classes)

    def _tell_terms(self, source: Source) -> None:
        notice = getattr(source, "terms", "")
        if notice and errands.tell_once(self.db, f"terms:{source.name}", self._clock()):
            self._notify(notice)

    def _send_pings(self) -> None:
        errands.queue_pings(self.db, "unsplash")
        waiting = errands.unsent_pings(self.db, PINGS_A_RUN)
        if not waiting:
            return
        from curate.sources import create

        try:
            source: Any = create("unsplash", self._context(FetchRequest()))
            for url in waiting:
                if not source.ping_download({"download_location": url}):
                    break
                errands.mark_pinged(self.db, url, self._clock())
        except SourceError as error:
            self._notify(f"Download pings wait for the next run: {error.message}.")

    def _run(self, *, wait: bool, link: bool = False, only: Choice | None = None) -> FetchEnd:
        from curate.fetch.run import run
        from curate.sources.http import user_agent

        return run(
            self.db,
            self.store,
            self.settings.fetch,
            user_agent=user_agent(self.settings.fetch.contact),
            wait=wait,
            link=link,
            progress=self._progress,
            clock=self._clock,
            only=only,
        )

    def _result(
        self, end: FetchEnd, error: CurateError | None, tried: int | None = None
    ) -> FetchResult:
        return FetchResult(
            counts=counts.counts(self.db),
            classes=tuple(counts.class_counts(self.db)),
            skipped=searches.skipped_rows(self.db),
            tried=end.tried if tried is None else tried,
            next_due=end.next_due,
            error=error,
        )

    def _made(self) -> Path:
        """Return the folder, which exists now."""
        return self.db.path.parent

    # Looking and checking

    def status(self) -> tuple[Counts, list[ClassCount], dict[str, int]]:
        """Return counts, classes, and skipped rows by reason."""
        return counts.counts(self.db), counts.class_counts(self.db), searches.skipped_rows(self.db)

    def verify(self, *, repair: bool = False) -> VerifyResult:
        """Read every image again and compare it with the catalog; check every manifest.

        Args:
            repair: fetch damaged and missing images again, and delete unrecorded files.
        """
        from curate.engine.local import LocalEngine
        from curate.fetch.integrity import check_store

        engine = LocalEngine(self.settings.fetch.workers)
        found = check_store(self.db, self.store, engine, self._progress)
        repaired = 0
        if repair and (found.faults or found.unrecorded):
            with writer_lock(self._made(), "verify --repair"):
                repaired = self._repair(found.faults, found.unrecorded)
            found = check_store(self.db, self.store, engine, self._progress)
        faults = (*found.faults, *self._manifest_faults())
        return VerifyResult(found.checked, faults, len(found.unrecorded), repaired)

    def _repair(self, faults: Sequence[Fault], unrecorded: Sequence[Path]) -> int:
        for path in unrecorded:
            path.unlink(missing_ok=True)
        broken = sorted({fault.image_id for fault in faults if fault.image_id is not None})
        ids: list[int] = []
        for image_id in broken:
            for path in self.store.root.glob(f"{image_id[:2]}/{image_id}.*"):
                path.unlink()
            ids += images.take_back(self.db, image_id)
        candidates.choose(self.db, ids)
        self._run(wait=True, only=candidates.CHOSEN)
        return sum(images.is_known(self.db, image_id) for image_id in broken)

    def _manifest_faults(self) -> Iterator[Fault]:
        from curate.fetch.integrity import Fault
        from curate.pack.manifest import verify_manifest

        for folder in sorted((self.folder / "manifests").glob("v[0-9]*")):
            for each in verify_manifest(folder):
                yield Fault(each.kind, each.detail, path=f"manifests/{folder.name}/{each.path}")

    # Making the dataset

    def balance(self, recipe: Recipe | None = None, *, dry_run: bool = False) -> PackResult:
        """Choose, split and write a manifest.

        Args:
            recipe: thresholds, shares and seed; from the settings by default.
            dry_run: work it all out, write nothing.

        Raises:
            PackError: nothing is left under these thresholds.
        """
        from curate.pack.build import pack
        from curate.pack.table import kept_table

        table = kept_table(images.kept(self.db), self.store.root.name, self.store.relative)
        chosen = recipe if recipe is not None else self._recipe()
        return pack(table, chosen, self.folder, dry_run=dry_run, progress=self._progress)

    def _recipe(self) -> Recipe:
        from curate.pack.recipe import Recipe

        given = self.settings.balance
        train, val, test = given.splits
        return Recipe(
            min_per_class=max(1, given.min_per_class),
            max_per_class=given.max_per_class or None,
            splits=(train, val, test),
            seed=given.seed,
            licenses=given.licenses,
        )


def _request_json(query: Query, request: FetchRequest) -> str:
    """Return what makes a search the same search, enough to ask it again."""
    asked = {
        "text": query.text,
        "classes": list(query.classes),
        "class_by": query.class_by,
        "licenses": sorted(query.licenses),
        "params": {key: list(values) for key, values in sorted(query.params.items())},
        "path": str(request.path.resolve()) if request.path else None,
        "stamp": _stamp(request.path),
        "url_column": request.url_column,
        "class_column": request.class_column,
        "side_px": query.side_px,
        "version": __version__.split(".")[0],
    }
    return json.dumps(asked, sort_keys=True, ensure_ascii=False)


def _stamp(path: Path | None) -> str | None:
    """Return what changes when a list file changes: its rows are then read again."""
    if path is None:
        return None
    try:
        state = path.stat()
    except OSError:
        return None
    return f"{state.st_size}-{state.st_mtime_ns}"


def _request_from_json(source: str, text: str) -> tuple[FetchRequest, str | None]:
    asked = json.loads(text)
    request = FetchRequest(
        source=source,
        path=Path(asked["path"]) if asked["path"] else None,
        classes=tuple(asked["classes"]),
        class_by=asked["class_by"],
        url_column=asked["url_column"],
        class_column=asked["class_column"],
        params={key: tuple(values) for key, values in asked["params"].items()},
        licenses=tuple(asked["licenses"]),
    )
    return request, asked["text"]
