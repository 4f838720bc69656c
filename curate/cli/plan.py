"""`curate plan`: what there would be, before one image is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli import options as opt
from curate.cli.asking import SearchFlags
from curate.cli.progress import Bars
from curate.cli.session import Session, command
from curate.cli.tables import draw_table, human_bytes, human_seconds
from curate.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from curate.report.plan import Plan, Threshold

SHOWN = 40
"""Classes that are listed; --json has all of them."""
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}


SampleOption = Annotated[
    int,
    typer.Option(
        "--sample",
        metavar="N",
        parser=opt.whole(0, 1000),
        help="Ask so many URLs of each size variant for their sizes; 0: none.",
    ),
]
BudgetOption = Annotated[
    str | None,
    typer.Option(
        "--budget",
        metavar="SIZE",
        help="Disk space, e.g. 1TB: find the largest cap and the size variant that fit.",
    ),
]
PictureOption = Annotated[
    Path | None,
    typer.Option("--picture", metavar="FILE", help="Draw the long tail: .svg or .png."),
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app)(plan)


def plan(
    session: Session,
    search: SearchFlags,
    min_per_class: opt.MinPerClassOption = None,
    max_per_class: opt.MaxPerClassOption = None,
    sample: SampleOption = 0,
    budget: BudgetOption = None,
    picture: PictureOption = None,
    seed: opt.SeedOption = None,
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Count candidates per class before anything is downloaded.

    Of a search before it is made, or else of the catalog; says what class thresholds would
    keep, and how large that would be. Nothing but a --picture is ever written.
    """
    request = search.request()
    flags = search.settings() | {
        "balance.min_per_class": min_per_class,
        "balance.max_per_class": max_per_class,
    }
    is_search = request.source_name is not None
    with Bars(session) as bars, session.project(flags, bars, may_be_new=is_search) as project:
        made = project.plan(request, sample=sample, budget_bytes=_bytes(budget), seed=seed or 0)
    if picture is not None and not dry_run:
        from curate.report.planpicture import write_picture

        write_picture(made, picture)
        session.say(f"{picture} written")
    session.show(made.to_json(), lambda console: _draw_plan(console, made))
    return ExitCode.DONE


def _bytes(text: str | None) -> int | None:
    """Return a size such as 1TB or 500 GB in bytes."""
    if text is None:
        return None
    plain = text.strip().upper().replace(" ", "").removesuffix("B")
    unit = plain[-1:] if plain[-1:] in _UNITS else ""
    try:
        value = float(plain.removesuffix(unit)) * _UNITS[unit]
    except ValueError:
        value = 0.0
    if not 1 <= value < 10**18:
        raise UsageError(f"--budget {text!r} is not a size", "give one, e.g. 500GB or 1TB")
    return int(value)


def _draw_plan(console: Console, made: Plan) -> None:
    largest_first = sorted(made.classes.items(), key=lambda pair: (-pair[1], pair[0]))
    rows = [(name or "(no class)", n) for name, n in largest_first[:SHOWN]]
    draw_table(console, ("class", "candidates"), rows)
    if len(largest_first) > SHOWN:
        console.print(f"and {len(largest_first) - SHOWN:,} more classes: --json lists them")
    if not made.thresholds:
        return
    tail = made.tail
    spread = (
        f"; the largest fifth holds {tail.top_fifth_share:.0%}, "
        f"and {_classes(tail.classes_for_80_percent)} 80%"
    )
    console.print(
        f"\n{tail.candidates:,} candidates in {_n_classes(tail.classes)}"
        f"{spread if tail.classes > 1 else ''}"
    )
    if made.n_with_class not in (None, tail.candidates):
        console.print(
            f"{made.n_with_class:,} different ones: one of several classes counts in each of them"
        )
    kept = [
        (f"{each.min:,}", each.classes, each.images, capped.images, _size(capped))
        for each, capped in zip(made.thresholds[::2], made.thresholds[1::2], strict=True)
    ]
    if tail.classes > 1:  # any minimum keeps a single class whole
        console.print()
        draw_table(console, ("at least", "classes", "all of them", "capped at that", "size"), kept)
    _draw_variants(console, made)
    chosen = made.chosen
    cap = f" to {chosen.max:,}" if chosen.max else " or more"
    console.print(
        f"\n{chosen.min:,}{cap} a class: {chosen.images:,} candidates in "
        f"{_n_classes(chosen.classes)}{', ' + _size(chosen) if chosen.bytes is not None else ''}"
    )
    if made.budget is not None:
        best = made.budget
        console.print(
            f"{human_bytes(best.bytes)} hold at most {best.max_per_class:,} a class "
            f"as {best.variant}: {best.images:,} images, {human_bytes(best.needed_bytes)}"
            if best.max_per_class
            else f"{human_bytes(best.bytes)} do not hold these classes in any size"
        )


def _n_classes(n: int) -> str:
    return f"{n:,} class" if n == 1 else f"{n:,} classes"


def _classes(n: int) -> str:
    return f"{_n_classes(n)} {'holds' if n == 1 else 'hold'}"


def _draw_variants(console: Console, made: Plan) -> None:
    if not made.variants:
        return
    console.print()
    rows = [
        (
            each.name,
            each.n,
            each.n_failed,
            human_bytes(each.mean_bytes),
            f"{human_bytes(each.low_bytes)} to {human_bytes(each.high_bytes)}",
            human_bytes(each.mean_bytes * made.chosen.images),
        )
        for each in made.variants
        if each.mean_bytes is not None and each.low_bytes is not None and each.high_bytes
    ]
    heads = ("variant", "asked", "dead", "mean size", "95 %", "in all")
    draw_table(console, heads, rows)


def _size(each: Threshold) -> str:
    if each.bytes is None:
        return ""
    time_ = "" if each.seconds is None else f" in {human_seconds(each.seconds)}"
    return f"{human_bytes(each.bytes)}{time_}"
