"""A test set from elsewhere or later: whole values of a column go to test, and nowhere else.

Where the values are numbers or dates, the latest go to test; else values are drawn, as many as
fit into the share of test. An image goes to test with its group, even if its own value is not
held out, so that both promises hold: no group on two sides, and no held-out value in train or
val. A later manifest keeps the values of the one before, and takes more only of those that it
has not trained on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.errors import PackError, UsageError
from curate.pack.chance import draw
from curate.pack.groups import Ints
from curate.pack.labels import Mask

_ORDERED = re.compile(r"[-+]?\d+(\.\d+)?|\d{4}(-\d\d){1,2}([T ].*)?")
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What was held out."""

    rows: Mask
    """Images in test."""
    by: str
    """The column."""
    values: tuple[str, ...]
    """Values that only test has, sorted."""
    carried: int
    """Images of other values that came along with their group."""

    def to_json(self) -> dict[str, Any]:
        """Return what `manifest.json` says of it."""
        return {"by": self.by, "values": list(self.values), "carried": self.carried}


def hold_out(
    values: pa.Array,
    group_of: Ints,
    wanted: str,
    share: float,
    seed: int,
    *,
    fixed: Mask,
    trained: Mask,
    kept: Sequence[str] = (),
) -> HeldOut:
    """Choose the values of test, and the images that go with them.

    Args:
        values: value of each of n images; null where it is not known.
        group_of: number of each image's group, below n.
        wanted: the column, or `column=value,value`.
        share: share of test.
        seed: draws values where they have no order.
        fixed: images that are in test already.
        trained: images that an earlier manifest had in train or val.
        kept: values that an earlier manifest has held out.

    Raises:
        UsageError: no image has a value that was named.
        PackError: holding out leaves nothing to train on.
    """
    by, _, named = wanted.partition("=")
    counted = pc.drop_null(values).value_counts()
    sizes = {item["values"]: item["counts"] for item in counted.to_pylist()}
    if named:
        chosen = _named(named, sizes, by)
    else:
        old = set(pc.drop_null(values.filter(pa.array(trained))).to_pylist()) - set(kept)
        goal = share * len(values)
        chosen = _choose({k: n for k, n in sizes.items() if k not in old}, goal, seed, kept)
    own = pc.is_in(values, value_set=pa.array(sorted(chosen), pa.string()))
    held: Mask = own.to_numpy(zero_copy_only=False).astype(np.bool_) | fixed
    in_test = np.zeros(len(values), dtype=np.bool_)
    in_test[group_of[held]] = True
    rows = in_test[group_of]
    if rows.all():
        raise PackError(
            f"holding out {by.strip()} leaves nothing to train on",
            f"its values are {_some(sizes)}; name some: --holdout-by {by.strip()}=VALUE",
        )
    return HeldOut(rows, by.strip(), tuple(sorted(chosen)), int((rows & ~held).sum()))


def _named(named: str, sizes: dict[str, int], by: str) -> set[str]:
    chosen = {part.strip() for part in named.split(",") if part.strip()}
    if unknown := chosen - sizes.keys():
        raise UsageError(
            f"--holdout-by: no image that is taken has {by.strip()} {', '.join(sorted(unknown))}",
            f"there are {_some(sizes)}",
        )
    return chosen


def _choose(sizes: dict[str, int], goal: float, seed: int, kept: Sequence[str]) -> set[str]:
    """Choose values whose images come close to the goal: the latest, or drawn ones."""
    if sizes and all(_ORDERED.fullmatch(value) for value in sizes):
        return _latest(sizes, goal, kept)
    chosen = set(kept)
    total = sum(sizes.get(value, 0) for value in chosen)
    names = sorted(sizes.keys() - chosen)
    order = np.argsort(draw(names, seed, "holdout"), kind="stable")
    for name in (names[place] for place in order.tolist()):
        if total + sizes[name] <= goal:
            chosen.add(name)
            total += sizes[name]
    rest = [name for name in names if name not in chosen]
    if rest:
        smallest = min(rest, key=lambda name: (sizes[name], name))
        if not chosen or total + sizes[smallest] - goal < goal - total:
            chosen.add(smallest)
    return chosen


def _latest(sizes: dict[str, int], goal: float, kept: Sequence[str]) -> set[str]:
    newest_first = sorted(sizes, key=_place_in_time, reverse=True)
    if kept:
        first = min(map(_place_in_time, kept))
        return set(kept) | {value for value in newest_first if _place_in_time(value) >= first}
    chosen: set[str] = set()
    total = 0
    for value in newest_first:
        if chosen and total + sizes[value] - goal >= goal - total:
            break
        chosen.add(value)
        total += sizes[value]
    return chosen


def _place_in_time(value: str) -> tuple[float, str]:
    """Order numbers by size; dates start with their year, and then as texts."""
    head = re.match(r"[-+]?\d+(\.\d+)?", value)
    return (float(head[0]) if head else 0.0), value


def _some(sizes: dict[str, int]) -> str:
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))
    return ", ".join(largest[:_SHOWN]) + (", …" if len(largest) > _SHOWN else "")
