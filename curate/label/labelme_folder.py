"""Working folders of Labelme: `labeling/0001-ann/`, made as a whole, never taken away.

A folder holds links to images, named by place and image id; a file of the flags; Labelme's
own files, for images for which classes are proposed; and `index.json`, which says what each
name stands for and what was proposed. It is written aside and renamed, so a folder that is
there is complete. Nothing in it is ever deleted by us: what people drew or wrote stays.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from curate.errors import StoreError
from curate.flags import REVIEWED, flag_names
from curate.label import labelme_file, labelme_view
from curate.label.labelme_file import SUFFIX
from curate.label.labelme_view import UnshowableError

INDEX = "index.json"
FLAGS = "flags.txt"
LOG = "labelme.log"
_NAME = re.compile(r"(\d{4,})-.+")
_FORMAT = 1

Stamps = Mapping[str, tuple[int, int]]
"""Name of a file to time of its change (ns) and length."""


@dataclass(frozen=True, slots=True)
class Task:
    """An image to be labelled, with what is proposed for it."""

    image_id: str
    """The image."""
    format: str
    """Its true format."""
    shown: tuple[str, ...] | None = None
    """Classes that are proposed; None: nothing is, or nothing is to be shown."""
    score: float | None = None
    """Score of the proposal, 0-1."""
    by: str | None = None
    """SHA-256 of the model that proposes, or `source` or `query`."""
    blind: bool = False
    """It is shown without its proposal on purpose."""


@dataclass(frozen=True, slots=True)
class Working:
    """A working folder."""

    path: Path
    """Where it is, absolute."""
    id: str
    """Stands in the keys of all annotations made in it."""
    annotator: str
    """Who works in it, or did last."""
    queue: str
    """The queue that its images come from; empty: the usual order."""
    opened_at: float
    """When this annotator began, Unix seconds."""
    flags: Mapping[str, str]
    """Flag to class, in order."""
    is_exclusive: bool
    """An image has one class at most."""
    tasks: Mapping[str, Task]
    """Name of the image file to the image, in order."""
    since: Stamps
    """Labelme's files as they were when this annotator began: they are not theirs."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A new working folder."""

    working: Working
    """The folder."""
    unshowable: Mapping[str, str]
    """Images that could not be put into it, and why."""


def prepare(
    root: Path,
    tasks: Iterable[Task],
    locate: Callable[[Task], Path],
    classes: tuple[str, ...],
    *,
    is_exclusive: bool,
    annotator: str,
    queue: str,
    now: float,
) -> Prepared:
    """Make a working folder.

    Args:
        root: the folder `labeling/`; made if there is none.
        tasks: the images, in the order in which Labelme shows them.
        locate: where the file of an image is.
        classes: the classes, in order.
        is_exclusive: an image has one class at most.
        annotator: who is going to work in it.
        queue: where the images come from; empty: the usual order.
        now: Unix seconds.

    Raises:
        StoreError: it cannot be written.
    """
    tasks = list(tasks)
    digest = hashlib.sha256(repr((annotator, queue, now, tasks)).encode("utf-8", "replace"))
    part = root / f".{digest.hexdigest()[:16]}-{os.getpid()}.part"
    try:
        part.mkdir(parents=True)
        flags = flag_names(classes)
        (part / FLAGS).write_text("\n".join([REVIEWED, *flags]) + "\n", encoding="utf-8")
        shown, unshowable = _fill(part, tasks, locate, flags)
        working = Working(
            part, digest.hexdigest()[:16], annotator, queue, now, flags, is_exclusive, shown,
            stamps(part),
        )  # fmt: skip
        write_index(working)
        return Prepared(replace(working, path=_settle(part, root, annotator)), unshowable)
    except OSError as error:
        raise StoreError(f"cannot write into {root}: {error.strerror}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _fill(
    folder: Path,
    tasks: list[Task],
    locate: Callable[[Task], Path],
    flags: Mapping[str, str],
) -> tuple[dict[str, Task], dict[str, str]]:
    shown: dict[str, Task] = {}
    unshowable: dict[str, str] = {}
    digits = max(4, len(str(len(tasks))))
    for task in tasks:
        stem = f"{len(shown) + 1:0{digits}d}-{task.image_id}"
        try:
            view = labelme_view.show(locate(task), task.format, folder, stem)
        except UnshowableError as error:
            unshowable[task.image_id] = str(error)
            continue
        shown[view.name] = task
        ticked = [flag for flag, name in flags.items() if name in (task.shown or ())]
        if ticked:
            data = labelme_file.prefilled(
                view.name, [*flags], ticked, view.width_px, view.height_px
            )
            (folder / f"{stem}{SUFFIX}").write_bytes(data)
    return shown, unshowable


