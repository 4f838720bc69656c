"""Downloads of GBIF: requested, waited for, fetched, and cited. Ties the service to the catalog."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.carriers.asked import FetchRequest
from curate.catalog.downloads import Download, cite, keep, known
from curate.errors import SourceError
from curate.sources.base import Query
from curate.sources.gbif_download import RUNNING, DownloadClient

if TYPE_CHECKING:
    from curate.carriers.folder import ProjectFolder

FOLDER = "downloads"
FIRST_WAIT_S, LONGEST_WAIT_S, GROWTH = 5.0, 60.0, 1.5
"""Pauses between two looks at a download that is being prepared."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A download that has arrived."""

    download: Download
    """What GBIF says of it."""
    path: Path
    """The file."""
    citation: str
    """How it is to be cited."""


class GbifDownloads:
    """The downloads of a project.

    Args:
        project: whose settings, environment and catalog are used.
        sleep: waits for so many seconds.
    """

    def __init__(
        self, project: ProjectFolder, sleep: Callable[[float], None] | None = None
    ) -> None:
        self._project = project
        context = project.finder().context(FetchRequest())
        self._sleep = sleep or context.sleep
        self._client = DownloadClient(context)

    def predicate(self, request: FetchRequest) -> dict[str, Any]:
        """Return what would be asked for. Names are looked up; nothing is requested.

        Raises:
            UsageError, SourceError: it cannot be asked.
        """
        text = request.queries[0] if request.queries else None
        return self._client.predicate(Query(text=text, params=request.params))

    def request(self, predicate: Mapping[str, Any], format_: str) -> Download:
        """Ask for a download, and keep its key.

        Raises:
            UsageError, SourceError: GBIF refuses, or the credentials are missing.
        """
        key = self._client.request(predicate, format_)
        made = Download(
            key, json.dumps(predicate), "PREPARING", None, None, None, self._project.clock()
        )
        keep(self._project.db, made)
        return made

    def status(self, key: str | None = None, *, dry_run: bool = False) -> list[Download]:
        """Ask how far a download is; without a key, all that are not known to have ended.

        Args:
            key: GBIF's name of it.
            dry_run: do not keep what GBIF says.

        Raises:
            SourceError: GBIF does not know it, or cannot be reached.
        """
        downloads = {each.key: each for each in known(self._project.look())}
        if key is not None:
            return [self._look(key, downloads.get(key), dry_run=dry_run)[0]]
        return [
            self._look(each.key, each)[0] if each.status in RUNNING else each
            for each in downloads.values()
        ]

    def where(self, key: str, path: Path | None = None) -> Path:
        """Return where the file of a download goes."""
        return path or self._project.folder / FOLDER / f"{key}.zip"

    def fetch(self, key: str, path: Path | None = None) -> Fetched:
        """Wait for a download, fetch its file, and keep its citation.

        Args:
            key: GBIF's name of it.
            path: where the file goes; the project's `downloads` folder by default.

        Raises:
            SourceError: it failed, was erased, or is not what GBIF says.
            StoreError: it cannot be written.
        """
        before = {each.key: each for each in known(self._project.look())}.get(key)
        self._project.made()
        found, said = self._wait(key, before)
        target = self.where(key, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not (target.exists() and found.n_bytes and target.stat().st_size == found.n_bytes):
            self._client.fetch(key, target, found.n_bytes or 0, self._tell)
        text = self._client.citation(key, found.doi, str(said.get("created") or ""))
        cite(self._project.db, "dwca", key, found.doi, text)
        return Fetched(found, target, text)

    def _wait(self, key: str, before: Download | None) -> tuple[Download, dict[str, Any]]:
        wait_s = FIRST_WAIT_S
        while True:
            found, said = self._look(key, before)
            if found.status == "SUCCEEDED":
                return found, said
            if found.status not in RUNNING:
                raise SourceError(f"GBIF's download {key} is {found.status}", "Request it again.")
            self._project.notify(f"GBIF: {key} is {found.status}; looking again in {wait_s:.0f} s.")
            self._sleep(wait_s)
            wait_s = min(wait_s * GROWTH, LONGEST_WAIT_S)

    def _look(
        self, key: str, before: Download | None, *, dry_run: bool = False
    ) -> tuple[Download, dict[str, Any]]:
        said = self._client.status(key)
        predicate = json.dumps((said.get("request") or {}).get("predicate") or {})
        found = Download(
            key=key,
            predicate=predicate if before is None else before.predicate,
            status=str(said["status"]),
            doi=said.get("doi"),
            n_bytes=int(said.get("size") or 0) or None,
            n_records=said.get("totalRecords"),
            requested_at=self._project.clock() if before is None else before.requested_at,
        )
        if self._project.exists and not dry_run:
            # A look at a download begins no project; what fetches its file does.
            keep(self._project.db, found)
        return found, said

    def _tell(self, done: int, total: int) -> None:
        self._project.progress("download", done, total or None)
