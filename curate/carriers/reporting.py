"""From a project to its report: gathers what the page and the pictures show.

`curate report` comes here. What is missing (no manifest, nobody who labelled, no model) leaves
its section out; an empty project has nothing to report and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import CurateError, PackError, StoreError, UsageError, install_hint
from curate.report.facts import AgreementRow, EvaluationFacts, ReportFacts, Thumb

if TYPE_CHECKING:
    from curate.assist.evaluate import Evaluation
    from curate.carriers.folder import ProjectFolder
    from curate.pack.manifest import Manifest

REPORT = "report.html"
SHEETS = 24
"""Classes with a contact sheet: the largest and the smallest."""
THUMBS = 12
"""Pictures of each."""
COPY_GROUPS = 9
_SCANNED_BATCHES = 50
"""Batches of rows that are looked through for pictures: rare classes may lie behind."""


@dataclass(frozen=True, slots=True)
class Reported:
    """What a report wrote."""

    path: Path
    """The page."""
    pictures: tuple[Path, ...]
    """The PNGs."""
    facts: ReportFacts
    """All that it shows."""


def report(
    project: ProjectFolder,
    *,
    manifest: str | None = None,
    out: Path | None = None,
    png: Path | None = None,
    dry_run: bool = False,
) -> Reported:
    """Write the report of a project.

    Args:
        project: it.
        manifest: version or path; None: the newest, if there is one.
        out: the page; None: `report.html` in the project.
        png: folder for pictures; None: none are drawn.
        dry_run: gather everything, write nothing.

    Raises:
        CurateError: there is nothing to report.
        UsageError: matplotlib is not installed.
        PackError: there is no such manifest.
        StoreError: a file cannot be written.
    """
    from curate.report.summary import write_report

    if not project.exists:
        raise CurateError("there is nothing to report yet", "begin with `curate fetch`")
    facts = gather(project, manifest)
    path = project.folder / REPORT if out is None else out
    if dry_run:
        return Reported(path, (), facts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_report(path, facts)
        pictures = () if png is None else _draw(png, facts)
    except OSError as error:
        raise StoreError(f"cannot write {error.filename}: {error.strerror}") from error
    return Reported(path, pictures, facts)


def _draw(folder: Path, facts: ReportFacts) -> tuple[Path, ...]:
    try:
        from curate.report.png import draw
    except ImportError as error:
        raise UsageError(
            "pictures need matplotlib, which is not installed",
            f"{install_hint('report')}, or leave --png out: the page needs nothing",
        ) from error
    return draw(folder, facts)


def gather(project: ProjectFolder, name: str | None = None) -> ReportFacts:
    """Gather what a report shows.

    Args:
        project: it.
        name: version or path of the manifest; None: the newest, if there is one.

    Raises:
        PackError: there is no manifest of that name.
    """
    from curate.carriers.sidebyside import side_by_side
    from curate.report.collect import collect

    manifest = _manifest(project, name)
    info = _of_hints(project) if manifest is None else manifest.info
    db = project.look()
    return collect(
        db,
        "" if manifest is None else manifest.version,
        info,
        title=f"The dataset in {project.folder.resolve().name}",
        lead=_lead(info, manifest),
        sheets={} if manifest is None else _sheets(project, manifest),
        copies=side_by_side(
            db, project.store, project.settings.dedupe, n_groups=COPY_GROUPS, links=True
        ),
        quality=project.settings.quality,
        agreement=_agreement(project),
        evaluation=_evaluation(project),
        notes=_notes(info, manifest),
    )


def _manifest(project: ProjectFolder, name: str | None) -> Manifest | None:
    try:
        return project.manifests.open(name)
    except PackError:
        if name is not None:
            raise
        return None


def _of_hints(project: ProjectFolder) -> dict[str, Any]:
    """Describe a project without a manifest as if all its class hints were labels."""
    from curate.report.by import count_by

    _, classes, _ = project.status()
    db, limits = project.look(), project.settings.balance
    counted = {each.name: each.images for each in classes if each.name and each.images}
    return {
        "images": {"images": sum(counted.values())},
        "classes": {name: {"before": n, "images": n} for name, n in counted.items()},
        "dropped": {},
        "groups": 0,
        "licenses": count_by(db, "license", project.settings.quality),
        "sources": count_by(db, "source", project.settings.quality),
        "recipe": {
            "min_per_class": max(1, limits.min_per_class),
            "max_per_class": limits.max_per_class or None,
        },
    }


def _lead(info: Mapping[str, Any], manifest: Manifest | None) -> str:
    total, classes = sum(info["images"].values()), len(info["classes"])
    if manifest is None:
        return (
            f"{classes:,} classes so far, by what sources and searches say. No dataset has been "
            "made of them yet: `curate balance` does."
        )
    origins = ", ".join(f"{n:,} by {origin}" for origin, n in info["origins"].items())
    return (
        f"{total:,} images in {classes:,} classes, manifest {manifest.version}. "
        f"Labels: {origins or 'none'}."
    )


def _notes(info: Mapping[str, Any], manifest: Manifest | None) -> tuple[str, ...]:
    notes = [f"Cite: {each['text']}" for each in info.get("citations", ())]
    if manifest is not None and not info.get("near_duplicates_searched"):
        notes.append(
            "Near-duplicates were not looked for among all these images: run `curate dedupe`."
        )
    if "unsplash" in info["sources"]:
        notes.append("Unsplash restricts machine-learning use of its images: read its terms.")
    return tuple(notes)


def _sheets(project: ProjectFolder, manifest: Manifest) -> dict[str, tuple[Thumb, ...]]:
    """Make contact sheets of the largest and the smallest classes.

    Rows are in the order of hashes, so the first ones of a class are as good as drawn.
    """
    sizes = manifest.info["classes"]
    ordered = sorted(sizes, key=lambda name: (-sizes[name]["after"], name))
    half = SHEETS // 2
    chosen = ordered if len(ordered) <= SHEETS else [*ordered[:half], *ordered[-half:]]
    wanted = {name: min(THUMBS, sizes[name]["after"]) for name in chosen}
    found: dict[str, list[Mapping[str, Any]]] = {name: [] for name in chosen}
    columns = ["path", "labels", "author", "license", "page_url", "split"]
    for place, batch in enumerate(manifest.batches(columns, ("train", "val", "test"))):
        for row in batch.to_pylist():
            for name in row["labels"]:
                if name in wanted and len(found[name]) < wanted[name]:
                    found[name].append(row)
        full = all(len(found[name]) == n for name, n in wanted.items())
        if full or place == _SCANNED_BATCHES:
            break
    return {name: tuple(_thumbs(project.folder, rows)) for name, rows in found.items() if rows}


def _thumbs(folder: Path, rows: Iterable[Mapping[str, Any]]) -> Iterable[Thumb]:
    from curate.pack.verify import is_inside
    from curate.report.thumbs import make_thumb

    for row in rows:
        if not is_inside(row["path"]):
            continue
        credit = f"{row['author'] or 'unknown'}, {row['license'] or 'no licence'}"
        title = f"{', '.join(row['labels'])}: {credit}, {row['split']}"
        try:
            yield make_thumb(folder / row["path"], title, row["page_url"] or "")
        except OSError:
            continue  # missing or damaged: `curate verify` tells


def _agreement(project: ProjectFolder) -> tuple[AgreementRow, ...]:
    if not project.look().one("SELECT EXISTS (SELECT 1 FROM annotations)")[0]:
        return ()
    try:
        found = project.people.agreement()
    except UsageError:
        return ()  # the library for it is not installed
    if not found.whole.n:
        return ()
    rows = [("", found.whole), *found.classes.items()]
    return tuple(
        AgreementRow(name, each.n, each.percent, each.alpha) for name, each in rows if each.n
    )


def _evaluation(project: ProjectFolder) -> EvaluationFacts | None:
    """Measure the newest model by the proposals that it has made, if it can be measured."""
    from curate.carriers.grading import GradeRequest, grade_model

    if not project.look().one("SELECT EXISTS (SELECT 1 FROM proposals)")[0]:
        return None
    try:
        graded = grade_model(project, GradeRequest())
    except UsageError:
        return None  # nobody has labelled anything that it did not learn from
    return evaluation_facts(graded.name, graded.evaluation)


def evaluation_facts(model: str, measured: Evaluation) -> EvaluationFacts:
    """Return what a report shows of an evaluation.

    Args:
        model: name of the model's file.
        measured: the evaluation.
    """
    matrix = measured.confusion if measured.is_exclusive else ()
    return EvaluationFacts(
        model=model,
        n=measured.n,
        verdict=measured.verdict,
        measures={
            "accuracy": measured.accuracy,
            f"always saying {measured.majority}": measured.majority_accuracy,
            "balanced accuracy": measured.balanced_accuracy,
            "macro F1": measured.macro_f1,
        },
        names=tuple(name or "none of them" for name in measured.classes),
        confusion=tuple(tuple(int(n) for n in row) for row in matrix),
        f1={name or "none of them": each.f1 for name, each in measured.classes.items()},
    )
