"""Darwin Core Archives: GBIF downloads, and what museums and surveys publish.

Records first (as columns), then media in pages of 30,000 rows, joined with them. All tables
are read to their end once before the first page is given, so that an archive which is cut
off, or not what it says, leaves nothing behind; the cost is to read the media twice. The
first time a second thread does, beside the records, and later one makes the next page while
this one is written. A place in an archive is the media table and the row in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from curate.errors import SourceError, UsageError
from curate.sources.ahead import ahead
from curate.sources.archive import Archive
from curate.sources.base import Page, Query, SourceContext, limited
from curate.sources.dwca_join import Job, Joined, Media, join, make_job, roles
from curate.sources.dwca_records import Records, load
from curate.sources.dwca_rows import candidates
from curate.sources.dwca_tables import ID, Layout, Table, layout

PAGE_ROWS = 30_000
DEFAULT_CLASS_BY = "species"
_STILL = "StillImage"


@dataclass(frozen=True, slots=True)
class Contents:
    """What an archive holds, counted by reading all of it."""

    core: str
    """What a row of the core is: `occurrence`, `event`, `taxon`, …; empty without a core."""
    core_rows: int
    """Rows of the core."""
    media_rows: int
    """Rows of its tables of media."""
    bad_rows: int
    """Rows of another shape than the rest, which are left out."""


class DwcaSource:
    """Read candidates from a Darwin Core Archive.

    Args:
        context: `path` is the archive; `gbif_url` serves smaller variants of its images.

    Raises:
        UsageError: no archive is given.
    """

    name = "dwca"
    is_remote = False
    terms = ""

    def __init__(self, context: SourceContext) -> None:
        if context.path is None:
            raise UsageError("the source dwca needs an archive", "Give it with --archive FILE|DIR.")
        self._context = context
        self._path: Path = context.path
        self._records: tuple[str | None, Records] | None = None
        self._contents: Contents | None = None
        self._layout: Layout | None = None

    def pages(self, query: Query, cursor: str | None = None) -> Iterator[Page]:
        """Yield a page for each 30,000 media rows; the cursor is `TABLE:ROW`.

        Raises:
            SourceError: the archive is damaged, not what it says, or has no images; nothing
                has been given then.
        """
        return limited(cursor, query.limit, lambda start: self._run(query, start))

    def contents(self) -> Contents:
        """Read all tables to their end and count their rows.

        Raises:
            SourceError: one cannot be read.
        """
        if self._contents is None:
            found = self._found()
            core_rows = found.core.count() if found.core is not None else 0
            media_rows = sum(table.count() for table in found.media)
            tables = [*found.media, *([found.core] if found.core is not None else [])]
            bad = sum(table.tally.bad for table in tables)
            self._contents = Contents(found.core_type, core_rows, media_rows, bad)
        return self._contents

    def count(self, query: Query) -> int | None:  # noqa: ARG002 -- the protocol has it
        """Return the number of media rows."""
        found = self._found()
        self._need_media(found)
        return sum(table.count() for table in found.media)

    def class_counts(self, query: Query) -> Mapping[str, int] | None:
        """Return images per class by reading the archive; "" are those of none.

        Of a simple download, which names no images, records that have some are counted.
        """
        found = self._found()
        totals: Counter[str] = Counter()
        if not found.media:
            return self._record_counts(query, found)
        job = self._job(query, found)
        for table in found.media:
            for joined, _ in self._joined(table, job):
                if joined.classes is None:
                    totals[query.classes[0] if query.classes else ""] += joined.media.n
                    continue
                for each in pc.value_counts(joined.classes):
                    totals[each["values"].as_py()] += each["counts"].as_py()
        return totals

    def _record_counts(self, query: Query, found: Layout) -> Mapping[str, int]:
        core = found.core
        if core is None or not core.has("mediatype"):
            self._need_media(found)
            raise AssertionError
        records = load(found, query.class_by or DEFAULT_CLASS_BY, ["mediaType"])
        shown = pc.match_substring(records.columns["mediatype"].cast(pa.string()), _STILL)
        assert records.classes is not None
        classes = records.classes.cast(pa.string()).filter(shown)
        self._context.notify(
            f"{self._path} names no images: records that have some are counted, not images."
        )
        counted = pc.value_counts(classes)
        return {each["values"].as_py(): each["counts"].as_py() for each in counted}

    def _found(self) -> Layout:
        if self._layout is None:
            self._layout = layout(Archive(self._path))
        return self._layout

    def _need_media(self, found: Layout) -> None:
        """Refuse an archive without images, with its reason."""
        if found.media:
            return
        rows = self.contents().core_rows
        what = f"{rows:,} rows ({found.core_type})"
        if found.core is not None and found.core.has("mediatype"):
            raise SourceError(
                f"{self._path} has {what} but no table of images: a simple download names none",
                "Request it as Darwin Core Archive: curate gbif request --format dwca.",
            )
        raise SourceError(
            f"{self._path} has {what} but no table of images (Multimedia or Audiovisual)",
            "Such an archive lists records; candidates come from a table of their images.",
        )

    def _run(self, query: Query, start: str | None) -> Iterator[tuple[str, Page]]:
        found = self._found()
        self._need_media(found)
        first_table, first_row = _place(start, len(found.media))
        with ThreadPoolExecutor(1, "count") as thread:
            # Arrow imports pandas, for half a second, when it is given a first value of Python's.
            thread.submit(pa.scalar, None)
            counted = thread.submit(self.count, query)
            job = self._job(query, found)
            total = counted.result()
        self._tell_bad(found)
        return ahead(self._pages(found, job, total, first_table, first_row))

    def _pages(
        self, found: Layout, job: Job, total: int | None, first_table: int, first_row: int
    ) -> Iterator[tuple[str, Page]]:
        n_tables = len(found.media)
        for number in range(first_table, n_tables):
            row = first_row if number == first_table else 0
            own = f"{number}:{row}"
            for joined, (skipped, following) in ahead(self._joined(found.media[number], job, row)):
                more = following is not None
                is_last = not more and number + 1 == n_tables
                place = f"{number}:{following}" if more else f"{number + 1}:0"
                cursor = None if is_last else place
                yield own, Page(candidates(joined, job), cursor, total, dict(skipped))
                own = place

    def _job(self, query: Query, found: Layout) -> Job:
        if found.core is None:
            if query.class_by is not None:
                raise SourceError(
                    f"{self._path} holds media alone: no column {query.class_by!r} is there",
                    "Name the class with --class NAME.",
                )
            is_gbif = all(table.has("gbifid") for table in found.media)
            return make_job(query, None, self._context.gbif_url.rstrip("/"), is_gbif)
        class_by = query.class_by
        if class_by is None and not query.classes:
            class_by = DEFAULT_CLASS_BY
        if self._records is None or self._records[0] != class_by:
            records = load(found, class_by)
            self._records = class_by, records
        kept = self._records[1]
        return make_job(query, kept, self._context.gbif_url.rstrip("/"), kept.is_gbif)

    def _joined(
        self, table: Table, job: Job, first_row: int = 0
    ) -> Iterator[tuple[Joined, tuple[Counter[str], int | None]]]:
        """Yield a media table's candidates, what was left out, and the row that follows."""
        by_role = roles(table)
        has_records = (
            job.records is not None and job.records.kind == "event" and "record" in by_role
        )
        names = [ID, *by_role]
        row = 0
        held: list[list[pa.Array]] = []
        n_held = 0
        for columns in table.batches([ID, *by_role.values()]):
            n_rows = len(columns[0])
            row += n_rows
            skip = max(0, n_rows - (row - first_row))
            if skip >= n_rows:
                continue
            held.append([each.slice(skip) for each in columns])
            n_held += n_rows - skip
            if n_held >= PAGE_ROWS:
                joined, skipped = join(_media(names, held), job, has_records)
                yield joined, (skipped, row)
                held, n_held = [], 0
        if held:
            joined, skipped = join(_media(names, held), job, has_records)
        else:
            joined, skipped = join(
                Media(names, [pa.array([], pa.string())] * len(names)), job, False
            )
        yield joined, (skipped, None)

    def _tell_bad(self, found: Layout) -> None:
        for table in (found.core, *found.media):
            if table is not None and table.tally.bad:
                self._context.notify(
                    f"{table.where}: {table.tally.bad:,} rows do not have the "
                    f"{table.width} columns of the others, and are left out."
                )


def _media(names: Sequence[str], held: Sequence[Sequence[pa.Array]]) -> Media:
    columns = zip(*held, strict=True)
    return Media(names, [pa.concat_arrays(list(each)) for each in columns])


def _place(start: str | None, n_tables: int) -> tuple[int, int]:
    """Read a cursor.

    Raises:
        SourceError: it is not one of ours.
    """
    if start is None:
        return 0, 0
    table, _, row = start.partition(":")
    if not (table.isdecimal() and row.isdecimal() and int(table) < n_tables):
        raise SourceError(f"not a cursor of dwca: {start!r}", "Start it again.")
    return int(table), int(row)
