"""`curate fetch`, `curate import` and `curate plan`: finding candidates, getting images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli import options as opt
from curate.cli.ended import show_result
from curate.cli.progress import Bars
from curate.cli.session import Session, command
from curate.cli.tables import draw_table, human_bytes, human_seconds
from curate.config import MOST
from curate.errors import ExitCode, UsageError
from curate.records import Reason

if TYPE_CHECKING:
    from rich.console import Console

    from curate.finding import FetchRequest
    from curate.report.plan import Plan, Threshold


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app)(fetch)
    command(app, "import")(import_)
    command(app)(plan)


def fetch(
    session: Session,
    query: opt.QueryOption = None,
    source: opt.SourceOption = None,
    urls: opt.UrlsOption = None,
    folder: opt.FolderOption = None,
    url_column: opt.UrlColumnOption = None,
    class_column: opt.ClassColumnOption = None,
    class_: opt.ClassOption = None,
    class_by: opt.ClassByOption = None,
    param: opt.ParamOption = None,
    license_: opt.LicenseOption = None,
    per_class: opt.PerClassOption = None,
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
        "fetch.side_px": _side(side),
        "fetch.allow_hosts": allow_host,
        "fetch.connections": connections,
        "fetch.per_host": per_host,
        "fetch.workers": workers,
        "fetch.tries": tries,
        "fetch.max_wait_s": max_wait,
    }
    request = _request(
        query=query,
        source=source,
        path=_path(urls, folder),
        url_column=url_column,
        class_column=class_column,
        class_=class_,
        class_by=class_by,
        param=param,
        license_=license_,
        per_class=per_class,
        limit=limit,
        retry=retry,
    )
    if dry_run:
        return _preview(session, flags, request)
    asked = [*request.queries, *([str(request.path.resolve())] if request.path else [])]
    bars = Bars(session)
    with session.project(flags, bars) as project:
        if request.source_name is None and not project.exists:
            raise UsageError("nothing to resume", "give --query, --urls or --folder")
        before = project.status()[0]
        with bars:
            result = project.fetch(request)
        return show_result(session, project, before, result, asked, retried=bool(retry))


def import_(
    session: Session,
    folder: Annotated[
        Path, typer.Argument(help="A folder; sub-folders name the classes.", metavar="DIR")
    ],
    class_: opt.ClassOption = None,
    link: opt.LinkOption = False,
    workers: opt.WorkersOption = None,
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Copy a folder's images into the project; it stays as it is."""
    classes = None if class_ is None else (class_,)
    flags = {"fetch.workers": workers}
    if dry_run:
        return _preview_import(session, _request(source="folder", path=folder, class_=class_))
    bars = Bars(session)
    with session.project(flags, bars) as project:
        before = project.status()[0]
        with bars:
            result = project.import_folder(folder, classes=classes, link=link)
        code = show_result(session, project, before, result, [str(folder.resolve())])
    if class_ is None and result.counts.total and not any(each.name for each in result.classes):
        session.say("no classes: sub-folders name them, or give --class NAME")
    return code


def plan(
    session: Session,
    query: opt.QueryOption = None,
    source: opt.SourceOption = None,
    urls: opt.UrlsOption = None,
    folder: opt.FolderOption = None,
    url_column: opt.UrlColumnOption = None,
    class_column: opt.ClassColumnOption = None,
    class_: opt.ClassOption = None,
    class_by: opt.ClassByOption = None,
    param: opt.ParamOption = None,
    min_per_class: opt.MinPerClassOption = None,
    max_per_class: opt.MaxPerClassOption = None,
    dry_run: opt.DryRunOption = False,  # noqa: ARG001 - this is what the command does
) -> ExitCode:
    """Count candidates per class before anything is downloaded.

    Of a search before it is made, or else of the catalog; says what class thresholds would
    keep, and how large that would be. Nothing is ever written, with or without --dry-run.
    """
    request = _request(
        query=query,
        source=source,
        path=_path(urls, folder),
        url_column=url_column,
        class_column=class_column,
        class_=class_,
        class_by=class_by,
        param=param,
    )
    flags = {"balance.min_per_class": min_per_class, "balance.max_per_class": max_per_class}
    with session.project(flags) as project:
        made = project.plan(request)
    session.show(made.to_json(), lambda console: _draw_plan(console, made))
    return ExitCode.DONE


