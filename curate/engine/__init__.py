"""How batches run: the protocol of an engine.

`curate.engine.local` has the only one, worker processes on this machine; whoever has another
passes it to the functions that take an `Engine`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine(Protocol):
    """Runs a batch function over many batches."""

    def map(
        self, function: Callable[[Item], Result], batches: Iterable[Item]
    ) -> Iterator[tuple[Item, Result]]:
        """Yield each batch with its result, as they come, in no particular order.

        `function` must be importable by name (or a `functools.partial` of such a one) and
        pure enough to run twice: a batch whose worker is lost is run once more.
        """
        ...
