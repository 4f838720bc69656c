"""`curate train`: from corrected labels to a model that proposes better ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli import options as opt
from curate.cli.evaluate import evaluation_lines, left_out_lines
from curate.cli.progress import Bars
from curate.cli.session import Session, command
from curate.cli.tables import draw_table
from curate.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 20
"""Classes printed for a person; `--json` has all."""

BackboneOption = Annotated[
    Path,
    typer.Option("--backbone", metavar="FILE.onnx", help="A model that gives embeddings."),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE.onnx",
        help="Where the model goes. [default: models/head.onnx in the project]",
        show_default=False,
    ),
]
ManifestOption = Annotated[
    str | None,
    typer.Option(
        "--manifest",
        metavar="VERSION",
        help="Leave out the validation and test images of this manifest. [default: the newest]",
        show_default=False,
    ),
]
MinOption = Annotated[
    int | None,
    typer.Option(
        "--min-per-class",
        metavar="N",
        parser=opt.whole(1),
        help="Leave out classes with fewer labelled images. [default: fewer than 5 are an error]",
        show_default=False,
    ),
]
WeightOption = Annotated[
    bool,
    typer.Option(
        "--class-weights/--no-class-weights",
        help="Let small classes count as much as large ones.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app)(train)


def train(
    session: Session,
    backbone: BackboneOption,
    out: OutOption = None,
    preset: opt.PresetOption = None,
    output: opt.OutputOption = None,
    trust: opt.TruthOption = None,
    manifest: ManifestOption = None,
    min_per_class: MinOption = None,
    class_weights: WeightOption = True,
    seed: opt.SeedOption = None,
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Train a model on what people decided.

    It is one ONNX file, which `curate prelabel` takes.
    """
    from curate.carriers.training import TrainRequest

    request = TrainRequest(
        backbone=backbone,
        out=out,
        preset=preset,
        output=output,
        trust=trust,
        manifest=manifest,
        min_per_class=min_per_class,
        is_weighted=class_weights,
        seed=seed or 0,
        dry_run=dry_run,
    )
    with Bars(session) as bars, session.project(progress=bars) as project:
        document: dict[str, Any] = project.learning.train(request).to_json()
    session.show(document, lambda console: _draw(console, document))
    return ExitCode.DONE


def _draw(console: Console, document: dict[str, Any]) -> None:
    measured = document["held_out"]["classes"]
    rows = [
        (
            name or "none of them",
            n,
            *_percent(measured[name]),
            f"{document['thresholds'][name]:.2f}",
        )
        for name, n in sorted(document["classes"].items(), key=lambda each: -each[1])
    ]
    headings = ("class", "labelled", "precision", "recall", "F1", "threshold")
    draw_table(console, headings, rows[:SHOWN])
    if len(rows) > SHOWN:
        console.print(f"… and {len(rows) - SHOWN:,} more classes; --json has all")
    lines = [
        f"trained on {document['n']:,} images; on held-out folds of them:",
        *evaluation_lines(document["held_out"]),
        *left_out_lines(document["left_out"]),
    ]
    if document["path"] is not None:
        lines.append(f"{document['path']}: `curate prelabel --model` takes it")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def _percent(score: dict[str, Any]) -> tuple[str, str, str]:
    precision, recall, f1 = (f"{score[key]:.1%}" for key in ("precision", "recall", "f1"))
    return precision, recall, f1
