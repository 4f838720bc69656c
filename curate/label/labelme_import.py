"""From what Labelme saved to annotations: once each, however often a folder is read.

Nothing is remembered outside the ledger. The keys of a folder's annotations count them per
image (`labelme:FOLDER:NUMBER:DIGEST`), so the ledger itself says what the folder's last word
on an image was; a file that says the same adds nothing, also after a crash, and one that
says something new adds exactly one row. A tick that is taken away again becomes an undo.

What a file says, in the order of these rules:

- more than one class where the list allows one: nothing is chosen, it is reported;
- `reviewed` ticked: the ticked classes are the label, none of them if none is;
- the ticks are those that were there before: nobody has decided anything;
- classes ticked: they are the label;
- no class ticked: nobody has decided anything (or not yet).

What the same person decided elsewhere after the file was saved stands: it is not overruled by
a file that is only read now.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from curate.errors import UsageError
from curate.flags import REVIEWED
from curate.label import labelme_file
from curate.label.labelme_file import BadFileError, Saved
from curate.label.labelme_folder import Task, Working, label_files
from curate.label.ledger import checked
from curate.label.replay import newest
from curate.records import Annotation, Kind
from curate.store import sha256_file

QUIET_S = 1.0
"""A file that changed less long ago is left alone: its author is not done yet."""
LONGEST_PAUSE_S = 300.0
"""A longer time between two saves is a pause, not the time of a decision."""
_IMAGE_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Fault:
    """A file that does not become an annotation, and stays as it is."""

    path: Path
    """The file."""
    kind: str
    """`unreadable`, `unknown_image`, `two_classes` or `bad_class`."""
    detail: str
    """What is wrong, for a person."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one look at a folder brought."""

    annotations: Sequence[Annotation]
    """What is new, in the order in which it was saved."""
    faults: Sequence[Fault]
    """What is wrong with files as they are now."""
    unknown: Mapping[str, int]
    """Ticked flags that are no class of the folder, with the number of files: they count."""


@dataclass(slots=True)
class _Read:
    """A file as it was read last."""

    stamp: tuple[int, int]
    saved: Saved | None
    image_id: str | None
    task: Task | None
    fault: Fault | None


