"""What every source promises: a query goes in, pages of candidates and a cursor come out.

A page plus its cursor is what the caller commits in one transaction, so an interrupted
search goes on where it stopped. `pages` is lazy: nothing is asked before it is iterated,
and no API is asked ahead. Cursors are opaque text; only the source that made one reads
it. Where a limit cuts a page, `+N` is appended to that page's own cursor ("N candidates
of it are already given"), so that no candidate is lost to a later, larger limit.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from curate.errors import ExitCode, SourceError
from curate.progress import Progress, silent
from curate.records import Candidate

_CUT = re.compile(r"\+(\d+)$")


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for, in words that every source understands."""

    text: str | None = None
    """Search words: a term for Unsplash, a taxon's name for GBIF."""
    classes: tuple[str, ...] = ()
    """Class hints for everything that it finds."""
    side_px: int | None = None
    """Ask for the smallest variant whose shorter side is at least this; None: the original."""
    licenses: frozenset[str] = frozenset()
    """SPDX ids or families (`cc0`, `cc-by`, `cc-by-nc`, …) that are wanted; empty: all."""
    class_by: str | None = None
    """Column or field that gives the class, e.g. `species`; it wins over `classes`."""
    params: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """More parameters, passed through to the API as they are."""
    limit: int | None = None
    """At most this many candidates in this call; None: all."""


@dataclass(frozen=True, slots=True)
class Page:
    """A batch of candidates, and where to go on after it."""

    candidates: Sequence[Candidate]
    cursor: str | None
    """Where to go on next time; None: there is no more."""
    total: int | None = None
    """How many results (photos, occurrences, rows) the whole query has, if known."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Rows that gave no candidate, counted by reason, e.g. `no_url`, `license`."""


class Source(Protocol):
    """One place that offers images."""

    name: str
    """The word it is called by: `unsplash`, `gbif`, …"""
    is_remote: bool
    """Whether asking it needs the network (its images may be remote either way)."""
    terms: str
    """What a person must be told once about using its images; empty if nothing."""

    def pages(self, query: Query, cursor: str | None = None) -> Iterator[Page]:
        """Yield pages from `cursor` on (None: from the beginning), lazily.

        Raises:
            SourceError: the source cannot be read, or refuses the query.
            RateLimitedError: it asks for a longer pause than may be waited for.
        """

    def count(self, query: Query) -> int | None:
        """Return how many results the query has, or None where that is not known."""

    def class_counts(self, query: Query) -> Mapping[str, int] | None:
        """Return results per class before anything is fetched, or None if not known."""


def count_classes(pages: Iterator[Page]) -> Counter[str]:
    """Count candidates by class hint; "" are those of none."""
    return Counter(
        name
        for page in pages
        for candidate in page.candidates
        for name in candidate.classes or ("",)
    )


class RateLimitedError(SourceError):
    """The source asks for a longer pause than `max_wait_s`; what came so far is good.

    Args:
        who: the source's proper name.
        candidates_so_far: candidates given in this call before the pause.
        resume_at: Unix seconds after which it makes sense to ask again.
        now: Unix seconds, to say the time of day or the date.
    """

    exit_code = ExitCode.FAILURES_LEFT
    kind = "rate_limited"

    def __init__(self, who: str, candidates_so_far: int, resume_at: float, now: float) -> None:
        same_day = resume_at - now < 12 * 3600
        when = time.strftime("%H:%M" if same_day else "%Y-%m-%d %H:%M", time.localtime(resume_at))
        super().__init__(
            f"{who} limit is spent: {candidates_so_far} candidates so far, resume after {when}",
            "Run the same command again after that time; it goes on where it stopped.",
        )
        self.candidates_so_far = candidates_so_far
        self.resume_at = resume_at


def _say_nothing(message: str) -> None:
    """Drop the message: the default listener."""


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What a source gets from outside: nothing of this is read from globals."""

    environ: Mapping[str, str] = field(default_factory=dict)
    """The environment, for keys."""
    unsplash_url: str = "https://api.unsplash.com"
    """Base URL of the Unsplash API."""
    gbif_url: str = "https://api.gbif.org"
    """Base URL of the GBIF API, without the version."""
    contact: str = ""
    """URL or e-mail address for the User-Agent, so that an API's owner can write to us."""
    notify: Callable[[str], None] = _say_nothing
    """Told, in one sentence each, what a person should know: waits, guesses, gaps."""
    progress: Progress = silent
    """Told how often a request that failed by accident has been made again."""
    sleep: Callable[[float], None] = time.sleep
    """Waits for so many seconds."""
    clock: Callable[[], float] = time.time
    """Unix seconds."""
    max_wait_s: float = 120.0
    """The longest single pause that is waited for."""
    timeout_s: float = 30.0
    """For each connect, and for each wait for bytes, of an API call."""
    path: Path | None = None
    """The file (`urls`), folder (`folder`) or archive (`dwca`) to read."""
    own: tuple[Path, ...] = ()
    """Folders and files of the project itself, which are not read."""
    url_column: str | None = None
    """Column with the URL; None: found by its name."""
    class_column: str | None = None
    """Column with the class; None: found by its name."""
    id_column: str | None = None
    """Column with a stable id; None: the URL is the id."""


EXAMPLES = 3
"""Names that are remembered of what was left out for each reason."""


@dataclass(slots=True)
class LeftOut:
    """What gave no candidate: how much of it since the last page, and the first names."""

    counts: Counter[str] = field(default_factory=Counter)
    """By reason; emptied with every page."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """By reason."""

    def add(self, reason: str, name: str) -> None:
        """Count one."""
        self.counts[reason] += 1
        names = self.examples.setdefault(reason, [])
        if len(names) < EXAMPLES:
            names.append(name)


def limited(
    start: str | None,
    limit: int | None,
    run: Callable[[str | None], Iterator[tuple[str, Page]]],
) -> Iterator[Page]:
    """Cut a source's pages to a limit, and undo the cut of an earlier call.

    Args:
        start: the caller's cursor, perhaps with a `+N`.
        limit: candidates to give at most; None: all.
        run: yields each page with the cursor that leads to it.
    """
    cut = _CUT.search(start) if start else None
    already = int(cut.group(1)) if cut else 0
    left = limit
    if left is not None and left <= 0:
        return
    for own_cursor, page in run(start[: cut.start()] if start and cut else start):
        given, already = already, 0
        if given:
            page = replace(page, candidates=page.candidates[given:], skipped={})  # noqa: PLW2901 -- the rest is the page
        if left is not None and len(page.candidates) >= left:
            if len(page.candidates) > left:
                cursor = f"{own_cursor}+{given + left}"
                page = replace(page, candidates=page.candidates[:left], cursor=cursor)  # noqa: PLW2901 -- likewise
            yield page
            return
        yield page
        if left is not None:
            left -= len(page.candidates)


def hints(query: Query, found: tuple[str, ...]) -> tuple[str, ...]:
    """Choose class hints: a named field first, then the query's, then the usual field's."""
    if query.class_by is not None:
        return found
    return query.classes or found
