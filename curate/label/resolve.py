"""From what people, models and sources say of an image to its label."""

from __future__ import annotations

from curate.catalog.images import KeptImage
from curate.records import Label, Origin


def resolve(image: KeptImage) -> Label:
    """Return the label of an image. A hint of no name stands for "none of the classes"."""
    named = tuple(name for name in image.classes if name)
    if not image.classes:
        return Label()
    origin = Origin.QUERY if image.from_query else Origin.SOURCE
    return Label(classes=named, origin=origin)
