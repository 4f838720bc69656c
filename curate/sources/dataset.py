"""Datasets that people already have, as a source: entries of any format become candidates.

An image file is the same candidate as if its folder were imported, and a URL the same as in a
list of URLs: whichever way a dataset comes in, twice it is still one. What gives no image is
counted by reason, and the first of each reason are remembered by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from curate.catalog.text import clean
from curate.errors import SourceError, UsageError
from curate.records import Candidate
from curate.sources import datasets
from curate.sources.base import LeftOut, Page, Query, SourceContext, count_classes, hints, limited
from curate.sources.datasets.base import Entry, Left, Options, above
from curate.sources.folder import escaped, id_prefix

PAGE_ENTRIES = 1000


@dataclass(slots=True)
class DatasetSource:
    """Offer the images of a dataset.

    Args:
        context: `path` is its folder or file.

    Raises:
        UsageError: no path is given.
    """

    context: SourceContext
    name: str = field(default="dataset", init=False)
    is_remote: bool = field(default=False, init=False)
    terms: str = field(default="", init=False)
    examples: dict[str, list[str]] = field(default_factory=dict, init=False)
    """What was left out, by reason: the first names of each."""

    def __post_init__(self) -> None:
        if self.context.path is None:
            raise UsageError("the source dataset needs a path", "use `curate import PATH`")

    def pages(self, query: Query, cursor: str | None = None) -> Iterator[Page]:
        """Yield pages of up to 1,000 rows; the cursor is the number of the next row.

        Raises:
            SourceError: the dataset cannot be read.
            UsageError: there is no such format.
        """
        return limited(cursor, query.limit, lambda start: self._run(query, start))

    def count(self, query: Query) -> int | None:
        """Return the number of images, by reading all of it."""
        return sum(len(page.candidates) for page in self.pages(replace(query, limit=None)))

    def class_counts(self, query: Query) -> Mapping[str, int] | None:
        """Return images per class, by reading all of it; "" are those of none."""
        return count_classes(self.pages(replace(query, limit=None)))

    def _run(self, query: Query, start: str | None) -> Iterator[tuple[str, Page]]:
        if start is not None and not start.isdecimal():
            raise SourceError(f"not a cursor of a dataset: {start!r}", "Import it again.")
        assert self.context.path is not None
        name, path = datasets.choose(self.context.path, _first(query.params, "format"))
        options = options_of(query.params)
        maker = _Maker(query, _root(path, options), "keep_split" in query.params)
        first = int(start or 0)
        own, number, found = str(first), 0, list[Candidate]()
        left = LeftOut()
        self.examples = left.examples
        for number, entry in enumerate(datasets.load(name).entries(path, options), 1):
            if number <= first:
                continue
            if number > first + 1 and (number - first - 1) % PAGE_ENTRIES == 0:
                yield own, Page(tuple(found), str(number - 1), None, dict(left.counts))
                own, found = str(number - 1), []
                left.counts.clear()
            if isinstance(entry, Left):
                left.add(entry.reason, entry.what)
            else:
                found.append(maker.candidate(entry))
        yield own, Page(tuple(found), None, None, dict(left.counts))

    def root(self, query: Query) -> Path:
        """Return the folder that the ids of its files begin with.

        Raises:
            SourceError, UsageError: as for `pages`.
        """
        assert self.context.path is not None
        _, path = datasets.choose(self.context.path, _first(query.params, "format"))
        return _root(path, options_of(query.params))

    def said(
        self, query: Query, wanted: Set[tuple[str, str]]
    ) -> dict[tuple[str, str], list[tuple[str, tuple[str, ...]]]]:
        """Return what the dataset says of some candidates, each time that it names them.

        Args:
            query: as it was asked.
            wanted: source and id of each.

        Returns:
            For each, the names in the dataset with their classes; none of them where empty.
        """
        found: dict[tuple[str, str], list[tuple[str, tuple[str, ...]]]] = {}
        assert self.context.path is not None
        name, path = datasets.choose(self.context.path, _first(query.params, "format"))
        options = options_of(query.params)
        maker = _Maker(query, _root(path, options), keep_split=False)
        for entry in datasets.load(name).entries(path, options):
            if isinstance(entry, Entry):
                each = maker.candidate(entry)
                key = each.source, clean(each.source_id)
                if key in wanted:
                    found.setdefault(key, []).append((entry.name, entry.classes or ()))
        return found


@dataclass(slots=True)
class _Maker:
    """Makes candidates of entries."""

    query: Query
    root: Path
    keep_split: bool
    _prefixes: dict[Path, str] = field(default_factory=dict)

    def candidate(self, entry: Entry) -> Candidate:
        """Return the candidate of an entry."""
        said = () if entry.classes is None else entry.classes or ("",)
        given: dict[str, Any] = dict(entry.facts)
        meta = {**entry.meta, **({"split": entry.split} if entry.split else {})}
        if entry.path is None:
            assert entry.url is not None
            source, source_id, url = "urls", entry.url, entry.url
        else:
            source, source_id = "folder", self._id(entry.path)
            url = entry.path.as_uri()
            if entry.inside:
                source_id += f"#{entry.inside}"
                url += f"#{entry.inside}"
        return Candidate(
            source=source,
            source_id=source_id,
            url=url,
            classes=hints(self.query, said) if self.query.classes else said,
            meta=meta,
            split=entry.split if self.keep_split else None,
            **given,
        )

    def _id(self, path: Path) -> str:
        root = self.root if path.is_relative_to(self.root) else path.parent
        if root not in self._prefixes:
            self._prefixes[root] = id_prefix(root)
        return self._prefixes[root] + "/".join(map(escaped, path.relative_to(root).parts))


def _root(path: Path, options: Options) -> Path:
    return (options.images or (path if path.is_dir() else above(path))).absolute()


def options_of(params: Mapping[str, Sequence[str]]) -> Options:
    """Return the options that a query's parameters hold."""
    images = _first(params, "images")
    return Options(
        label_columns=tuple(params.get("label_column", ())),
        file_column=_first(params, "file_column"),
        images=Path(images) if images else None,
        outside="outside" in params,
    )


def _first(params: Mapping[str, Sequence[str]], key: str) -> str | None:
    values = params.get(key, ())
    return values[0] if values else None