@dataclass(slots=True)
class Reader:
    """Reads one folder again and again; only files that have changed."""

    working: Working
    """The folder; for one that we did not make, without images and stamps."""
    history: Callable[[str], Sequence[Annotation]]
    """Returns all that was ever said of an image, in order of arrival."""
    is_known: Callable[[str], bool]
    """Whether the project has an image."""
    clock: Callable[[], float]
    """Unix seconds."""
    _files: dict[Path, _Read] = field(default_factory=dict)
    _by_stem: dict[str, Task] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_stem = {Path(name).stem: task for name, task in self.working.tasks.items()}

    def look(self, *, is_over: bool) -> Found:
        """Return what the folder says that the ledger does not have yet.

        Args:
            is_over: nobody is writing any more, so files that have just changed count too.
        """
        changed = self._refresh(is_over=is_over)
        faults = [each.fault for each in self._files.values() if each.fault is not None]
        ready: dict[str, tuple[float, Path]] = {}
        for path, each in self._files.items():
            if each.saved is not None and each.image_id is not None:
                # Two files about one image (a copy, a renamed one): the last saved counts.
                mine = (each.saved.saved_at, path)
                ready[each.image_id] = max(mine, ready.get(each.image_id, mine))
        annotations: list[Annotation] = []
        for _, path in sorted(ready.values()):
            if path not in changed:
                continue
            try:
                annotations += self._new(self._files[path])
            except (UsageError, _TwoClassesError) as error:
                kind = "two_classes" if isinstance(error, _TwoClassesError) else "bad_class"
                fault = Fault(path, kind, str(error))
                self._files[path].fault = fault
                faults.append(fault)
        return Found(annotations, faults, self._unknown())

    def _refresh(self, *, is_over: bool) -> set[Path]:
        """Read what has changed; return those files."""
        now = self.clock()
        changed = set()
        here = label_files(self.working.path)
        for path in self._files.keys() - set(here):
            del self._files[path]  # what it said stays in the ledger
        for path in here:
            stamp = labelme_file.stamp(path)
            known = self._files.get(path)
            if stamp is None or (known is not None and known.stamp == stamp):
                continue
            if self.working.since.get(path.name) == stamp:
                continue
            if not is_over and abs(now - stamp[0] / 1e9) < QUIET_S:
                continue
            self._files[path] = self._read(path, stamp)
            changed.add(path)
        return changed

    def _read(self, path: Path, stamp: tuple[int, int]) -> _Read:
        try:
            saved = labelme_file.read(path)
        except (BadFileError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            return _Read(stamp, None, None, None, Fault(path, "unreadable", str(why)))
        image_id, task = self._identify(path, saved)
        fault = None
        if image_id is None or not self.is_known(image_id):
            named = f" (its image: {saved.image_path})" if saved.image_path else ""
            fault = Fault(path, "unknown_image", f"the project has no such image{named}")
            image_id = None
        return _Read(saved.stamp, saved, image_id, task, fault)

    def _identify(self, path: Path, saved: Saved) -> tuple[str | None, Task | None]:
        """Find the image by the file's name, else by what it says, else by the bytes."""
        name = Path(saved.image_path).name
        task = self._by_stem.get(path.stem) or self.working.tasks.get(name)
        # Labelme writes a.png.json where a.jpg has taken a.json.
        task = task or self.working.tasks.get(path.stem)
        if task is not None:
            return task.image_id, task
        named = _IMAGE_ID.search(path.stem) or _IMAGE_ID.search(name)
        image_id = named[0] if named else self._hashed(path, saved) or saved.embedded
        for each in self.working.tasks.values():
            if each.image_id == image_id:
                return image_id, each
        return image_id, None

    def _hashed(self, path: Path, saved: Saved) -> str | None:
        if not saved.image_path:
            return None
        image = path.parent / saved.image_path
        try:
            found = image.stat()
            if not stat.S_ISREG(found.st_mode) or found.st_size > labelme_file.MAX_BYTES:
                return None
            return sha256_file(image)
        except (OSError, ValueError):
            return None

    def _new(self, file: _Read) -> list[Annotation]:
        """Return what is new in a file."""
        saved, image_id, task = file.saved, file.image_id, file.task
        assert saved is not None
        assert image_id is not None
        said = self.history(image_id)
        mine = [
            each
            for each in said
            if each.annotator == self.working.annotator and _is_from(each, self.working)
        ]
        last = _last_word(mine, said, saved)
        classes = self._decided(saved, task)
        if (None if last is None else last.classes) == classes:
            return []
        if classes is None:
            # Taking back the last word alone would bring back the one before it.
            dead = {each.undoes for each in said}
            live = [each for each in mine if each.kind is Kind.LABEL and each.key not in dead]
            return [
                self._undo(each, image_id, len(mine) + place, saved)
                for place, each in enumerate(reversed(live))
            ]
        if self._is_overtaken(said, saved):
            return []
        annotation = Annotation(
            key=_key(self.working, image_id, len(mine), classes),
            kind=Kind.LABEL,
            annotator=self.working.annotator,
            decided_at=self._decided_at(saved),
            image_id=image_id,
            classes=classes,
            shown=None if task is None else task.shown,
            shown_score=None if task is None else task.score,
            shown_by=None if task is None else task.by,
            tool="labelme",
            queue=self.working.queue,
            mode="blind" if task is not None and task.blind else "one",
            seconds=self._seconds(saved.saved_at),
        )
        return [checked(annotation)]

    def _is_overtaken(self, said: Sequence[Annotation], saved: Saved) -> bool:
        """Whether this person decided elsewhere after the file was saved: that counts.

        Rows count in their order of arrival, and a folder may be read long after it was left.
        Folders that we did not make are all one to the ledger, so one may overtake another.
        """
        mine = (each for _, each in newest(list(enumerate(said))))
        return any(
            each.annotator == self.working.annotator
            and each.decided_at > saved.saved_at
            and not (self.working.tasks and _is_from(each, self.working))
            for each in mine
        )

    def _undo(self, before: Annotation, image_id: str, number: int, saved: Saved) -> Annotation:
        return Annotation(
            key=_key(self.working, image_id, number, before.key),
            kind=Kind.UNDO,
            annotator=self.working.annotator,
            decided_at=self._decided_at(saved),
            image_id=image_id,
            undoes=before.key,
            tool="labelme",
            queue=self.working.queue,
        )

    def _decided_at(self, saved: Saved) -> float:
        return max(0.0, min(saved.saved_at, self.clock()))

    def _decided(self, saved: Saved, task: Task | None) -> tuple[str, ...] | None:
        """Return the classes that a file decides for; None: nothing is decided."""
        flags = self.working.flags
        ticked = [flag for flag in saved.flags if flag != REVIEWED]
        classes = tuple(sorted({flags.get(flag, flag) for flag in ticked}))
        before = set() if task is None else set(task.shown or ())
        is_same = set(classes) == before & set(flags.values())
        if REVIEWED not in saved.flags and (is_same or not classes):
            return None
        if self.working.is_exclusive and len(classes) > 1:
            raise _TwoClassesError(classes)
        return classes

    def _seconds(self, saved_at: float) -> float | None:
        """Return the time since the save before this one; None for a pause."""
        times = sorted(
            each.saved.saved_at for each in self._files.values() if each.saved is not None
        )
        place = bisect_left(times, saved_at)
        before = times[place - 1] if place else self.working.opened_at
        seconds = saved_at - max(before, self.working.opened_at)
        return round(seconds, 2) if 0 < seconds <= LONGEST_PAUSE_S else None

    def _unknown(self) -> dict[str, int]:
        known = {REVIEWED, *self.working.flags}
        found: dict[str, int] = {}
        for each in self._files.values():
            for flag in each.saved.flags if each.saved is not None else ():
                if flag not in known:
                    found[flag] = found.get(flag, 0) + 1
        return found


class _TwoClassesError(Exception):
    def __init__(self, classes: Sequence[str]) -> None:
        super().__init__(f"an image has one class here, these are ticked: {', '.join(classes)}")


def _is_from(each: Annotation, working: Working) -> bool:
    return each.key.startswith(f"labelme:{working.id}:")


def _last_word(
    mine: Sequence[Annotation], said: Sequence[Annotation], saved: Saved
) -> Annotation | None:
    """Return the label that a folder gave last; None if none, or if it was taken back.

    What was taken back elsewhere, after the file was saved, is not said again by the file.
    """
    if not mine or mine[-1].kind is not Kind.LABEL:
        return None
    last = mine[-1]
    undone_before = any(
        each.undoes == last.key and each.decided_at < saved.saved_at for each in said
    )
    return None if undone_before else last


def _key(working: Working, image_id: str, number: int, says: tuple[str, ...] | str) -> str:
    said = json.dumps([image_id, working.annotator, number, says], ensure_ascii=True)
    return f"labelme:{working.id}:{number}:{hashlib.sha256(said.encode()).hexdigest()[:24]}"
