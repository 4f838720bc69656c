"""What is different between two manifests, image by image.

An image is one row here, whatever its copies in training. Its labels are compared as one
text, in Arrow, so that a million rows are joined in seconds; only what differs becomes
Python objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curate.pack.manifest import Manifest

_MARK = "\x1f"
_NOBODY = "\x00"
"""Stands for the labels of an image that nobody has labelled."""


@dataclass(frozen=True, slots=True)
class Relabelled:
    """An image whose classes are others now."""

    image_id: str
    """The image."""
    from_: list[str] | None
    """Its classes before; None: it was not labelled."""
    to: list[str] | None
    """Its classes after."""


@dataclass(frozen=True, slots=True)
class Moved:
    """An image that is in another split now."""

    image_id: str
    """The image."""
    from_: str
    """Its split before."""
    to: str
    """Its split after."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a newer manifest has that an older one has not, and the other way round."""

    old: str
    """Version of the older manifest."""
    new: str
    """Version of the newer one."""
    added: tuple[str, ...]
    """Images that only the newer one has, by id."""
    removed: tuple[str, ...]
    """Images that only the older one has."""
    relabelled: tuple[Relabelled, ...]
    """Images of both with other classes."""
    moved: tuple[Moved, ...]
    """Images of both in another split."""
    recipe: Mapping[str, tuple[Any, Any]]
    """Settings that differ: before and after."""

    @property
    def is_empty(self) -> bool:
        """Whether both hold the same images with the same classes in the same splits."""
        return not (self.added or self.removed or self.relabelled or self.moved)

    def to_json(self) -> dict[str, Any]:
        """Return the document that `curate manifest diff --json` prints."""
        return {
            "old": self.old,
            "new": self.new,
            "added": list(self.added),
            "removed": list(self.removed),
            "relabelled": [_plain(each) for each in self.relabelled],
            "moved": [_plain(each) for each in self.moved],
            "recipe": {key: {"from": a, "to": b} for key, (a, b) in self.recipe.items()},
        }


def _plain(row: Relabelled | Moved) -> dict[str, Any]:
    return {key.rstrip("_"): value for key, value in asdict(row).items()}


def diff(old: Manifest, new: Manifest) -> Difference:
    """Compare two manifests.

    Args:
        old: the one to compare with.
        new: the one that is asked about.

    Returns:
        Every image that differs, ordered by id.
    """
    before, after = _rows(old), _rows(new)
    both = before.join(after, "image_id", join_type="inner", right_suffix="_to")
    return Difference(
        old=old.version,
        new=new.version,
        added=_only(after, before),
        removed=_only(before, after),
        relabelled=tuple(
            Relabelled(image_id, _names(a), _names(b)) for image_id, a, b in _changed(both, "said")
        ),
        moved=tuple(Moved(*row) for row in _changed(both, "split")),
        recipe=_recipe(old.info.get("recipe", {}), new.info.get("recipe", {})),
    )


def _rows(manifest: Manifest) -> pa.Table:
    """Return image id, labels as one text and split of every image, each once."""
    parts = []
    columns = ["image_id", "labels", "label_origin", "split"]
    for batch in manifest.batches(columns, n_rows=65_536):
        said = pc.binary_join(batch.column("labels"), _MARK)
        said = pc.if_else(pc.is_valid(batch.column("label_origin")), said, _NOBODY)
        names = ["image_id", "said", "split"]
        parts.append(pa.table([batch.column("image_id"), said, batch.column("split")], names=names))
    schema = pa.schema([(name, pa.string()) for name in ("image_id", "said", "split")])
    rows = pa.concat_tables([schema.empty_table(), *parts])
    return (
        rows.group_by("image_id")
        .aggregate([("said", "one"), ("split", "one")])
        .rename_columns(["image_id", "said", "split"])
    )


def _only(here: pa.Table, there: pa.Table) -> tuple[str, ...]:
    ids = here.column("image_id")
    known = pc.is_in(ids, value_set=there.column("image_id"))
    return tuple(sorted(ids.filter(pc.invert(known)).to_pylist()))


def _changed(both: pa.Table, column: str) -> list[tuple[str, str, str]]:
    """Return id, value before and value after of the rows where they are not the same."""
    differs = pc.not_equal(both.column(column), both.column(f"{column}_to"))
    rows = both.filter(differs).select(["image_id", column, f"{column}_to"])
    return sorted(zip(*(each.to_pylist() for each in rows.columns), strict=True))


def _names(said: str) -> list[str] | None:
    if said == _NOBODY:
        return None
    return said.split(_MARK) if said else []


def _recipe(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    keys = sorted(old.keys() | new.keys())
    return {key: (old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)}
