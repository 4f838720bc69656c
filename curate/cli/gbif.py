"""`curate gbif request|status|download`: downloads of GBIF, which have no end and a DOI."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli import options as opt
from curate.cli.asking import SearchFlags
from curate.cli.progress import Bars
from curate.cli.session import Session, command
from curate.cli.tables import draw_table, human_bytes
from curate.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from curate.catalog.downloads import Download

FORMATS = ("dwca", "simple-csv", "simple-parquet")
KeyArgument = Annotated[str, typer.Argument(help="GBIF's name of the download.", metavar="KEY")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    group = typer.Typer(
        help="Request, watch and fetch downloads of GBIF.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    command(group)(request)
    command(group)(status)
    command(group)(download)
    app.add_typer(group, name="gbif")


def request(
    session: Session,
    query: opt.QueryOption = None,
    param: opt.ParamOption = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="NAME", help=f"One of: {', '.join(FORMATS)}.")
    ] = "dwca",
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Ask GBIF for a download of all records that show images.

    The flags mean what they mean for `curate fetch --source gbif`. GBIF_USER and
    GBIF_PASSWORD in the environment say who asks.
    """
    from curate.carriers.gbif_downloads import GbifDownloads

    if format_ not in FORMATS:
        raise UsageError(f"--format {format_!r} is not one of {', '.join(FORMATS)}")
    if query and len(query) > 1:
        raise UsageError("a download has one --query", "request one for each")
    asked = SearchFlags(query=query, param=param, source="gbif").request()
    with session.project(may_be_new=True) as project:
        downloads = GbifDownloads(project)
        predicate = downloads.predicate(asked)
        if dry_run:
            session.show(
                {"would_request": predicate, "format": format_},
                lambda console: console.print_json(json.dumps(predicate)),
            )
            return ExitCode.DONE
        made = downloads.request(predicate, format_)
    session.show(asdict(made), lambda console: _draw(console, [made]))
    session.say(f"when it is ready: curate gbif download {made.key}")
    return ExitCode.DONE


def status(
    session: Session,
    key: Annotated[
        str | None,
        typer.Argument(help="GBIF's name of the download. [default: all]", metavar="[KEY]"),
    ] = None,
) -> ExitCode:
    """Say how far downloads are."""
    from curate.carriers.gbif_downloads import GbifDownloads

    with session.project(may_be_new=key is not None) as project:
        found = GbifDownloads(project).status(key)
    session.show(
        {"downloads": [asdict(each) for each in found]}, lambda console: _draw(console, found)
    )
    return ExitCode.DONE


def download(
    session: Session,
    key: KeyArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where the file goes. [default: downloads/]"),
    ] = None,
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Wait for a download, fetch its file, and keep its citation.

    A transfer that broke off goes on where it broke.
    """
    from curate.carriers.gbif_downloads import GbifDownloads

    bars = Bars(session)
    with session.project(progress=bars, may_be_new=True) as project, bars:
        downloads = GbifDownloads(project)
        if dry_run:
            return _would_fetch(
                session, downloads.status(key, dry_run=True)[0], downloads.where(key, out)
            )
        fetched = downloads.fetch(key, out)
    document = {
        **asdict(fetched.download),
        "path": str(fetched.path),
        "citation": fetched.citation,
    }

    def draw(console: Console) -> None:
        console.print(f"{fetched.path}\n{fetched.citation}", markup=False, soft_wrap=True)

    session.show(document, draw)
    session.say(f"next: curate fetch --archive {fetched.path}")
    return ExitCode.DONE


def _would_fetch(session: Session, found: Download, path: Path) -> ExitCode:
    def draw(console: Console) -> None:
        _draw(console, [found])
        console.print(f"would go to {path}", markup=False, soft_wrap=True)

    session.show({**asdict(found), "path": str(path)}, draw)
    return ExitCode.DONE


def _draw(console: Console, found: list[Download]) -> None:
    if not found:
        console.print("no download was requested here: `curate gbif request` does")
        return
    rows = [
        (
            each.key,
            each.status,
            each.n_records,
            human_bytes(each.n_bytes) if each.n_bytes else None,
            each.doi,
        )
        for each in found
    ]
    draw_table(console, ("download", "status", "records", "size", "DOI"), rows)
