"""`curate fetch`: finding candidates, getting images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from curate.cli import options as opt
from curate.cli.asking import path_of, request_of, side_px
from curate.cli.ended import show_result
from curate.cli.progress import Bars
from curate.cli.session import Session, command
from curate.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from curate.asked import FetchRequest


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app)(fetch)


def fetch(
    session: Session,
    query: opt.QueryOption = None,
    source: opt.SourceOption = None,
    urls: opt.UrlsOption = None,
    folder: opt.FolderOption = None,
    archive: opt.ArchiveOption = None,
    url_column: opt.UrlColumnOption = None,
    class_column: opt.ClassColumnOption = None,
    class_: opt.ClassOption = None,
    class_by: opt.ClassByOption = None,
    param: opt.ParamOption = None,
    license_: opt.LicenseOption = None,
    per_class: opt.PerClassOption = None,
    max_per_class: opt.CapOption = None,
    min_per_class: opt.ReachOption = None,
    spread_by: opt.SpreadOption = None,
    limit: opt.LimitOption = None,
    side: opt.SideOption = None,
    retry: opt.RetryOption = None,
    allow_host: opt.AllowHostOption = None,
    connections: opt.ConnectionsOption = None,
    per_host: opt.PerHostOption = None,
    workers: opt.WorkersOption = None,
    tries: opt.TriesOption = None,
    max_wait: opt.MaxWaitOption = None,
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Search for images, download and verify them; or resume.

    With no source of candidates, what is pending or due for another try is fetched.
    """
    flags = {
        "fetch.side_px": side_px(side),
        "fetch.allow_hosts": allow_host,
        "fetch.connections": connections,
        "fetch.per_host": per_host,
        "fetch.workers": workers,
        "fetch.tries": tries,
        "fetch.max_wait_s": max_wait,
    }
    request = request_of(
        query=query,
        source=source,
        path=path_of(urls, folder),
        archive=archive,
        url_column=url_column,
        class_column=class_column,
        class_=class_,
        class_by=class_by,
        param=param,
        license_=license_,
        per_class=per_class,
        max_per_class=max_per_class,
        min_per_class=min_per_class,
        spread_by=spread_by,
        limit=limit,
        retry=retry,
    )
    if dry_run:
        return _preview(session, flags, request)
    asked = [*request.queries, *([str(request.path.resolve())] if request.path else [])]
    bars = Bars(session)
    with session.project(flags, bars) as project:
        if request.source_name is None and not project.exists:
            raise UsageError("nothing to resume", "give --query, --urls, --folder or --archive")
        before = project.status()[0]
        with bars:
            result = project.fetch(request)
        return show_result(session, project, before, result, asked, retried=bool(retry))


def _preview(session: Session, flags: dict[str, Any], request: FetchRequest) -> ExitCode:
    with session.project(flags) as project:
        found = project.preview(request)
        pending = project.status()[0].pending if project.exists else 0

    def draw(console: Console) -> None:
        for name, n in found.items():
            number = "unknown" if n is None else f"{n:,}"
            console.print(f"{name}: {number} candidates", markup=False)
        console.print(f"{pending:,} candidates are pending; nothing was written")

    session.show({"would_search": found, "pending": pending}, draw)
    return ExitCode.DONE
