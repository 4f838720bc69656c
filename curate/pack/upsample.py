"""Training images repeated until classes are of one size.

Only train: a repeated image in val or test would count twice and say nothing new. Each repeated
row has a seed of its own, from which a training loop draws how to change the picture. Classes
are filled up from the rarest, every image of a class equally often before one more, so that
with several classes an image may lift common classes along.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from curate.pack.chance import draw
from curate.pack.groups import Ints
from curate.pack.labels import Labels

_SEEDS = np.uint64(2**32 - 1)


def repeats(labels: Labels, in_train: Ints, ids: pa.Array, target: int | str, seed: int) -> Ints:
    """Count how often each image is repeated, beyond its own row.

    Args:
        labels: classes of n images.
        in_train: the training images among them, ascending.
        ids: image ids.
        target: rows that each class shall have in train, or `max`: those of the largest.
        seed: decides which images have one repetition more.

    Returns:
        A number for each image, 0 outside train; independent of the order of rows.
    """
    extra = np.zeros(labels.n_rows, dtype=np.int64)
    mask = np.zeros(labels.n_rows, dtype=np.bool_)
    mask[in_train] = True
    pairs = labels.keep(rows=mask)
    counts = pairs.per_class()
    if not counts.any():
        return extra
    goal = int(counts.max()) if isinstance(target, str) else target
    rank = np.argsort(draw(ids, seed, "upsample"), kind="stable").argsort()
    order = np.lexsort((rank[pairs.rows], pairs.codes))
    rows_of = np.split(pairs.rows[order], np.cumsum(counts)[:-1])
    for code in np.lexsort((np.arange(len(counts)), counts)).tolist():
        rows = rows_of[code]
        lacking = goal - len(rows) - int(extra[rows].sum())
        if lacking <= 0 or not len(rows):
            continue
        extra[rows] += lacking // len(rows)
        extra[rows[: lacking % len(rows)]] += 1
    return extra


def seeds(ids: pa.Array, number: Ints, seed: int) -> pa.Array:
    """Return the seed of each row: null for an image itself, else 0 to 2^32 - 1.

    Args:
        ids: image id of each row.
        number: 0 for the image itself, 1 for its first repetition, and so on.
        seed: the recipe's.
    """
    again = np.flatnonzero(number > 0)
    values = np.zeros(len(number), dtype=np.int64)
    if len(again):
        names = ids.take(pa.array(again)).to_pylist()
        keys = [f"{name}:{n}" for name, n in zip(names, number[again].tolist(), strict=True)]
        values[again] = (draw(keys, seed, "augment") & _SEEDS).astype(np.int64)
    return pa.array(values, mask=number == 0)
