"""A list of URLs in a table: CSV, TSV, JSON Lines or Parquet, one image a row.

Columns are found by their usual names; everything else goes into `meta`. The Unsplash
Dataset is recognised by its header: then the photo id is the id, keywords beside it choose
photos or give classes, and the size is chosen as for a search. The same URL in two rows is
one candidate with the class hints of both; what that contradicts is for a person to see.
Rows become candidates column by column: 100,000 of them take well under a second.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from curate.errors import SourceError, UsageError
from curate.licenses import License, family, matches, normalise
from curate.records import Candidate
from curate.sources import tables, unsplash_dataset
from curate.sources.base import Page, Query, SourceContext, count_classes, hints, limited
from curate.sources.unsplash_dataset import COLOR, KEYWORD, Sidecar
from curate.sources.variants import inaturalist_variant

# Names that a column may have for its role, compared without case and punctuation; the
# first of a role that is there is taken.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "url": (
        *("url", "imageurl", "photoimageurl", "imgurl", "fileurl", "downloadurl", "originalurl"),
        *("mediaurl", "identifier", "accessuri", "imagelink", "imagesrc", "imguri", "imageuri"),
        *("image", "img", "src", "link", "href", "uri"),
    ),
    "class": ("class", "label", "labels", "classes", "classname", "category", "categories"),
    "license": ("license", "licence", "licensename", "rights", "licensetype"),
    "license_url": ("licenseurl", "licenceurl", "licenseuri"),
    "author": ("author", "creator", "photographer", "artist", "photographername", "authorname"),
    "rights_holder": ("rightsholder", "copyrightholder", "owner", "ownername"),
    "page_url": ("pageurl", "sourceurl", "foreignlandingurl", "originallandingurl", "references"),
    "attribution": ("attribution", "credit", "creditline"),
    "group": ("group", "groupid"),
}
_SEPARATORS = re.compile(r"\s*[|;]\s*")
_IGNORED = re.compile(r"[^a-z0-9]")

Roles = Mapping[str, str]
"""Column name by role; a role that no column plays is absent."""


@dataclass(frozen=True, slots=True)
class _Job:
    """What stays the same for all batches of one reading."""

    query: Query
    roles: Roles
    class_is_named: bool
    is_unsplash: bool
    keywords: Sidecar | None
    colors: Sidecar | None


class UrlsSource:
    """Read candidates from a table with a URL column.

    Args:
        context: `path` is the file; `url_column`, `class_column` and `id_column` name
            columns whose names do not say what they are.

    Raises:
        UsageError: no file is given.
    """

    name = "urls"
    is_remote = False
    terms = ""

    def __init__(self, context: SourceContext) -> None:
        if context.path is None:
            raise UsageError("the source urls needs a file", "Give it with --urls FILE.")
        self._context = context
        self._path: Path = context.path

    def pages(self, query: Query, cursor: str | None = None) -> Iterator[Page]:
        """Yield a page for each 10,000 rows; the cursor is the number of the next row.

        Raises:
            SourceError: the file cannot be read, or a column is missing; the message
                lists those that are there.
        """
        return limited(cursor, query.limit, lambda start: self._run(query, start))

    def count(self, query: Query) -> int | None:  # noqa: ARG002 -- the protocol has it
        """Return the number of rows where the file tells it (Parquet), else None."""
        return tables.count_rows(self._path)

    def class_counts(self, query: Query) -> Mapping[str, int] | None:
        """Return candidates per class hint, by reading the whole file; "" are those of none."""
        return count_classes(self.pages(replace(query, limit=None)))

    def _run(self, query: Query, start: str | None) -> Iterator[tuple[str, Page]]:
        if start is not None and not start.isdecimal():
            raise SourceError(f"not a cursor of urls: {start!r}", "Start the list again.")
        batches = tables.read(self._path, int(start or 0))
        batch = next(batches, None)
        if batch is None:
            yield start or "0", Page((), None, tables.count_rows(self._path))
            return
        total = tables.count_rows(self._path)
        job = self._job(query, batch)
        try:
            while batch is not None:
                ahead = next(batches, None)
                cursor = str(ahead.first_row) if ahead else None
                found, skipped = _candidates(batch, job, self._context.id_column)
                yield str(batch.first_row), Page(tuple(found), cursor, total, dict(skipped))
                batch = ahead
        finally:
            for sidecar in (job.keywords, job.colors):
                if sidecar is not None:
                    sidecar.close()

    def _job(self, query: Query, batch: tables.Batch) -> _Job:
        """Look at the header once: what is which column, and what else has to be read."""
        context, names = self._context, list(batch.columns)
        is_unsplash = context.url_column is None and unsplash_dataset.is_photos(names)
        class_by = query.class_by or context.class_column
        with_keywords = is_unsplash and bool(query.text or class_by == KEYWORD)
        with_colors = is_unsplash and class_by == COLOR
        if is_unsplash:
            names = list(unsplash_dataset.renamed(batch, None).columns)
        words = class_by if with_keywords or with_colors else None
        asked = {"url": context.url_column, "class": None if words else class_by}
        roles = _roles(self._path, names, asked)
        with ExitStack() as opened:
            keywords = self._sidecar(KEYWORD, opened) if with_keywords else None
            colors = self._sidecar(COLOR, opened) if with_colors else None
            opened.pop_all()  # both are there: whoever has the job closes them
        return _Job(query, roles, class_by is not None, is_unsplash, keywords, colors)

    def _sidecar(self, kind: str, opened: ExitStack) -> Sidecar:
        sidecar = Sidecar(self._path.parent, kind)
        opened.callback(sidecar.close)
        return sidecar


def _roles(path: Path, names: Sequence[str], asked: Mapping[str, str | None]) -> Roles:
    """Find the columns by role, those asked for by their exact names."""
    flags = {"url": "--url-column", "class": "--class-column"}
    listed = ", ".join(names) or "none"
    plain = {_IGNORED.sub("", name.lower()): name for name in reversed(names)}
    roles: dict[str, str] = {}
    for role, aliases in ALIASES.items():
        wanted = asked.get(role)
        if wanted is not None and wanted not in names:
            raise SourceError(
                f"{path} has no column {wanted!r}; its columns are: {listed}",
                f"Name one of them with {flags[role]}.",
            )
        found = wanted or next((plain[alias] for alias in aliases if alias in plain), None)
        if found is not None and found not in roles.values():
            roles[role] = found
    if "url" not in roles:
        raise SourceError(
            f"{path} has no column that looks like a URL; its columns are: {listed}",
            "Say which one it is with --url-column NAME.",
        )
    return roles


def _candidates(
    batch: tables.Batch, job: _Job, id_column: str | None
) -> tuple[list[Candidate], Counter[str]]:
    """Turn a batch into candidates, and count why the other rows are none."""
    query, roles = job.query, job.roles
    skipped: Counter[str] = Counter({"bad_row": batch.n_bad} if batch.n_bad else {})
    if job.is_unsplash:
        batch = unsplash_dataset.renamed(batch, query.side_px)
        id_column = id_column or "id"
    columns = batch.columns
    n = len(next(iter(columns.values()), ()))
    urls = _texts(columns, roles["url"], n)
    ids = _texts(columns, id_column, n) if id_column else urls
    classes = _classes(columns, job, ids)
    taken = {*roles.values(), id_column}
    rest = [name for name in columns if name not in taken]
    by_role = {role: _texts(columns, name, n) for role, name in roles.items() if role != "class"}
    licenses = _licenses(by_role, n)
    blank = [""] * n
    others = (
        by_role.get(role, blank)
        for role in ("author", "rights_holder", "page_url", "attribution", "group")
    )
    metas = _metas(columns, rest, n)
    found: list[Candidate] = []
    rows = zip(urls, ids, classes, licenses, metas, *others, strict=True)
    for url, id_, hint, license_, meta, author, holder, page, credit, group in rows:
        reason = _refusal(url, hint, license_, query)
        if reason is not None:
            skipped[reason] += 1
            continue
        found.append(
            Candidate(
                "urls",
                id_ or url,
                _sized(url, query.side_px),
                (hint or ()) if job.class_is_named else hints(query, hint or ()),
                query.text,
                group or None,
                page or None,
                author or None,
                license_.id,
                license_.url,
                holder or None,
                credit or None,
                meta,
            )
        )
    return found, skipped


def _refusal(url: str, hint: tuple[str, ...] | None, license_: License, query: Query) -> str | None:
    if not url:
        return "no_url"
    if not url.lower().startswith(("http://", "https://")):
        return "bad_url"
    if hint is None:
        return "no_match"
    return None if matches(license_.id, query.licenses) else "license"


def _classes(
    columns: Mapping[str, Sequence[Any]], job: _Job, ids: Sequence[str]
) -> Iterable[tuple[str, ...] | None]:
    """Class hints of each row; None for a photo whose keywords lack the query's text."""
    if job.keywords or job.colors:
        return _word_classes(job, ids)
    name = job.roles.get("class")
    if name is None or name not in columns:
        return [()] * len(ids)
    return [_split(value) for value in columns[name]]


