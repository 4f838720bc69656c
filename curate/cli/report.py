"""`curate report`: the project on one page, and as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli import options as opt
from curate.cli.progress import Bars
from curate.cli.session import Session, command
from curate.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE.html", help="The page. [default: report.html]"),
]
PngOption = Annotated[
    Path | None,
    typer.Option("--png", metavar="DIR", help="Draw pictures too, into this folder."),
]
OpenOption = Annotated[bool, typer.Option("--open", help="Open the page in the browser.")]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app)(report)


def report(
    session: Session,
    manifest: opt.ManifestOption = None,
    out: OutOption = None,
    png: PngOption = None,
    open_: OpenOption = False,
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Write one page about the dataset.

    It shows classes, thresholds, failures, licences and pictures, and needs no other file.
    """
    from curate.carriers.reporting import report as write

    with Bars(session) as bars, session.project(progress=bars) as project:
        done = write(project, manifest=manifest, out=out, png=png, dry_run=dry_run)
    document: dict[str, Any] = {
        "report": str(done.path),
        "pictures": [str(path) for path in done.pictures],
        "manifest": done.facts.manifest or None,
        "images": done.facts.images,
        "classes": len(done.facts.classes),
        "written": not dry_run,
    }

    def draw(console: Console) -> None:
        lines = [str(done.path), *document["pictures"]]
        for line in lines:
            console.print(line, markup=False, soft_wrap=True)

    session.show(document, draw)
    if open_ and not dry_run:
        import webbrowser

        if not webbrowser.open(done.path.resolve().as_uri()):
            session.say("No browser could be started: open the page by hand.")
    return ExitCode.DONE
