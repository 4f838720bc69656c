"""`curate evaluate`: what a model is worth on labelled images, in numbers, words and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli import options as opt
from curate.cli.progress import Bars
from curate.cli.session import Session, command
from curate.cli.tables import draw_table
from curate.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 20
"""Classes printed for a person; `--json` has all."""
CONFUSED = 5
"""Pairs of classes that are named as confused."""

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="FILE|SHA",
        help="An ONNX file, or the beginning of the SHA-256 of a model that has proposed. "
        "[default: the newest]",
        show_default=False,
    ),
]
SplitOption = Annotated[
    str | None,
    typer.Option(
        "--split", metavar="NAME", help="With --manifest: train, val or test. [default: test]"
    ),
]
PageOption = Annotated[
    Path | None,
    typer.Option("--page", metavar="FILE.html", help="Write a page with the misclassified images."),
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app)(evaluate)


def evaluate(
    session: Session,
    model: ModelOption = None,
    manifest: opt.OnlyManifestOption = None,
    split: SplitOption = None,
    trust: opt.TruthOption = None,
    page: PageOption = None,
) -> ExitCode:
    """Measure a model on images that it has not learned from."""
    from curate.carriers.grading import GradeRequest

    if split is not None and manifest is None:
        raise UsageError("--split is one of a manifest's", "give --manifest VERSION too")
    request = GradeRequest(model, manifest, split or "test", trust)
    with Bars(session) as bars, session.project(progress=bars) as project:
        graded = project.learning.evaluate(request)
        document: dict[str, Any] = graded.to_json()
        if page is not None:
            document["page"] = str(project.learning.write_page(graded, page))
    session.show(document, lambda console: _draw(console, document))
    return ExitCode.DONE


def evaluation_lines(document: Mapping[str, Any]) -> list[str]:
    """Say in words what an evaluation found; accuracy never stands alone."""
    low, high = document["accuracy_low"], document["accuracy_high"]
    return [
        document["verdict"],
        f"macro F1 {document['macro_f1']:.1%}; calibration error {document['ece']:.1%}; "
        f"accuracy lies between {low:.1%} and {high:.1%} (95 %, {document['n']:,} images)",
    ]


def left_out_lines(left_out: Mapping[str, int]) -> list[str]:
    """Say which labelled images were left out, and why."""
    from curate.carriers.lessons import said_left_out

    return [f"left out: {each}" for each in said_left_out(left_out)]


def confused_lines(document: Mapping[str, Any]) -> list[str]:
    """Name the pairs of classes that are taken for each other most often."""
    if not document["is_exclusive"]:
        return []
    names = [name or "none of them" for name in document["classes"]]
    pairs = [
        (n, names[truth], names[said])
        for truth, row in enumerate(document["confusion"])
        for said, n in enumerate(row)
        if n and truth != said
    ]
    pairs.sort(key=lambda each: (-each[0], each[1:]))
    return [f"{n:,} of {truth} taken for {said}" for n, truth, said in pairs[:CONFUSED]]


def _draw(console: Console, document: dict[str, Any]) -> None:
    rows = [
        (
            name or "none of them",
            each["support"],
            *(f"{each[key]:.1%}" for key in ("precision", "recall", "f1")),
            *("" if each[key] is None else f"{each[key]:.3f}" for key in ("roc_auc", "pr_auc")),
        )
        for name, each in document["classes"].items()
    ]
    headings = ("class", "images", "precision", "recall", "F1", "ROC AUC", "PR AUC")
    draw_table(console, headings, rows[:SHOWN])
    if len(rows) > SHOWN:
        console.print(f"… and {len(rows) - SHOWN:,} more classes; --json has all")
    model = document["model"]
    lines = [
        f"{model['name']} ({model['sha256'][:12]})",
        *evaluation_lines(document),
        *confused_lines(document),
        *left_out_lines(document["left_out"]),
    ]
    if "page" in document:
        lines.append(f"page: {document['page']}")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
