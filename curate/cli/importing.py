"""`curate import`: a dataset that is there becomes a project."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli import options as opt
from curate.cli.ended import show_result
from curate.cli.progress import Bars
from curate.cli.session import Session, command
from curate.cli.tables import draw_table
from curate.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

    from curate.carriers.importing import ImportRequest

FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="What it is: folder, yolo-cls, table (or csv), labelme, coco, cub, pets, imagefolder, "
        "parquet-images, saved (the three: huggingface), or hdf. [default: from its content]",
    ),
]
ClassOption = Annotated[
    str | None,
    typer.Option(
        "--class",
        metavar="NAME",
        help='Class for all its images; "" marks negatives. [default: as the dataset says]',
    ),
]
LabelColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--label-column",
        metavar="NAME",
        help="Column with the classes; several, of 0 and 1, are a class each. "
        "[default: by name and content]",
    ),
]
FileColumnOption = Annotated[
    str | None,
    typer.Option(
        "--file-column", metavar="NAME", help="Column with files or URLs. [default: by its name]"
    ),
]
ImagesOption = Annotated[
    Path | None,
    typer.Option("--images", metavar="DIR", help="Folder that file names start from."),
]
OutsideOption = Annotated[
    bool,
    typer.Option("--allow-outside", help="Take files outside the dataset's folder, too."),
]
KeepSplitOption = Annotated[
    bool,
    typer.Option("--keep-split", help="Let `balance` keep the dataset's own train, val and test."),
]
AnnotationsOption = Annotated[
    str | None,
    typer.Option(
        "--as-annotations",
        metavar="ANNOTATOR",
        help="Record its labels as decisions of this person, not only as the source's hints.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "import")(import_)


def import_(
    session: Session,
    path: Annotated[
        Path, typer.Argument(help="A folder, or a table or JSON file.", metavar="PATH")
    ],
    format_: FormatOption = None,
    class_: ClassOption = None,
    label_column: LabelColumnOption = None,
    file_column: FileColumnOption = None,
    images: ImagesOption = None,
    allow_outside: OutsideOption = False,
    keep_split: KeepSplitOption = False,
    as_annotations: AnnotationsOption = None,
    link: opt.LinkOption = False,
    workers: opt.WorkersOption = None,
    keep_damaged: opt.KeepDamagedOption = False,
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Copy a dataset's images and labels; it stays as it is."""
    from curate.carriers.importing import ImportRequest

    request = ImportRequest(
        path=path,
        format=format_,
        classes=None if class_ is None else (class_,),
        label_columns=tuple(label_column or ()),
        file_column=file_column,
        images=images,
        outside=allow_outside,
        keep_split=keep_split,
        link=link,
        annotator=as_annotations,
    )
    if dry_run:
        return _preview(session, request)
    bars = Bars(session)
    flags = {"fetch.workers": workers, "fetch.keep_damaged": True if keep_damaged else None}
    with session.project(flags, bars, may_be_new=True) as project:
        before = project.status()[0]
        with bars:
            done = project.import_(request)
        result = done.result
        added: dict[str, Any] = {
            "import": {
                "format": done.format,
                "left_out": dict(done.left),
                "waiting": done.waiting,
                "annotated": done.annotated,
                "conflicts": [asdict(each) for each in done.conflicts],
            }
        }
        code = show_result(session, project, before, result, [str(path.resolve())], added=added)
    if done.annotated:
        session.say(f"{done.annotated:,} new annotations of {as_annotations}")
    if done.waiting:
        session.say(f"{done.waiting:,} images are at URLs: `curate fetch` gets them")
        if as_annotations:
            session.say("import it again then: annotations need the images")
    if class_ is None and result.counts.total and not any(each.name for each in result.classes):
        session.say("no classes: sub-folders name them, or give --class NAME")
    return code


def _preview(session: Session, request: ImportRequest) -> ExitCode:
    from curate.carriers.importing import preview

    with session.project(may_be_new=True) as project:
        found = preview(project, request)

    def draw(console: Console) -> None:
        rows = [(name or "(no class)", n) for name, n in found.classes.items()]
        draw_table(console, ("class", "images"), rows)
        console.print(f"\n{found.images:,} images in all")

    document = {
        "would_import": dict(found.classes),
        "images": found.images,
        "left_out": dict(found.left),
    }
    session.show(document, draw)
    return ExitCode.DONE
