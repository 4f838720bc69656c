"""Finding: from a request to searches in the catalog, taken in page by page.

A search is asked as far as it is needed: to its end, to its limit, or until every class has
a reserve of candidates for its quota. Where it stopped stands in the catalog.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from curate import pings
from curate.catalog import counts, errands, searches
from curate.catalog.counts import ClassCount
from curate.catalog.database import Database
from curate.catalog.searches import Search
from curate.catalog.text import clean, exact_json
from curate.config import Settings
from curate.errors import CurateError, SourceError, UsageError
from curate.licenses import check_wanted
from curate.progress import Progress
from curate.records import Reason
from curate.reimport import own_folders
from curate.sources import create
from curate.sources.base import Query, RateLimitedError, Source, SourceContext

RESERVE = 1.3
"""Candidates asked for, per image that a quota needs: some are always dead or the same."""
RESERVE_MIN = 30
"""Candidates asked for besides, so that small quotas have a reserve too."""


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
    """Valid, distinct images to end with for each class; 0 lifts an earlier such bound."""
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

    def check(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            UsageError: it does.
        """
        if any(not text.strip() for text in self.queries):
            raise UsageError("--query is empty", 'negatives are marked with --class ""')
        check_wanted(self.licenses)
        if self.per_class and "" in (self.classes or ()):
            raise UsageError(
                '--per-class counts images of a class, and --class "" stands for none',
                "bound negatives with --limit",
            )


@dataclass(frozen=True, slots=True)
class Question:
    """A query to a source, and the search in the catalog that holds its answer."""

    source: Source
    """Who is asked."""
    query: Query
    """What is asked."""
    search: Search
    """How far the answer has been taken in."""
    per_class: int | None = None
    """Images wanted of each class, from the first page on; 0: all."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What asking all questions on has brought."""

    open: list[Question]
    """Those that have more to give."""
    gained: bool
    """Whether any page held a candidate."""
    error: SourceError | None
    """Why the first of those that failed did."""

    @property
    def is_refused(self) -> bool:
        """Whether a question failed, and was not only put off by a source that asks for a pause."""
        return self.error is not None and not isinstance(self.error, RateLimitedError)


