"""`curate status` and `curate verify`: where everything stands, and whether it is sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli import options as opt
from curate.cli.progress import Bars
from curate.cli.session import Session, command
from curate.cli.tables import draw_table, human_bytes
from curate.errors import ExitCode, UsageError
from curate.records import Reason
from curate.report.status import status_json

if TYPE_CHECKING:
    from rich.console import Console

    from curate.assist.pays import Pays
    from curate.catalog.counts import ClassCount, Counts
    from curate.catalog.troubles import Trouble
    from curate.project import Project

ByOption = Annotated[
    str | None,
    typer.Option(
        "--by",
        metavar="PROPERTY",
        help="Count images by quality, license, source, format, or excluded.",
    ),
]

ReasonArgument = Annotated[
    str | None, typer.Argument(help="With --failed: only these.", metavar="[REASON]")
]
FailedOption = Annotated[
    bool, typer.Option("--failed", help="List candidates that failed, and why.")
]
ExcludedOption = Annotated[
    bool, typer.Option("--excluded", help="List images that datasets leave out, and why.")
]
HOSTS = 10
"""Hosts that are named at most."""
IMBALANCED = 1.5
"""From this ratio of the largest class to the smallest on, status says so."""
LISTED = 50
"""Rows that are listed at most."""


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app)(status)
    command(app)(verify)


def status(
    session: Session,
    reason: ReasonArgument = None,
    by: ByOption = None,
    failed: FailedOption = False,
    excluded: ExcludedOption = False,
) -> ExitCode:
    """Say what was found, what became of it, and what is missing."""
    if (by is not None) + failed + excluded > 1:
        raise UsageError("--by, --failed and --excluded exclude each other", "give one of them")
    if reason is not None and not failed:
        raise UsageError(f"{reason!r} is a reason for --failed", "add --failed")
    with session.project() as project:
        _say_if_new(session, project)
        if by is not None:
            found = project.duplicates.count_by(by)
            session.show(
                {"by": by, "images": dict(found)},
                lambda console: draw_table(console, (by, "images"), list(found.items())),
            )
            return ExitCode.DONE
        counts, classes, skipped = project.status()
        if failed:
            return _list_failed(session, project, counts, reason)
        if excluded:
            return _list_excluded(session, project, counts)
        pays = project.learning.pays() if counts.annotated else None
        annotated = project.people.annotated() if counts.annotated else {}
        hosts, disputed = troubles_of(project)
    document = status_json(counts, classes, skipped, hosts, disputed, annotated)
    if pays is not None:
        document["pays"] = pays.to_json()

    def draw(console: Console) -> None:
        draw_status(console, counts, classes, skipped, annotated)
        draw_troubles(console, hosts, disputed)
        draw_imbalance(console, classes)
        if pays is not None:
            draw_pays(console, pays)

    session.show(document, draw)
    return ExitCode.DONE


def troubles_of(project: Project) -> tuple[list[Trouble], int]:
    """Return the hosts that fail, and how often a source contradicts itself."""
    from curate.catalog import images, imports, troubles

    db = project.look()
    disputed = len(images.disputed_images(db)) + len(imports.disputed_waiting(db))
    return troubles.hosts(db, HOSTS), disputed


def _list_failed(
    session: Session, project: Project, counts: Counts, reason: str | None
) -> ExitCode:
    from curate.catalog import failures

    if reason is not None and reason not in tuple(Reason):
        raise UsageError(f"{reason!r} is not a reason", f"reasons are: {', '.join(Reason)}")
    chosen = None if reason is None else Reason(reason)
    rows = failures.failed(project.db, chosen, LISTED) if project.exists else []
    total = counts.failed.get(reason, 0) if reason else sum(counts.failed.values())
    cells = [(each.reason, each.url, each.detail) for each in rows]
    session.show(
        {"failed": [asdict(each) for each in rows], "total": total},
        lambda console: _draw_rows(console, ("reason", "url", "detail"), cells),
    )
    _say_if_cut(session, len(rows), total)
    return ExitCode.DONE


def _list_excluded(session: Session, project: Project, counts: Counts) -> ExitCode:
    from curate.catalog import failures

    rows = failures.excluded(project.db, LISTED) if project.exists else []
    total = sum(counts.excluded.values())
    cells = [(each.reason, each.image_id, each.url, each.kept_id) for each in rows]
    session.show(
        {"excluded": [asdict(each) for each in rows], "total": total},
        lambda console: _draw_rows(console, ("reason", "image", "url", "kept instead"), cells),
    )
    _say_if_cut(session, len(rows), total)
    return ExitCode.DONE


def _draw_rows(
    console: Console, headings: Sequence[str], rows: Sequence[Sequence[str | None]]
) -> None:
    if rows:
        draw_table(console, headings, rows)
    else:
        console.print("none")


def _say_if_cut(session: Session, shown: int, total: int) -> None:
    if shown < total:
        session.say(f"the first {shown:,} of {total:,}")


def verify(
    session: Session,
    repair: Annotated[
        bool, typer.Option("--repair", help="Fetch damaged and missing images again.")
    ] = False,
    dry_run: opt.DryRunOption = False,
) -> ExitCode:
    """Read every image again; compare with catalog and manifests."""
    with Bars(session) as bars, session.project(progress=bars) as project:
        _say_if_new(session, project)
        result = project.verify(repair=repair and not dry_run)
    damaged = sorted({fault.image_id for fault in result.faults if fault.image_id})
    document: dict[str, Any] = {
        "checked": result.checked,
        "faults": [
            {
                "kind": fault.kind,
                **({"image_id": fault.image_id} if fault.image_id else {}),
                **({"path": fault.path} if fault.path else {}),
                "detail": fault.detail,
            }
            for fault in result.faults
        ],
        "unrecorded": result.unrecorded,
        "repaired": result.repaired,
        **({"would_fetch": damaged} if repair and dry_run else {}),
    }

    def draw(console: Console) -> None:
        for fault in result.faults:
            text = f"{fault.kind}: {fault.path or fault.image_id or ''}: {fault.detail}"
            console.print(text, markup=False)
        ends = [f"{result.checked:,} images checked", f"{len(result.faults):,} faults"]
        if result.unrecorded:
            ends.append(f"{result.unrecorded:,} files that no row knows")
        if repair and dry_run:
            ends.append(f"{len(damaged):,} would be fetched again")
        elif repair:
            ends.append(f"{result.repaired:,} fetched again")
        console.print(", ".join(ends))

    session.show(document, draw)
    if damaged and not repair:
        session.say("run `curate verify --repair` to fetch damaged and missing images again")
    return ExitCode.FAULTS_FOUND if result.faults else ExitCode.DONE


def _say_if_new(session: Session, project: Project) -> None:
    if not project.exists:
        how = "`curate fetch --query …` or `curate import DIR` gets some"
        session.say(f"{project.folder.resolve()} holds no images yet: {how}")


def draw_status(
    console: Console,
    counts: Counts,
    classes: list[ClassCount],
    skipped: Mapping[str, int],
    annotated: Mapping[str, int],
) -> None:
    """Draw candidates by outcome and images by class.

    Args:
        console: where.
        counts: candidates and images.
        classes: images by class hint.
        skipped: rows of sources that gave no candidate, by reason.
        annotated: images by the class that people gave them.
    """
    outcomes = [
        ("stored", counts.stored),
        ("duplicate", counts.duplicate),
        ("pending", counts.pending),
        *((f"failed: {reason}", n) for reason, n in counts.failed.items()),
        ("total", counts.total),
    ]
    draw_table(console, ("candidates", "n"), outcomes, bold=("total",))
    if counts.retrying:
        console.print(f"{counts.retrying:,} of the pending ones have failed before")
    if skipped:
        parts = ", ".join(f"{reason} {n:,}" for reason, n in sorted(skipped.items()))
        console.print(f"rows that gave no candidate: {parts}", markup=False)
    _draw_classes(console, [each for each in classes if each.name], annotated)
    excluded = "".join(f", {n:,} excluded as {reason}" for reason, n in counts.excluded.items())
    size = human_bytes(counts.n_bytes)
    console.print(f"\n{counts.kept:,} images kept{excluded}; {size} in all", markup=False)
    if counts.annotations:
        console.print(
            f"{_many(counts.annotated, 'image')} annotated by "
            f"{_many(counts.annotators, 'person', 'people')}, "
            f"in {_many(counts.annotations, 'entry', 'entries')}"
        )
    if counts.proposals:
        models = _many(counts.models, "model")
        console.print(f"{_many(counts.proposals, 'proposal')} by {models}")


def _draw_classes(
    console: Console, classes: Sequence[ClassCount], annotated: Mapping[str, int]
) -> None:
    """Draw images by class hint; with what people gave them, and classes of theirs alone."""
    hinted = {each.name for each in classes}
    rows: list[tuple[str | int | None, ...]] = [
        (each.name, each.images, each.quota, each.pending, annotated.get(each.name, 0))
        for each in classes
    ]
    rows += [(name, 0, None, 0, n) for name, n in annotated.items() if name not in hinted]
    if rows:
        console.print()
        heads = ("class", "images", "wanted", "in reserve", "annotated")
        n_columns = len(heads) if annotated else len(heads) - 1
        draw_table(console, heads[:n_columns], [row[:n_columns] for row in rows])


def draw_troubles(console: Console, hosts: Sequence[Trouble], disputed: int) -> None:
    """Name the hosts that fail, and say that a source contradicts itself."""
    if hosts:
        console.print()
        rows = [
            (
                each.host,
                each.n_failed,
                f"{each.share:.0%}",
                ", ".join(f"{reason} {n:,}" for reason, n in each.failed.items()),
            )
            for each in hosts
        ]
        draw_table(console, ("host", "failed", "of tried", "reasons"), rows)
    if disputed:
        console.print(
            f"\n{_many(disputed, 'image')} with contradicting labels: "
            "`curate annotations conflicts` names them"
        )


def draw_imbalance(console: Console, classes: Sequence[ClassCount]) -> None:
    """Say how uneven the classes are."""
    found = [each for each in classes if each.name and each.images]
    if len(found) < 2:
        return
    least, most = min(found, key=lambda one: one.images), max(found, key=lambda one: one.images)
    if most.images < IMBALANCED * least.images:
        return
    total = sum(each.images for each in found)
    shares = f"{most.name} {most.images / total:.0%}, {least.name} {least.images / total:.0%}"
    console.print(
        f"The classes are imbalanced: {shares} ({most.images / least.images:.1f} to 1). "
        "`curate balance --downsample min` evens them out.",
        markup=False,
    )


def _many(n: int, one: str, several: str = "") -> str:
    return f"{n:,} {one if n == 1 else several or one + 's'}"


def draw_pays(console: Console, pays: Pays) -> None:
    """Say whether proposals save time here, and how far they can be trusted."""
    from curate.assist.pays import describe

    lines = list(pays.verdict)
    if pays.safe_score is not None:
        lines.append(f"{pays.waiting_safe:,} of {pays.waiting:,} waiting images have such a score.")
    if often := describe(pays.corrected):
        lines.append(f"Proposals that are corrected most often: {often}.")
    console.print()
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
