"""`curate fetch`: finding candidates, getting images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from curate.cli import options as opt
from curate.cli.asking import SearchFlags, listed, reasons, wanted_of_each
from curate.cli.ended import show_result
from curate.cli.progress import Bars
from curate.cli.session import Session, command
from curate.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from curate.carriers.asked import FetchRequest
    from curate.carriers.previewing import Preview


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app)(fetch)


def fetch(
    session: Session,
    search: SearchFlags,
    per_class: opt.PerClassOption = None,
    max_per_class: opt.CapOption = None,
    min_per_class: opt.ReachOption = None,
    spread_by: opt.SpreadOption = None,
    limit: opt.LimitOption = None,
    retry: opt.RetryOption = None,
    connections: opt.ConnectionsOption = None,
    per_host: opt.PerHostOption = None,
    workers: opt.WorkersOption = None,
    tries: opt.TriesOption = None,
    max_wait: opt.MaxWaitOption = None,
    keep_damaged: opt.KeepDamagedOption = False,
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Search for images, download and verify them; or resume.

    With no source of candidates, what is pending or due for another try is fetched.
    """
    flags = search.settings() | {
        "fetch.connections": connections,
        "fetch.per_host": per_host,
        "fetch.workers": workers,
        "fetch.tries": tries,
        "fetch.max_wait_s": max_wait,
        "fetch.keep_damaged": True if keep_damaged else None,
    }
    request = replace(
        search.request(),
        per_class=wanted_of_each(per_class, max_per_class),
        min_per_class=min_per_class,
        spread_by=listed(spread_by),
        limit=limit,
        retry=reasons(retry),
    )
    if dry_run:
        return _preview(session, flags, request)
    asked = [*request.queries, *([str(request.path.resolve())] if request.path else [])]
    is_search = request.source_name is not None
    bars = Bars(session)
    with session.project(flags, bars, may_be_new=is_search) as project:
        if not is_search and not project.exists:
            raise UsageError("nothing to resume", "give --query, --urls, --folder or --archive")
        before = project.status()[0]
        with bars:
            result = project.fetch(request)
        return show_result(session, project, before, result, asked, retried=bool(retry))


def _preview(session: Session, flags: dict[str, Any], request: FetchRequest) -> ExitCode:
    is_search = request.source_name is not None
    with Bars(session) as bars, session.project(flags, bars, may_be_new=is_search) as project:
        found = project.preview(request)

    def draw(console: Console) -> None:
        for line in _lines(found):
            console.print(line, markup=False, soft_wrap=True)

    session.show(found.to_json(), draw)
    return ExitCode.DONE


def _lines(found: Preview) -> list[str]:
    lines = [
        f"{name}: {'unknown' if n is None else f'{n:,}'} candidates"
        for name, n in found.searches.items()
    ]
    if found.skipped:
        parts = ", ".join(f"{reason} {n:,}" for reason, n in sorted(found.skipped.items()))
        lines.append(f"rows that give no candidate: {parts}")
    if found.left_out:
        n, total = len(found.left_out), len([name for name in found.classes if name])
        lines.append(f"left out: {n:,} of {total:,} classes, which cannot reach their minimum")
    if found.searches:
        most = "an unknown number of" if found.images is None else f"at most {found.images:,}"
        lines.append(f"{most} images would be fetched")
    return [*lines, f"{found.pending:,} candidates are pending already"]
