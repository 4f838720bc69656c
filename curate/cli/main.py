"""The program `curate`: all commands, and where it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate import __version__
from curate.cli import balance, demo, doctor, fetch, folder, status

app = typer.Typer(
    name="curate",
    help="From a query to a leak-free image-classification dataset.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for module in (fetch, status, balance, folder, doctor, demo):
    module.register(app)


def _print_version(value: bool) -> None:
    if value:
        print(f"curate {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    ctx: typer.Context,
    project: Annotated[
        Path | None,
        typer.Option("-C", "--project", help="Project folder. [default: the current one]"),
    ] = None,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    ctx.obj = {"project": project}


def main() -> None:
    """Run the program."""
    app()
