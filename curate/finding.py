"""Finding: from a request to searches in the catalog, taken in page by page.

A search is asked as far as it is needed: to its end, to its limit, or until every class has
a reserve of candidates for its quota. Where it stopped stands in the catalog.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from curate.catalog import counts, errands, searches
from curate.catalog.database import Database
from curate.catalog.searches import Search
from curate.config import Settings
from curate.errors import SourceError
from curate.progress import Progress
from curate.records import Reason
from curate.sources import create
from curate.sources.base import Query, Source, SourceContext

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
class Question:
    """A query to a source, and the search in the catalog that holds its answer."""

    source: Source
    """Who is asked."""
    query: Query
    """What is asked."""
    search: Search
    """How far the answer has been taken in."""

    @property
    def wants_more(self) -> bool:
        """Whether another page may be asked for."""
        limit = self.query.limit
        return not self.search.done and (limit is None or self.search.given < limit)


class Finder:
    """Asks sources and keeps what they answer.

    Args:
        settings: URLs of APIs, size of the images, waits.
        environ: the environment, for keys.
        notify: told, a sentence each, what a person should know.
        progress: told how many candidates have come.
        clock: Unix seconds.
    """

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        notify: Callable[[str], None],
        progress: Progress,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._notify = notify
        self._progress = progress
        self._clock = clock

    def queries(self, request: FetchRequest) -> list[tuple[Source, Query]]:
        """Return what a request asks of which source.

        Raises:
            UsageError: there is no such source.
            SourceError: it cannot be set up.
        """
        name = request.source_name
        if name is None:
            return []
        source = create(name, self._context(request))
        texts: Sequence[str | None] = request.queries or (None,)
        return [(source, self._query(request, text)) for text in texts]

    def open(self, db: Database, request: FetchRequest) -> list[Question]:
        """Return the request's questions, each with its search, made if it is new."""
        return [
            Question(source, query, self._search(db, source, query, request))
            for source, query in self.queries(request)
        ]

    def resumed(self, db: Database) -> list[Question]:
        """Return the questions that were not answered to the end."""
        questions = []
        for search in searches.unfinished(db):
            request, text = _request_from_json(search.source, search.request)
            try:
                [(source, _)] = self.queries(request)
            except SourceError as error:
                self._notify(f"A search was not resumed: {error.message}.")
                continue
            questions.append(Question(source, self._query(request, text), search))
        return questions

    def take(self, db: Database, question: Question, *, metered: bool) -> Question:
        """Take in pages until the search ends, its limit is reached, or a reserve is there.

        Args:
            db: the catalog.
            question: who is asked what.
            metered: stop when every class of the query has a reserve for its quota.

        Raises:
            SourceError: the source fails; the pages before are kept.
        """
        source, query, search = question.source, question.query, question.search
        metered = metered and source.is_remote and query.class_by is None
        if not question.wants_more or (metered and _has_reserve(db, query)):
            return question
        self._tell_terms(db, source)
        left = query if query.limit is None else replace(query, limit=query.limit - search.given)
        given = search.given
        for page in source.pages(left, search.cursor):
            given += len(page.candidates)
            searches.add_page(
                db,
                search.id,
                page.candidates,
                page.cursor,
                total=page.total,
                skipped=page.skipped,
            )
            self._progress("search", given, page.total)
            if metered and _has_reserve(db, query):
                break
        return replace(question, search=searches.by_id(db, search.id))

    def send_pings(self, db: Database) -> None:
        """Tell Unsplash which photos were downloaded, as its guidelines require."""
        errands.queue_pings(db, "unsplash")
        waiting = errands.unsent_pings(db, PINGS_A_RUN)
        if not waiting:
            return
        from curate.sources.unsplash import UnsplashSource

        try:
            source = UnsplashSource(self._context(FetchRequest()))
            for url in waiting:
                if not source.ping_download({"download_location": url}):
                    break
                errands.mark_pinged(db, url, self._clock())
        except SourceError as error:
            self._notify(f"Download pings wait for the next run: {error.message}.")

    def _search(self, db: Database, source: Source, query: Query, request: FetchRequest) -> Search:
        asked = _request_json(query, request)
        return searches.open_search(db, source.name, asked, query.text or "", self._clock())

    def _query(self, request: FetchRequest, text: str | None) -> Query:
        classes = request.classes
        if classes is None:
            classes = (text,) if text is not None and request.class_by is None else ()
        return Query(
            text=text,
            classes=classes,
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
            url_column=request.url_column,
            class_column=request.class_column,
        )

    def _tell_terms(self, db: Database, source: Source) -> None:
        if source.terms and errands.tell_once(db, f"terms:{source.name}", self._clock()):
            self._notify(source.terms)


def _has_reserve(db: Database, query: Query) -> bool:
    """Whether every class of the query has images or candidates enough for its quota."""
    for name in query.classes:
        each = counts.class_count(db, name)
        if each is None or each.quota is None:
            return False
        missing = each.quota - each.images
        if missing > 0 and each.pending < missing * RESERVE + RESERVE_MIN:
            return False
    return bool(query.classes)


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
