"""`curate manifest list|show|diff|verify`: the datasets that were made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli import options as opt
from curate.cli.progress import Bars
from curate.cli.session import Session, command
from curate.cli.tables import draw_table
from curate.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from curate.pack.manifest import Manifest

SHOWN = 20
"""Differences and faults named one by one for a person; `--json` has all."""
ID_SHOWN = 16
"""Digits of an image id for a person."""

VersionArgument = Annotated[
    str | None,
    typer.Argument(help="Version or folder. [default: the newest]", metavar="[VERSION]"),
]
OldArgument = Annotated[
    str | None,
    typer.Argument(
        help="The one to compare with. [default: the one before the newest]", metavar="[OLD]"
    ),
]
NewArgument = Annotated[
    str | None, typer.Argument(help="The other one. [default: the newest]", metavar="[NEW]")
]
VersionsArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Versions or folders. [default: the newest]", metavar="[VERSION]…"),
]
ClassesOption = Annotated[
    int,
    typer.Option(
        "--classes",
        metavar="N",
        parser=opt.whole(0),
        help="Classes to print, the largest first.",
    ),
]
NoImagesOption = Annotated[
    bool,
    typer.Option("--no-images", help="Check the files of the manifest only; read no image."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    group = typer.Typer(
        help="List, show, compare and check the datasets that were made.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    command(group, "list")(list_manifests)
    command(group)(show)
    command(group)(diff)
    command(group)(verify)
    app.add_typer(group, name="manifest")


def from_elsewhere(*versions: str | None) -> bool:
    """Whether all manifests are named by their folders, so that no project is needed."""
    return all(each is not None and Path(each).is_dir() for each in versions)


def list_manifests(session: Session) -> ExitCode:
    """List the manifests, the oldest first."""
    with session.project() as project:
        rows = [_summary(each) for each in project.manifests.all()]

    def draw(console: Console) -> None:
        if not rows:
            console.print("There is no manifest yet: `curate balance` makes one.", markup=False)
            return
        keys = ("manifest", "images", "classes", "train", "val", "test", "unlabelled")
        draw_table(console, keys, [[row[key] for key in keys] for row in rows])

    session.show({"manifests": rows}, draw)
    return ExitCode.DONE


def _summary(manifest: Manifest) -> dict[str, Any]:
    images = manifest.info["images"]
    return {
        "manifest": manifest.version,
        "path": str(manifest.path),
        "parent": manifest.info.get("parent"),
        "images": sum(images[split] for split in ("train", "val", "test")),
        "classes": len(manifest.info["classes"]),
        **{split: images[split] for split in ("train", "val", "test")},
        "unlabelled": manifest.n_rows("unlabelled") if "unlabelled" in manifest.parts else 0,
    }


def show(
    session: Session, version: VersionArgument = None, classes: ClassesOption = 40
) -> ExitCode:
    """Show a manifest: classes, splits, licences, and its recipe.

    The recipe is what was asked of `curate balance`, where it is not the default.
    """
    with session.project(may_be_new=from_elsewhere(version)) as project:
        manifest = project.manifests.open(version)
    document = {**_summary(manifest), **manifest.info}
    session.show(document, lambda console: _draw_manifest(console, manifest, classes))
    return ExitCode.DONE


def _draw_manifest(console: Console, manifest: Manifest, n_classes: int) -> None:
    info = manifest.info
    by_size = sorted(info["classes"].items(), key=lambda item: (-item[1]["after"], item[0]))
    keys = ("after", "train", "val", "test")
    shown = by_size[:n_classes]
    rows: list[Sequence[str | int | None]] = [
        (name, *(n[key] for key in keys)) for name, n in shown
    ]
    if len(by_size) > len(shown):
        rest = [sum(n[key] for _, n in by_size[len(shown) :]) for key in keys]
        rows.append((f"… {len(by_size) - len(shown):,} smaller ones", *rest))
    images = info["images"]
    splits = [images[split] for split in ("train", "val", "test")]
    rows.append(("all images", sum(splits), *splits))
    draw_table(console, ("class", "images", "train", "val", "test"), rows, bold=("all images",))
    for title, counts in (
        ("labels", info["origins"]),
        ("licences", info["licenses"]),
        ("sources", info["sources"]),
    ):
        _line(console, title, _counts(counts))
    if info["negatives"]:
        _line(console, "of no class", f"{info['negatives']:,}")
    _line(console, "groups", f"{info['groups']:,}, none of them on two sides")
    _line(console, "recipe", _recipe(info["recipe"]))
    _line(console, manifest.version, str(manifest.path))


def _recipe(recipe: Mapping[str, Any]) -> str:
    """Return the settings that are not the defaults."""
    from curate.pack.recipe import Recipe

    usual = Recipe().to_json()
    own = [f"{key} {_value(v)}" for key, v in recipe.items() if v != usual.get(key)]
    return ", ".join(own) or "nothing but defaults"


def _line(console: Console, title: str, text: str) -> None:
    console.print(f"{title:12}{text}", markup=False, soft_wrap=True)


def _counts(counts: Mapping[str, int]) -> str:
    named = [f"{name} {n:,}" for name, n in list(counts.items())[:6]]
    return ", ".join(named) + (", …" if len(counts) > len(named) else "")


def _value(value: object) -> str:
    if isinstance(value, list):
        return ":".join(map(str, value)) or "any"
    return "none" if value is None else str(value)


def diff(session: Session, old: OldArgument = None, new: NewArgument = None) -> ExitCode:
    """Compare two manifests.

    Exit code 5: images, classes, splits or proposals differ.
    """
    with session.project(may_be_new=from_elsewhere(old, new)) as project:
        found = project.manifests.diff(old, new)
    document = found.to_json()
    session.show(document, lambda console: _draw_difference(console, document, found.classes))
    return ExitCode.DONE if found.is_empty else ExitCode.FAULTS_FOUND


def _draw_difference(
    console: Console, document: Mapping[str, Any], classes: Mapping[str, list[str] | None]
) -> None:
    """Draw counts, then settings, then images: those of both manifests before the others."""
    sums = ", ".join(
        f"{len(document[key]):,} {key}"
        for key in ("added", "removed", "moved", "relabelled", "proposed")
    )
    console.print(f"{document['old']} → {document['new']}: {sums}", markup=False, soft_wrap=True)
    for key, row in document["recipe"].items():
        _line(console, "recipe", f"{key}: {_value(row['from'])} → {_value(row['to'])}")

    def named(mark: str, image_id: str) -> str:
        return f"{mark} {_short(image_id)}  {_said(classes[image_id], '(unlabelled)')}"

    lines = [
        f"{named('>', row['image_id'])}: {row['from']} → {row['to']}" for row in document["moved"]
    ]
    lines += [_change("~", row, "(unlabelled)") for row in document["relabelled"]]
    lines += [named("+", each) for each in document["added"]]
    lines += [named("-", each) for each in document["removed"]]
    lines += [_change("?", row, "(nothing)") for row in document["proposed"]]
    _print_some(console, lines)


def _change(mark: str, row: Mapping[str, Any], nothing: str) -> str:
    said = (_said(row[key], nothing) for key in ("from", "to"))
    return f"{mark} {_short(row['image_id'])}  {' → '.join(said)}"


def _said(names: list[str] | None, nothing: str) -> str:
    return nothing if names is None else ", ".join(names or ["(none)"])


def _short(image_id: str) -> str:
    return image_id[:ID_SHOWN]


def _print_some(console: Console, lines: list[str]) -> None:
    for line in lines[:SHOWN]:
        console.print(line, markup=False, soft_wrap=True)
    if len(lines) > SHOWN:
        console.print(f"… and {len(lines) - SHOWN:,} more; --json has all", markup=False)


def verify(
    session: Session, versions: VersionsArgument = None, no_images: NoImagesOption = False
) -> ExitCode:
    """Check that files and images are what was written.

    And that nothing is on two sides of the split. Exit code 5: something is not as it was.
    """
    is_elsewhere = from_elsewhere(*versions) if versions else False
    with (
        Bars(session) as bars,
        session.project(progress=bars, may_be_new=is_elsewhere) as project,
    ):
        found = project.manifests.verify(versions or (), images=not no_images)
    faults = [
        {
            "kind": fault.kind,
            "manifest": version,
            **({"image_id": fault.image_id} if fault.image_id else {}),
            "path": fault.path,
            "detail": fault.detail,
        }
        for version, fault in found.faults
    ]
    document = {"checked": found.n_images, "manifests": found.n_manifests, "faults": faults}

    def draw(console: Console) -> None:
        _print_some(console, [f"{row['kind']:10} {row['path']}: {row['detail']}" for row in faults])
        what = f"{found.n_images:,} images and " if not no_images else ""
        manifests = "1 manifest" if found.n_manifests == 1 else f"{found.n_manifests:,} manifests"
        console.print(f"{what}{manifests} checked, {len(faults):,} faults")

    session.show(document, draw)
    return ExitCode.FAULTS_FOUND if faults else ExitCode.DONE
