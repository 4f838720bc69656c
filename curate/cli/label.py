"""`curate label`: label images in Labelme."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli import options as opt
from curate.cli.progress import Bars
from curate.cli.session import Session, command, report_error
from curate.config import describe
from curate.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from curate.carriers.labeling import Labeling
    from curate.carriers.labeling import Session as Labelled
    from curate.project import Project

BatchOption = Annotated[
    int | None,
    typer.Option("--batch", metavar="N", help=describe("label", "batch"), show_default=False),
]
QueueOption = Annotated[
    str,
    typer.Option(
        "--queue",
        metavar="NAME",
        help="Only images of this queue, in its order. [default: those nobody has decided about]",
        show_default=False,
    ),
]
OverlapOption = Annotated[
    int,
    typer.Option(
        "--overlap", metavar="K", parser=opt.whole(1), help="Give each image to K people."
    ),
]
FolderOption = Annotated[
    Path | None,
    typer.Option(
        "--folder",
        metavar="DIR",
        help="Open this working folder again; with --import-only, any folder of Labelme files.",
    ),
]
ImportOnlyOption = Annotated[
    bool, typer.Option("--import-only", help="Only import what was saved; do not start Labelme.")
]
PrepareOnlyOption = Annotated[
    bool, typer.Option("--prepare-only", help="Only make the working folder; do not start Labelme.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app)(label)


def label(
    session: Session,
    annotator: opt.AnnotatorOption = None,
    batch: BatchOption = None,
    queue: QueueOption = "",
    manifest: opt.OnlyManifestOption = None,
    overlap: OverlapOption = 1,
    folder: FolderOption = None,
    import_only: ImportOnlyOption = False,
    prepare_only: PrepareOnlyOption = False,
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Label images in Labelme; what is saved is imported at once."""
    if sum((import_only, prepare_only, dry_run)) > 1:
        raise UsageError("--import-only, --prepare-only and --dry-run are different things")
    if folder is not None and (queue or manifest or batch is not None):
        raise UsageError(
            "--folder has its images already: --queue, --manifest and --batch choose new ones"
        )
    flags = {"label.annotator": annotator, "label.batch": batch}
    with Bars(session) as bars, session.project(flags, bars) as project:
        if project.exists and not (dry_run or import_only):
            project.learning.fill_queue(queue)
        labeling = _labeling(project, queue, manifest or "", overlap, folder)
        if dry_run:
            return _plan(session, labeling)
        if import_only:
            return _end(session, labeling.import_all(folder))
        return _label(session, labeling, prepare_only=prepare_only)


def _labeling(
    project: Project, queue: str, manifest: str, overlap: int, folder: Path | None
) -> Labeling:
    from curate.carriers.labeling import Asked, Labeling, user_name

    given = project.settings.label
    who = given.annotator.strip() or user_name(project.environ)
    return Labeling(project, Asked(who, given.batch, queue, overlap, folder, manifest))


def _plan(session: Session, labeling: Labeling) -> ExitCode:
    tasks = labeling.plan()
    n = sum(task.shown is not None for task in tasks)
    document = {
        "annotator": labeling.asked.annotator,
        "folder": str(labeling.root),
        "images": len(tasks),
        "proposed": n,
    }
    session.show(
        document,
        lambda console: console.print(
            f"{len(tasks):,} images would be put into a folder in {labeling.root}, "
            f"{n:,} of them with proposed classes, for {labeling.asked.annotator}",
            markup=False,
            soft_wrap=True,
        ),
    )
    return ExitCode.DONE


def _label(session: Session, labeling: Labeling, *, prepare_only: bool) -> ExitCode:
    from curate.label import labelme_program

    environ = labeling.project.environ
    labeling.check()
    program = None
    if not prepare_only:
        labelme_program.check_display(environ)
        program = labelme_program.find(environ)
        labelme_program.check_version(program, environ)
    working = labeling.prepare()
    if working is None:
        session.say(_nothing(labeling.session.left))
        return _end(session, labeling.session)
    for image_id, why in labeling.session.unshowable.items():
        session.say(f"{image_id} cannot be shown: {why}")
    if program is None:
        words = shlex.join(labelme_program.arguments(Path("labelme"), working))
        session.say(f"label it with: {words}\nand then: curate label --import-only")
        done = labeling.session
        said = (
            f"prepared {done.prepared:,} images in {working.path} for {working.annotator}; "
            f"{done.left:,} wait for a label in all"
        )
        session.show(
            done.to_json(),
            lambda console: console.print(said, markup=False, soft_wrap=True),
        )
        return ExitCode.DONE
    session.say(
        f"{len(working.tasks):,} images in {working.path}, for {working.annotator}: tick the "
        "classes and `reviewed`, D for the next; close the window when you are done"
    )
    return _end(session, labeling.run(working, program))


def _nothing(left: int) -> str:
    if left == 0:
        return "every image is labelled: nothing waits"
    return (
        f"{left:,} images wait, but others have them: what they do not label comes back half an "
        "hour after it was given out, and --overlap K gives each image to K people"
    )


def _end(session: Session, done: Labelled) -> ExitCode:
    session.show(done.to_json(), lambda console: _draw(console, done.to_json()))
    for fault in done.faults:
        session.say(f"{fault.path}: {fault.detail}")
    for name, n in done.unknown.items():
        session.say(
            f"{name!r} is ticked ({n:,}x) but not in the class list: it is kept; add it with "
            "`curate classes set`, or rename it with `curate classes rename`"
        )
    if done.is_interrupted:
        hint = "what was saved is imported; run it again to go on"
        report_error(session, "interrupted", "stopped", hint)
        return ExitCode.INTERRUPTED
    if done.error is not None:
        report_error(session, done.error.kind, done.error.message, done.error.hint)
        return done.error.exit_code
    return ExitCode.FAILURES_LEFT if done.faults else ExitCode.DONE


def _draw(console: Console, document: dict[str, Any]) -> None:
    labels = "label" if document["labels"] == 1 else "labels"
    words = [f"{document['labels']:,} {labels} by {document['annotator']}"]
    if document["none_of_the_classes"]:
        words.append(f"{document['none_of_the_classes']:,} of them none of the classes")
    if document["undone"]:
        words.append(f"{document['undone']:,} taken back")
    if document["faults"]:
        words.append(f"files with faults: {len(document['faults']):,}")
    words.append(f"images left: {document['left']:,}")
    console.print(", ".join(words), markup=False, soft_wrap=True)
