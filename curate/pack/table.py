"""Kept images as an Arrow table with the `INPUT` columns, built page by page.

Local paths of a user's own files stay out of datasets: a `file:` URL becomes null.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from curate.catalog.images import KeptImage
from curate.pack.schema import INPUT
from curate.records import Label

Labelled = Callable[[list[KeptImage]], Mapping[str, Label]]
"""Resolves the labels of a page of images; image id to label."""

Flagged = Callable[[list[KeptImage]], Mapping[str, int]]
"""Counts the quality flags of a page of images that have any."""


def kept_table(
    pages: Iterable[list[KeptImage]],
    root: str,
    relative: Callable[[str, str], str],
    labelled: Labelled,
    flagged: Flagged,
) -> pa.Table:
    """Return one row per image, in the order of the pages.

    Args:
        pages: images from the catalog.
        root: the store's folder, relative to the project folder.
        relative: an image's path below the store's root, from its id and format.
        labelled: resolves the labels of a page.
        flagged: counts the quality flags of a page.

    Returns:
        A table with the columns of `INPUT`.
    """
    batches = []
    for page in pages:
        labels, flags = labelled(page), flagged(page)
        rows = [
            _row(
                each,
                f"{root}/{relative(each.image_id, each.format)}",
                labels[each.image_id],
                flags.get(each.image_id, 0),
            )
            for each in page
        ]
        batches.append(pa.RecordBatch.from_pylist(rows, schema=INPUT))
    return pa.Table.from_batches(batches, schema=INPUT)


def _row(image: KeptImage, path: str, label: Label, n_flags: int) -> dict[str, Any]:
    return {
        "image_id": image.image_id,
        "path": path,
        "n_bytes": image.n_bytes,
        "width_px": image.width_px,
        "height_px": image.height_px,
        "format": image.format,
        "phash": image.phash,
        "labels": list(label.classes),
        "label_origin": label.origin,
        "annotators": list(label.annotators),
        "score": label.score,
        "proposed_labels": list(label.proposed),
        "proposed_score": label.proposed_score,
        "proposed_by": label.proposed_by,
        "audited": label.audited,
        "set_aside": _set_aside(label),
        "quality_flags": n_flags,
        "group_hints": list(image.groups),
        "source": image.source,
        "source_id": image.source_id,
        "url": None if image.url.startswith("file:") else image.url,
        "page_url": image.page_url,
        "author": image.author,
        "license": image.license,
        "license_url": image.license_url,
        "rights_holder": image.rights_holder,
        "attribution": image.attribution,
        "query": list(image.queries),
        "meta": sorted(json.loads(image.meta).items()) if image.meta else [],
        "fetched_at": datetime.fromtimestamp(image.fetched_at, UTC),
    }


def _set_aside(label: Label) -> str | None:
    if label.rejected:
        return "rejected"
    if label.outside:
        return "outside"
    return "conflict" if label.conflict else None
