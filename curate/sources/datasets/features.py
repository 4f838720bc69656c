"""What Hugging Face's datasets say of their columns: which is the image, which the label.

The types stand beside the data (`features`), with the names behind the numbers of classes.
Where they are absent, the column's own type and usual names decide.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.errors import SourceError
from curate.sources.datasets.base import Options
from curate.sources.datasets.table import LABEL, class_names


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns that count."""

    image: str
    """The image: a struct of bytes and path, or bytes."""
    label: str | None
    """Its classes."""
    names: tuple[str, ...]
    """Names behind the numbers of classes; none where they are names themselves."""
    rest: tuple[str, ...]
    """Plain columns, kept as they are."""

    def classes(self, value: Any) -> tuple[str, ...] | None:
        """Return the classes that a value stands for; None if it is not said.

        Raises:
            IndexError: a number has no name.
        """
        if self.names and isinstance(value, int):
            # -1 is what those datasets write where nothing is known.
            return None if value < 0 else (self.names[value],)
        if self.names and isinstance(value, list):
            return tuple(self.names[each] for each in value if each is not None)
        return class_names(value)


def roles(where: Path, schema: Any, features: Mapping[str, Any], options: Options) -> Roles | None:
    """Find the columns; None where there is no image.

    Args:
        where: named in errors.
        schema: the Arrow schema.
        features: types by column, as those datasets describe them.
        options: what the user says.

    Raises:
        SourceError: a label column that was asked for is not there.
    """
    image = next((name for name in schema.names if _is_image(schema.field(name), features)), None)
    if image is None:
        return None
    others = [name for name in schema.names if name != image]
    asked = options.label_columns
    if asked and asked[0] not in others:
        raise SourceError(
            f"{where} has no column {asked[0]!r}; its columns are: {', '.join(others) or 'none'}"
        )
    label = asked[0] if asked else _label(others, features)
    rest = tuple(name for name in others if name != label and _is_plain(schema.field(name)))
    return Roles(image, label, _names(features.get(label)) if label else (), rest)


def _is_image(field: Any, features: Mapping[str, Any]) -> bool:
    from pyarrow import types

    said = features.get(field.name)
    if isinstance(said, dict) and said.get("_type") == "Image":
        return True
    kind = field.type
    if types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    is_bytes = bool(types.is_binary(kind) or types.is_large_binary(kind))
    return is_bytes and field.name.lower() in ("image", "img", "bytes", "image_bytes", "jpg", "png")


def _is_plain(field: Any) -> bool:
    from pyarrow import types

    kind = field.type
    return not (types.is_nested(kind) or types.is_binary(kind) or types.is_large_binary(kind))


def _label(names: Sequence[str], features: Mapping[str, Any]) -> str | None:
    typed = [name for name in names if _names(features.get(name))]
    usual = [name for each in LABEL for name in names if name.lower().replace("_", "") == each]
    both = [name for name in usual if name in typed]
    return next(iter([*both, *typed, *usual]), None)


def _names(said: Any) -> tuple[str, ...]:
    """Return the names of a class label, or of a list of them."""
    while isinstance(said, list) and said:
        said = said[0]
    if not isinstance(said, dict):
        return ()
    if said.get("_type") == "ClassLabel":
        return tuple(map(str, said.get("names") or ()))
    return _names(said.get("feature"))


def features_of(schema: Any) -> Mapping[str, Any]:
    """Return the types that stand in a file's own metadata; none if they do not."""
    try:
        said = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        found = said["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}
