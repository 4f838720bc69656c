"""What making a manifest answers: the numbers of the dataset, and where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from curate.pack.manifest import Published
from curate.pack.plan import Plan
from curate.pack.proof import without_image
from curate.pack.recipe import SPLITS


@dataclass(frozen=True, slots=True)
class PackResult:
    """What `pack` made, or with `dry_run` would make."""

    manifest: str | None
    """Version, e.g. `v0001`; None after a dry run."""
    path: Path | None
    """Its folder; None after a dry run."""
    unchanged: bool
    """The newest manifest says the same already; nothing was written."""
    changed: tuple[str, ...]
    """Why a new version was written: recipe, images, near_duplicates; empty for the first."""
    images: Mapping[str, int]
    """Images in train, val and test."""
    classes: Mapping[str, Mapping[str, int]]
    """For each class of the dataset: before, after, train, val, test; `train_rows` where
    training rows are repeated."""
    without_image: Mapping[str, list[str]]
    """Classes without an image in each split that is due some: with folds, in test alone."""
    dropped: Mapping[str, int]
    """Dropped classes, with the usable images they had."""
    left_out: Mapping[str, int]
    """Images not taken, by reason."""
    outside: Mapping[str, int]
    """Classes outside the class list, with the images that people have labelled only with such."""
    negatives: int
    """Images of no class that were taken."""
    unlabelled: int
    """Images without a label that come along in a file of their own."""
    repeated: int
    """Rows of train that repeat an image."""
    groups: int
    """Groups among the images taken."""
    leaks: int
    """Groups, hints or images found on two sides of the written files: 0, or there is none."""
    near_duplicates_searched: bool
    """Near-duplicates were looked for among all the images."""
    alike_across: int | None
    """Pairs of images on two sides whose hashes are nearly equal; None: not counted."""
    sticky: Mapping[str, Any]
    """Earlier manifests looked at, images kept on their side, moved ones, and those dealt anew."""
    train_due: float
    """Share of train that is due by the recipe, and by splits that images came with."""
    holdout: Mapping[str, Any] | None
    """What was held out for test; None: nothing."""
    proof: Mapping[str, Any]
    """Groups on two sides, the nearest pair across sides, and how far classes are off."""
    min_per_class: int
    """The minimum of the recipe."""

    @classmethod
    def of(cls, info: Mapping[str, Any], published: Published | None, plan: Plan) -> PackResult:
        """Return the result that a manifest's description and its plan tell."""
        same = (
            "images",
            "classes",
            "dropped",
            "left_out",
            "outside",
            "negatives",
            "unlabelled",
            "repeated",
            "groups",
            "near_duplicates_searched",
            "alike_across",
            "holdout",
            "proof",
        )
        return cls(
            manifest=None if published is None else published.path.name,
            path=None if published is None else published.path,
            unchanged=published is not None and not published.is_new,
            changed=() if published is None else published.changed,
            leaks=0,
            without_image=without_image(info["classes"], _due(info["recipe"])),
            sticky={**info["sticky"], "dealt": plan.dealt},
            train_due=plan.train_due,
            min_per_class=info["recipe"]["min_per_class"],
            **{name: info[name] for name in same},
        )

    def to_json(self) -> dict[str, Any]:
        """Return the document that `curate balance --json` prints."""
        document = asdict(self)
        document["path"] = None if self.path is None else str(self.path)
        document["changed"] = list(self.changed)
        return document


def _due(recipe: Mapping[str, Any]) -> list[str]:
    """Return the splits that a recipe gives a share; folds are none."""
    return [
        split
        for split, share in zip(SPLITS, recipe["splits"], strict=True)
        if share and (split == "test" or not recipe["folds"])
    ]
