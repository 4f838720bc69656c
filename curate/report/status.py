"""The numbers of `curate status` as one JSON document with documented keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # The command line imports this before it knows whether a catalog will be opened.
    from curate.catalog.counts import ClassCount, Counts
    from curate.catalog.troubles import Trouble


def status_json(
    counts: Counts,
    classes: list[ClassCount],
    skipped: dict[str, int],
    hosts: Sequence[Trouble] = (),
    disputed: int = 0,
    annotated: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return what `fetch --json` and `status --json` print.

    Args:
        counts: candidates and images.
        classes: images by class hint.
        skipped: rows of sources that gave no candidate, by reason.
        hosts: those that fail, the most first.
        disputed: images and candidates to which one source gives different classes.
        annotated: images by the class that people gave them.
    """
    return {
        "candidates": {
            "total": counts.total,
            "stored": counts.stored,
            "duplicate": counts.duplicate,
            "pending": counts.pending,
            "retrying": counts.retrying,
            "failed": counts.failed,
            "skipped": skipped,
        },
        "images": {"kept": counts.kept, "excluded": counts.excluded, "bytes": counts.n_bytes},
        "classes": {each.name: each.images for each in classes if each.name},
        "annotations": {
            "total": counts.annotations,
            "images": counts.annotated,
            "annotators": counts.annotators,
            "classes": dict(annotated),
        },
        "proposals": {"total": counts.proposals, "models": counts.models},
        "hosts": [
            {
                "host": each.host,
                "tried": each.tried,
                "failed": each.failed,
                "share": round(each.share, 4),
            }
            for each in hosts
        ],
        "disputed": disputed,
    }
