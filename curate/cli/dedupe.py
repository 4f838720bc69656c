"""`curate dedupe` and `curate include`: near-duplicates, and bringing images back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli import options as opt
from curate.cli.progress import Bars
from curate.cli.session import Session, command
from curate.config import describe
from curate.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from curate.project import Project

SHOWN = 20
"""Matches printed for a person; `--json` has all."""

RadiusOption = Annotated[
    int | None,
    typer.Option("--radius", metavar="BITS", help=describe("dedupe", "radius"), show_default=False),
]
InvariantOption = Annotated[
    str | None,
    typer.Option(
        "--invariant",
        help="Also find mirrored or turned copies. [default: neither]",
        metavar="flip,rotate",
        show_default=False,
    ),
]
KeepOption = Annotated[
    str | None,
    typer.Option("--keep", help=describe("dedupe", "keep"), metavar="LIST", show_default=False),
]
UndoOption = Annotated[
    bool, typer.Option("--undo", help="Bring back all that was left out as a near-duplicate.")
]
NotSameOption = Annotated[
    tuple[str, str] | None,
    typer.Option("--not-same", help="Declare two images different.", metavar="IMAGE IMAGE"),
]
AgainstOption = Annotated[
    Path | None,
    typer.Option(
        "--against",
        metavar="PATH",
        help="Find our images in another dataset: a manifest or a folder of images.",
    ),
]
ExcludeOption = Annotated[
    bool, typer.Option("--exclude", help="With --against or --semantic: leave out what is found.")
]
SemanticOption = Annotated[
    bool,
    typer.Option("--semantic", help="Group images whose embeddings by --model are alike."),
]
ModelOption = Annotated[
    Path | None,
    typer.Option("--model", metavar="FILE.onnx", help="A model that gives embeddings."),
]
SimilarityOption = Annotated[
    float | None,
    typer.Option(
        "--similarity",
        metavar="COSINE",
        help="Smallest cosine of two images that are alike. [default: 0.9]",
        show_default=False,
    ),
]
QualityOption = Annotated[
    str | None,
    typer.Option(
        "--exclude-quality",
        help="Leave out images that are dark, bright, blurry, small, odd_aspect, "
        "low_information or damaged (see [quality] in curate.toml).",
        metavar="LIST",
    ),
]
PageOption = Annotated[
    Path | None,
    typer.Option(
        "--page",
        metavar="FILE.html",
        help="Write a page that shows the groups side by side, the kept image first.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app)(dedupe)
    command(app)(include)


def dedupe(
    session: Session,
    radius: RadiusOption = None,
    invariant: InvariantOption = None,
    keep: KeepOption = None,
    undo: UndoOption = False,
    not_same: NotSameOption = None,
    against: AgainstOption = None,
    exclude: ExcludeOption = False,
    exclude_quality: QualityOption = None,
    semantic: SemanticOption = False,
    model: ModelOption = None,
    similarity: SimilarityOption = None,
    preset: opt.PresetOption = None,
    page: PageOption = None,
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Find copies of the same photo and leave out all but the best.

    Nothing is deleted: --undo and `curate include` bring images back.
    """
    others = {
        "--undo": undo,
        "--not-same": not_same is not None,
        "--against": against is not None,
        "--exclude-quality": exclude_quality is not None,
        "--semantic": semantic,
    }
    _refuse_contradictions(
        [name for name, is_asked in others.items() if is_asked],
        exclude=exclude,
        dry_run=dry_run,
        has_model=model is not None,
        has_page=page is not None,
    )
    flags = {"dedupe.radius": radius, "dedupe.invariant": invariant, "dedupe.keep": keep}
    with Bars(session) as bars, session.project(flags, bars) as project:
        if undo:
            return _undo(session, project, dry_run)
        if not_same is not None:
            return _not_same(session, project, not_same, dry_run)
        if against is not None:
            return _against(session, project, against, exclude, dry_run)
        if exclude_quality is not None:
            return _exclude_quality(session, project, exclude_quality, dry_run)
        if model is not None:
            return _semantic(session, project, model, similarity, preset, exclude, dry_run)
        result = project.duplicates.search(dry_run=dry_run)
        document: dict[str, Any] = result.to_json()
        if page is not None:
            document["page"] = str(project.duplicates.write_page(page))
    session.show(document, lambda console: _draw(console, document, dry_run))
    return ExitCode.DONE


