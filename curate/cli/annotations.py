"""`curate annotations …`: the ledger out and in, and what people agree and disagree about."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli import options as opt
from curate.cli.progress import Bars
from curate.cli.session import Session, command
from curate.cli.tables import draw_table, human_seconds
from curate.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from curate.label.agreement import Agreement
    from curate.label.pace import Pace

SHOWN = 20
"""Rows printed for a person; `--json` has all."""
METHODS = "majority or dawid-skene"

ConsensusOption = Annotated[
    str | None,
    typer.Option(
        "--consensus",
        metavar="METHOD",
        help=f"Also say what people who disagree amount to: {METHODS}.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    group = typer.Typer(
        help="What people decided: out, in, and how far they agree.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    command(group)(export)
    command(group, "import")(import_)
    command(group)(agreement)
    command(group)(conflicts)
    command(group)(pace)
    app.add_typer(group, name="annotations")


def export(
    session: Session,
    file: Annotated[
        Path | None, typer.Argument(help="Where to. [default: stdout]", metavar="[FILE]")
    ] = None,
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Write every annotation as JSON Lines.

    Undos, renames and all, in order of arrival.
    """
    if file is None and session.as_json and not dry_run:
        raise UsageError("JSON Lines and one JSON document cannot share stdout", "name a FILE")
    with session.project() as project:
        if dry_run:
            n = project.people.write(lambda _lines: None)
        elif file is None:
            project.people.write(sys.stdout.write)
            return ExitCode.DONE
        else:
            n = project.people.export(file)
    verb = " would be" if dry_run else ""
    document = {"annotations": n, "path": None if file is None else str(file)}
    said = f"{n:,} annotations{verb} in {file or 'stdout'}"
    session.show(document, lambda console: console.print(said, markup=False, soft_wrap=True))
    return ExitCode.DONE


def import_(
    session: Session,
    file: Annotated[Path, typer.Argument(help="What `curate annotations export` wrote.")],
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Add exported annotations that are not known yet.

    All of them are added, or none: a line that cannot be kept is named.
    """
    with ExitStack() as opened:
        bars = opened.enter_context(Bars(session))
        project = opened.enter_context(session.project(progress=bars, may_be_new=True))
        if not project.exists:
            # Tried in a catalog that goes away: a file that cannot be kept begins no project.
            aside = replace(session, folder=Path(opened.enter_context(TemporaryDirectory())))
            tried = opened.enter_context(aside.project(progress=bars, may_be_new=True))
            tried.made()
            done = tried.people.import_(file, dry_run=True)
        if project.exists or not dry_run:
            project.made()
            done = project.people.import_(file, dry_run=dry_run)
    verb = "would be added" if dry_run else "added"

    def draw(console: Console) -> None:
        known = done.lines - done.added
        console.print(f"{done.added:,} annotations {verb}, {known:,} were known")
        if done.unknown_images:
            console.print(
                f"{done.unknown_images:,} of their images are not in this project yet: "
                "labels wait for them"
            )

    session.show(asdict(done), draw)
    return ExitCode.DONE


def agreement(session: Session, consensus: ConsensusOption = None) -> ExitCode:
    """Say how far people agree.

    In percent, kappa and alpha; for each class, and for each two people.
    """
    with session.project() as project:
        people = project.people
        found = people.agreement()
        document: dict[str, Any] = found.to_json()
        if consensus is not None:
            verdicts = people.consensus(consensus)
            document["consensus"] = {key: asdict(each) for key, each in verdicts.items()}

    def draw(console: Console) -> None:
        _draw_agreement(console, found)
        if consensus is not None:
            console.print(
                f"by {consensus}: {len(document['consensus']):,} images; --json has them all, and "
                f'`consensus = "{consensus}"` in [label] of curate.toml makes them labels',
                markup=False,
            )

    session.show(document, draw)
    return ExitCode.DONE


def _draw_agreement(console: Console, found: Agreement) -> None:
    if not found.whole.n:
        console.print("no image has been decided about by more than one person")
        return
    headings = ("", "images", "percent", "Fleiss' kappa", "Krippendorff's alpha")
    scores = [("all", found.whole), *found.classes.items()]
    draw_table(
        console,
        headings,
        [
            (name, each.n, _n(each.percent), _n(each.fleiss), _n(each.alpha))
            for name, each in scores
        ],
        bold=("all",),
    )
    console.print()
    draw_table(
        console,
        ("pair", "", "images", "percent", "Cohen's kappa"),
        [
            (each.one, each.other, each.n, _n(each.percent), _n(each.cohen))
            for each in found.pairs[:SHOWN]
        ],
    )
    if len(found.pairs) > SHOWN:
        console.print(f"… and {len(found.pairs) - SHOWN:,} more; --json has all")


def _n(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}" if abs(value) > 1 else f"{value:.3f}"


def conflicts(session: Session, dry_run: opt.DryRunOption = False) -> ExitCode:
    """List images whose labels contradict each other.

    Those about which people differ go into the queue `disagreements`.
    """
    from curate.carriers.importing import statements
    from curate.label.conflicts import SOURCE

    with session.project() as project:
        found = list(project.people.conflicts())
        if any(each.kind == SOURCE for each in found):
            told = statements(project)
            found = [
                replace(each, said=told[each.source_id])
                if each.kind == SOURCE and each.source_id in told
                else each
                for each in found
            ]
        queued = 0
        if not dry_run and project.exists:
            queued = project.people.queue_disagreements()
    document = {"conflicts": [asdict(each) for each in found], "queued": queued}

    def draw(console: Console) -> None:
        rows = [
            (
                each.kind,
                each.image_id[:12] or "(not fetched)",
                _shortened(each.url.partition("?")[0], 60),
                _said({_shortened(who, 20): what for who, what in each.said.items()}),
            )
            for each in found[:SHOWN]
        ]
        if rows:
            draw_table(console, ("between", "image", "from", "who says what"), rows)
        if len(found) > SHOWN:
            console.print(f"… and {len(found) - SHOWN:,} more; --json has all")
        if not found:
            console.print("no label contradicts another")
            return
        console.print(f"{len(found):,} in all: they stay out of datasets until they are annotated")
        if queued:
            console.print(f"{queued:,} are in the queue `disagreements`")

    session.show(document, draw)
    return ExitCode.DONE


def _shortened(text: str, most: int) -> str:
    """Return both ends of a long name; --json has it whole."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


def _said(said: dict[str, str]) -> str:
    return "; ".join(f"{who}: {what}" for who, what in said.items())


def pace(session: Session) -> ExitCode:
    """Say how long people take, and what they correct.

    By queue and mode, with and without a proposal; and for each class that was proposed.
    """
    with session.project() as project:
        found = project.people.pace()
    session.show(found.to_json(), lambda console: _draw_pace(console, found))
    return ExitCode.DONE


def _draw_pace(console: Console, found: Pace) -> None:
    if not found.speeds:
        console.print("nobody has decided anything yet")
        return
    draw_table(
        console,
        ("queue", "mode", "proposal", "decisions", "seconds each", "in all"),
        [
            (
                each.queue or "(usual order)",
                each.mode,
                "shown" if each.proposed else "none",
                each.n,
                "-" if each.median_s is None else f"{each.median_s:.1f}",
                human_seconds(each.total_s),
            )
            for each in found.speeds
        ],
    )
    if found.corrections:
        console.print()
        rows = [
            (name, each.proposed, each.kept, each.proposed - each.kept, each.added)
            for name, each in found.corrections.items()
        ]
        draw_table(console, ("class", "proposed", "kept", "taken away", "added"), rows)