def _word_classes(job: _Job, ids: Sequence[str]) -> list[tuple[str, ...] | None]:
    keywords = job.keywords.words(ids) if job.keywords else {}
    colors = job.colors.words(ids) if job.colors else {}
    text = (job.query.text or "").casefold()
    found: list[tuple[str, ...] | None] = []
    for photo in ids:
        words = keywords.get(photo, [])
        if job.keywords and text and text not in (word.casefold() for word in words):
            found.append(None)
        elif job.colors:
            found.append(tuple(colors.get(photo, [])[:1]))
        else:
            found.append(tuple(words) if job.query.class_by == KEYWORD else ())
    return found


def _split(value: object) -> tuple[str, ...]:
    """Class hints of one cell: a list, or text with `|` or `;` between them."""
    if isinstance(value, list | tuple):
        return tuple(dict.fromkeys(text for one in value if (text := _text(one))))
    return _split_text(_text(value))


@lru_cache(maxsize=65536)
def _split_text(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for one in _SEPARATORS.split(text) if one))


def _licenses(by_role: Mapping[str, Sequence[str]], n: int) -> list[License]:
    """The licence of each row, by its name or, where that says less, by its URL."""
    blank = [""] * n
    names, links = by_role.get("license", blank), by_role.get("license_url", blank)
    return [_license(name, link) for name, link in zip(names, links, strict=True)]


