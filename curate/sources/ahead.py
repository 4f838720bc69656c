"""The next page is made while the last one is written: two threads, one page apart."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield what an iterator gives, asking for the next one before it is wanted.

    Pays where making an item and using it both leave the interpreter for long, as Arrow and
    SQLite do. Nothing else may use the iterator; what it raises is raised here, in its turn.
    """
    end = object()
    with ThreadPoolExecutor(1, "ahead") as thread:
        coming = thread.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = thread.submit(next, items, end)
            yield item  # type: ignore[misc] # not the end
