"""`curate prelabel`: a model proposes classes for the images that nobody has decided about."""

from __future__ import annotations

from dataclasses import dataclass
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

    from curate.assist.model import Wish

SHOWN = 20
"""Classes printed for a person; `--json` has all."""
KINDS = ("softmax", "sigmoid", "logits", "multi-logits")

ModelOption = Annotated[Path, typer.Option("--model", metavar="FILE.onnx", help="The classifier.")]
PreprocessOption = Annotated[
    Path | None,
    typer.Option(
        "--preprocess", metavar="FILE", help="The same, as a preprocessor_config.json says."
    ),
]
NamesOption = Annotated[
    Path | None,
    typer.Option(
        "--names",
        metavar="FILE",
        help="Names of its outputs in order: a name a line, or JSON. "
        "[default: as the model says, or a file beside it]",
        show_default=False,
    ),
]
MapOption = Annotated[
    Path | None,
    typer.Option(
        "--map",
        metavar="FILE",
        help="Its classes to the project's: lines of `model class,project class`, or JSON. "
        "[default: by name]",
        show_default=False,
    ),
]
OwnOption = Annotated[
    bool,
    typer.Option("--own-classes", help="Propose its classes, whatever those of the folders are."),
]
OutputsOption = Annotated[
    str | None,
    typer.Option(
        "--outputs",
        metavar="KIND",
        help="What its numbers are: softmax, sigmoid, logits or multi-logits. [default: found out]",
        show_default=False,
    ),
]
ExternalOption = Annotated[
    bool,
    typer.Option("--external-data", help="Its weights may be in other files beside it."),
]
ThresholdOption = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        metavar="SCORE",
        help="Propose a class from this score. [default: the best class where an image has one; "
        "else the model's own, or 0.5]",
        show_default=False,
    ),
]
ManifestOption = Annotated[
    str | None,
    typer.Option(
        "--manifest",
        metavar="VERSION",
        help="Only images of this manifest; its next version has the proposals.",
    ),
]
LimitOption = Annotated[
    int | None,
    typer.Option(
        "--limit", metavar="N", parser=opt.whole(1), help="Look at so many images at most."
    ),
]
AnewOption = Annotated[
    bool, typer.Option("--anew", help="Look again at images that this model has seen.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app)(prelabel)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFlags:
    """The flags that say what is known of a model; their types explain them."""

    preset: opt.PresetOption = None
    preprocess: PreprocessOption = None
    names: NamesOption = None
    output: opt.OutputOption = None
    outputs: OutputsOption = None
    external: ExternalOption = False

    def wish(self) -> Wish:
        """Return what they say.

        Raises:
            UsageError: an unknown kind of outputs, or two flags that say the same.
        """
        from curate.assist.model import Outputs, Wish

        if self.outputs is not None and self.outputs not in KINDS:
            raise UsageError(f"--outputs is one of {', '.join(KINDS)}, not {self.outputs!r}")
        if self.preset is not None and self.preprocess is not None:
            raise UsageError("--preset and --preprocess say the same", "give one of them")
        return Wish(
            preset=self.preset,
            preprocess=self.preprocess,
            names=self.names,
            output=self.output,
            outputs=None if self.outputs is None else Outputs(self.outputs),
            external=self.external,
        )


def prelabel(
    session: Session,
    model: ModelOption,
    known: ModelFlags,
    map_: MapOption = None,
    own_classes: OwnOption = False,
    threshold: ThresholdOption = None,
    manifest: ManifestOption = None,
    limit: LimitOption = None,
    anew: AnewOption = False,
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Let a model propose classes for images.

    People decide: `curate audit` and `curate label` show what it proposes.
    """
    from curate.carriers.models import PrelabelRequest

    if own_classes and map_ is not None:
        raise UsageError("--map and --own-classes exclude each other", "give one of them")
    request = PrelabelRequest(
        model=model,
        wish=known.wish(),
        map=map_,
        own_classes=own_classes,
        threshold=threshold,
        manifest=manifest,
        limit=limit,
        anew=anew,
        dry_run=dry_run,
    )
    with Bars(session) as bars, session.project(progress=bars) as project:
        result = project.models.prelabel(request)
    document = result.to_json()
    session.show(document, lambda console: _draw(console, document, dry_run))
    return ExitCode.FAILURES_LEFT if result.unreadable else ExitCode.DONE


def _draw(console: Console, document: dict[str, Any], dry_run: bool) -> None:
    found = sorted(document["classes"].items(), key=lambda each: -each[1])
    rows = [(name, n) for name, n in found if n]
    if document["proposed"]:
        draw_table(
            console, ("class", "proposed"), [*rows[:SHOWN], ("none of them", document["none"])]
        )
    if len(rows) > SHOWN:
        console.print(f"… and {len(rows) - SHOWN:,} more classes; --json has all")
    for line in _lines(document, dry_run):
        console.print(line, markup=False, soft_wrap=True)


def _lines(document: dict[str, Any], dry_run: bool) -> list[str]:
    name, sha256 = document["model"]["name"], document["model"]["sha256"][:12]
    lines = [f"{_images(document['proposed'])} looked at by {name} ({sha256})"]
    if document["before"]:
        lines.append(f"{_images(document['before'])} had proposals by it before")
    if document["unreadable"]:
        lines.append(f"{_images(document['unreadable'])} cannot be decoded: run `curate verify`")
    if document["left"]:
        lines.append(f"{_images(document['left'])} left: run it again without --limit")
    if document["manifest"]:
        lines.append(f"the proposals are in manifest {document['manifest']}")
    if document["proposed"] and not dry_run:
        lines.append("look through them: `curate audit`, or `curate label`")
    return lines


def _images(n: int) -> str:
    return "1 image" if n == 1 else f"{n:,} images"