@lru_cache(maxsize=4096)
def _license(name: str, link: str) -> License:
    by_link = normalise(link)
    by_name = normalise(name)
    if by_name.id is None:
        return by_link
    same_family = by_link.id is not None and family(by_link.id) == family(by_name.id)
    is_known = by_name.id != " ".join(name.split()) or by_name.url is not None
    if same_family or not is_known:
        # "CC BY" beside ".../by/2.0/" is CC-BY-2.0; own words beside a known URL are that.
        return by_link if by_link.id and by_link.id != link else License(by_name.id, link or None)
    return License(by_name.id, link or by_name.url)


def _metas(
    columns: Mapping[str, Sequence[Any]], names: Sequence[str], n: int
) -> Iterable[dict[str, str]]:
    if not names:
        return ({} for _ in range(n))
    texts = [_texts(columns, name, n) for name in names]
    return (
        {name: value for name, value in zip(names, row, strict=True) if value}
        for row in zip(*texts, strict=True)
    )


def _texts(columns: Mapping[str, Sequence[Any]], name: str, n: int) -> list[str]:
    values = columns.get(name)
    return [""] * n if values is None else [_text(value) for value in values]


def _text(value: object) -> str:
    if isinstance(value, str):
        return value.strip()
    if value is None or value != value:  # noqa: PLR0124 -- only NaN is not itself
        return ""
    if isinstance(value, list | tuple):
        return "|".join(map(_text, value))
    if isinstance(value, dict):
        return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)


def _sized(url: str, side_px: int | None) -> str:
    if side_px is None or "inaturalist" not in url:
        return url
    return inaturalist_variant(url, side_px) or url
