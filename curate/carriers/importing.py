"""From a dataset on the disk to a project: its images, and what it says of them.

`Project.import_` comes here. The whole dataset is read once before anything is written, so
that one that cannot be read leaves the catalog as it was; then its rows are taken in, and the
files are copied and verified as downloads are. What the dataset says are hints of a source.
Importing it again replaces what it said before, and reads files again that failed or changed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from curate.carriers.asked import FetchRequest, asked
from curate.carriers.fetching import FetchResult, result, run
from curate.catalog import candidates, images, imports
from curate.errors import CurateError, SourceError, UsageError
from curate.records import Annotation, Kind
from curate.sources import create, datasets

if TYPE_CHECKING:
    from curate.carriers.finding import Question
    from curate.carriers.folder import ProjectFolder
    from curate.sources.base import Query, Source
    from curate.sources.dataset import DatasetSource
    from curate.sources.folder import FolderSource

NAMED = 20
"""Contradictions that are told one by one."""


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import, and what to make of it."""

    path: Path
    """A folder or a file."""
    format: str | None = None
    """One of `curate.sources.datasets.names`; None: found out from the content."""
    classes: tuple[str, ...] | None = None
    """Class hints for all its images, whatever it says; ("",) marks negatives."""
    label_columns: tuple[str, ...] = ()
    """Columns of a table with the classes; empty: found by name and content."""
    file_column: str | None = None
    """Column of a table with files or URLs; None: found likewise."""
    images: Path | None = None
    """Folder that file names start from; None: as the format has it."""
    outside: bool = False
    """Files may lie outside the dataset's folder."""
    keep_split: bool = False
    """`balance` is to keep the dataset's split."""
    link: bool = False
    """Hard-link files instead of copying them."""
    annotator: str | None = None
    """Whose annotations its labels become; None: they stay hints."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """An image to which a dataset gives different classes in different places."""

    url: str
    """Where it is."""
    said: tuple[tuple[str, tuple[str, ...]], ...]
    """Each of its names in the dataset, with the classes there; none of them where empty."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    result: FetchResult
    """How everything stands now."""
    format: str
    """What the dataset was read as."""
    left: Mapping[str, int]
    """Rows that gave no image, by reason."""
    conflicts: tuple[Contradiction, ...]
    """Where it contradicts itself."""
    waiting: int
    """Images that are at URLs, still to be fetched."""
    annotated: int
    """Annotations that are new."""


@dataclass(frozen=True, slots=True)
class There:
    """What is in a dataset."""

    images: int
    """Images, one of several classes once."""
    classes: Mapping[str, int]
    """Images by class; "" are those of none."""
    left: Mapping[str, int]
    """What gives no image, by reason."""


def import_dataset(project: ProjectFolder, request: ImportRequest) -> Imported:
    """Take in a dataset. See `Project.import_`."""
    from curate.fetch.check import decoders

    wanted, finder = question(request), project.finder()
    ((source, query),) = finder.queries(wanted)
    there = _check(project, request, source, query)
    if request.annotator is not None:
        from curate.label.ledger import check_name

        check_name(request.annotator)
    settings = project.settings.fetch
    with project.taking_in("import"), decoders(project.store, settings) as pool:
        (each,) = finder.open(project.db, wanted)
        _take(project, request, each)
        candidates.choose_source(project.db, "folder")
        end = run(project, pool, wait=False, link=request.link, only=candidates.CHOSEN)
    conflicts = _contradictions(project, each)
    annotated = _annotate(project, request, each.search.id)
    return Imported(
        result=result(project, end, None),
        format=datasets.choose(request.path, request.format)[0],
        left=there.left,
        conflicts=conflicts,
        waiting=imports.count_waiting(project.db, each.search.id),
        annotated=annotated,
    )


def preview(project: ProjectFolder, request: ImportRequest) -> There:
    """Count what an import would find. Nothing is written."""
    ((source, query),) = project.finder().queries(question(request))
    return _check(project, request, source, query)


def question(request: ImportRequest) -> FetchRequest:
    """Return what is asked of which source.

    Raises:
        SourceError: there is nothing at the path, or nothing that can be imported.
        UsageError: there is no such format, or flags that it has no use for.
    """
    chosen, _ = datasets.choose(request.path, request.format)
    kept = {"keep_split": ("yes",)} if request.keep_split else {}
    if chosen in datasets.TREES:
        if not request.path.is_dir():
            raise SourceError(f"{request.path} is not a folder", "give a folder of images")
        if request.label_columns or request.file_column or request.images:
            raise UsageError(
                f"{request.path} is a tree of folders, which has no columns",
                "name the table itself, or say what it is with --format",
            )
        return FetchRequest("folder", path=request.path, classes=request.classes, params=kept)
    params = {
        "format": (request.format,) if request.format else (),
        "label_column": request.label_columns,
        "file_column": (request.file_column,) if request.file_column else (),
        "images": (str(request.images.absolute()),) if request.images else (),
        "outside": ("yes",) if request.outside else (),
        **kept,
    }
    given = {key: values for key, values in params.items() if values}
    return FetchRequest("dataset", path=request.path, classes=request.classes, params=given)


