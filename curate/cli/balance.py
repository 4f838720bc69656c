"""`curate balance`: from verified images to a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from curate.cli import options as opt
from curate.cli.progress import Bars
from curate.cli.session import Session, command
from curate.cli.tables import draw_table
from curate.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import Console


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app)(balance)


def balance(
    session: Session,
    min_per_class: opt.MinPerClassOption = None,
    max_per_class: opt.MaxPerClassOption = None,
    splits: opt.SplitsOption = None,
    license_: opt.LicenseOption = None,
    seed: opt.SeedOption = None,
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Choose images, split them without leaks, write a manifest."""
    flags = {
        "balance.min_per_class": min_per_class,
        "balance.max_per_class": max_per_class,
        "balance.splits": splits,
        "balance.seed": seed,
        "balance.licenses": license_,
    }
    with Bars(session) as bars, session.project(flags, bars) as project:
        result = project.balance(dry_run=dry_run)
    document: dict[str, Any] = result.to_json()
    session.show(document, lambda console: _draw(console, document))
    return ExitCode.FAULTS_FOUND if result.leaks else ExitCode.DONE


def _draw(console: Console, document: dict[str, Any]) -> None:
    keys = ("before", "after", "train", "val", "test")
    rows = [(name, *(n[key] for key in keys)) for name, n in document["classes"].items()]
    draw_table(console, ("class", *keys), rows)
    for name, n in document["dropped"].items():
        console.print(f"dropped {name}: {n:,} images, too few", markup=False)
    for reason, n in document["left_out"].items():
        console.print(f"left out as {reason}: {n:,} images", markup=False)
    where = f"{document['manifest'] or 'dry run'}: {document['path'] or 'nothing written'}"
    console.print(where + (", as it was" if document["unchanged"] else ""), markup=False)
