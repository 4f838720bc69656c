"""Finding: from a request to searches in the catalog, taken in page by page.

A search is asked as far as it is needed: to its end, to its limit, or until every class has
a reserve of candidates for its quota. Where it stopped stands in the catalog.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from curate.carriers import pings
from curate.carriers.asked import FetchRequest, asked, request_json, stamp
from curate.carriers.reimport import own_paths
from curate.catalog import checkpoints, counts, errands, limits, searches
from curate.catalog.counts import ClassCount
from curate.catalog.database import Database
from curate.catalog.searches import Search
from curate.catalog.text import clean, exact_json
from curate.config import Settings
from curate.errors import CurateError, SourceError
from curate.fetch.spread import by_columns
from curate.progress import Progress
from curate.sources import create
from curate.sources.base import Query, RateLimitedError, Source, SourceContext

__all__ = ["FetchRequest", "Finder", "Question", "Taken"]

RESERVE = 1.3
"""Candidates asked for, per image that a quota needs: some are always dead or the same."""
RESERVE_MIN = 30
"""Candidates asked for besides, so that small quotas have a reserve too."""


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
    min_per_class: int | None = None
    """Images that a class must be able to reach to be fetched; 0: no minimum."""


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
        progress: told how many candidates have come, and what is asked again.
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
        source = create(name, self.context(request))
        texts: Sequence[str | None] = request.queries or (None,)
        return [(source, self._query(request, text)) for text in texts]

    def open(self, db: Database, request: FetchRequest) -> list[Question]:
        """Return the request's questions, each with its search, made if it is new."""
        return [
            Question(
                source,
                query,
                self._search(db, source, query, request),
                request.per_class,
                request.min_per_class,
            )
            for source, query in self.queries(request)
        ]

    def resumed(self, db: Database) -> list[Question]:
        """Return the questions that were not answered to the end, as they were asked."""
        questions = []
        for search in searches.unfinished(db):
            request, query = asked(search)
            try:
                source = create(search.source, self.context(request))
            except CurateError as error:
                self._notify(f"A search was not resumed: {error.message}.")
                continue
            questions.append(Question(source, query, self._renewed(db, search, request.path)))
        return questions

    def _renewed(self, db: Database, search: Search, path: Path | None) -> Search:
        """Let the search of a list that was edited meanwhile begin again: its rows have moved."""
        said, now = json.loads(search.request), stamp(path)
        if now is None or now == said["stamp"]:
            return search
        self._notify(f"{path} has changed: it is read from the beginning.")
        searches.restart(db, search.id, exact_json({**said, "stamp": now}))
        return searches.by_id(db, search.id)

    @staticmethod
    def set_quotas(db: Database, request: FetchRequest, questions: Sequence[Question]) -> None:
        """Give the request's bounds to its classes: those that it names, or its sources do.

        A question that no source has answered yet has none: a mistyped or refused one would
        leave a class whose quota nothing can meet. A bound can be lifted at any time.
        """
        if request.source_name is None:
            if request.per_class is not None:
                searches.set_quota_of_all(db, request.per_class or None)
            if request.min_per_class is not None:
                limits.set_minimum(db, request.min_per_class or None)
            _set_turns(db, request, None)
            return
        lifts = not request.per_class and not request.min_per_class
        for question in questions:
            if lifts or searches.by_id(db, question.search.id).is_answered:
                _set_quota(db, question)
                _set_turns(db, request, question.search.id)

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
        # Files bring pages faster than the disk takes them.
        moving = contextlib.nullcontext() if question.source.is_remote else checkpoints.beside(db)
        try:
            with moving:
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
        pings.send(db, self.context(FetchRequest()))

    def _search(self, db: Database, source: Source, query: Query, request: FetchRequest) -> Search:
        search = searches.open_search(
            db,
            source.name,
            request_json(query, request),
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

    def context(self, request: FetchRequest) -> SourceContext:
        """Return what a source gets from outside for this request."""
        return SourceContext(
            environ=self._environ,
            unsplash_url=self._settings.unsplash.url,
            gbif_url=self._settings.gbif.url,
            contact=self._settings.fetch.contact,
            notify=self._notify,
            progress=self._progress,
            clock=self._clock,
            max_wait_s=self._settings.fetch.max_wait_s,
            path=request.path,
            own=own_paths(self._folder),
            url_column=request.url_column,
            class_column=request.class_column,
        )

    def _tell_terms(self, db: Database, source: Source) -> None:
        if source.terms and errands.tell_once(db, f"terms:{source.name}", self._clock()):
            self._notify(source.terms)


def _set_quota(db: Database, question: Question) -> None:
    query, search_id = question.query, question.search.id
    names = query.classes if query.classes and query.class_by is None else None
    if question.per_class is not None:
        quota = question.per_class or None
        if names:
            searches.set_quota(db, quota, names)
        else:
            searches.set_quota_of_search(db, quota, search_id)
    if question.min_per_class is not None:
        minimum = question.min_per_class or None
        limits.set_minimum(db, minimum, names=names, search_id=search_id)


def _set_turns(db: Database, request: FetchRequest, search_id: int | None) -> None:
    """Put the candidates of classes that a bound cuts in turns, if that was asked for."""
    if request.spread_by:
        limits.set_turns(db, limits.crowded(db, search_id), by_columns(request.spread_by))


def _is_stocked(each: ClassCount | None) -> bool:
    """Whether a class has images or candidates enough for its quota."""
    if each is None or each.quota is None:
        return False
    missing = each.quota - each.images
    return missing <= 0 or each.pending >= missing * RESERVE + RESERVE_MIN