class Finder:
    """Asks sources and keeps what they answer.

    Args:
        settings: URLs of APIs, size of the images, waits.
        environ: the environment, for keys.
        notify: told, a sentence each, what a person should know.
        progress: told how many candidates have come.
        clock: Unix seconds.
        folder: the project's.
    """

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        notify: Callable[[str], None],
        progress: Progress,
        clock: Callable[[], float],
        folder: Path,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._environ = environ
        self._notify = notify
        self._progress = progress
        self._clock = clock

    def queries(self, request: FetchRequest) -> list[tuple[Source, Query]]:
        """Return what a request asks of which source.

        Raises:
            UsageError: there is no such source, or the request contradicts itself.
            SourceError: the source cannot be set up.
        """
        request.check()
        name = request.source_name
        if name is None:
            return []
        source = create(name, self._context(request))
        texts: Sequence[str | None] = request.queries or (None,)
        return [(source, self._query(request, text)) for text in texts]

    def open(self, db: Database, request: FetchRequest) -> list[Question]:
        """Return the request's questions, each with its search, made if it is new."""
        return [
            Question(source, query, self._search(db, source, query, request), request.per_class)
            for source, query in self.queries(request)
        ]

    def resumed(self, db: Database) -> list[Question]:
        """Return the questions that were not answered to the end, as they were asked."""
        questions = []
        for search in searches.unfinished(db):
            request, query = _asked(search)
            try:
                source = create(search.source, self._context(request))
            except CurateError as error:
                self._notify(f"A search was not resumed: {error.message}.")
                continue
            questions.append(Question(source, query, self._renewed(db, search, request.path)))
        return questions

    def _renewed(self, db: Database, search: Search, path: Path | None) -> Search:
        """Let the search of a list that was edited meanwhile begin again: its rows have moved."""
        asked, stamp = json.loads(search.request), _stamp(path)
        if stamp is None or stamp == asked["stamp"]:
            return search
        self._notify(f"{path} has changed: it is read from the beginning.")
        searches.restart(db, search.id, exact_json({**asked, "stamp": stamp}))
        return searches.by_id(db, search.id)

    @staticmethod
    def set_quotas(db: Database, request: FetchRequest, questions: Sequence[Question]) -> None:
        """Give the request's quota to its classes: those that it names, or its sources do.

        A question that no source has answered yet has none: a mistyped or refused one would
        leave a class whose quota nothing can meet. A bound can be lifted at any time.
        """
        if request.per_class is None:
            return
        if request.source_name is None:
            searches.set_quota_of_all(db, request.per_class or None)
            return
        for question in questions:
            if not request.per_class or searches.by_id(db, question.search.id).is_answered:
                _set_quota(db, question)

    def take_all(self, db: Database, questions: Sequence[Question]) -> Taken:
        """Ask every question on (see `take`); one that fails does not hold up the others.

        Raises:
            UsageError: a source cannot be asked this.
        """
        ids = [each.search.id for each in questions]
        before = searches.n_given(db, ids)
        answered = []
        first: SourceError | None = None
        for question in questions:
            try:
                self.take(db, question)
                answered.append(question)
            except SourceError as error:
                first = first or error
        unfinished = {search.id for search in searches.unfinished(db)}
        still_open = [each for each in answered if each.search.id in unfinished]
        return Taken(still_open, searches.n_given(db, ids) > before, first)

    def take(self, db: Database, question: Question) -> None:
        """Take in pages until the search ends, its limit is reached, or a reserve is there.

        Args:
            db: the catalog.
            question: who is asked what.

        Raises:
            UsageError: the source cannot be asked this.
            SourceError: the source fails; the pages before are kept.
        """
        search = searches.by_id(db, question.search.id)
        if not search.wants_more or self._has_reserve(db, question):
            return
        try:
            self._take_pages(db, question, search)
        except RateLimitedError:
            raise
        except CurateError:
            searches.forget_unanswered(db, search.id)
            raise

    def _take_pages(self, db: Database, question: Question, search: Search) -> None:
        query, given = question.query, search.given
        if search.wanted is not None:
            query = replace(query, limit=search.wanted - given)
        for page in question.source.pages(query, search.cursor):
            given += len(page.candidates)
            searches.add_page(
                db,
                search.id,
                page.candidates,
                page.cursor,
                total=page.total,
                skipped=page.skipped,
            )
            if query.classes:
                _set_quota(db, question)
            self._tell_terms(db, question.source)
            self._progress("search", given, page.total)
            if self._has_reserve(db, question):
                return

    @staticmethod
    def _has_reserve(db: Database, question: Question) -> bool:
        """Whether asking on can wait: every class of the query has enough for its quota.

        Files are read to their end: that costs nothing, and tells how much there is.
        """
        if not question.source.is_remote or question.query.class_by is not None:
            return False
        names = question.query.classes
        return bool(names) and all(_is_stocked(counts.class_count(db, name)) for name in names)

    def send_pings(self, db: Database) -> None:
        """Tell Unsplash which photos were downloaded, as its guidelines require."""
        pings.send(db, self._context(FetchRequest()))

    def _search(self, db: Database, source: Source, query: Query, request: FetchRequest) -> Search:
        search = searches.open_search(
            db,
            source.name,
            _request_json(query, request),
            query.text or "",
            self._clock(),
            wanted=query.limit,
        )
        if search.done and request.path is not None and request.path.is_dir():
            # Nothing tells whether a tree has changed: it is walked again.
            searches.restart(db, search.id)
        return search

    def _query(self, request: FetchRequest, text: str | None) -> Query:
        classes = request.classes
        if classes is None:
            classes = (text,) if text is not None and request.class_by is None else ()
        return Query(
            text=text,
            classes=tuple(map(clean, classes)),
            side_px=self._settings.fetch.side_px or None,
            licenses=frozenset(request.licenses),
            class_by=request.class_by,
            params=request.params,
            limit=request.limit,
        )

    def _context(self, request: FetchRequest) -> SourceContext:
        return SourceContext(
            environ=self._environ,
            unsplash_url=self._settings.unsplash.url,
            gbif_url=self._settings.gbif.url,
            contact=self._settings.fetch.contact,
            notify=self._notify,
            clock=self._clock,
            max_wait_s=self._settings.fetch.max_wait_s,
            path=request.path,
            own=own_folders(self._folder),
            url_column=request.url_column,
            class_column=request.class_column,
        )

    def _tell_terms(self, db: Database, source: Source) -> None:
        if source.terms and errands.tell_once(db, f"terms:{source.name}", self._clock()):
            self._notify(source.terms)


def _set_quota(db: Database, question: Question) -> None:
    if question.per_class is None:
        return
    quota, query = question.per_class or None, question.query
    if query.classes and query.class_by is None:
        searches.set_quota(db, quota, query.classes)
    else:
        searches.set_quota_of_search(db, quota, question.search.id)


def _is_stocked(each: ClassCount | None) -> bool:
    """Whether a class has images or candidates enough for its quota."""
    if each is None or each.quota is None:
        return False
    missing = each.quota - each.images
    return missing <= 0 or each.pending >= missing * RESERVE + RESERVE_MIN


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
    }
    return exact_json(asked)


def _stamp(path: Path | None) -> str | None:
    """Return what changes when a list changes, so that its rows are then read again."""
    if path is None or path.is_dir():
        return None
    try:
        state = path.stat()
    except OSError:
        return None
    return f"{state.st_size}-{state.st_mtime_ns}"


def _asked(search: Search) -> tuple[FetchRequest, Query]:
    """Return what a search in the catalog asks: the source's part, and the question."""
    asked = json.loads(search.request)
    request = FetchRequest(
        source=search.source,
        path=Path(asked["path"]) if asked["path"] else None,
        url_column=asked["url_column"],
        class_column=asked["class_column"],
    )
    query = Query(
        text=asked["text"],
        classes=tuple(asked["classes"]),
        side_px=asked["side_px"],
        licenses=frozenset(asked["licenses"]),
        class_by=asked["class_by"],
        params={key: tuple(values) for key, values in asked["params"].items()},
        limit=search.wanted,
    )
    return request, query
