"""A project of URLs for tests of fetching: fill it, run it, read what became of each."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.catalog import searches
from curate.catalog.database import Database
from curate.config import FetchSettings
from curate.fetch.check import decoders
from curate.fetch.run import FetchEnd, run
from curate.records import Candidate
from curate.store import Store

LOOPBACK = ("127.0.0.0/8",)
QUICK = FetchSettings(
    workers=1,
    connect_timeout_s=5.0,
    idle_timeout_s=2.0,
    deadline_s=5.0,
    backoff_s=0.01,
    backoff_cap_s=0.05,
    max_wait_s=5.0,
    allow_hosts=LOOPBACK,
)
"""Patient enough for a busy machine, too impatient for a server that hangs."""


@dataclass(frozen=True, slots=True)
class Row:
    """What the catalog says of one candidate."""

    state: str
    reason: str | None
    detail: str | None
    http_status: int | None
    tries: int
    due_at: float
    image_id: str | None

    @property
    def end(self) -> str:
        """The state, or the reason of a failure."""
        return self.reason or "" if self.state == "failed" else self.state


class Folder:
    """A catalog and a store, without the project around them."""

    def __init__(self, folder: Path, settings: FetchSettings = QUICK, **changes: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.db = Database(folder / "catalog.db")
        self.store = Store(folder / "images")
        self.settings = dataclasses.replace(settings, **changes)

    def add(self, urls: Iterable[str], classes: tuple[str, ...] = (), source: str = "urls") -> None:
        """Take candidates in, in this order."""
        search = searches.open_search(self.db, source, "{}", "", 0.0)
        rows = [Candidate(source, url, url, classes) for url in urls]
        searches.add_page(self.db, search.id, rows, None)

    def fetch(self, **options: Any) -> FetchEnd:
        """Run once."""
        options.setdefault("rng", random.Random(7))
        with decoders(self.store, self.settings) as pool:
            return run(
                self.db, self.store, pool, self.settings, user_agent="curate-test", **options
            )

    def rows(self) -> dict[str, Row]:
        """What became of every URL."""
        found = self.db.all(
            "SELECT url, state, reason, detail, http_status, tries, due_at, image_id "
            "FROM candidates ORDER BY id"
        )
        return {url: Row(*values) for url, *values in found}

    def ends(self) -> dict[str, str]:
        """State, or reason of failure, of every URL."""
        return {url: row.end for url, row in self.rows().items()}

    def close(self) -> None:
        self.db.close()
