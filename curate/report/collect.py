"""From a project's catalog and a manifest's description to the facts of its report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curate.catalog.counts import counts
from curate.catalog.database import Database
from curate.report.facts import ClassRow, CopyGroup, ReportFacts, Thumb, missing_rows


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
    """
    here = counts(db)
    splits = dict(info["images"])
    classes = tuple(
        ClassRow(name, n["before"], {split: n[split] for split in splits})
        for name, n in info["classes"].items()
    )
    return ReportFacts(
        title=title,
        lead=lead,
        candidates=here.total,
        tried=here.total - here.pending + here.retrying,
        images=here.kept,
        n_bytes=here.n_bytes,
        manifest=manifest,
        groups=info["groups"],
        leaks=leaks,
        splits=splits,
        classes=classes,
        missing=missing_rows(db),
        licenses=dict(info["licenses"]),
        sources=dict(info["sources"]),
        sheets=sheets or {},
        copies=copies[0],
        n_copy_groups=copies[1],
        notes=notes,
    )
