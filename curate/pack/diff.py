"""What is different between two manifests, image by image.

An image is one row here, whatever its copies in training. Its labels are compared as one
text, and so is what a model proposes, in Arrow, so that a million rows are joined in seconds;
only what differs becomes Python objects. Scores, and who said what, are not compared: an
audit that confirms everything has no difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curate.pack.manifest import Manifest

_MARK = "\x1f"
_NOBODY = "\x00"
"""Stands for the labels of an image that nobody has labelled, or has proposed anything for."""
_COMPARED = ("said", "split", "proposed")


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
class Proposed:
    """An image for which other classes are proposed now, or the same by another model."""

    image_id: str
    """The image."""
    from_: list[str] | None
    """The classes proposed before; None: nothing had been proposed."""
    to: list[str] | None
    """The classes proposed after."""


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
    proposed: tuple[Proposed, ...]
    """Images of both with another proposal."""
    recipe: Mapping[str, tuple[Any, Any]]
    """Settings that differ: before and after."""
    classes: Mapping[str, list[str] | None]
    """Classes of the images that were added, removed or moved; None: not labelled."""

    @property
    def is_empty(self) -> bool:
        """Whether images, their classes, their splits and what is proposed are the same."""
        changed = (self.added, self.removed, self.relabelled, self.moved, self.proposed)
        return not any(changed)

    def to_json(self) -> dict[str, Any]:
        """Return the document that `curate manifest diff --json` prints."""
        return {
            "old": self.old,
            "new": self.new,
            "added": list(self.added),
            "removed": list(self.removed),
            "relabelled": [_plain(each) for each in self.relabelled],
            "moved": [_plain(each) for each in self.moved],
            "proposed": [_plain(each) for each in self.proposed],
            "recipe": {key: {"from": a, "to": b} for key, (a, b) in self.recipe.items()},
        }


def _plain(row: Relabelled | Moved | Proposed) -> dict[str, Any]:
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
    added, removed = _only(after, before), _only(before, after)
    both = before.join(after, "image_id", join_type="inner", right_suffix="_to")
    moved = tuple(Moved(*row) for row in _changed(both, "split"))
    here = (*added, *(each.image_id for each in moved))
    return Difference(
        old=old.version,
        new=new.version,
        added=added,
        removed=removed,
        relabelled=tuple(
            Relabelled(image_id, _names(a), _names(b)) for image_id, a, b in _changed(both, "said")
        ),
        moved=moved,
        proposed=tuple(
            Proposed(image_id, _names_proposed(a), _names_proposed(b))
            for image_id, a, b in _changed(both, "proposed")
        ),
        recipe=_recipe(old.info.get("recipe", {}), new.info.get("recipe", {})),
        classes={**_classes(before, removed), **_classes(after, here)},
    )


def _rows(manifest: Manifest) -> pa.Table:
    """Return image id and what is compared, each as one text, of every image, each once."""
    columns = ["image_id", "labels", "label_origin", "split", "proposed_labels", "proposed_by"]
    names = ["image_id", *_COMPARED]
    schema = pa.schema([(name, pa.string()) for name in names])
    parts = [schema.empty_table()]
    for batch in manifest.batches(columns, n_rows=65_536):
        said = pc.binary_join(batch.column("labels"), _MARK)
        said = pc.if_else(pc.is_valid(batch.column("label_origin")), said, _NOBODY)
        by = batch.column("proposed_by")
        proposed = pc.binary_join_element_wise(
            by, pc.binary_join(batch.column("proposed_labels"), _MARK), _MARK
        )
        proposed = pc.if_else(pc.is_valid(by), proposed, _NOBODY)
        values = [batch.column("image_id"), said, batch.column("split"), proposed]
        parts.append(pa.table(values, schema=schema))
    rows = pa.concat_tables(parts).group_by("image_id")
    return rows.aggregate([(name, "one") for name in _COMPARED]).rename_columns(names)


def _only(here: pa.Table, there: pa.Table) -> tuple[str, ...]:
    ids = here.column("image_id")
    known = pc.is_in(ids, value_set=there.column("image_id"))
    return tuple(sorted(ids.filter(pc.invert(known)).to_pylist()))


def _classes(rows: pa.Table, ids: Sequence[str]) -> dict[str, list[str] | None]:
    """Return the classes of some images."""
    chosen = rows.filter(pc.is_in(rows.column("image_id"), value_set=pa.array(ids, pa.string())))
    said = zip(*(chosen.column(name).to_pylist() for name in ("image_id", "said")), strict=True)
    return {image_id: _names(each) for image_id, each in said}


def _changed(both: pa.Table, column: str) -> list[tuple[str, str, str]]:
    """Return id, value before and value after of the rows where they are not the same."""
    differs = pc.not_equal(both.column(column), both.column(f"{column}_to"))
    rows = both.filter(differs).select(["image_id", column, f"{column}_to"])
    return sorted(zip(*(each.to_pylist() for each in rows.columns), strict=True))


def _names(said: str) -> list[str] | None:
    if said == _NOBODY:
        return None
    return said.split(_MARK) if said else []


def _names_proposed(proposed: str) -> list[str] | None:
    """Take the model off: it comes before the first mark."""
    return None if proposed == _NOBODY else _names(proposed.partition(_MARK)[2])


def _recipe(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    keys = sorted(old.keys() | new.keys())
    return {key: (old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)}
