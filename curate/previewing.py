"""What a fetch would do, worked out without writing anything.

`Project.preview` comes here. Files are read just as the fetch would read them, so that licences,
limits and rows without a URL count as they will; APIs are asked how much they have.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.catalog import counts
from curate.catalog.text import clean
from curate.errors import UsageError

if TYPE_CHECKING:
    from curate.asked import FetchRequest
    from curate.catalog.counts import ClassCount
    from curate.folder import ProjectFolder
    from curate.sources.base import Query, Source


@dataclass(frozen=True, slots=True)
class Preview:
    """What a fetch would find and take."""

    searches: Mapping[str, int | None]
    """Query, or path, to its candidates; None where the source cannot say."""
    classes: Mapping[str, int]
    """Class to the candidates that hint at it; "" are those of none."""
    left_out: Mapping[str, int]
    """Those of the classes that cannot reach their minimum: nothing of them is fetched."""
    skipped: Mapping[str, int]
    """Rows of files that give no candidate, by reason."""
    images: int | None
    """Images that would be fetched at most; None where a source cannot say."""
    pending: int
    """Candidates that wait already."""

    def to_json(self) -> dict[str, Any]:
        """Return the document that `curate fetch --dry-run --json` prints."""
        return {
            "would_search": dict(self.searches),
            "classes": dict(self.classes),
            "left_out": dict(self.left_out),
            "skipped": dict(self.skipped),
            "would_fetch": self.images,
            "pending": self.pending,
        }


def preview(project: ProjectFolder, request: FetchRequest) -> Preview:
    """Count what a request would find, and how much of it would be fetched."""
    searches: dict[str, int | None] = {}
    classes: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    known = True
    for source, query in project.finder().queries(request):
        n, named, left = _of_api(source, query) if source.is_remote else _of_file(source, query)
        name = clean(query.text or str(request.path or ""))
        searches[name] = n
        classes.update(named or {})
        skipped.update(left)
        known = known and n is not None and named is not None
    left_out, images = _taken(project, request, classes)
    total = sum(n or 0 for n in searches.values())
    pending = counts.counts(project.look()).pending
    return Preview(
        searches=searches,
        classes=dict(sorted(classes.items(), key=lambda item: (-item[1], item[0]))),
        left_out=left_out,
        skipped=dict(skipped),
        images=min(images, total) if known else None,
        pending=pending,
    )


def _of_file(source: Source, query: Query) -> tuple[int, dict[str, int], Counter[str]]:
    """Count candidates, their classes, and what gives none; one that stands twice counts once.

    Of each candidate 16 bytes are kept: an archive may have millions.
    """
    import numpy as np

    hashes, codes = array("q"), array("q")
    names: dict[str, int] = {}
    left: Counter[str] = Counter()
    for page in source.pages(query):
        left.update(page.skipped)
        for each in page.candidates:
            key = hash(each.source_id)
            for name in each.classes or ("",):
                hashes.append(key)
                codes.append(names.setdefault(name, len(names)))
    ids = np.frombuffer(hashes, np.int64) if hashes else np.empty(0, np.int64)
    pairs = np.unique(np.stack([ids, np.array(codes, np.int64)]), axis=1)
    found = np.bincount(pairs[1], minlength=len(names))
    n = len(np.unique(pairs[0]))
    return n, {name: int(found[code]) for name, code in names.items()}, left


def _of_api(
    source: Source, query: Query
) -> tuple[int | None, Mapping[str, int] | None, Mapping[str, int]]:
    """Ask how much there is; classes are None where the API cannot count them."""
    n = source.count(query)
    if query.limit is not None:
        n = query.limit if n is None else min(n, query.limit)
    if query.class_by is None:
        return n, dict.fromkeys(query.classes or ("",), n or 0), {}
    if query.limit is not None:
        return n, None, {}  # of which classes the first ones are, nobody knows
    try:
        return n, source.class_counts(query), {}
    except UsageError:
        return n, None, {}  # no count by that field; its classes are found as it is searched


def _taken(
    project: ProjectFolder, request: FetchRequest, classes: Mapping[str, int]
) -> tuple[dict[str, int], int]:
    """Return the classes that miss their minimum, and the images of the others at most."""
    there = {each.name: each for each in counts.class_counts(project.look())}
    left_out: dict[str, int] = {}
    images = 0
    for name, n in classes.items():
        have = there.get(name)
        minimum, quota = _limits(request, have) if name else (None, None)
        reach = max(n, 0 if have is None else have.images + have.pending)
        if minimum is not None and reach < minimum:
            left_out[name] = n
            continue
        missing = n if quota is None else quota - (0 if have is None else have.images)
        images += max(0, min(n, missing))
    return left_out, images


def _limits(request: FetchRequest, have: ClassCount | None) -> tuple[int | None, int | None]:
    """Return minimum and quota of a class: the request's, where 0 lifts one, else its own."""
    minimum, quota = request.min_per_class, request.per_class
    if minimum is None and have is not None:
        minimum = have.minimum
    if quota is None and have is not None:
        quota = have.quota
    return minimum or None, quota or None
