"""The program `curate`: all commands, and where it starts.

The modules of commands are loaded when one of theirs is called: the list of commands, and each
command, answer at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from curate import __version__
from curate.cli.session import (
    JsonOption,
    ProjectOption,
    QuietOption,
    Session,
    VerboseOption,
    report_error,
)
from curate.errors import ExitCode

MODULES = {
    "fetch": {"fetch": "Search for images, download and verify them; or resume."},
    "importing": {"import": "Copy a dataset's images and labels; it stays as it is."},
    "gbif": {"gbif": "Request, watch and fetch downloads of GBIF."},
    "plan": {"plan": "Count candidates per class before anything is downloaded."},
    "status": {
        "status": "Say what was found, what became of it, and what is missing.",
        "verify": "Read every image again; compare with catalog and manifests.",
    },
    "dedupe": {
        "dedupe": "Find copies of the same photo and leave out all but the best.",
        "include": "Bring an image back that was left out, and keep it in.",
    },
    "label": {"label": "Label images in Labelme; what is saved is imported at once."},
    "audit": {"audit": "Confirm and correct labels in the browser, by keyboard."},
    "prelabel": {"prelabel": "Let a model propose classes for images."},
    "train": {"train": "Train a model on what people decided."},
    "evaluate": {"evaluate": "Measure a model on images that it has not learned from."},
    "queue": {"queue": "Choose the images that are most worth a look."},
    "serve": {"serve": "Score pictures over HTTP, with a page to drop one on."},
    "annotations": {"annotations": "What people decided: out, in, and how far they agree."},
    "classes": {"classes": "List, set, rename and merge the classes."},
    "balance": {"balance": "Choose images, split them without leaks, write a manifest."},
    "manifest": {"manifest": "List, show, compare and check the datasets that were made."},
    "export": {"export": "Write a manifest's images and labels for other programs."},
    "report": {"report": "Write one page about the dataset."},
    "folder": {"init": "Write a curate.toml that explains every setting."},
    "doctor": {"doctor": "Check versions, keys, network, disk and project."},
    "demo": {"demo": "Go the whole road on a sample source: no keys, no internet."},
}
"""Modules of `curate.cli` with their commands, in the order of a dataset's life, and what the
list of commands says of each."""


def program(words: Collection[str] | None = None) -> typer.Typer:
    """Return the program.

    Args:
        words: what it is called with; commands that are not among the words are only named.
            None: all commands are there.
    """
    app = typer.Typer(
        name="curate",
        help="From a query to a leak-free image-classification dataset.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for module, commands in MODULES.items():
        if words is None or any(name in words for name in commands):
            import_module(f"curate.cli.{module}").register(app)
            continue
        for name, text in commands.items():
            app.command(name, help=text)(_never_called)
    return app


def __getattr__(name: str) -> typer.Typer:
    """Make `app`, the program with all commands, for whoever imports it."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    whole = globals()["app"] = program()
    return whole


def _never_called() -> None:
    """Stand for a command whose name is not among the words."""


def _print_version(value: bool) -> None:
    if value:
        print(f"curate {__version__}")
        raise typer.Exit


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
    _open_streams()
    is_completing = "_CURATE_COMPLETE" in os.environ
    try:
        code = program(None if is_completing else sys.argv[1:])(standalone_mode=False)
    except _Refused as error:
        code = _refuse(error)
    except typer.Abort:
        code = ExitCode.INTERRUPTED
    sys.exit(int(code or 0))


def _open_streams() -> None:
    """Stand in for what the caller has closed (`>&-`): no file may take those numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - open to the end


def _refuse(error: Exception) -> ExitCode:
    """Say what is wrong with the call, in one line; without any command, show the help."""
    text = str(error.format_message()) if hasattr(error, "format_message") else str(error)
    if text.startswith("Usage:"):
        print(text)
        return ExitCode.DONE
    session = Session(Path(), as_json="--json" in sys.argv, quiet=False, verbose=False)
    names = [name for commands in MODULES.values() for name in commands]
    called = next((f"{each} " for each in sys.argv[1:] if each in names), "")
    report_error(session, "usage", text.rstrip("."), f"see `curate {called}--help`")
    return ExitCode.USAGE
