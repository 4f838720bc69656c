"""`curate balance`: from verified images to a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from curate.cli import options as opt
from curate.cli.progress import Bars
from curate.cli.session import Session, command
from curate.cli.tables import draw_table
from curate.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

SPLITS = ("train", "val", "test")
ENOUGH_FOR_ALL = 10
"""A class of so many groups has an image in every split, if it is dealt anew."""
STAY = (
    "images stay where earlier manifests or their own dataset have put them; "
    "`curate balance --fresh` divides anew"
)
"""Why shares are not met, and what to run."""
SHOWN = 20
"""Classes named one by one for a person; `--json` has all."""
ALL = "all images"
"""The last row of the table of classes; an image of several classes counts once there."""
NAMED = 3
"""Classes named in one line."""
LEAST_OF_DUE = 2 / 3
"""With less than this of the training images that are due, a person is warned."""
LEFT_OUT = {
    "rejected": "that somebody has rejected",
    "conflict": "about which people or sources contradict each other",
    "outside": "labelled only with classes outside the class list",
    "unlabelled": "without a class",
    "untrusted": "with a label weaker than --trust",
    "license": "of a licence that is not among --license",
    "where": "that do not fulfil --where",
    "small_class": "of dropped classes",
    "cap": "of classes above their cap",
    "negatives": "of no class, above --negatives",
}
"""What each reason to leave an image out means."""
CHANGED = {
    "recipe": "the recipe has changed",
    "images": "the images have changed",
    "near_duplicates": "what is known of near-duplicates has changed",
}
"""Why there is a new version."""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app)(balance)


def balance(
    session: Session,
    min_per_class: opt.MinPerClassOption = None,
    max_per_class: opt.MaxPerClassOption = None,
    downsample: opt.DownsampleOption = None,
    keep: opt.KeepOption = None,
    spread_by: opt.SpreadByOption = None,
    upsample: opt.UpsampleOption = None,
    negatives: opt.NegativesOption = None,
    trust: opt.TrustOption = None,
    license_: opt.LicenseOption = None,
    where: opt.WhereOption = None,
    splits: opt.SplitsOption = None,
    group_by: opt.GroupByOption = None,
    holdout_by: opt.HoldoutByOption = None,
    folds: opt.FoldsOption = None,
    fresh: opt.FreshOption = False,
    include_unlabelled: opt.IncludeUnlabelledOption = False,
    seed: opt.SeedOption = None,
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Choose images, split them without leaks, write a manifest."""
    given = {
        "min_per_class": min_per_class,
        "max_per_class": max_per_class,
        "downsample": downsample,
        "keep": keep,
        "spread_by": spread_by,
        "upsample": upsample,
        "negatives": negatives,
        "trust": trust,
        "licenses": license_,
        "where": where,
        "splits": splits,
        "group_by": group_by,
        "holdout_by": holdout_by,
        "folds": folds,
        "sticky": False if fresh else None,
        "include_unlabelled": True if include_unlabelled else None,
        "seed": seed,
    }
    flags = {f"balance.{key}": value for key, value in given.items()}
    with Bars(session) as bars, session.project(flags, bars) as project:
        result = project.balance(dry_run=dry_run)
    document: dict[str, Any] = result.to_json()
    session.show(document, lambda console: _draw(console, document))
    return ExitCode.DONE


def _draw(console: Console, document: dict[str, Any]) -> None:
    keys = ["before", "after", *SPLITS]
    if document["repeated"]:
        keys.append("train_rows")
    classes = document["classes"].items()
    rows = [(name, *(n[key] for key in keys)) for name, n in classes]
    sums = (ALL, None, sum(document["images"].values()), *document["images"].values())
    repeated = document["images"]["train"] + document["repeated"]
    rows.append((*sums, *([repeated] if document["repeated"] else [])))
    draw_table(console, ("class", *(key.replace("_", " ") for key in keys)), rows, bold=(ALL,))
    for line in [*_lines(document), *_proof(document), *_warnings(document), *_where(document)]:
        console.print(line, markup=False, soft_wrap=True)


def _lines(document: dict[str, Any]) -> list[str]:
    """Say what the table of classes does not: sums, and what is missing from it."""
    sizes = document["images"]
    shares = ", ".join(f"{sizes[split]:,} {split}" for split in SPLITS)
    besides = [
        f"; {n:,} {what}"
        for n, what in (
            (document["negatives"], "of no class"),
            (document["unlabelled"], "unlabelled ones besides"),
            (document["repeated"], "training rows repeat one"),
        )
        if n
    ]
    lines = [f"{_images(sum(sizes.values()))}: {shares}{''.join(besides)}"]
    lines += _some([_dropped(name, n, document) for name, n in document["dropped"].items()])
    lines += [
        f"left out: {_images(n)} {LEFT_OUT[reason]} ({reason}){_named(reason, document)}"
        for reason, n in document["left_out"].items()
        if n
    ]
    return lines + _lacking(document)


def _lacking(document: dict[str, Any]) -> list[str]:
    """Name the classes that a split lacks, and what would help."""
    # Those that train lacks have a warning of their own, unless test is held out.
    without = {
        split: dict.fromkeys(names)
        for split, names in document["without_image"].items()
        if split != "train" or document["holdout"]
    }
    by_splits: dict[tuple[str, ...], list[str]] = {}
    for name in document["classes"]:
        if splits := tuple(split for split, names in without.items() if name in names):
            by_splits.setdefault(splits, []).append(name)
    if not by_splits:
        return []
    said = [
        f"{' and '.join(splits)} {'has' if len(splits) == 1 else 'have'} no image of "
        f"{_first_names(names)}"
        for splits, names in by_splits.items()
    ]
    could_have = any(
        not document["images"][split] or document["classes"][name]["after"] >= ENOUGH_FOR_ALL
        for split, names in without.items()
        for name in names
    )
    cure = f": {STAY}" if could_have and _stays(document) and not document["holdout"] else ""
    return [f"{'; '.join(said)}{cure}"]


