"""`curate demo`: the whole road against the embedded sample source."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
