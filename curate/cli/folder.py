"""`curate init`: writes the settings file, with comments."""

from __future__ import annotations

import typer

from curate.cli import options as opt
from curate.cli.session import Session, command
from curate.config import CONFIG_NAME, template
from curate.errors import ExitCode, UsageError


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app)(init)


def init(session: Session, dry_run: opt.DryRunOption = False) -> ExitCode:
    """Write a curate.toml that explains every setting.

    No other command needs it.
    """
    path = session.folder / CONFIG_NAME
    if session.folder.exists() and not session.folder.is_dir():
        raise UsageError(f"the project {session.folder} is not a folder", "give one with -C")
    if path.exists():
        raise UsageError(f"{path} is there already", "edit it, or move it away first")
    if not dry_run:
        session.folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(template())
    session.show(
        {"path": str(path), "written": not dry_run},
        lambda console: console.print(
            template() if dry_run else f"wrote {path}", markup=False, soft_wrap=True
        ),
    )
    return ExitCode.DONE
