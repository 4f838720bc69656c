"""What a fetch asks for, and how the catalog keeps it so that it can be asked again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from curate.catalog.searches import Search
from curate.catalog.text import exact_json
from curate.errors import UsageError
from curate.licenses import check_wanted
from curate.records import Reason
from curate.sources.base import Query


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What to look for. With no source of candidates, what is pending is fetched."""

    source: str | None = None
    """Name of the source; found out from `path` and `queries` by default."""
    queries: tuple[str, ...] = ()
    """Search texts, each a search of its own."""
    path: Path | None = None
    """The file or folder of a source that reads one."""
    classes: tuple[str, ...] | None = None
    """Class hints for all that is found; None takes the query; ("",) marks negatives."""
    class_by: str | None = None
    """Column or field that gives the class."""
    url_column: str | None = None
    """Column of a list that holds the URL."""
    class_column: str | None = None
    """Column of a list that holds the class."""
    params: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """More parameters for the source's API."""
    licenses: tuple[str, ...] = ()
    """Licences wanted; empty: all."""
    per_class: int | None = None
    """Valid, distinct images to end with for each class; 0 lifts an earlier such bound."""
    min_per_class: int | None = None
    """Classes that cannot reach so many images are not fetched; 0 lifts an earlier minimum."""
    spread_by: tuple[str, ...] = ()
    """Columns over whose values a class's candidates are taken in turns."""
    limit: int | None = None
    """Candidates to take from each search at most."""
    retry: tuple[Reason, ...] = ()
    """Failures to put back into the queue."""

    @property
    def source_name(self) -> str | None:
        """The source that is meant; None if no candidates are asked for."""
        if self.source is not None:
            return self.source
        if self.path is not None:
            return "folder" if self.path.is_dir() else "urls"
        return "unsplash" if self.queries else None

    def check(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            UsageError: it does.
        """
        if any(not text.strip() for text in self.queries):
            raise UsageError("--query is empty", 'negatives are marked with --class ""')
        check_wanted(self.licenses)
        if self.min_per_class and self.per_class and self.min_per_class > self.per_class:
            raise UsageError(
                f"--min-per-class {self.min_per_class} is more than the "
                f"{self.per_class} images wanted of each class"
            )
        if self.per_class and "" in (self.classes or ()):
            raise UsageError(
                '--per-class counts images of a class, and --class "" stands for none',
                "bound negatives with --limit",
            )


def request_json(query: Query, request: FetchRequest) -> str:
    """Return what makes a search the same search, enough to ask it again."""
    said = {
        "text": query.text,
        "classes": list(query.classes),
        "class_by": query.class_by,
        "licenses": sorted(query.licenses),
        "params": {key: list(values) for key, values in sorted(query.params.items())},
        "path": str(request.path.resolve()) if request.path else None,
        "stamp": stamp(request.path),
        "url_column": request.url_column,
        "class_column": request.class_column,
        "side_px": query.side_px,
    }
    return exact_json(said)


def stamp(path: Path | None) -> str | None:
    """Return what changes when a list changes, so that its rows are then read again."""
    if path is None or path.is_dir():
        return None
    try:
        state = path.stat()
    except OSError:
        return None
    return f"{state.st_size}-{state.st_mtime_ns}"


def asked(search: Search) -> tuple[FetchRequest, Query]:
    """Return what a search in the catalog asks: the source's part, and the question."""
    said = json.loads(search.request)
    request = FetchRequest(
        source=search.source,
        path=Path(said["path"]) if said["path"] else None,
        url_column=said["url_column"],
        class_column=said["class_column"],
    )
    query = Query(
        text=said["text"],
        classes=tuple(said["classes"]),
        side_px=said["side_px"],
        licenses=frozenset(said["licenses"]),
        class_by=said["class_by"],
        params={key: tuple(values) for key, values in said["params"].items()},
        limit=search.wanted,
    )
    return request, query
