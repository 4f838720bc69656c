"""The program `curate`: all commands, and where it starts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from curate import __version__
from curate.cli import annotations as annotation_commands
from curate.cli import (
    audit,
    balance,
    classes,
    dedupe,
    demo,
    doctor,
    evaluate,
    export,
    fetch,
    folder,
    gbif,
    importing,
    label,
    manifest,
    plan,
    prelabel,
    queue,
    report,
    serve,
    status,
    train,
)
from curate.cli.session import (
    JsonOption,
    ProjectOption,
    QuietOption,
    Session,
    VerboseOption,
    report_error,
)
from curate.errors import ExitCode

app = typer.Typer(
    name="curate",
    help="From a query to a leak-free image-classification dataset.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for module in (
    fetch,
    importing,
    gbif,
    plan,
    status,
    dedupe,
    label,
    audit,
    prelabel,
    train,
    evaluate,
    queue,
    serve,
    annotation_commands,
    classes,
    balance,
    manifest,
    export,
    report,
    folder,
    doctor,
    demo,
):
    module.register(app)


def _print_version(value: bool) -> None:
    if value:
        print(f"curate {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    ctx: typer.Context,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    ctx.obj = {"project": project, "as_json": as_json, "quiet": quiet, "verbose": verbose}


# What the parser raises; typer names only this one, with or without a click of its own.
_Refused: type[Exception] = typer.BadParameter.__mro__[2]


def main() -> None:
    """Run the program; end the process with its exit code."""
    try:
        code = app(standalone_mode=False)
    except _Refused as error:
        code = _refuse(error)
    except typer.Abort:
        code = ExitCode.INTERRUPTED
    sys.exit(int(code or 0))


def _refuse(error: Exception) -> ExitCode:
    """Say what is wrong with the call, in one line; without any command, show the help."""
    text = str(error.format_message()) if hasattr(error, "format_message") else str(error)
    if text.startswith("Usage:"):
        print(text)
        return ExitCode.DONE
    session = Session(Path(), as_json="--json" in sys.argv, quiet=False, verbose=False)
    names = [str(each.name) for each in app.registered_commands]
    names += [str(each.name) for each in app.registered_groups]
    called = next((f"{each} " for each in sys.argv[1:] if each in names), "")
    report_error(session, "usage", text.rstrip("."), f"see `curate {called}--help`")
    return ExitCode.USAGE
