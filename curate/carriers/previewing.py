"""What a fetch would do, worked out without writing anything.

`Project.preview` comes here. Files are read just as the fetch would read them, so that licences,
limits and rows without a URL count as they will; APIs are asked how much they have.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.catalog import counts
from curate.catalog.columns import CandidateColumns
from curate.catalog.text import clean
from curate.errors import UsageError

if TYPE_CHECKING:
    from curate.carriers.asked import FetchRequest
    from curate.carriers.folder import ProjectFolder
    from curate.catalog.counts import ClassCount
    from curate.progress import Progress
    from curate.records import Candidate
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
        if source.is_remote:
            n, named, left = _of_api(source, query)
        else:
            n, named, left = _of_file(source, query, project.progress)
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


def _of_file(
    source: Source, query: Query, progress: Progress
) -> tuple[int, Mapping[str, int], Mapping[str, int]]:
    """Count candidates, their classes, and what gives none.

    Columns of candidates, which an archive gives by the million, are counted without a look at
    each: no candidate stands in them twice, and the source counts their classes.
    """
    n, met, in_columns = 0, _Met(), False
    left: Counter[str] = Counter()
    for page in source.pages(query):
        left.update(page.skipped)
        n += len(page.candidates)
        progress("read", n, None)
        if query.limit is None and isinstance(page.candidates, CandidateColumns):
            in_columns = True
        else:
            met.add(page.candidates)
    if in_columns:
        return n, source.class_counts(query) or {}, left
    return *met.counted(), left


class _Met:
    """Counts candidates and their classes; one that comes twice counts once.

    Of each 16 bytes are kept.
    """

    def __init__(self) -> None:
        self._hashes, self._codes = array("q"), array("q")
        self._names: dict[str, int] = {}

    def add(self, candidates: Iterable[Candidate]) -> None:
        """Take some more."""
        for each in candidates:
            key = hash(each.source_id)
            for name in each.classes or ("",):
                self._hashes.append(key)
                self._codes.append(self._names.setdefault(name, len(self._names)))

    def counted(self) -> tuple[int, dict[str, int]]:
        """Return how many there are, and how many of each class."""
        import numpy as np

        ids, classes = np.array(self._hashes, np.int64), np.array(self._codes, np.int64)
        order = np.lexsort((classes, ids))
        ids, classes = ids[order], classes[order]
        is_other = np.diff(ids, prepend=~ids[:1]) != 0
        is_new = is_other | (np.diff(classes, prepend=-1) != 0)
        found = np.bincount(classes[is_new], minlength=len(self._names))
        return int(is_other.sum()), {name: int(found[code]) for name, code in self._names.items()}


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
