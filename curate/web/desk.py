"""The threads behind the audit page: one reads, one writes, a few make thumbnails.

SQLite connections belong to one thread, so each of the two has its own; a write that waits
for the disk keeps nobody from the next page. Routes hand work over and await it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, TypeVar

from curate.carriers.auditing import Auditing
from curate.carriers.deciding import Deciding
from curate.catalog import sessions
from curate.catalog.images import known_format
from curate.project import Project
from curate.web.guard import SESSION_S
from curate.web.thumbs import Thumbs

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_KNOWN_FORMATS = 50_000


@dataclass(frozen=True, slots=True)
class Options:
    """How the audit page is served."""

    manifest: str = ""
    """Only the images of this manifest."""
    queue: str = ""
    """The queue that a page begins with."""
    overlap: int = 0
    """Images are given out so that as many people decide each; 0: everybody sees all."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything that routes may ask for. Make it with `open_desk`."""

    options: Options
    """How the page is served."""
    thumbs: Thumbs
    """Pictures."""
    _auditing: Auditing
    _deciding: Deciding
    _reader: ThreadPoolExecutor
    _writer: ThreadPoolExecutor
    _painters: ThreadPoolExecutor
    _formats: dict[str, str] = field(default_factory=dict)

    async def read(
        self, ask: Callable[Concatenate[Auditing, P], T], *args: P.args, **named: P.kwargs
    ) -> T:
        """Call a method of `Auditing` in its thread."""
        call = _bound(ask, self._auditing, *args, **named)
        return await asyncio.get_running_loop().run_in_executor(self._reader, call)

    async def write(
        self, ask: Callable[Concatenate[Deciding, P], T], *args: P.args, **named: P.kwargs
    ) -> T:
        """Call a method of `Deciding` in its thread."""
        call = _bound(ask, self._deciding, *args, **named)
        return await asyncio.get_running_loop().run_in_executor(self._writer, call)

    async def paint(self, make: Callable[[str, str], T], image_id: str) -> T | None:
        """Make a picture of an image in a thread; None if there is no such image or file."""
        image_format = self._formats.get(image_id) or await self._format(image_id)
        if image_format is None:
            return None
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._painters, make, image_id, image_format)
        except OSError:
            return None

    async def _format(self, image_id: str) -> str | None:
        found = await self.read(lambda auditing: known_format(auditing.db, image_id))
        if found is not None:
            if len(self._formats) >= _KNOWN_FORMATS:
                self._formats.clear()
            self._formats[image_id] = found
        return found

    async def begin_session(self, secret_hash: str, annotator: str) -> None:
        """Keep a session."""
        now = time.time()
        await self.write(
            lambda deciding: sessions.begin(
                deciding.db, secret_hash, annotator, now, now - SESSION_S
            )
        )

    async def find_session(self, secret_hash: str) -> str | None:
        """Return whose session this is; None if there is none."""
        oldest = time.time() - SESSION_S
        return await self.read(lambda auditing: sessions.find(auditing.db, secret_hash, oldest))

    def close(self) -> None:
        """Finish what was begun, close the ledger, and end the threads."""
        self._writer.submit(self._deciding.close).result()
        for pool in (self._reader, self._writer, self._painters):
            pool.shutdown(wait=True, cancel_futures=True)


def open_desk(make_project: Callable[[], Project], options: Options) -> Desk:
    """Open a project in the threads that will use it.

    Raises:
        CurateError: the project cannot be opened, or has no such manifest.
    """
    reader = ThreadPoolExecutor(1, "audit-reader")
    writer = ThreadPoolExecutor(1, "audit-writer")
    painters = ThreadPoolExecutor(max(2, min(8, os.cpu_count() or 2)), "audit-painter")
    try:
        deciding = writer.submit(lambda: Deciding(make_project())).result()
        auditing = reader.submit(
            lambda: Auditing(make_project(), options.manifest, options.queue)
        ).result()
        reader.submit(auditing.refresh)  # whoever asks something meanwhile waits for it
    except BaseException:
        for pool in (reader, writer, painters):
            with suppress(RuntimeError):
                pool.shutdown(wait=False, cancel_futures=True)
        raise
    project = auditing.project
    thumbs = Thumbs(project.folder / "thumbs", project.store)
    return Desk(options, thumbs, auditing, deciding, reader, writer, painters)


def _bound(
    ask: Callable[Concatenate[R, P], T], to: R, *args: P.args, **named: P.kwargs
) -> Callable[[], T]:
    return lambda: ask(to, *args, **named)