def _settle(part: Path, root: Path, annotator: str) -> Path:
    """Give a folder the next free number, and return its path."""
    plain = re.sub(r"[^\w.-]+", "-", annotator).strip("-.")[:40] or "anybody"
    number = max((int(each.name.split("-")[0]) for each in _folders(root)), default=0)
    while True:
        number += 1
        path = root / f"{number:04d}-{plain}"
        try:
            path.mkdir()  # claims the name: only one process can
        except FileExistsError:
            continue
        if any(each != path and each.name.startswith(f"{number:04d}-") for each in _folders(root)):
            path.rmdir()
            continue
        os.replace(part, path)  # noqa: PTH105 - the same call; it may replace the empty folder
        return path.resolve()


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    found = [each for each in root.iterdir() if _NAME.fullmatch(each.name) and each.is_dir()]
    return sorted(found, key=lambda each: (int(each.name.split("-")[0]), each.name))


def workings(root: Path) -> list[Working]:
    """Return the working folders of a project, the oldest first; no others."""
    found = (open_folder(each) for each in _folders(root))
    return [each for each in found if each is not None]


def open_folder(path: Path) -> Working | None:
    """Return the working folder at a path; None if it is none, or its index is damaged."""
    try:
        document = json.loads((path / INDEX).read_bytes())
        tasks = {
            str(name): Task(
                str(each["image_id"]),
                str(each["format"]),
                None if each["shown"] is None else tuple(map(str, each["shown"])),
                None if each["score"] is None else float(each["score"]),
                None if each["by"] is None else str(each["by"]),
                bool(each["blind"]),
            )
            for name, each in document["images"].items()
        }
        return Working(
            path.resolve(),
            str(document["id"]),
            str(document["annotator"]),
            str(document["queue"]),
            float(document["opened_at"]),
            {str(flag): str(name) for flag, name in document["flags"].items()},
            bool(document["exclusive"]),
            tasks,
            {name: (changed, n_bytes) for name, (changed, n_bytes) in document["since"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def taken_over(working: Working, annotator: str, now: float) -> Working:
    """Return the folder for another annotator: what is in it now is not theirs."""
    return replace(working, annotator=annotator, opened_at=now, since=stamps(working.path))


def write_index(working: Working) -> None:
    """Write the index of a folder, as a whole or not at all.

    Raises:
        StoreError: it cannot be written.
    """
    document: dict[str, Any] = {
        "format": _FORMAT,
        "id": working.id,
        "annotator": working.annotator,
        "queue": working.queue,
        "opened_at": working.opened_at,
        "exclusive": working.is_exclusive,
        "flags": dict(working.flags),
        "images": {
            name: {
                "image_id": task.image_id,
                "format": task.format,
                "shown": task.shown,
                "score": task.score,
                "by": task.by,
                "blind": task.blind,
            }
            for name, task in working.tasks.items()
        },
        "since": dict(working.since),
    }
    written = working.path / f".{INDEX}.part"
    try:
        written.write_text(json.dumps(document, indent=1), encoding="utf-8")
        written.replace(working.path / INDEX)
    except OSError as error:
        raise StoreError(f"cannot write into {working.path}: {error.strerror}") from error


def label_files(folder: Path) -> list[Path]:
    """Return the files in a folder that may be Labelme's, by name."""
    try:
        names = sorted(each.name for each in os.scandir(folder))
    except OSError:
        return []
    wanted = (name for name in names if name.lower().endswith(SUFFIX) and name != INDEX)
    return [folder / name for name in wanted if not name.startswith(".")]


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Return time of change and length of each file of `label_files`."""
    found = {path.name: labelme_file.stamp(path) for path in label_files(folder)}
    return {name: each for name, each in found.items() if each is not None}


def is_untouched(working: Working) -> bool:
    """Return whether nothing was saved in a folder since it was made."""
    return stamps(working.path) == dict(working.since)
