"""What `fetch` and `import` say when they are done: the result, what this run did, what helps.

The result goes to stdout as for `curate status`; the rest is talk, a line each.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from curate.cli.session import Session, report_error
from curate.cli.status import draw_status, troubles_of
from curate.errors import ExitCode
from curate.report.status import status_json

if TYPE_CHECKING:
    from curate.carriers.fetching import FetchResult
    from curate.catalog.counts import ClassCount, Counts
    from curate.project import Project

SHOWN = 3
"""Groups of denied candidates that are named."""
SHOWN_CLASSES = 20
"""Classes that are named one by one."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run did."""

    tried: int
    """Downloads, or files read, retries included."""
    stored: int
    """Images that are new."""
    duplicate: int
    """Candidates whose bytes were there already."""
    failed: int
    """Candidates given up, again or for the first time."""


def show_result(
    session: Session,
    project: Project,
    before: Counts,
    result: FetchResult,
    asked: Sequence[str] = (),
    *,
    retried: bool = False,
    added: Mapping[str, Any] | None = None,
) -> ExitCode:
    """Print the result and what there is to say of it; return the exit code.

    Args:
        session: where to.
        project: what was fetched into.
        before: how it stood when the run began.
        result: how it ended.
        asked: query texts and paths of this run.
        retried: whether the run was asked to try failures again.
        added: what else the JSON document holds.
    """
    from curate.catalog import failures

    run = _run(before, result)
    classes = list(result.classes)
    annotated = project.people.annotated() if result.counts.annotated else {}
    troubles = troubles_of(project)
    document = status_json(result.counts, classes, dict(result.skipped), *troubles, annotated)
    session.show(
        {**document, "run": asdict(run), **(added or {})},
        lambda console: draw_status(console, result.counts, classes, result.skipped, annotated),
    )
    if not session.as_json:
        _say_run(session, run, result.counts.total - before.total)
    for name in failures.empty_searches(project.db, asked):
        session.say(f"{name}: the source has no candidates")
    _say_denied(session, project)
    _say_stand_ins(session, before, result)
    if result.error is not None:
        report_error(session, result.error.kind, result.error.message, result.error.hint)
        return result.error.exit_code
    _say_short(session, project, classes)
    if result.next_due is not None:
        _say_waiting(session, project, result, result.next_due)
        return ExitCode.FAILURES_LEFT
    is_new = result.counts.total > before.total or retried
    if run.tried and is_new and not (run.stored or run.duplicate) and result.counts.failed:
        reason, n = max(result.counts.failed.items(), key=lambda pair: pair[1])
        message = f"no image was obtained: {n:,} failed as {reason}"
        report_error(session, "nothing_obtained", message, "see `curate status --failed`")
        return ExitCode.ERROR
    return ExitCode.DONE


def _run(before: Counts, result: FetchResult) -> Run:
    now = result.counts
    failed_before = sum(before.failed.values()) - result.reopened
    return Run(
        tried=result.tried,
        stored=max(now.stored - before.stored, 0),
        duplicate=max(now.duplicate - before.duplicate, 0),
        failed=max(sum(now.failed.values()) - failed_before, 0),
    )


def _say_run(session: Session, run: Run, n_new: int) -> None:
    if not run.tried:
        session.say(
            f"this run: {n_new:,} new candidates" if n_new > 0 else "this run: no new candidates"
        )
        return
    copies = "duplicate" if run.duplicate == 1 else "duplicates"
    images = "image" if run.stored == 1 else "images"
    session.say(
        f"this run: +{run.stored:,} {images}, {run.duplicate:,} {copies}, {run.failed:,} failed"
    )


def _say_denied(session: Session, project: Project) -> None:
    from curate.catalog import failures

    for each in failures.denied(project.db)[:SHOWN]:
        way_out = ""
        if each.address is not None:
            way_out = f"; if you trust it: curate fetch --retry denied --allow-host {each.address}"
        session.say(f"{each.n:,} denied: {each.host}: {each.detail}{way_out}")


def _say_stand_ins(session: Session, before: Counts, result: FetchResult) -> None:
    reason = "placeholder"
    n = result.counts.failed.get(reason, 0) - before.failed.get(reason, 0)
    if n > 0:
        session.say(
            f"{n:,} candidates gave the same picture under many URLs of a host, its stand-in for "
            "missing ones: `curate status --excluded` lists it, `curate include` brings it back"
        )


def _say_short(session: Session, project: Project, classes: Sequence[ClassCount]) -> None:
    """Say which classes have fewer images than they were to have."""
    from curate.catalog.limits import below_minimum

    below = {each.name: each for each in below_minimum(project.db, classes)}
    fallen = [each for each in below.values() if each.has_fallen]
    for each in fallen[:SHOWN_CLASSES]:
        session.say(
            f"{each.name}: {each.images:,} of at least {each.minimum:,}: given up, "
            f"too few of its {each.candidates:,} candidates are images"
        )
    if len(fallen) > SHOWN_CLASSES:
        session.say(f"and {len(fallen) - SHOWN_CLASSES:,} more classes fell below their minimum")
    if n_left_out := len(below) - len(fallen):
        what = (
            "class that cannot reach its" if n_left_out == 1 else "classes that cannot reach their"
        )
        session.say(f"left out: {n_left_out:,} {what} minimum")
    short = [
        each
        for each in classes
        if each.quota is not None and each.images < each.quota and each.name not in below
    ]
    for one in short[:SHOWN_CLASSES]:
        why = f"{one.pending:,} are in reserve" if one.pending else "the candidates ran out"
        session.say(f"{one.name}: {one.images:,} of {one.quota:,}, {why}")
    if len(short) > SHOWN_CLASSES:
        session.say(f"and {len(short) - SHOWN_CLASSES:,} more classes with too few images")


def _say_waiting(session: Session, project: Project, result: FetchResult, due: float) -> None:
    from curate.catalog import failures

    parts = "; ".join(
        f"{each.reason} {each.n:,}: {_hosts(each.hosts)}" for each in failures.waiting(project.db)
    )
    why = f" ({parts})" if parts else ""
    n = result.counts.retrying
    session.say(
        f"{n:,} {'candidate is' if n == 1 else 'candidates are'} due for another try after "
        f"{time.strftime('%H:%M:%S %Z', time.localtime(due))}{why}: run `curate fetch` then"
    )


def _hosts(hosts: Mapping[str, int]) -> str:
    """Name the hosts with the most, with their counts where there are several."""
    if len(hosts) == 1:
        return next(iter(hosts))
    named = ", ".join(f"{host} {n:,}" for host, n in list(hosts.items())[:SHOWN])
    return named + (f" and {len(hosts) - SHOWN:,} more" if len(hosts) > SHOWN else "")
