"""What the recipe asks of columns, worked out once for all images, before any is chosen."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from curate.errors import UsageError
from curate.pack.columns import Columns
from curate.pack.groups import Ints
from curate.pack.labels import Mask
from curate.pack.recipe import Recipe
from curate.pack.where import fulfils

ALWAYS = frozenset({"near", "near-duplicates", "occurrence", "semantic"})
"""Words of `--group-by` for what stays together anyway."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Columns made for a recipe; all have one entry for each image."""

    where: Mask | None = None
    """Images that fulfil `recipe.where`; None: all do."""
    turns: tuple[Ints, ...] = ()
    """Numbers of the values that `spread` takes turns over."""
    together: tuple[Ints, ...] = ()
    """Numbers of the values of `recipe.group_by`; -1 where an image has none."""
    elsewhere: pa.Array | None = None
    """Values of the column of `recipe.holdout_by`, as texts; None: test is drawn."""

    @classmethod
    def of(cls, table: pa.Table, recipe: Recipe) -> Facts:
        """Work out what the recipe asks for.

        Raises:
            UsageError: it names a column that there is not, or that says nothing.
        """
        columns = Columns(table)
        held = recipe.holdout_by.partition("=")[0].strip()
        elsewhere = columns.texts(held).combine_chunks() if held else None
        if elsewhere is not None and elsewhere.null_count == len(elsewhere):
            raise UsageError(f"--holdout-by: no image says its {held}", _other(columns))
        return cls(
            where=fulfils(recipe.where, columns) if recipe.where.strip() else None,
            turns=tuple(columns.codes(name) for name in recipe.spread_by)
            if recipe.keep == "spread"
            else (),
            together=tuple(
                _together(columns, name) for name in recipe.group_by if name not in ALWAYS
            ),
            elsewhere=elsewhere,
        )

    def take(self, rows: Ints) -> Facts:
        """Choose and order the entries."""
        return Facts(
            where=None if self.where is None else self.where[rows],
            turns=tuple(codes[rows] for codes in self.turns),
            together=tuple(codes[rows] for codes in self.together),
            elsewhere=None if self.elsewhere is None else self.elsewhere.take(pa.array(rows)),
        )


def _together(columns: Columns, name: str) -> Ints:
    codes = columns.codes(name)
    if not (codes >= 0).any():
        raise UsageError(f"--group-by: no image says its {name}", _other(columns))
    return codes


def _other(columns: Columns) -> str:
    return f"there are {', '.join(columns.names)}"
