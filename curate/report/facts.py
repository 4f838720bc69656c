"""The plain data that a report shows, and what of it the catalog knows.

Reports are drawn from these rows alone, so that any of them can be drawn, and tested,
without a project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from curate.catalog.database import Database
from curate.records import Reason
from curate.report.plan import Threshold
from curate.report.reasons import meanings


@dataclass(frozen=True, slots=True)
class MissingRow:
    """Why some candidates have no image."""

    reason: str
    """The reason's name, or `duplicate`, `pending`."""
    meaning: str
    """One sentence for a person."""
    n: int
    """How many candidates."""
    example: str
    """URL of one of them."""
    detail: str
    """What was seen there, in one line; may be empty."""


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class of the dataset."""

    name: str
    """The class."""
    before: int
    """Labelled images before balancing."""
    split: Mapping[str, int]
    """Images by split."""

    @property
    def n(self) -> int:
        """Images in the dataset."""
        return sum(self.split.values())


@dataclass(frozen=True, slots=True)
class Thumb:
    """One picture of a contact sheet."""

    jpeg: bytes
    """The reduced picture."""
    title: str
    """What a tooltip says."""
    link: str
    """The page a person would open; may be empty."""
    width_px: int
    """Width of the reduced picture."""
    height_px: int
    """Height of the reduced picture."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One image of a group of near-duplicates."""

    image_id: str
    """SHA-256 of its bytes."""
    thumb: Thumb | None
    """The picture; None if its file cannot be read."""
    facts: str
    """Size, licence and source, in one line."""
    distance: int | None
    """Differing bits of its 64-bit hash and that of the group's first; None for the first."""
    verdict: str
    """Kept or left out, and why, in a few words."""
    is_kept: bool
    """The datasets have it."""


@dataclass(frozen=True, slots=True)
class CopyGroup:
    """Near-duplicates side by side, the kept image first."""

    copies: tuple[Copy, ...]
    """Those that are shown."""
    n: int
    """All of them."""


@dataclass(frozen=True, slots=True)
class AgreementRow:
    """How far people agree about a class, or about whole answers."""

    name: str
    """The class; empty: whole answers."""
    n: int
    """Images that at least two people have decided about."""
    percent: float | None
    """Share of pairs of answers that are equal, 0-100."""
    alpha: float | None
    """Krippendorff's alpha, at most 1."""


@dataclass(frozen=True, slots=True)
class EvaluationFacts:
    """What a model is worth on labelled images that it has not learned from."""

    model: str
    """Name of its file."""
    n: int
    """Images it was measured on."""
    verdict: str
    """All in a sentence or two."""
    measures: Mapping[str, float]
    """Shares 0-1 by name: accuracy, balanced accuracy, macro F1 and so on."""
    names: tuple[str, ...]
    """Classes, in the order of the matrix."""
    confusion: tuple[tuple[int, ...], ...]
    """Rows are true, columns are said; empty where images have several classes."""
    f1: Mapping[str, float]
    """F1 of each class, 0-1."""


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """Everything on the page."""

    title: str
    """Its heading."""
    lead: str
    """A sentence or two below the heading."""
    candidates: int
    """Candidates that sources offered."""
    tried: int
    """Those of them that were downloaded, or given up."""
    images: int
    """Valid, distinct images, but for those that are excluded."""
    n_bytes: int
    """Their bytes."""
    manifest: str
    """Version of the manifest, e.g. `v0001`."""
    groups: int
    """Groups that stay on one side."""
    leaks: int
    """Groups found on two sides."""
    splits: Mapping[str, int]
    """Images by split."""
    classes: tuple[ClassRow, ...]
    """Classes of the dataset."""
    missing: tuple[MissingRow, ...]
    """Why candidates have no image, the most frequent first."""
    licenses: Mapping[str, int]
    """Images by licence."""
    sources: Mapping[str, int]
    """Images by source."""
    sheets: Mapping[str, tuple[Thumb, ...]] = field(default_factory=dict)
    """Pictures by class."""
    copies: tuple[CopyGroup, ...] = ()
    """Groups of near-duplicates, the largest first."""
    n_copy_groups: int = 0
    """All such groups, also those not shown."""
    notes: tuple[str, ...] = ()
    """Sentences at the end of the page."""
    usable: Mapping[str, int] = field(default_factory=dict)
    """Labelled images by class, before balancing, dropped classes included."""
    thresholds: tuple[Threshold, ...] = ()
    """What several minima would keep of them."""
    chosen: Threshold | None = None
    """What the limits in use keep."""
    outcomes: Mapping[str, int] = field(default_factory=dict)
    """Candidates by what became of them, one of `OUTCOMES` each."""
    sides: tuple[tuple[str, int], ...] = ()
    """Images by their shorter side: label and number of each bucket."""
    weights: tuple[tuple[str, int], ...] = ()
    """Images by the size of their file, likewise."""
    quality: Mapping[str, int] = field(default_factory=dict)
    """Kept images under each quality flag, and those under none."""
    agreement: tuple[AgreementRow, ...] = ()
    """How far people agree: whole answers first, then class by class."""
    evaluation: EvaluationFacts | None = None
    """What the newest model is worth; None: it was not measured."""


OUTCOMES = ("stored", "duplicate", "failed", "to be retried", "waiting")
"""What can become of a candidate."""


def missing_rows(db: Database) -> tuple[MissingRow, ...]:
    """Return why candidates that were looked at have no image of their own.

    Failures come first, then duplicates, each the most frequent first; what has not been
    tried yet is not among them.
    """
    rows = db.all(
        "SELECT state, reason, COUNT(*), MIN(id) FROM candidates INDEXED BY candidates_reason "
        "WHERE reason IS NOT NULL AND state IN ('failed', 'pending') GROUP BY reason, state "
        "UNION ALL SELECT state, '', COUNT(*), MIN(id) FROM candidates "
        "WHERE state = 'duplicate' GROUP BY state"
    )
    order = {"failed": 0, "duplicate": 1, "pending": 2}
    rows.sort(key=lambda row: (order[row[0]], -row[2], row[1]))
    return tuple(_missing_row(db, *row) for row in rows)


def _missing_row(db: Database, state: str, reason: str, n: int, first_id: int) -> MissingRow:
    url, detail, twin = db.one(
        "SELECT url, COALESCE(detail, ''), (SELECT url FROM candidates AS other "
        "JOIN images ON first_id = other.id WHERE images.image_id = candidates.image_id) "
        "FROM candidates WHERE id = ?",
        (first_id,),
    )
    if state == "duplicate":
        detail = f"equals {twin.partition('?')[0]}" if twin else detail
        return MissingRow(state, "The same bytes as an earlier one.", n, url, detail)
    meaning = meanings()[Reason(reason)]
    if state == "pending":
        return MissingRow(f"to be retried: {reason}", meaning, n, url, detail)
    return MissingRow(reason, meaning, n, url, detail)