def _named(reason: str, document: dict[str, Any]) -> str:
    """Name the classes that the class list lacks."""
    if reason != "outside":
        return ""
    found = [f"{name} {n:,}" for name, n in document["outside"].items()]
    more = ", …" if len(found) > SHOWN else ""
    return f": {', '.join(found[:SHOWN])}{more}"


def _dropped(name: str, n: int, document: dict[str, Any]) -> str:
    if n < document["min_per_class"]:
        return f"dropped {name}: {_images(n)}, too few"
    return (
        f"dropped {name}: it has {_images(n)}, but no choice gives every class its "
        f"{document['min_per_class']:,} without another going above its cap"
    )


def _some(lines: list[str]) -> list[str]:
    hidden = len(lines) - SHOWN
    return lines[:SHOWN] + ([f"… and {hidden:,} more, see --json"] if hidden > 0 else [])


def _proof(document: dict[str, Any]) -> list[str]:
    """Say what shows that the split can be trusted, and what of it is not new."""
    proof, nearest = document["proof"], document["proof"]["nearest"]
    parts = [f"{proof['groups_on_two_sides']} of {document['groups']:,} groups on two sides"]
    if nearest is not None and nearest["bits"] is not None:
        parts.append(f"the nearest images across sides differ in {nearest['bits']} of 64 bits")
    elif nearest is not None and nearest["beyond"] is not None:
        parts.append(f"images across sides differ in more than {nearest['beyond']} of 64 bits")
    if off := proof["largest_deviation"]:
        parts.append(
            f"classes are off their shares by {off['images']:g} images at most "
            f"({off['class']} in {off['split']})"
        )
    lines = [f"proof: {'; '.join(parts)}"]
    if held := document["holdout"]:
        values = ", ".join(held["values"][:SHOWN]) + (" …" if len(held["values"]) > SHOWN else "")
        lines.append(
            f"held out for test: {held['by']} {values}; {_images(held['carried'])} of other "
            "values came along with their group"
        )
    sticky = document["sticky"]
    if sticky["versions"]:
        moved = "".join(
            f"; {_images(n)} moved from {' to '.join(way.split('_to_'))}"
            for way, n in sticky["moved"].items()
        )
        lines.append(
            f"{_images(sticky['kept'])} stay where {sticky['versions'][0]} had them{moved}"
        )
    return lines


def _warnings(document: dict[str, Any]) -> list[str]:
    lines = [*_train_warning(document), *_dealt_warning(document)]
    if not document["near_duplicates_searched"]:
        lines.append(
            "near-duplicates were not looked for among all these images: "
            "run `curate dedupe` first, or copies may be on two sides"
        )
    if n := document["alike_across"]:
        pairs = "1 pair of images looks" if n == 1 else f"{n:,} pairs of images look"
        lines.append(f"{pairs} alike and {'is' if n == 1 else 'are'} on two sides")
    return lines


def _train_warning(document: dict[str, Any]) -> list[str]:
    """Warn of a dataset with no training image of a class, or far fewer than are due."""
    if document["holdout"]:
        return []
    total, n_train = sum(document["images"].values()), document["images"]["train"]
    due = round(document["train_due"] * total)
    without = [name for name, n in document["classes"].items() if n["after"] and not n["train"]]
    said = []
    if n_train < due * LEAST_OF_DUE:
        said.append(f"train has {n_train:,} of {_images(total)}, and {due:,} are due")
    if without:
        said.append(f"no training image of {_first_names(without)}")
    if not said:
        return []
    why = STAY if _stays(document) else "images that stay together leave no other choice"
    return [f"WARNING: {'; '.join(said)}: {why}"]


def _stays(document: dict[str, Any]) -> bool:
    """Tell whether images had a side before."""
    return bool(document["sticky"]["versions"] or document["sticky"]["kept"])


def _dealt_warning(document: dict[str, Any]) -> list[str]:
    """Warn of images that have been trained on and are judged by now, for a changed recipe."""
    said = [
        f"{_images(n)} moved from train to {split}"
        for split in ("test", "val")
        if (n := document["sticky"]["dealt"].get(f"train_to_{split}"))
    ]
    if not said:
        return []
    return [
        f"WARNING: {', '.join(said)}: the recipe divides otherwise than before, and a model that "
        "was trained on an earlier manifest has seen them; the same --splits, --seed and --folds "
        "would leave them in train, `curate balance --fresh` begins anew"
    ]


def _first_names(names: list[str]) -> str:
    hidden = len(names) - NAMED
    if hidden <= 0:
        return ", ".join(names)
    return f"{', '.join(names[:NAMED])} and {hidden:,} more {'class' if hidden == 1 else 'classes'}"


def _where(document: dict[str, Any]) -> list[str]:
    if document["manifest"] is None:
        return []
    place = f"{document['manifest']}: {document['path']}"
    if document["unchanged"]:
        return [f"{place}, as it was"]
    why = " and ".join(CHANGED[each] for each in document["changed"])
    return [f"{place}, a new version: {why}" if why else place]


def _images(n: int) -> str:
    return "1 image" if n == 1 else f"{n:,} images"
