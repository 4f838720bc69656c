"""What people do with a project: the ledger, and the labels that follow from it.

`Project.people` is one of these. It ties the label room to the catalog: rows come from
there, rules and arithmetic from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from curate.catalog import annotations as rows
from curate.catalog import class_lists
from curate.catalog.class_lists import ClassList
from curate.catalog.database import Database
from curate.config import Settings
from curate.progress import Progress, silent
from curate.records import Annotation, Label, Proposal

if TYPE_CHECKING:
    from curate.catalog.images import KeptImage
    from curate.label.ledger import Ledger
    from curate.label.replay import Renames
    from curate.label.resolve import Evidence, Rules, Verdict


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
    """What was worked out once, with what it depends on."""

    # Writing

    def ledger(self) -> Ledger:
        """Open the ledger for writing: a connection of its own, a context manager.

        One may serve many threads and requests; closing it ends a session.

        Raises:
            CatalogError: there is no project yet.
        """
        from curate.label.ledger import Ledger

        given = self.settings.label
        backup = self._back_up if given.backup_dir else None
        return Ledger(self.db.path, backup, given.backup_every)

    # Reading

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

        last = rows.last_rename(self.db)
        known = self._known.get("renames")
        if known is None or known[0] != last:
            known = self._known["renames"] = (last, Renames(rows.rename_rows(self.db)))
        renames: Renames = known[1]
        return renames

    def class_list(self) -> ClassList:
        """Return the classes: as set, else of curate.toml, else those that the hints name."""
        renames = self.renames()
        chosen = class_lists.newest(self.db)
        if chosen is not None:
            return replace(chosen, names=renames.ordered(chosen.names, chosen.after_id))
        given = self.settings.classes
        names = given.names or class_lists.hinted(self.db)
        return ClassList(0, renames.ordered(names), bool(given.exclusive), bool(given.names))

    def proposals(self, image_ids: Iterable[str]) -> dict[str, Proposal | None]:
        """Return the newest model's proposal for each image; None where there is none."""
        renames = self.renames()
        found: dict[str, Proposal | None] = dict.fromkeys(image_ids)
        for image_id, each in rows.newest_proposals(self.db, list(found)).items():
            if not renames:
                found[image_id] = each
                continue
            after = renames.after(each.made_at)
            scores: dict[str, float] = {}
            for name, score in each.scores.items():
                now = renames.name(name, after)
                scores[now] = max(score, scores.get(now, score))
            classes = renames.names(each.classes, after)
            found[image_id] = replace(each, classes=classes, scores=scores)
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
                    thresholds={} if proposal is None else self._thresholds(proposal.model),
                    hints=renames.names(hints),
                    from_query=each.from_query,
                    disputed=each.disputed,
                ),
            )

    def _back_up(self) -> None:
        pass

    def _thresholds(self, model: str) -> Mapping[str, float]:
        """Return a model's own thresholds; the settings' for what it has none for."""
        known = self._known.get("thresholds")
        if known is None:
            known = self._known["thresholds"] = (None, rows.thresholds(self.db))
        default = self.settings.label.threshold
        own: Mapping[str, float] = known[1].get(model, {})
        return {"": default, **own} if default else own

    def _verdicts(self) -> Mapping[str, Verdict]:
        return {}

    def _rules(self) -> Rules:
        from curate.label.resolve import Rules

        chosen = self.class_list()
        return Rules(chosen.exclusive, frozenset(chosen.names) if chosen.is_set else None)
