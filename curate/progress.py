"""How rooms tell what they are doing, without knowing who listens.

A room calls `progress(stage, done, total, **counts)` now and then; the default listener
does nothing, the command line draws bars. Calls must be cheap: listeners throttle.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A listener for long work."""

    def __call__(self, stage: str, done: int, total: int | None = None, **counts: int) -> None:
        """Report that `done` of `total` items (None: unknown) of `stage` are finished.

        `counts` are named side counts worth showing, e.g. `stored=`, `failed=`.
        """


def silent(stage: str, done: int, total: int | None = None, **counts: int) -> None:
    """Listen to nothing: the default."""
