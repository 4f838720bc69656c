"""What every command has: shared flags, output to the right place, and the outer door.

`command(app)` gives a function `-C/--project`, `--json`, `--quiet` and `--verbose`, hands
it a `Session`, and turns whatever comes out of it into one line and an exit code. Results
go to stdout, talk to stderr. A parameter whose type is a dataclass stands for a flag for each of
its fields: what several commands ask is declared once.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from curate.errors import CurateError, ExitCode

if TYPE_CHECKING:
    from rich.console import Console

    from curate.progress import Progress
    from curate.project import Project

PIPE_COLUMNS = 1000

ProjectOption = Annotated[
    Path | None,
    typer.Option(
        "-C", "--project", help="Project folder. [default: the current one]", metavar="DIR"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Say nothing but the result.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", help="Say more; show tracebacks.")]

_SHARED = {
    "project": ProjectOption,
    "as_json": JsonOption,
    "quiet": QuietOption,
    "verbose": VerboseOption,
}


@dataclass(frozen=True, slots=True)
class Session:
    """The flags that every command shares, and where output goes."""

    folder: Path
    """The project folder."""
    as_json: bool
    """Print JSON instead of tables."""
    quiet: bool
    """No talk and no progress."""
    verbose: bool
    """More talk."""

    def project(
        self,
        flags: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
        *,
        may_be_new: bool = False,
    ) -> Project:
        """Return the project in the folder, with settings from flags on top.

        Args:
            flags: settings, as `"section.key": value`.
            progress: told of long work.
            may_be_new: the command begins a project where there is none, or needs none. All
                others refuse such a folder: its name may be mistyped, and an answer about an
                empty project would pass for one about the project that is meant.

        Raises:
            NoProjectError: it is such a folder.
        """
        from curate.progress import silent
        from curate.project import Project

        project = Project(self.folder, flags=flags, progress=progress or silent, notify=self.say)
        if not may_be_new:
            project.require()
        return project

    def say(self, text: str) -> None:
        """Tell the person something, on stderr; as a line of JSON if that was asked for."""
        if not self.quiet:
            print(json.dumps({"note": text}) if self.as_json else text, file=sys.stderr)

    def show(self, document: Mapping[str, Any], draw: Callable[[Console], None]) -> None:
        """Print a result to stdout: as one JSON document, or drawn for a person."""
        if self.as_json:
            print(json.dumps(document, indent=2, ensure_ascii=False))
            return
        from rich.console import Console

        # In a pipe nothing is folded: lines stay whole for whoever reads them.
        width = None if sys.stdout.isatty() else PIPE_COLUMNS
        draw(Console(highlight=False, emoji=False, width=width))


def command(app: typer.Typer, name: str | None = None) -> Callable[[Callable[..., Any]], Any]:
    """Register a function `f(session, …) -> ExitCode | None` as a command.

    Args:
        app: where it goes.
        name: its name; the function's by default.
    """

    def register(function: Callable[..., ExitCode | None]) -> Callable[..., ExitCode | None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

        @functools.wraps(function)
        def run(ctx: typer.Context, **values: Any) -> None:
            session = _session(ctx, {key: values.pop(key) for key in _SHARED})

            def call() -> ExitCode | None:
                code = function(session, **_gathered(own, values))
                if values.get("dry_run") and not session.as_json:
                    session.say("dry run: nothing was written")
                return code

            raise typer.Exit(_guarded(session, call))

        run.__signature__ = _with_shared(own)  # type: ignore[attr-defined]
        run.__annotations__ = {}
        app.command(name or function.__name__)(run)
        return function

    return register


def _with_shared(own: Sequence[inspect.Parameter]) -> inspect.Signature:
    keyword = inspect.Parameter.KEYWORD_ONLY
    context = inspect.Parameter(
        "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    shared = [
        inspect.Parameter(
            key, keyword, annotation=kind, default=None if key == "project" else False
        )
        for key, kind in _SHARED.items()
    ]
    flags = [flag.replace(kind=keyword) for each in own for flag in _flags(each)]
    return inspect.Signature([context, *flags, *shared])


def _flags(parameter: inspect.Parameter) -> list[inspect.Parameter]:
    """Return the flags that a parameter stands for: itself, or the fields of its dataclass."""
    group = parameter.annotation
    if not (isinstance(group, type) and is_dataclass(group)):
        return [parameter]
    types = get_type_hints(group, include_extras=True)
    return [
        parameter.replace(name=each.name, annotation=types[each.name], default=each.default)
        for each in fields(group)
    ]


def _gathered(own: Sequence[inspect.Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a command; flags that a dataclass stands for become one again."""
    gathered = {}
    for each in own:
        group: Any = each.annotation
        gathered[each.name] = (
            group(**{flag.name: values[flag.name] for flag in _flags(each)})
            if isinstance(group, type) and is_dataclass(group)
            else values[each.name]
        )
    return gathered


def _session(ctx: typer.Context, values: dict[str, Any]) -> Session:
    before = ctx.obj or {}
    given = {key: value or before.get(key) for key, value in values.items()}
    folder = given["project"] or Path()
    return Session(folder, *(bool(given[key]) for key in ("as_json", "quiet", "verbose")))


def _guarded(session: Session, call: Callable[[], ExitCode | None]) -> int:
    """Run a command; the one place that catches everything."""
    try:
        code = int(call() or ExitCode.DONE)
        sys.stdout.flush()
        return code
    except CurateError as error:
        if session.verbose:
            traceback.print_exc()
        report_error(session, error.kind, error.message, error.hint)
        return int(error.exit_code)
    except KeyboardInterrupt:
        hint = "run the same command again: it goes on where it stopped"
        report_error(session, "interrupted", "stopped", hint)
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output went away; what is left in the buffer must not complain later.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.ERROR)
    except OSError as error:
        if session.verbose:
            traceback.print_exc()
        where = f"{error.filename}: " if error.filename else ""
        report_error(session, "system", f"{where}{error.strerror or error}", "")
        return int(ExitCode.ERROR)
    except Exception as error:  # noqa: BLE001 - the outer door
        log = _write_log(session)
        message = f"a bug in curate: {type(error).__name__}: {error}"
        report_error(session, "bug", message, f"please report it with {log}")
        return int(ExitCode.BUG)


def report_error(session: Session, kind: str, message: str, hint: str) -> None:
    """Print one error to stderr, in one line; as JSON if that was asked for."""
    message, hint = " ".join(message.split()), " ".join(hint.split())
    if session.as_json:
        text = json.dumps({"error": {"kind": kind, "message": message, "hint": hint}})
    else:
        text = f"curate: {message}" + (f" ({hint})" if hint else "")
    print(text, file=sys.stderr)


def _write_log(session: Session) -> str:
    text = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {sys.argv}\n{traceback.format_exc()}"
    path = session.folder / "curate-error.log"
    try:
        path.write_text(text, encoding="utf-8")
    except OSError:
        print(text, file=sys.stderr)
        return "the lines above"
    return str(path)
