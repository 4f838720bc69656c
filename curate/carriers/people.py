"""What people do with a project: the ledger, and the labels that follow from it.

`Project.people` is one of these. It ties the label room to the catalog: rows come from
there, rules and arithmetic from here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from curate import config
from curate.catalog import annotations as rows
from curate.catalog import assignments, class_lists
from curate.catalog.class_lists import ClassList
from curate.catalog.database import Database
from curate.catalog.queues import Queued, write_queue
from curate.catalog.text import clean
from curate.config import Settings
from curate.errors import CurateError
from curate.progress import Progress, silent
from curate.records import Annotation, Label, Proposal

if TYPE_CHECKING:
    from curate.catalog.images import KeptImage
    from curate.label.agreement import Agreement
    from curate.label.conflicts import Conflict
    from curate.label.ledger import Ledger
    from curate.label.ledger_file import Imported
    from curate.label.outside import Outside
    from curate.label.pace import Pace
    from curate.label.replay import Renames
    from curate.label.resolve import Evidence, Rules, Verdict

Known = TypeVar("Known")
DISAGREEMENTS = "disagreements"
"""The queue of images about which people contradict each other."""


@dataclass(frozen=True, slots=True)
class People:
    """Annotations of one project."""

    db: Database
    """The catalog; one in memory where there is none, which leaves no trace."""
    settings: Settings
    """How labels are resolved."""
    clock: Callable[[], float]
    """Unix seconds."""
    progress: Progress = silent
    """Told of long work."""
    notify: Callable[[str], None] = lambda _text: None
    """Told, a sentence each, what a person should know."""
    _known: dict[str, tuple[object, Any]] = field(default_factory=dict, repr=False, compare=False)
    """What was worked out, or told, once, with what it depends on."""

    # Writing

    def ledger(self) -> Ledger:
        """Open the ledger for writing: a connection of its own, a context manager.

        One may serve many threads and requests; closing it ends a session.

        Raises:
            CatalogError: there is no project yet.
        """
        from curate.label.ledger import Ledger

        given = self.settings.label
        if given.backup_dir and "backup" not in self._known:
            self._known["backup"] = (given.backup_dir, None)
            config.tell_backup(self.db.path.parent, self.settings, self.notify)
        return Ledger(self.db.path, self.back_up if given.backup_dir else None, given.backup_every)

    def set_classes(
        self, names: Sequence[str], *, exclusive: bool, dry_run: bool = False
    ) -> ClassList:
        """Set the class list; the one before stays readable.

        With `dry_run`, what would be the list is returned, and nothing written.

        Raises:
            UsageError: no names, one twice, or one that cannot be used or was given up.
        """
        from curate.label.renaming import check_names

        check_names(names, self.renames(), rows.last_id(self.db))
        now = self.class_list()
        if now.is_set and now.version and (now.names, now.exclusive) == (tuple(names), exclusive):
            return now
        if dry_run:
            version = class_lists.next_version(self.db)
            return ClassList(version, tuple(map(clean, names)), exclusive, is_set=True)
        return class_lists.add(self.db, names, exclusive=exclusive, now=self.clock())

    def rename(self, pairs: Mapping[str, str], annotator: str) -> int:
        """Give classes other names; one that has the name already takes the other in.

        No annotation is changed: each pair is a row that can be undone.

        Args:
            pairs: old name to new name, all at the same time.
            annotator: who decides it.

        Returns:
            How many names changed.

        Raises:
            UsageError: a name cannot be used, or the pairs go round in a circle.
        """
        from curate.label.renaming import rename_rows

        found = rename_rows(pairs, annotator, self.clock())
        with self.ledger() as ledger:
            return sum(ledger.add(found))

    def undo_rename(self, old: str, new: str, annotator: str, *, dry_run: bool = False) -> None:
        """Take a rename back: what was said under the old name is called so again.

        Args:
            old: the name before.
            new: the name that it was given.
            annotator: who decides it.
            dry_run: only make sure that it can be done.

        Raises:
            UsageError: there is no such rename in force.
        """
        from curate.label.renaming import undo_row

        row = undo_row(rows.rename_rows(self.db), (old, new), annotator, self.clock())
        if not dry_run:
            with self.ledger() as ledger:
                ledger.add([row])

    def export(self, path: Path) -> int:
        """Write the whole ledger as JSON Lines; return the number of rows.

        Raises:
            StoreError: the file cannot be written.
        """
        from curate.label.ledger_file import export_file

        return export_file(self.db, path)

    def write(self, write: Callable[[str], object]) -> int:
        """Hand the whole ledger to a function, some lines at a time; return how many rows."""
        from curate.label.ledger_file import export

        return export(self.db, write)

    def import_(self, path: Path, *, dry_run: bool = False) -> Imported:
        """Add the rows of an exported ledger that are not known yet; all of them or none.

        Raises:
            SourceError: the file cannot be read, or a line cannot be kept.
        """
        from curate.label.ledger_file import import_file

        with self.ledger() as ledger:
            return import_file(self.db, path, ledger, progress=self.progress, dry_run=dry_run)

    def back_up(self) -> Path | None:
        """Write a dated copy of the ledger where the settings want one; return it.

        A copy that cannot be written is told, not raised: what was decided is saved anyway.
        """
        from curate.label.ledger_file import back_up

        if not self.settings.label.backup_dir:
            return None
        try:
            folder = Path(self.settings.label.backup_dir).expanduser()
            # Any thread may come here; the catalog's connection belongs to one.
            with closing(Database(self.db.path)) as db:
                return back_up(db, self.db.path.parent / folder, self.clock())
        except (CurateError, RuntimeError) as error:  # a home that there is not: RuntimeError
            self.notify(f"no copy of the annotations was written: {error}")
            return None

    # Several people

    def next_batch(
        self,
        annotator: str,
        n: int,
        queue: str = "",
        *,
        overlap: int = 1,
        among: Sequence[str] | None = None,
        hold_s: float = 1800.0,
    ) -> list[str]:
        """Hand out images that a person is to decide about, in one transaction.

        First come those that they were given before and have not decided about. Nobody gets
        an image twice, and no image goes to more than `overlap` people; in a queue, only what
        was decided in that queue counts.

        Args:
            annotator: for whom.
            n: images at most.
            queue: a queue's name; empty: all kept images, by image id.
            overlap: people for each image.
            among: only these images, in this order (a filter); None: all.
            hold_s: time after which what was given and not done is free for others.
        """
        wish = assignments.Wish(annotator, n, queue, overlap, among, hold_s)
        return assignments.take(self.db, wish, self.clock())

    def agreement(self) -> Agreement:
        """Return how far people agree about the images that several have decided about."""
        from curate.label.agreement import agreement

        return agreement(self.decided(several=True))

    def consensus(self, method: str) -> dict[str, Verdict]:
        """Return what people amount to, by image id; images on which they tie are absent.

        Raises:
            UsageError: no such method, or the package it needs is not installed.
        """
        from curate.label.consensus import consensus

        votes = {str(each[0].image_id): each for each in self.decided()}
        trusted = self.settings.label.trusted.strip()
        exclusive = self.class_list().exclusive
        return consensus(votes, method, exclusive=exclusive, trusted=trusted)

    def conflicts(self) -> Iterator[Conflict]:
        """Yield the kept images whose label is a contradiction, by image id, then candidates."""
        from curate.catalog import images, imports
        from curate.label.conflicts import describe, waiting
        from curate.label.resolve import resolve

        rules = self._rules()
        for page in images.kept(self.db):
            by_id = {each.image_id: each for each in page}
            for image_id, evidence in self._evidence(page):
                if resolve(evidence, rules).conflict:
                    image = by_id[image_id]
                    yield describe(image_id, image.source_id, image.url, evidence)
        for each in imports.disputed_waiting(self.db):
            yield waiting(each.source_id, each.url, self.renames().names(each.classes))

    def queue_disagreements(self) -> int:
        """Fill the queue `disagreements` with what people contradict each other about.

        The most open question comes first. Return how many images there are.
        """
        from curate.label.conflicts import evenness
        from curate.label.resolve import contradicts

        open_ = [
            Queued(str(each[0].image_id), score=evenness(each))
            for each in self.decided(several=True)
            if contradicts(each)
        ]
        open_.sort(key=lambda each: (each.score, each.image_id))
        return write_queue(self.db, DISAGREEMENTS, open_)

    def outside(self, names: Sequence[str]) -> Outside:
        """Return what a class list of these names leaves without a label."""
        from curate.label.outside import count_outside

        return count_outside(self.decided(), names)

    def annotated(self) -> Mapping[str, int]:
        """Return how many images people have given each class, by its name of now; sorted."""

        def count() -> dict[str, int]:
            renames, found = self.renames(), Counter[str]()
            for _, group in groupby(rows.labelled(self.db), key=lambda row: row[0]):
                found.update({renames.name(name, at) for _, at, names in group for name in names})
            return dict(sorted(found.items()))

        return self._once("annotated", rows.last_id(self.db), count)

    def pace(self) -> Pace:
        """Return how long people take, and what they correct."""
        from curate.label.pace import pace

        return pace(each for decisions in self.decided() for each in decisions)

    # Reading

    def decided(self, *, several: bool = False) -> Iterator[list[Annotation]]:
        """Yield what is in force image by image, in the order of image ids.

        Args:
            several: only images that more than one person has decided about.
        """
        renames = self.renames()
        for page in rows.all_decisions(self.db):
            for _, group in groupby(page, key=lambda row: row[1].image_id):
                found = [renames.apply(row) for row in group]
                if len(found) > 1 or not several:
                    yield found

    def current(self, image_ids: Iterable[str]) -> dict[str, list[Annotation]]:
        """Return what is in force: each person's newest annotation of each image.

        What was undone is gone, and classes have the names of now. Images that nobody has
        decided about are absent.
        """
        renames = self.renames()
        found: dict[str, list[Annotation]] = {}
        for row in rows.decisions(self.db, image_ids):
            found.setdefault(str(row[1].image_id), []).append(renames.apply(row))
        return found

    def renames(self) -> Renames:
        """Return what classes are called now."""
        from curate.label.replay import Renames

        depends = rows.last_rename(self.db)
        return self._once("renames", depends, lambda: Renames(rows.rename_rows(self.db)))

    def class_list(self) -> ClassList:
        """Return the classes: as set, else of curate.toml, else what hints and people name."""
        renames = self.renames()
        chosen = class_lists.newest(self.db)
        if chosen is not None:
            return replace(chosen, names=renames.ordered(chosen.names, chosen.after_id))
        given = self.settings.classes
        names = renames.ordered(given.names or class_lists.hinted(self.db))
        if not given.names:
            names = tuple(dict.fromkeys((*names, *self.annotated())))
        return ClassList(0, names, bool(given.exclusive), bool(given.names))

    def proposals(self, image_ids: Iterable[str]) -> dict[str, Proposal | None]:
        """Return the newest model's proposal for each image; None where there is none."""
        renames = self.renames()
        found: dict[str, Proposal | None] = dict.fromkeys(image_ids)
        for image_id, each in rows.newest_proposals(self.db, list(found)).items():
            found[image_id] = renames.proposal(each)
        return found

    def labels(self, page: Sequence[KeptImage]) -> dict[str, Label]:
        """Resolve the labels of some images; image id to label."""
        from curate.label.resolve import resolve

        rules = self._rules()
        return {image_id: resolve(evidence, rules) for image_id, evidence in self._evidence(page)}

    def _evidence(self, page: Sequence[KeptImage]) -> Iterable[tuple[str, Evidence]]:
        from curate.label.resolve import Evidence

        ids = [each.image_id for each in page]
        current, proposals, renames = self.current(ids), self.proposals(ids), self.renames()
        limits = rows.thresholds(self.db)
        verdicts = self._verdicts() if any(len(each) > 1 for each in current.values()) else {}
        for each in page:
            proposal = proposals[each.image_id]
            hints = each.source_classes or each.classes
            yield (
                each.image_id,
                Evidence(
                    decisions=current.get(each.image_id, ()),
                    verdict=verdicts.get(each.image_id),
                    proposal=proposal,
                    thresholds=self._thresholds(proposal, limits[proposal.model])
                    if proposal is not None
                    else {},
                    hints=renames.names(hints),
                    from_query=each.from_query,
                    disputed=each.disputed,
                ),
            )

    def _thresholds(self, proposal: Proposal, own: Mapping[str, float]) -> Mapping[str, float]:
        """Return the scores from which a proposal is a label: its model's, else the settings'."""
        default = self.settings.label.threshold
        renames = self.renames()
        return ({"": default} if default else {}) | renames.largest(
            own, renames.after(proposal.made_at)
        )

    def _verdicts(self) -> Mapping[str, Verdict]:
        """Return what people amount to under the settings; nothing if none is asked for."""
        method = self.settings.label.consensus
        if not method:
            return {}
        depends = (rows.last_id(self.db), method)
        return self._once("verdicts", depends, lambda: self.consensus(method))

    def _once(self, what: str, depends: object, work_out: Callable[[], Known]) -> Known:
        """Work something out, unless what it depends on is as it was the last time."""
        before = self._known.get(what)
        if before is None or before[0] != depends:
            before = self._known[what] = (depends, work_out())
        known: Known = before[1]
        return known

    def _rules(self) -> Rules:
        from curate.label.resolve import Rules

        chosen = self.class_list()
        return Rules(chosen.exclusive, frozenset(chosen.names) if chosen.is_set else None)
