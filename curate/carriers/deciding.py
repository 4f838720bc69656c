"""What the audit page writes: decisions into the ledger, and what they contradict.

One `Deciding` lives in one thread of the server, so that what was in force before a decision
is known for certain. A decision is refused only if it says nothing that can be kept; one that
contradicts another, of a colleague or made in another window, is kept beside it and reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.catalog import images
from curate.errors import UsageError
from curate.records import Annotation, Kind

if TYPE_CHECKING:
    from curate.carriers.folder import ProjectFolder
    from curate.label.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Decision:
    """An annotation, with what its maker knew."""

    annotation: Annotation
    """What is decided."""
    base: str | None
    """Key of the maker's own decision that it is meant to replace; None: there was none."""


class Deciding:
    """The writing side of the audit page.

    Args:
        project: opened in the thread that uses this.
    """

    def __init__(self, project: ProjectFolder) -> None:
        self.people = project.people
        self.db = project.db
        self.ledger: Ledger = self.people.ledger()

    def close(self) -> None:
        """End the session in the ledger."""
        self.ledger.close()

    def add(self, decisions: Sequence[Decision]) -> list[dict[str, Any]]:
        """Write decisions; they are on the disk when this returns.

        Returns:
            For each `key`, `status` (`new`, `known` or `refused`), `why` if it was refused,
            and `replaced` (`kind`, `classes`) if it takes the place of a decision that its
            maker had not seen, made in another window.

        Raises:
            CatalogError, StoreError: nothing was written.
        """
        wanted = [each for each in decisions if self._refusal(each.annotation) is None]
        unseen: dict[str, dict[str, Any] | None] = {}
        for each in wanted:
            # Who replaces what they decide in the same breath has not seen what that replaces.
            known = each.base in unseen
            unseen[each.annotation.key] = (
                unseen[str(each.base)] if known else self._unseen(each, wanted)
            )
        written = self._write([each.annotation for each in wanted])
        return [self._answer(each.annotation, written, unseen) for each in decisions]

    def _refusal(self, each: Annotation) -> str | None:
        if each.kind in (Kind.LABEL, Kind.REJECT, Kind.UNSURE) and (
            each.image_id is None or images.known_format(self.db, each.image_id) is None
        ):
            return "there is no such image in this project"
        return None

    def _unseen(self, decision: Decision, together: Sequence[Decision]) -> dict[str, Any] | None:
        """Return the decision that this one replaces without its maker having seen it."""
        each = decision.annotation
        if each.image_id is None or each.kind is Kind.UNDO:
            return None
        before = next(
            (
                known
                for known in self.people.current([each.image_id]).get(each.image_id, [])
                if known.annotator == each.annotator
            ),
            None,
        )
        ours = {other.annotation.key for other in together}
        if before is None or before.key in {decision.base, *ours}:
            return None
        if (before.kind, before.classes) == (each.kind, each.classes):
            return None
        return {"kind": before.kind, "classes": before.classes}

    def _write(self, rows: list[Annotation]) -> dict[str, bool | str]:
        """Write rows together; one by one if something is wrong with one of them."""
        try:
            added = self.ledger.add(rows) if rows else []
            return {each.key: new for each, new in zip(rows, added, strict=True)}
        except UsageError:
            return {each.key: self._write_one(each) for each in rows}

    def _write_one(self, each: Annotation) -> bool | str:
        try:
            return self.ledger.add([each])[0]
        except UsageError as error:
            return error.message

    def _answer(
        self,
        each: Annotation,
        written: dict[str, bool | str],
        unseen: dict[str, dict[str, Any] | None],
    ) -> dict[str, Any]:
        done = written.get(each.key, self._refusal(each) or "")
        if isinstance(done, str):
            return {"key": each.key, "status": "refused", "why": done}
        replaced = unseen.get(each.key) if done else None
        return {"key": each.key, "status": "new" if done else "known", "replaced": replaced}
