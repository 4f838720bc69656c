"""What `curate label` does: ties working folders of Labelme to the catalog and the ledger.

A session imports what earlier ones left behind, makes a folder of images that wait for a
person, runs Labelme on it, and reads what is saved while it runs and once more at its end.
The ledger alone says what is known, so a session that dies, on either side, costs nothing:
the files are there, and the next session reads them.
"""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from curate.carriers import waiting
from curate.catalog import annotations as rows
from curate.catalog import assignments, images, undecided
from curate.catalog.assignments import Wish
from curate.catalog.class_lists import ClassList
from curate.errors import CurateError, LockedError, UsageError
from curate.flags import flag_names
from curate.label import labelme_folder, labelme_program
from curate.label.labelme_folder import Task, Working
from curate.label.labelme_import import Fault, Found, Reader
from curate.records import Kind

if TYPE_CHECKING:
    from curate.carriers.folder import ProjectFolder
    from curate.carriers.people import People
    from curate.label.ledger import Ledger

FOLDER = "labeling"
"""Where the working folders are, in the project."""
ELSEWHERE = "files"
"""Stands in the keys of annotations from folders that we did not make."""
POLL_S = 0.5
HOLD_S = 600.0
"""How often the catalog is told that somebody still works on a folder."""
_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be labelled, and by whom."""

    annotator: str
    """Who labels."""
    batch: int
    """Images at most."""
    queue: str = ""
    """Only images of this queue, in its order; empty: images that nobody has decided about."""
    overlap: int = 1
    """People for each image."""
    folder: Path | None = None
    """This working folder instead of a new one."""
    manifest: str = ""
    """Only images of this manifest; empty: of the whole project."""


@dataclass(slots=True)
class Session:
    """What one run of `curate label` did."""

    annotator: str
    """Who labelled."""
    folder: Path | None = None
    """The working folder; None: there was nothing to do."""
    prepared: int = 0
    """Images in it."""
    unshowable: dict[str, str] = field(default_factory=dict)
    """Images that cannot be shown, and why."""
    labels: int = 0
    """Labels that came in."""
    none: int = 0
    """Those of them that say "none of the classes"."""
    undone: int = 0
    """Labels that were taken back."""
    faults: list[Fault] = field(default_factory=list)
    """Files that became no annotation."""
    unknown: dict[str, int] = field(default_factory=dict)
    """Classes that are not in the class list, with the number of files; they count."""
    left: int = 0
    """Images that still wait."""
    error: CurateError | None = None
    """How Labelme ended, unless it was closed as usual."""
    is_interrupted: bool = False
    """Stopped by Ctrl-C; what was saved is imported."""

    def to_json(self) -> dict[str, Any]:
        """Return the document of `--json`."""
        return {
            "annotator": self.annotator,
            "folder": None if self.folder is None else str(self.folder),
            "prepared": self.prepared,
            "unshowable": self.unshowable,
            "labels": self.labels,
            "none_of_the_classes": self.none,
            "undone": self.undone,
            "faults": [
                {"path": str(each.path), "kind": each.kind, "detail": each.detail}
                for each in self.faults
            ],
            "unknown_classes": self.unknown,
            "left": self.left,
        }


def user_name(environ: Mapping[str, str]) -> str:
    """Return the name of whoever is logged in; `me` where the system cannot say."""
    for name in ("LOGNAME", "USER", "USERNAME"):
        if given := environ.get(name, "").strip():
            return given
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "me"


class Labeling:
    """`curate label`, step by step.

    Args:
        project: what is labelled.
        asked: what, and by whom.
    """

    def __init__(self, project: ProjectFolder, asked: Asked) -> None:
        self.project = project
        self.asked = asked
        self.people: People = project.people
        self.root = project.folder.resolve() / FOLDER
        self.session = Session(asked.annotator)
        self._wished: Wish | None = None

    # Steps

    def check(self) -> None:
        """Make sure that there is something to label, and classes to choose from.

        Raises:
            CurateError: there is not.
        """
        waiting.classes(self.project)

    def plan(self) -> list[Task]:
        """Return the images that a new folder would hold.

        Raises:
            CurateError: there are no images, or no classes.
            UsageError: there is no such queue.
            PackError: there is no such manifest.
        """
        self.check()
        ids = waiting.waiting(self.project, self._wish())
        return list(waiting.tasks(self.project, ids, self.asked.queue))

    def import_all(self, path: Path | None = None) -> Session:
        """Read what is in the project's working folders, or in one folder.

        Args:
            path: any folder with files of Labelme; None: all working folders.

        Raises:
            UsageError: there is no such folder, or no such queue.
            PackError: there is no such manifest.
        """
        if path is not None and not path.is_dir():
            raise UsageError(f"{path} is not a folder")
        self._wish()  # refused, if at all, before anything is read
        if path is None and not self.project.exists:
            return self._done()
        with self.people.ledger() as ledger:
            for working in self._workings(path):
                self._take(ledger, self._reader(working), is_over=True)
        return self._done()

    def prepare(self) -> Working | None:
        """Import what is left, and return the folder to work in; None if nothing waits.

        Raises:
            CurateError: there are no images, or no classes.
            UsageError: there is no such queue, or `folder` is no working folder.
            PackError: there is no such manifest.
            StoreError: the folder cannot be written.
        """
        self.check()
        self.import_all()
        working = self._given() if self.asked.folder is not None else self._made()
        if working is not None:
            self.session.folder = working.path
            self.session.prepared = len(working.tasks)
        return working

    def run(self, working: Working, program: Path) -> Session:
        """Run Labelme on a folder until it ends; import what is saved, as it is saved.

        Raises:
            LabelmeError: it cannot be started.
            LockedError: somebody is at work in the folder.
        """
        with ExitStack() as stack:
            stack.enter_context(_held(working))
            ledger = stack.enter_context(self.people.ledger())
            reader = self._reader(working)
            process = labelme_program.start(program, working, self.project.environ)
            try:
                self._follow(ledger, reader, process)
            except KeyboardInterrupt:
                self.session.is_interrupted = True
                labelme_program.stop(process)
            else:
                self.session.error = labelme_program.ended_badly(process.returncode, working)
            self._take(ledger, reader, is_over=True)
            ids = [task.image_id for task in working.tasks.values()]
            assignments.release(self.project.db, working.annotator, working.queue, ids)
        return self._done()

    # Folders

    def _wish(self) -> Wish:
        if self._wished is None:
            asked = self.asked
            among = waiting.among(self.project, asked.queue, asked.manifest)
            self._wished = Wish(asked.annotator, asked.batch, asked.queue, asked.overlap, among)
        return self._wished

    def _made(self) -> Working | None:
        """Return a new folder; the last one of this annotator if nothing was done in it."""
        ids = waiting.given(self.project, self._wish())
        tasks = list(waiting.tasks(self.project, ids, self.asked.queue))
        if not tasks:
            return None
        chosen = waiting.classes(self.project)
        for each in reversed(labelme_folder.workings(self.root)):
            if self._is_same(each, tasks, chosen):
                return each
        prepared = labelme_folder.prepare(
            self.root,
            tasks,
            lambda task: self.project.store.path(task.image_id, task.format),
            chosen.names,
            is_exclusive=chosen.exclusive,
            annotator=self.asked.annotator,
            queue=self.asked.queue,
            now=self.project.clock(),
        )
        self.session.unshowable = dict(prepared.unshowable)
        return prepared.working

    def _is_same(self, working: Working, tasks: Sequence[Task], chosen: ClassList) -> bool:
        return (
            (working.annotator, working.queue) == (self.asked.annotator, self.asked.queue)
            and list(working.tasks.values()) == tasks
            and dict(working.flags) == flag_names(chosen.names)
            and working.is_exclusive == chosen.exclusive
            and labelme_folder.is_untouched(working)
            and not _is_busy(working)
        )

    def _given(self) -> Working:
        assert self.asked.folder is not None
        working = labelme_folder.open_folder(self.asked.folder)
        if working is None:
            raise UsageError(
                f"{self.asked.folder} is no working folder of `curate label`",
                "to import a folder of Labelme's, add --import-only",
            )
        if working.annotator != self.asked.annotator:
            with _held(working):
                pass  # whoever is at work in it goes on under their own name
            now = self.project.clock()
            working = labelme_folder.taken_over(working, self.asked.annotator, now)
            labelme_folder.write_index(working)
        return working

    def _workings(self, path: Path | None) -> list[Working]:
        if path is None:
            return labelme_folder.workings(self.root)
        working = labelme_folder.open_folder(path)
        if working is not None:
            return [working]
        chosen = self.people.class_list()
        flags = flag_names(chosen.names)
        who, now = self.asked.annotator, self.project.clock()
        return [Working(path.resolve(), ELSEWHERE, who, "", now, flags, chosen.exclusive, {}, {})]

    # Importing

    def _reader(self, working: Working) -> Reader:
        db = self.project.db
        return Reader(
            working,
            lambda image_id: rows.of_image(db, image_id),
            lambda image_id: images.known_format(db, image_id) is not None,
            self.project.clock,
        )

    def _follow(self, ledger: Ledger, reader: Reader, process: subprocess.Popen[bytes]) -> None:
        """Import what is saved until Labelme ends; tell of what is wrong, each thing once."""
        told: set[tuple[Path, str]] = set()
        working = reader.working
        ids = [task.image_id for task in working.tasks.values()]
        held_at = -HOLD_S
        while True:
            now = self.project.clock()
            if now - held_at >= HOLD_S:
                held_at = now
                undecided.hold(self.project.db, working.annotator, working.queue, ids, now)
            try:
                process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                pass
            else:
                return
            found = reader.look(is_over=False)
            self._keep(ledger, found)
            for each in found.faults:
                if (each.path, each.detail) not in told:
                    told.add((each.path, each.detail))
                    self.project.notify(f"{each.path.name}: {each.detail}")
            self.project.progress("label", self.session.labels, len(ids))

    def _take(self, ledger: Ledger, reader: Reader, *, is_over: bool) -> None:
        found = reader.look(is_over=is_over)
        self._keep(ledger, found)
        self.session.faults.extend(found.faults)
        for flag, n in found.unknown.items():
            self.session.unknown[flag] = self.session.unknown.get(flag, 0) + n

    def _keep(self, ledger: Ledger, found: Found) -> None:
        if not found.annotations:
            return
        for each, is_new in zip(found.annotations, ledger.add(found.annotations), strict=True):
            if not is_new:
                continue
            if each.kind is Kind.UNDO:
                self.session.undone += 1
            else:
                self.session.labels += 1
                self.session.none += not each.classes

    def _done(self) -> Session:
        self.session.left = undecided.count_waiting(self.project.look(), self._wish())
        return self.session


@contextmanager
def _held(working: Working) -> Iterator[None]:
    """Hold a working folder; the system lets it go when the process ends, however it ends."""
    lock = FileLock(working.path / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise LockedError(
            f"somebody is at work in {working.path}", "wait for the window to be closed"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _is_busy(working: Working) -> bool:
    if not (working.path / _LOCK).exists():
        return False
    try:
        with _held(working):
            return False
    except LockedError:
        return True
