"""`curate demo`: the whole road against the embedded sample source."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli import options as opt
from curate.cli.progress import Bars
from curate.cli.session import Session, command
from curate.errors import ExitCode
from curate.report.status import status_json

if TYPE_CHECKING:
    from rich.console import Console

    from curate.demo.flow import DemoResult, Step

FOLDER = "demo-project"
KeepOption = Annotated[
    Path | None,
    typer.Option(
        "--keep",
        help="Folder to make the project in, and to leave. [default: demo-project]",
        metavar="DIR",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app)(demo)


def demo(session: Session, keep: KeepOption = None, dry_run: opt.DryRunOption = False) -> ExitCode:
    """Go the whole road on a sample source: no keys, no internet.

    In under a minute. A server on this machine speaks Unsplash's and GBIF's protocols and
    serves drawn photos, some of them dead, damaged or there twice. The project stays for you
    to look at.
    """
    from curate.demo.flow import check_folder, run_demo, steps

    folder = keep if keep is not None else session.folder / FOLDER

    def tell(step: Step) -> None:
        session.say(f"\n$ {step.command}\n  {step.why}")

    if dry_run:
        check_folder(folder)
        commands = [each.command for each in steps()]
        session.show(
            {"project": str(folder), "would_run": commands},
            lambda console: console.print(
                "\n".join([*commands, f"in {folder}"]),
                markup=False,
                soft_wrap=True,
            ),
        )
        return ExitCode.DONE
    with Bars(session) as bars:
        result = run_demo(folder, tell=tell, notify=session.say, progress=bars)
    session.say("")
    session.show(_document(result), lambda console: draw_demo(console, result))
    sound = not result.verified.faults and not result.packed.leaks and result.truth.agrees
    return ExitCode.DONE if sound else ExitCode.FAULTS_FOUND


def _document(result: DemoResult) -> dict[str, Any]:
    fetched = result.fetched
    return {
        **status_json(fetched.counts, list(fetched.classes), dict(fetched.skipped)),
        "downloads": result.downloads,
        "project": str(result.folder),
        "report": str(result.report),
        "dedupe": result.deduped.to_json(),
        "balance": result.packed.to_json(),
        "faults": len(result.verified.faults),
        "missing": [
            {"reason": row.reason, "n": row.n, "example": row.example, "detail": row.detail}
            for row in result.missing
        ],
        "truth": {row.what: {"found": row.found, "truth": row.truth} for row in result.truth.rows},
        "agrees": result.truth.agrees,
        "seconds": round(result.seconds, 2),
    }


def draw_demo(console: Console, result: DemoResult) -> None:
    """Draw the summary for a person."""
    _draw_missing(console, result)
    _draw_dataset(console, result)
    _draw_truth(console, result)
    faults, checked = len(result.verified.faults), result.verified.checked
    stored = result.fetched.counts.stored
    # A stand-in is a file too, but no candidate's image.
    besides = f" and {_stand_ins(checked - stored)}" if checked > stored else ""
    console.print(
        f"\nAll {stored:,} images{besides} were read again: {faults:,} faults. "
        f"The whole road took {result.seconds:.1f} s."
    )
    for what, where in (
        ("manifest", result.packed.path),
        ("report", result.report),
        ("try next", f"curate -C {result.folder} status"),
    ):
        console.print(f"  {what:9} {where}", markup=False, soft_wrap=True)


def _draw_missing(console: Console, result: DemoResult) -> None:
    from rich.table import Table
    from rich.text import Text

    counts = result.fetched.counts
    tried = counts.total - counts.pending + counts.retrying
    console.print(
        f"{counts.total:,} candidates were offered. {result.downloads:,} downloads of {tried:,} of "
        f"them gave {counts.stored:,} valid, distinct images; what failed in passing (503, 429, "
        "resets) was tried again. Why the others are missing:"
    )
    table = Table("reason", "n", "for example", box=None, padding=(0, 2, 0, 0))
    table.columns[1].justify = "right"
    for row in result.missing:
        example = f"{_path(row.example)}: {row.detail}"
        table.add_row(Text(row.reason, "yellow"), f"{row.n:,}", Text(example))
    console.print(table)
    unmet = [each.name for each in result.fetched.classes if each.images < (each.quota or 0)]
    met = f"Too few for {', '.join(unmet)}" if unmet else "Every class got what was asked for"
    left = counts.pending - counts.retrying
    console.print(f"{met}; {left:,} more candidates stay in reserve.", markup=False)
    if n := result.deduped.excluded:
        console.print(
            f"{n:,} of the images show the same photo as a better one, in other bytes, and are "
            f"left out: {counts.stored - n:,} remain."
        )
    console.print()


def _draw_dataset(console: Console, result: DemoResult) -> None:
    from rich.table import Table
    from rich.text import Text

    packed = result.packed
    table = Table("class", "images", "train", "val", "test", box=None, padding=(0, 2, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    for name, n in packed.classes.items():
        numbers = (f"{n[key]:,}" for key in ("after", "train", "val", "test"))
        table.add_row(Text(name, "cyan"), *numbers)
    console.print(table)
    console.print(
        f"{packed.manifest}: {sum(packed.images.values()):,} images in {packed.groups:,} groups, "
        f"{packed.leaks:,} of them on two sides.\n"
    )


def _draw_truth(console: Console, result: DemoResult) -> None:
    truth = result.truth
    if truth.agrees:
        numbers = ", ".join(f"{row.truth:,} {row.what}" for row in truth.rows)
        console.print(f"[green]The sample source agrees with every number[/]: {numbers}.")
    for row in truth.rows:
        if not row.agrees:
            console.print(
                f"[red]The sample source disagrees[/] on {row.what}: "
                f"found {row.found:,}, in truth {row.truth:,}."
            )


def _stand_ins(n: int) -> str:
    if n == 1:
        return "the stand-in for missing ones, which is set aside,"
    return f"{n:,} stand-ins for missing ones, which are set aside,"


def _path(url: str) -> str:
    """Return what tells one URL of the sample source from another."""
    path = url.partition("?")[0].partition("://")[2].partition("/")[2]
    return path if len(path) <= 30 else "…" + path[-29:]
