"""Who offers images: the registry of sources, by name.

Our own sources are named in one explicit mapping; third parties add theirs by the entry
point group `curate.sources`. A source's module is imported when it is asked for, so that
`curate --help` does not wait for HTTP clients and table readers.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import cast

from curate.errors import UsageError
from curate.sources.base import Page, Query, RateLimitedError, Source, SourceContext

__all__ = ["Page", "Query", "RateLimitedError", "Source", "SourceContext", "create", "names"]

BUILT_IN = {
    "unsplash": "curate.sources.unsplash:UnsplashSource",
    "gbif": "curate.sources.gbif:GbifSource",
    "dwca": "curate.sources.dwca:DwcaSource",
    "urls": "curate.sources.urls:UrlsSource",
    "folder": "curate.sources.folder:FolderSource",
    "dataset": "curate.sources.dataset:DatasetSource",
}
GROUP = "curate.sources"

Factory = Callable[[SourceContext], Source]


def names() -> list[str]:
    """Return the names of all sources, our own first, without loading any."""
    others = {point.name for point in entry_points(group=GROUP)} - set(BUILT_IN)
    return [*BUILT_IN, *sorted(others)]


def create(name: str, context: SourceContext) -> Source:
    """Make the source called `name`.

    Raises:
        UsageError: no source has that name.
        SourceError: the source cannot be set up, e.g. its key is missing.
    """
    return _factory(name)(context)


def _factory(name: str) -> Factory:
    target = BUILT_IN.get(name)
    if target is not None:
        module, _, attribute = target.partition(":")
        return cast("Factory", getattr(import_module(module), attribute))
    for point in entry_points(group=GROUP):
        if point.name == name:
            return cast("Factory", point.load())
    known = ", ".join(names())
    raise UsageError(f"no source is called {name!r}", f"Choose one of: {known}.")