def _refuse_contradictions(
    asked: list[str], *, exclude: bool, dry_run: bool, has_model: bool, has_page: bool
) -> None:
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(asked)} are different things", "give one at a time")
    if exclude and asked not in (["--against"], ["--semantic"]):
        raise UsageError("--exclude goes with --against PATH or --semantic")
    if has_model != (asked == ["--semantic"]):
        raise UsageError("--semantic and --model FILE.onnx go together")
    if has_page and (dry_run or asked):
        raise UsageError("--page shows the groups of a search that was made", "give it alone")


def include(
    session: Session,
    image: Annotated[str, typer.Argument(help="Its id, or the beginning of it.")],
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Bring an image back that was left out, and keep it in."""
    with session.project() as project:
        image_id, reason = project.duplicates.include(image, dry_run=dry_run)
    verb = "would be" if dry_run else "is"
    said = "was in already" if reason is None else f"{verb} back (was left out: {reason})"
    session.show(
        {"image_id": image_id, "was_excluded": reason},
        lambda console: console.print(f"{image_id} {said}"),
    )
    return ExitCode.DONE


def _undo(session: Session, project: Project, dry_run: bool) -> ExitCode:
    n = project.duplicates.undo(dry_run=dry_run)
    verb = "would be" if dry_run else "are"
    session.show({"brought_back": n}, lambda console: console.print(f"{n:,} images {verb} back"))
    return ExitCode.DONE


def _not_same(session: Session, project: Project, pair: tuple[str, str], dry_run: bool) -> ExitCode:
    one, other = project.duplicates.not_same(*pair, dry_run=dry_run)
    said = "would be different from then on" if dry_run else "are different from now on"
    session.show(
        {"not_same": [one, other]}, lambda console: console.print(f"{one}\n{other}\n{said}")
    )
    return ExitCode.DONE


def _against(
    session: Session, project: Project, path: Path, exclude: bool, dry_run: bool
) -> ExitCode:
    found = project.duplicates.against(path, exclude=exclude, dry_run=dry_run)
    said = ", which would be left out" if dry_run else ", now left out"

    def draw(console: Console) -> None:
        for match in found.matches[:SHOWN]:
            sure = "" if match.confirmed else ", by the short hash only"
            console.print(f"{match.image_id}  {match.kind} ({match.distance}{sure})  {match.other}")
        if len(found.matches) > SHOWN:
            console.print(f"… and {len(found.matches) - SHOWN:,} more; --json has all")
        console.print(
            f"{len(found.image_ids):,} of our images are among the {found.others:,} of {path}"
            + (said if exclude and found.matches else "")
        )

    session.show(found.to_json(), draw)
    return ExitCode.FAULTS_FOUND if found.matches else ExitCode.DONE


def _exclude_quality(session: Session, project: Project, names: str, dry_run: bool) -> ExitCode:
    flags = [each.strip() for each in names.split(",")]
    done = project.duplicates.exclude_quality(flags, dry_run=dry_run)
    verb = "would be" if dry_run else "are"

    def draw(console: Console) -> None:
        for flag, n in done.items():
            console.print(f"{flag}: {n:,} images {verb} left out")

    session.show({"excluded": done}, draw)
    return ExitCode.DONE


def _semantic(
    session: Session,
    project: Project,
    model: Path,
    similarity: float | None,
    preset: str | None,
    exclude: bool,
    dry_run: bool,
) -> ExitCode:
    found = project.duplicates.semantic(
        model, similarity=similarity, preset=preset, exclude=exclude, dry_run=dry_run
    )
    verb = "would be" if dry_run else "are"

    def draw(console: Console) -> None:
        console.print(
            f"{found.groups:,} groups of images that are alike, the largest of "
            f"{found.largest_group:,}; {found.linked:,} of {found.images:,} images stay together "
            f"in splits, {found.excluded:,} {verb} left out"
        )
        if found.unreadable:
            console.print(f"{found.unreadable:,} images gave no embedding")

    session.show(found.to_json(), draw)
    return ExitCode.DONE


def _draw(console: Console, document: dict[str, Any], dry_run: bool) -> None:
    verb = "would be" if dry_run else "are"
    console.print(
        f"{document['groups']:,} groups of near-duplicates, the largest of "
        f"{document['largest_group']:,}; {document['excluded']:,} images {verb} left out for a "
        "better copy"
        if document["groups"]
        else "no near-duplicates"
    )
    if document["split_chains"]:
        console.print(
            f"{document['split_chains']:,} cuts through chains whose ends differ too much"
        )
    if "page" in document:
        console.print(f"side by side: {document['page']}", markup=False, soft_wrap=True)
    if document["flat"]:
        console.print(f"{document['flat']:,} images show too little to be compared")
