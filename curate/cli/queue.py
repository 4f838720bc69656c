"""`curate queue`: which images a person should look at next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli import options as opt
from curate.cli.progress import Bars
from curate.cli.session import Session, command
from curate.config import describe
from curate.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

NameArgument = Annotated[
    str,
    typer.Argument(help="uncertain, suspects, different, disagreements or random.", metavar="NAME"),
]
NumberOption = Annotated[
    int | None,
    typer.Option("--n", metavar="N", help=describe("learning", "queue"), show_default=False),
]
BackboneOption = Annotated[
    Path | None,
    typer.Option(
        "--backbone",
        metavar="FILE.onnx",
        help="A model that gives embeddings, for suspects and different. [default: that of the "
        "last training]",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app)(queue)


def queue(
    session: Session,
    name: NameArgument,
    n: NumberOption = None,
    backbone: BackboneOption = None,
    seed: opt.SeedOption = None,
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Choose the images that are most worth a look.

    `curate audit --queue NAME` and `curate label --queue NAME` go through them.
    """
    with Bars(session) as bars, session.project(progress=bars) as project:
        made = project.learning.make_queue(name, n, seed or 0, backbone, dry_run=dry_run)
    document: dict[str, Any] = made.to_json()
    session.show(document, lambda console: _draw(console, document, dry_run))
    return ExitCode.DONE


def _draw(console: Console, document: dict[str, Any], dry_run: bool) -> None:
    name, n = document["queue"], document["n"]
    lines = [f"{'1 image' if n == 1 else f'{n:,} images'} in the queue {name}"]
    if document["blind"]:
        verb = "is" if document["blind"] == 1 else "are"
        lines.append(f"{document['blind']:,} of them {verb} shown without a proposal")
    if document["note"]:
        lines.append(document["note"])
    if n and not dry_run:
        lines.append(f"look through them: `curate audit --queue {name}`")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
