"""From a request to images: searches a little, fetches, and searches on.

`Project.fetch` comes here, and whatever else downloads or reads images does too: an import, a
repair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from curate import config
from curate.catalog import counts, failures, searches
from curate.catalog.candidates import Choice
from curate.catalog.counts import ClassCount, Counts
from curate.errors import CurateError, SourceError

if TYPE_CHECKING:
    from curate.carriers.asked import FetchRequest
    from curate.carriers.finding import Finder, Question
    from curate.carriers.folder import ProjectFolder
    from curate.fetch.check import Decoders
    from curate.fetch.run import FetchEnd


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


def fetch(project: ProjectFolder, request: FetchRequest) -> FetchResult:
    """Search, then fetch what is pending and wanted. See `Project.fetch`."""
    from curate.fetch.check import decoders

    finder = project.finder()
    finder.queries(request)
    config.tell_trust(project.folder, project.settings, project.notify)
    given = project.settings.fetch
    with project.taking_in("fetch"), decoders(project.store, given) as pool:
        reopened = failures.requeue(project.db, request.retry, given.allow_hosts)
        questions = finder.open(project.db, request) or finder.resumed(project.db)
        found = _rounds(project, finder, questions, request, pool)
        return replace(found, reopened=reopened)


def _rounds(
    project: ProjectFolder,
    finder: Finder,
    questions: list[Question],
    request: FetchRequest,
    pool: Decoders,
) -> FetchResult:
    """Search a little, fetch, and search on while classes need more than there was."""
    db, tried = project.db, 0
    failed: SourceError | None = None
    finder.set_quotas(db, request, questions)
    while True:
        taken = finder.take_all(db, questions)
        failed = failed or taken.error
        if taken.is_refused and request.source_name and not (tried or taken.gained):
            assert taken.error is not None
            raise taken.error  # what is pending can wait: the question was wrong
        # Classes that a source names itself are known only now.
        finder.set_quotas(db, request, questions)
        questions, gained = taken.open, taken.gained
        # With more to search for, candidates that wait for a retry are not waited for.
        end = run(project, pool, wait=not questions or not gained)
        tried += end.tried
        if not (questions and end.unmet and (gained or end.tried)):
            break
    finder.send_pings(db)
    found = result(project, end, failed, tried)
    if failed is not None and not found.counts.total:
        raise failed
    return found


def run(
    project: ProjectFolder,
    pool: Decoders,
    *,
    wait: bool,
    link: bool = False,
    only: Choice | None = None,
    keep_damaged: bool = False,
) -> FetchEnd:
    """Download what is pending and wanted, under the settings."""
    from curate.fetch.run import run

    settings = project.settings.fetch
    if keep_damaged:
        settings = replace(settings, keep_damaged=True)
    return run(
        project.db,
        project.store,
        pool,
        settings,
        user_agent=config.user_agent(settings.contact),
        wait=wait,
        link=link,
        progress=project.progress,
        clock=project.clock,
        only=only,
    )


def result(
    project: ProjectFolder, end: FetchEnd, error: CurateError | None, tried: int | None = None
) -> FetchResult:
    """Return how everything stands after a run."""
    return FetchResult(
        counts=counts.counts(project.db),
        classes=tuple(counts.class_counts(project.db)),
        skipped=searches.skipped_rows(project.db),
        tried=end.tried if tried is None else tried,
        next_due=end.next_due,
        error=error,
    )
