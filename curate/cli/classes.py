"""`curate classes list|set|rename|map`: which classes there are, and what they are called."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli import options as opt
from curate.cli.session import Session, command
from curate.cli.tables import draw_table
from curate.errors import ExitCode, SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from curate.catalog.class_lists import ClassList
    from curate.label.outside import Outside
    from curate.project import Project

SHOWN = 20
"""Classes that are named one by one; `--json` has all."""

NamesArgument = Annotated[
    list[str], typer.Argument(help="Names, in the order in which they are shown.", metavar="NAME…")
]
ExclusiveOption = Annotated[
    bool | None,
    typer.Option(
        "--exclusive/--multi",
        help="An image has one class at most, or as many as apply. [default: as before]",
        show_default=False,
    ),
]
UndoOption = Annotated[
    bool, typer.Option("--undo", help="Take back the rename of OLD to NEW, also of a merge.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    group = typer.Typer(
        help="List, set, rename and merge the classes.", no_args_is_help=True, rich_markup_mode=None
    )
    command(group, "list")(list_classes)
    command(group, "set")(set_classes)
    command(group)(rename)
    command(group, "map")(map_classes)
    app.add_typer(group, name="classes")


def list_classes(session: Session) -> ExitCode:
    """List the classes, and how many images have each.

    As a hint of a source or a search, and as an annotation of a person.
    """
    with session.project() as project:
        chosen = project.people.class_list()
        _, hinted, _ = project.status()
        annotated = project.people.annotated()
        outside = _outside(project, chosen)
    images = {each.name: each.images for each in hinted}
    reserve = {each.name: each.pending for each in hinted}
    document = _document(chosen, outside)
    document["hinted"] = {name: images.get(name, 0) for name in chosen.names}
    document["in_reserve"] = {name: reserve.get(name, 0) for name in chosen.names}
    document["annotated"] = {name: annotated.get(name, 0) for name in chosen.names}

    def draw(console: Console) -> None:
        rows = [
            (name, images.get(name, 0), reserve.get(name, 0), annotated.get(name, 0))
            for name in chosen.names
        ]
        draw_table(console, ("class", "hinted", "in reserve", "annotated"), rows)
        console.print(_said(chosen))

    session.show(document, draw)
    _say_outside(session, outside)
    return ExitCode.DONE


def set_classes(
    session: Session,
    names: NamesArgument,
    exclusive: ExclusiveOption = None,
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Set the classes of the project.

    Hints and labels of other classes do not count then.
    """
    with session.project(may_be_new=True) as project:
        if not dry_run:
            project.made()
        people = project.people
        is_one = people.class_list().exclusive if exclusive is None else exclusive
        chosen = people.set_classes(names, exclusive=is_one, dry_run=dry_run)
        outside = _outside(project, chosen)

    def draw(console: Console) -> None:
        console.print(_said(chosen), markup=False)

    session.show(_document(chosen, outside), draw)
    _say_outside(session, outside)
    return ExitCode.DONE


def rename(
    session: Session,
    old: Annotated[str, typer.Argument(help="Its name so far.")],
    new: Annotated[str, typer.Argument(help="Its new name; a class of that name takes it in.")],
    undo: UndoOption = False,
    annotator: opt.AnnotatorOption = None,
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Give a class another name, or merge it into another.

    No annotation is changed, and --undo takes it back.
    """
    if not undo:
        return _rename(session, {old: new}, annotator, dry_run)
    with session.project({"label.annotator": annotator}) as project:
        project.people.undo_rename(old, new, _who(project), dry_run=dry_run)
        names = project.people.class_list().names
    verb = "would no longer be" if dry_run else "is no longer"
    session.show(
        {"undone": {old: new}, "classes": list(names)},
        lambda console: console.print(
            f"what was {old} {verb} {new}, but {old} again", markup=False
        ),
    )
    return ExitCode.DONE


def map_classes(
    session: Session,
    file: Annotated[Path, typer.Argument(help="CSV with old and new name in each row.")],
    annotator: opt.AnnotatorOption = None,
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Rename and merge many classes at once.

    For example breeds to cat and dog. All of them happen at the same time.
    """
    return _rename(session, _read_map(file), annotator, dry_run)


def _rename(
    session: Session, pairs: Mapping[str, str], annotator: str | None, dry_run: bool
) -> ExitCode:
    from curate.label.renaming import rename_rows

    with session.project({"label.annotator": annotator}) as project:
        who = _who(project)
        rows = rename_rows(pairs, who, project.clock())
        if not dry_run:
            project.made()
        people = project.people
        unknown = sorted(set(pairs) - set(people.class_list().names))
        if unknown:
            session.say(f"no class is called {', '.join(unknown)}; it is renamed where it turns up")
        if not dry_run:
            people.rename(pairs, who)
        names = people.class_list().names
    changes = {each.classes[0]: each.classes[1] for each in rows if each.classes}
    document = {"renamed": changes, "classes": list(names)}

    def draw(console: Console) -> None:
        draw_table(console, ("was", "would be" if dry_run else "is"), list(changes.items()))

    session.show(document, draw)
    return ExitCode.DONE


def _who(project: Project) -> str:
    from curate.carriers.labeling import user_name

    return project.settings.label.annotator.strip() or user_name(project.environ)


def _read_map(path: Path) -> dict[str, str]:
    """Read pairs of names; a first row `old,new` or `from,to` is a heading."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"cannot read {path}: {getattr(error, 'strerror', error)}") from error
    if rows and [cell.lower() for cell in rows[0]] in (["old", "new"], ["from", "to"]):
        rows = rows[1:]
    pairs: dict[str, str] = {}
    for row in rows:
        if len(row) != 2 or not all(row):
            raise SourceError(f"{path}: {','.join(row)!r} is not an old and a new name")
        old, new = row
        if pairs.setdefault(old, new) != new:
            raise SourceError(f"{path}: {old!r} is to be both {pairs[old]!r} and {new!r}")
    if not pairs:
        raise SourceError(f"{path} holds no names", "write `old,new` in each row")
    return pairs


def _outside(project: Project, chosen: ClassList) -> Outside | None:
    """Return what the list leaves without a label; None where it leaves out no class."""
    return project.people.outside(chosen.names) if chosen.is_set else None


def _document(chosen: ClassList, outside: Outside | None) -> dict[str, Any]:
    return {
        "version": chosen.version,
        "classes": list(chosen.names),
        "exclusive": chosen.exclusive,
        "set": chosen.is_set,
        "outside": {} if outside is None else dict(outside.classes),
        "outside_images": 0 if outside is None else outside.images,
    }


def _say_outside(session: Session, outside: Outside | None) -> None:
    if outside is None or not outside.images:
        return
    named = [f"{name} {n:,}" for name, n in list(outside.classes.items())[:SHOWN]]
    more = ", …" if len(outside.classes) > SHOWN else ""
    images = "1 image is" if outside.images == 1 else f"{outside.images:,} images are"
    session.say(
        f"{images} labelled only with classes outside the list: {', '.join(named)}{more}. They "
        "have no label in a dataset; `curate classes rename OLD NEW` merges a class into another"
    )


def _said(chosen: ClassList) -> str:
    n = len(chosen.names)
    kind = "one for each image" if chosen.exclusive else "several for an image are possible"
    if not chosen.is_set:
        return (
            f"{n} classes, as hints and people name them; {kind}: `curate classes set` settles it"
        )
    where = f"version {chosen.version}" if chosen.version else "from curate.toml"
    return f"{n} classes, {where}; {kind}"
