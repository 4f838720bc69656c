"""Pictures through a model: reading, decoding and computing overlap, in bounded memory.

As many threads as there are cores each take a few pictures, decode them and run the one shared
session on a single core: while one waits for a file, the others compute, and no core is idle or
fought over. Results come in the order of the pictures; the head start of the threads is bounded,
so memory does not grow with their number.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curate.assist.decode import PictureError, pixels
from curate.assist.model import Floats, Model

CARD_BATCH = 32
"""Pictures at a time for a graphics card; on a CPU one at a time is as fast as many."""
AHEAD = 4
"""Tasks waiting or done for each thread."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model said of a few pictures."""

    rows: Floats
    """As `Model.run` gives them, shape (b, n_outputs); zeros for what is no picture."""
    good: NDArray[np.bool_]
    """Which of them are pictures, shape (b,)."""


def answers(model: Model, paths: Iterable[Path], threads: int = 0) -> Iterator[Answers]:
    """Yield what a model says of pictures, a few at a time, in their order.

    Args:
        model: ready to run.
        paths: files, read when their turn comes.
        threads: how many; 0: one for each core.

    Raises:
        ModelError: the runtime fails.
    """
    n_threads = threads or cores()
    size = CARD_BATCH if model.on_card and not model.input.batch else max(1, model.input.batch)
    left = iter(paths)
    waiting: deque[Future[Answers]] = deque()
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            while True:
                while len(waiting) < AHEAD * n_threads and (few := list(islice(left, size))):
                    waiting.append(pool.submit(_answer, model, few))
                if not waiting:
                    return
                yield waiting.popleft().result()
        finally:
            for each in waiting:
                each.cancel()


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _answer(model: Model, paths: list[Path]) -> Answers:
    pictures = [_picture(model, path) for path in paths]
    good = np.array([each is not None for each in pictures])
    rows = np.zeros((len(paths), model.n_outputs), dtype=np.float32)
    if good.any():
        rows[good] = model.run(np.stack([each for each in pictures if each is not None]))
    return Answers(rows, good)


def _picture(model: Model, path: Path) -> NDArray[np.uint8] | None:
    try:
        return pixels(path.read_bytes(), model.preprocess)
    except (PictureError, OSError):
        return None