def _check(project: ProjectFolder, request: ImportRequest, source: Source, query: Query) -> There:
    """Read a dataset without writing anything; say what is left out, and return what is there."""
    n, left, splits, classes = 0, Counter[str](), Counter[str](), Counter[str]()
    for page in source.pages(query):
        n += len(page.candidates)
        classes.update(name for each in page.candidates for name in each.classes or ("",))
        splits.update(each.meta["split"] for each in page.candidates if "split" in each.meta)
        left.update(page.skipped)
        project.progress("read", n, None)
    left.pop("project", None)
    examples = cast("DatasetSource | FolderSource", source).examples
    said = [
        f"{count:,} as {reason} (e.g. {', '.join(examples.get(reason, ()))})"
        for reason, count in sorted(left.items())
    ]
    if not n:
        why = f"left out: {'; '.join(said)}" if said else "there is none in it"
        hint = ""
        if left["outside"]:
            hint = "files outside its folder are taken with --allow-outside, or start at --images"
        elif left["missing_file"]:
            hint = "say where its files are with --images DIR"
        raise SourceError(f"{request.path} gives no image: {why}", hint)
    for text in said:
        project.notify(f"{request.path.name}: left out {text}")
    if splits and not request.keep_split:
        parts = ", ".join(f"{name} {count:,}" for name, count in sorted(splits.items()))
        project.notify(f"its split is not kept ({parts}): --keep-split keeps it")
    return There(n, dict(sorted(classes.items())), dict(left))


def _take(project: ProjectFolder, request: ImportRequest, each: Question) -> None:
    """Take in all that the dataset says, in place of what it said before."""
    from curate.carriers.reimport import requeue
    from curate.catalog import searches

    db, finder = project.db, project.finder()
    is_dataset = each.source.name == "dataset"
    imports.retract(db, str(request.path.resolve()), each.search.id, own=is_dataset)
    if is_dataset and searches.by_id(db, each.search.id).is_answered:
        searches.restart(db, each.search.id)
    finder.take(db, each)
    if is_dataset:
        requeue(db, cast("DatasetSource", each.source).root(each.query))
    else:
        requeue(db, request.path)


def _contradictions(project: ProjectFolder, each: Question) -> tuple[Contradiction, ...]:
    """Return, and tell, where a dataset gives an image different classes."""
    wanted = imports.disputed_ids(project.db, each.search.id)
    if not wanted or each.source.name != "dataset":
        return ()
    said = cast("DatasetSource", each.source).said(each.query, wanted)
    found = tuple(Contradiction(key[1], tuple(names)) for key, names in sorted(said.items()))
    for one in found[:NAMED]:
        names = "; ".join(
            f"{name}: {' | '.join(classes) or '(none)'}" for name, classes in one.said
        )
        project.notify(f"contradicting labels: {names} ({one.url})")
    if len(found) > NAMED:
        project.notify(f"and {len(found) - NAMED:,} more: `curate annotations conflicts`")
    return found


def statements(project: ProjectFolder) -> dict[str, dict[str, str]]:
    """Return what datasets that contradict themselves say of each image, name by name.

    They are read again: the catalog knows only that they do. One that is gone says nothing.

    Returns:
        For the URL of each image, the names that it has in the dataset, with the classes there.
    """
    db, finder = project.look(), project.finder()
    found: dict[str, dict[str, str]] = {}
    for search in imports.disputing(db):
        request, query = asked(search)
        wanted = imports.disputed_ids(db, search.id)
        try:
            source = create(search.source, finder.context(request))
            told = cast("DatasetSource", source).said(query, wanted)
        except CurateError as error:
            project.notify(f"what was imported cannot be read again: {error.message}")
            continue
        for key, names in told.items():
            found[key[1]] = {name: " | ".join(some) or "(none)" for name, some in names}
    return found


def _annotate(project: ProjectFolder, request: ImportRequest, search_id: int) -> int:
    """Record what the dataset says as annotations; return how many are new.

    The same statement is one annotation, however often it is imported: what a person of that
    name decided later stays in force.
    """
    if request.annotator is None:
        return 0
    n, now = 0, project.clock()
    renames = project.people.renames()
    with project.people.ledger() as ledger:
        for page in imports.said_of_images(project.db, search_id):
            disputed = images.disputed_images(project.db, [image_id for image_id, _ in page])
            rows = [
                _annotation(request, image_id, renames.names(classes), now)
                for image_id, classes in page
                if image_id not in disputed
            ]
            n += sum(ledger.add(rows))
    return n


def _annotation(
    request: ImportRequest, image_id: str, classes: tuple[str, ...], now: float
) -> Annotation:
    annotator = str(request.annotator)
    said = "\0".join((str(request.path.resolve()), annotator, image_id, *classes))
    digest = hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()
    return Annotation(
        key=f"import-{digest[:32]}",
        kind=Kind.LABEL,
        annotator=annotator,
        decided_at=now,
        image_id=image_id,
        classes=tuple(sorted(classes)),
        tool="import",
    )
