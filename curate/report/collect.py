"""From a project's catalog and a manifest's description to the facts of its report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curate.catalog.counts import Counts, counts
from curate.catalog.database import Database
from curate.catalog.images import sample
from curate.catalog.quality import quality_counts
from curate.config import QualitySettings
from curate.report.facts import (
    AgreementRow,
    ClassRow,
    CopyGroup,
    EvaluationFacts,
    ReportFacts,
    Thumb,
    missing_rows,
)
from curate.report.plan import make_plan

SIDES_PX = (100, 200, 400, 600, 800, 1000, 1500, 2000, 4000)
"""Ends of the buckets of shorter sides."""
WEIGHTS_KB = (10, 30, 100, 300, 1000, 3000, 10_000)
"""Ends of the buckets of file sizes."""


def collect(
    db: Database,
    manifest: str,
    info: Mapping[str, Any],
    *,
    title: str,
    lead: str,
    leaks: int = 0,
    sheets: Mapping[str, tuple[Thumb, ...]] | None = None,
    copies: tuple[tuple[CopyGroup, ...], int] = ((), 0),
    notes: tuple[str, ...] = (),
    quality: QualitySettings | None = None,
    agreement: tuple[AgreementRow, ...] = (),
    evaluation: EvaluationFacts | None = None,
) -> ReportFacts:
    """Gather what a report shows.

    Args:
        db: the catalog.
        manifest: version of the manifest.
        info: the content of its `manifest.json`.
        title: heading of the page.
        lead: a sentence below it.
        leaks: groups found on two sides.
        sheets: pictures by class.
        copies: groups of near-duplicates to show, and how many there are.
        notes: sentences for the end of the page.
        quality: thresholds of the quality flags; None: those of the defaults.
        agreement: how far people agree.
        evaluation: what a model is worth.
    """
    here = counts(db)
    usable = {**info["dropped"], **{name: n["before"] for name, n in info["classes"].items()}}
    recipe = info["recipe"]
    plan = make_plan(usable, sample(db), recipe["min_per_class"], recipe["max_per_class"])
    return ReportFacts(
        title=title,
        lead=lead,
        candidates=here.total,
        tried=here.total - here.pending + here.retrying,
        images=here.kept,
        n_bytes=here.kept_bytes,
        manifest=manifest,
        groups=info["groups"],
        leaks=leaks,
        splits=dict(info["images"]),
        classes=_class_rows(info),
        missing=missing_rows(db),
        licenses=dict(info["licenses"]),
        sources=dict(info["sources"]),
        sheets=sheets or {},
        copies=copies[0],
        n_copy_groups=copies[1],
        notes=notes,
        usable=usable,
        thresholds=plan.thresholds,
        chosen=plan.chosen,
        outcomes=_outcomes(here),
        sides=_buckets(db, "MIN(width_px, height_px)", SIDES_PX, "{:,}"),
        weights=_buckets(db, "n_bytes / 1000.0", WEIGHTS_KB, "{:,}"),
        quality=quality_counts(db, quality or QualitySettings()),
        agreement=agreement,
        evaluation=evaluation,
    )


def _class_rows(info: Mapping[str, Any]) -> tuple[ClassRow, ...]:
    return tuple(
        ClassRow(name, n["before"], {split: n[split] for split in info["images"]})
        for name, n in info["classes"].items()
    )


def _outcomes(here: Counts) -> dict[str, int]:
    return {
        "stored": here.stored,
        "duplicate": here.duplicate,
        "failed": sum(here.failed.values()),
        "to be retried": here.retrying,
        "waiting": here.pending - here.retrying,
    }


def _buckets(
    db: Database, value: str, ends: tuple[int, ...], form: str
) -> tuple[tuple[str, int], ...]:
    """Count kept images by a value, from the first bucket with any to the last.

    Args:
        db: the catalog.
        value: an SQL expression of columns of `images`.
        ends: where each bucket ends; the last has no end.
        form: how an end is written.
    """
    steps = " ".join(f"WHEN {value} < {end} THEN {place}" for place, end in enumerate(ends))
    rows = db.all(
        f"SELECT CASE {steps} ELSE {len(ends)} END, COUNT(*) FROM images "  # noqa: S608 - our own words
        "WHERE excluded IS NULL GROUP BY 1"
    )
    found = dict(rows)
    if not found:
        return ()
    labels = [f"< {form.format(end)}" for end in ends] + [f"≥ {form.format(ends[-1])}"]
    return tuple(
        (labels[place], found.get(place, 0)) for place in range(min(found), max(found) + 1)
    )
