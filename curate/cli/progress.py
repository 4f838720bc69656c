"""Progress bars with a remaining time, on a terminal only."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from curate.cli.session import Session

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

DRAW_EVERY_S = 0.1


class Bars:
    """A `curate.progress.Progress` that draws one bar for each stage on stderr.

    Args:
        session: nothing is drawn if it is quiet or answers in JSON, or if stderr is no terminal.
    """

    def __init__(self, session: Session) -> None:
        self._on = sys.stderr.isatty() and not session.quiet and not session.as_json
        self._rich: RichProgress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._drawn_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._rich is not None:
            self._rich.stop()

    def __call__(self, stage: str, done: int, total: int | None = None, **counts: int) -> None:
        """Move the stage's bar; most calls return at once."""
        if not self._on:
            return
        now = time.monotonic()
        if now - self._drawn_at < DRAW_EVERY_S and done != total:
            return
        self._drawn_at = now
        rich = self._rich or self._start()
        if stage not in self._tasks:
            self._tasks[stage] = rich.add_task(stage, total=total, words="")
        words = "  ".join(f"{name} {n:,}" for name, n in counts.items() if n)
        rich.update(self._tasks[stage], completed=done, total=total, words=words)

    def _start(self) -> RichProgress:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._rich = Progress(
            TextColumn("{task.description:8}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[words]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._rich.start()
        return self._rich
