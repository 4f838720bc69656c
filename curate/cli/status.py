"""`curate status` and `curate verify`: where everything stands, and whether it is sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli.progress import Bars
from curate.cli.session import Session, command
from curate.errors import ExitCode
from curate.report.status import status_json

if TYPE_CHECKING:
    from rich.console import Console

    from curate.catalog.counts import ClassCount, Counts


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app)(status)
    command(app)(verify)


def status(session: Session) -> ExitCode:
    """Say what was found, what became of it, and why images are missing."""
    with session.project() as project:
        if not project.exists:
            session.say(
                f"{project.folder} holds no catalog yet: `curate fetch --query …` makes one"
            )
        counts, classes, skipped = project.status()
    session.show(
        status_json(counts, classes, skipped),
        lambda console: draw_status(console, counts, classes),
    )
    return ExitCode.DONE


def verify(
    session: Session,
    repair: Annotated[
        bool, typer.Option("--repair", help="Fetch damaged and missing images again.")
    ] = False,
) -> ExitCode:
    """Read every image again; compare with the catalog and with every manifest."""
    with Bars(session) as bars, session.project(progress=bars) as project:
        result = project.verify(repair=repair)
    document: dict[str, Any] = {
        "checked": result.checked,
        "faults": [
            {
                "kind": fault.kind,
                **({"image_id": fault.image_id} if fault.image_id else {}),
                **({"path": fault.path} if fault.path else {}),
                "detail": fault.detail,
            }
            for fault in result.faults
        ],
        "unrecorded": result.unrecorded,
        "repaired": result.repaired,
    }

    def draw(console: Console) -> None:
        for fault in result.faults:
            console.print(f"{fault.kind}: {fault.path or fault.image_id or ''}: {fault.detail}")
        console.print(
            f"{result.checked:,} images checked, {len(result.faults):,} faults"
            + (f", {result.repaired:,} fetched again" if repair else "")
        )

    session.show(document, draw)
    if result.faults and not repair:
        session.say("run `curate verify --repair` to fetch damaged and missing images again")
    return ExitCode.FAULTS_FOUND if result.faults else ExitCode.DONE


def draw_status(console: Console, counts: Counts, classes: list[ClassCount]) -> None:
    """Draw candidates by outcome and images by class."""
    from rich.table import Table

    outcomes = Table("candidates", "n")
    for name, n in [
        ("stored", counts.stored),
        ("duplicate", counts.duplicate),
        ("pending", counts.pending),
        *((f"failed: {reason}", n) for reason, n in counts.failed.items()),
        ("total", counts.total),
    ]:
        outcomes.add_row(name, f"{n:,}", style="bold" if name == "total" else None)
    console.print(outcomes)
    named = [each for each in classes if each.name]
    if named:
        table = Table("class", "images", "wanted", "in reserve")
        for each in named:
            wanted = "" if each.quota is None else f"{each.quota:,}"
            table.add_row(each.name, f"{each.images:,}", wanted, f"{each.pending:,}")
        console.print(table)
    console.print(f"{counts.kept:,} images, {counts.n_bytes / 1e6:,.1f} MB")
