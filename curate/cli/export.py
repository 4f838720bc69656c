"""`curate export FORMAT`: a manifest's images and labels, as other programs want them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli import options as opt
from curate.cli.manifest import from_elsewhere
from curate.cli.progress import Bars
from curate.cli.session import Session, command
from curate.cli.tables import draw_table, human_bytes
from curate.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from curate.pack.export.run import Exported

FORMATS = "imagefolder, csv, webdataset, huggingface, coco, yolo-cls, labelme, fiftyone"

FormatArgument = Annotated[str, typer.Argument(help=f"One of {FORMATS}.", metavar="FORMAT")]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Folder to make. [default: exports/VERSION-FORMAT]"),
]
LinkOption = Annotated[
    bool,
    typer.Option("--link", help="Hard-link images: no space, but an edit would change both."),
]
CopyOption = Annotated[
    bool,
    typer.Option("--copy", help="Copy images, sharing blocks where the disk can. The default."),
]
ResizeOption = Annotated[
    int | None,
    typer.Option(
        "--resize",
        metavar="PX",
        parser=opt.whole(1, 65_535),
        help="Make the shorter side this long, as JPEG; smaller images keep their size.",
        show_default=False,
    ),
]
OneHotOption = Annotated[
    bool, typer.Option("--one-hot", help="For csv: a column of 0 and 1 for each class.")
]
NegativesOption = Annotated[
    str | None,
    typer.Option(
        "--negatives",
        metavar="NAME",
        help="For folders: where images of no class go. [default: they are left out]",
    ),
]
SplitOption = Annotated[
    list[str] | None,
    typer.Option("--split", metavar="NAME", help="Only this split; may be repeated."),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Replace an earlier export of that name.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app)(export)


def export(
    session: Session,
    format_: FormatArgument,
    manifest: opt.ManifestOption = None,
    out: OutOption = None,
    link: LinkOption = False,
    copy: CopyOption = False,
    resize: ResizeOption = None,
    one_hot: OneHotOption = False,
    negatives: NegativesOption = None,
    split: SplitOption = None,
    force: ForceOption = False,
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Write a manifest's images and labels for other programs.

    Author, licence and link of every image come along.
    """
    from curate.pack.export.base import Options

    if link and (copy or resize is not None):
        raise UsageError("--link is neither --copy nor --resize", "give one of them")
    if one_hot and format_ != "csv":
        raise UsageError(f"--one-hot is for csv, not {format_}", "leave it out")
    options = Options(link=link, resize_px=resize, one_hot=one_hot, negatives=negatives)
    if split:
        options = Options(link, resize, one_hot, negatives, tuple(dict.fromkeys(split)))
    is_elsewhere = from_elsewhere(manifest)
    with (
        Bars(session) as bars,
        session.project(progress=bars, may_be_new=is_elsewhere) as project,
    ):
        done = project.manifests.export(
            format_, options, manifest=manifest, target=out, force=force, dry_run=dry_run
        )
    session.show(done.to_json(), lambda console: _draw(console, done, resize))
    return ExitCode.DONE


def _draw(console: Console, done: Exported, resize: int | None) -> None:
    from curate.pack.export.rows import LEFT_OUT

    draw_table(console, ("split", "images"), list(done.images.items()))
    lines = [f"left out: {n:,} images {LEFT_OUT[why]}" for why, n in done.left_out.items()]
    if done.n_copied:
        lines.append(f"{done.n_copied:,} images had to be copied: they are on another disk")
    size = human_bytes(done.n_bytes)
    if resize is not None and not done.is_written:
        size += " before they are resized"
    lines.append(
        f"{done.manifest} as {done.format}: {sum(done.images.values()):,} images, {size}, "
        f"{len(done.classes):,} classes"
    )
    if done.is_written:
        lines.append(str(done.path))
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
