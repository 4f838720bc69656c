"""`curate balance`: from verified images to a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli import options as opt
from curate.cli.progress import Bars
from curate.cli.session import Session, command
from curate.cli.tables import draw_table
from curate.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

SPLITS = ("train", "val", "test")
SHOWN = 20
"""Classes named one by one for a person; `--json` has all."""
LEFT_OUT = {
    "unlabelled": "without a class",
    "untrusted": "with a label weaker than --trust",
    "license": "of a licence that is not among --license",
    "conflict": "with several classes where one is wanted",
    "small_class": "of classes below --min-per-class",
    "cap": "of classes above --max-per-class",
}
"""What each reason to leave an image out means."""
CHANGED = {
    "recipe": "the recipe has changed",
    "images": "the images have changed",
    "near_duplicates": "what is known of near-duplicates has changed",
}
"""Why there is a new version."""

TrustOption = Annotated[
    str | None,
    typer.Option(
        "--trust",
        metavar="ORIGIN",
        help="The weakest origin of a label that counts: human, consensus, model, source or "
        "query. [default: query, which takes all]",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app)(balance)


def balance(
    session: Session,
    min_per_class: opt.MinPerClassOption = None,
    max_per_class: opt.MaxPerClassOption = None,
    splits: opt.SplitsOption = None,
    license_: opt.LicenseOption = None,
    trust: TrustOption = None,
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
        result = project.balance(trust=trust, dry_run=dry_run)
    document: dict[str, Any] = result.to_json()
    session.show(document, lambda console: _draw(console, document))
    return ExitCode.DONE


def _draw(console: Console, document: dict[str, Any]) -> None:
    keys = ("before", "after", *SPLITS)
    rows = [(name, *(n[key] for key in keys)) for name, n in document["classes"].items()]
    draw_table(console, ("class", *keys), rows)
    for line in [*_lines(document), *_warnings(document), _where(document)]:
        console.print(line, markup=False, soft_wrap=True)


def _lines(document: dict[str, Any]) -> list[str]:
    """Say what the table of classes does not: sums, and what is missing from it."""
    sizes = document["images"]
    shares = ", ".join(f"{sizes[split]:,} {split}" for split in SPLITS)
    negatives = f"; {document['negatives']:,} of no class" if document["negatives"] else ""
    lines = [f"{_images(sum(sizes.values()))}: {shares}{negatives}"]
    lines += _some(
        [f"dropped {name}: {_images(n)}, too few" for name, n in document["dropped"].items()]
    )
    lines += [
        f"left out: {_images(n)} {LEFT_OUT[reason]} ({reason})"
        for reason, n in document["left_out"].items()
        if n
    ]
    used = [split for split in SPLITS if sizes[split]]
    empty = {
        name: [split for split in used if not n[split]] for name, n in document["classes"].items()
    }
    return lines + _some(
        [f"{name} has no image in {' and '.join(none)}" for name, none in empty.items() if none]
    )


def _some(lines: list[str]) -> list[str]:
    hidden = len(lines) - SHOWN
    return lines[:SHOWN] + ([f"… and {hidden:,} more, see --json"] if hidden > 0 else [])


def _warnings(document: dict[str, Any]) -> list[str]:
    lines = []
    if not document["near_duplicates_searched"]:
        lines.append(
            "near-duplicates were not looked for among all these images: "
            "run `curate dedupe` first, or copies may be on two sides"
        )
    if n := document["alike_across"]:
        pairs = "1 pair of images looks" if n == 1 else f"{n:,} pairs of images look"
        lines.append(f"{pairs} alike and {'is' if n == 1 else 'are'} on two sides")
    return lines


def _where(document: dict[str, Any]) -> str:
    if document["manifest"] is None:
        return "dry run: nothing written"
    place = f"{document['manifest']}: {document['path']}"
    if document["unchanged"]:
        return f"{place}, as it was"
    why = " and ".join(CHANGED[each] for each in document["changed"])
    return f"{place}, a new version: {why}" if why else place


def _images(n: int) -> str:
    return "1 image" if n == 1 else f"{n:,} images"