def _draw_plan(console: Console, made: Plan) -> None:
    largest_first = sorted(made.classes.items(), key=lambda pair: (-pair[1], pair[0]))
    rows = [(name or "(no class)", n) for name, n in largest_first]
    draw_table(console, ("class", "candidates"), rows)
    if not made.thresholds:
        return
    console.print()
    kept = [
        (f"{each.min:,}", each.classes, each.images, capped.images, _size(capped))
        for each, capped in zip(made.thresholds[::2], made.thresholds[1::2], strict=True)
    ]
    draw_table(console, ("at least", "classes", "all of them", "capped at that", "size"), kept)
    chosen = made.chosen
    cap = f" to {chosen.max:,}" if chosen.max else " or more"
    console.print(
        f"\n{chosen.min:,}{cap} a class: {chosen.images:,} candidates in "
        f"{chosen.classes:,} classes{', ' + _size(chosen) if chosen.bytes is not None else ''}"
    )


def _size(each: Threshold) -> str:
    if each.bytes is None:
        return ""
    time_ = "" if each.seconds is None else f" in {human_seconds(each.seconds)}"
    return f"{human_bytes(each.bytes)}{time_}"


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


def _preview_import(session: Session, request: FetchRequest) -> ExitCode:
    with session.project() as project:
        found = project.plan(request).classes

    def draw(console: Console) -> None:
        rows = [(name or "(no class)", n) for name, n in sorted(found.items())]
        draw_table(console, ("class", "image files"), rows)
        console.print("nothing was written")

    session.show({"would_import": dict(found)}, draw)
    return ExitCode.DONE


def _request(
    *,
    query: list[str] | None = None,
    source: str | None = None,
    path: Path | None = None,
    url_column: str | None = None,
    class_column: str | None = None,
    class_: str | None = None,
    class_by: str | None = None,
    param: list[str] | None = None,
    license_: str | None = None,
    per_class: str | None = None,
    limit: int | None = None,
    retry: list[str] | None = None,
) -> FetchRequest:
    from curate.finding import FetchRequest

    return FetchRequest(
        source=source,
        queries=tuple(query or ()),
        path=path,
        classes=None if class_ is None else (class_,),
        class_by=class_by,
        url_column=url_column,
        class_column=class_column,
        params=_params(param or []),
        licenses=tuple(part.strip() for part in license_.split(",")) if license_ else (),
        per_class=_per_class(per_class),
        limit=limit,
        retry=tuple(_reason(each) for each in retry or ()),
    )


def _path(urls: Path | None, folder: Path | None) -> Path | None:
    if urls is not None and folder is not None:
        raise UsageError("--urls and --folder exclude each other", "call curate once for each")
    return urls or folder


def _per_class(text: str | None) -> int | None:
    if text is None:
        return None
    if text == "all":
        return 0
    return _number("--per-class", text, "give one, e.g. 200, or `all`")


def _number(flag: str, text: str, hint: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"{flag} {text!r} is not a number", hint)
    if len(text.lstrip("0")) > len(str(MOST)) or int(text) > MOST:
        raise UsageError(f"{flag} {text!r} is out of range", f"give at most {MOST}")
    return int(text)


def _side(text: str | None) -> int | None:
    if text is None:
        return None
    if text == "original":
        return 0
    side_px = _number("--side", text, "give pixels, e.g. 512, or `original`")
    if side_px == 0:
        raise UsageError(f"--side {text!r} is not a size", "give pixels, e.g. 512, or `original`")
    return side_px


def _reason(text: str) -> Reason:
    try:
        return Reason(text)
    except ValueError:
        known = ", ".join(Reason)
        raise UsageError(f"--retry {text!r} is not a reason", f"reasons are: {known}") from None


def _params(pairs: list[str]) -> dict[str, tuple[str, ...]]:
    params: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--param {pair!r} is not KEY=VALUE")
        params[key] = (*params.get(key, ()), value)
    return params
