"""From a project to a dataset: ties labels and images to the pack room.

`Project.balance` and the commands about manifests come here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from curate.catalog import absent, citations, counts, images, imports, quality
from curate.pack.recipe import Recipe, amount

if TYPE_CHECKING:
    from curate.carriers.folder import ProjectFolder
    from curate.catalog.class_lists import ClassList
    from curate.catalog.images import KeptImage
    from curate.config import Settings
    from curate.pack.result import PackResult
    from curate.records import Label


def balance(
    project: ProjectFolder, recipe: Recipe | None, *, trust: str | None, dry_run: bool
) -> PackResult:
    """Choose, split and write a manifest. See `Project.balance`."""
    from curate.dedupe.neighbours import pairs_within
    from curate.pack.build import pack
    from curate.pack.plan import absent_table
    from curate.pack.table import kept_table

    db = project.look()
    store, people = project.store, project.people

    def flags(page: list[KeptImage]) -> Mapping[str, int]:
        return quality.flag_counts(
            db, project.settings.quality, page[0].image_id, page[-1].image_id
        )

    outside: Counter[str] = Counter()
    n_unsure = 0

    def labels(page: list[KeptImage]) -> Mapping[str, Label]:
        nonlocal n_unsure
        found = people.labels(page)
        for each in found.values():
            outside.update(each.outside)
            n_unsure += _only_proposed(each)
        return found

    table = kept_table(images.kept(db), store.root.name, store.relative, labels, flags)
    chosen = recipe_of(project.settings, people.class_list()) if recipe is None else recipe
    chosen = chosen if trust is None else replace(chosen, trust=trust)
    if n_unsure and chosen.trust not in ("human", "consensus"):
        project.notify(
            f"{n_unsure:,} {'image has' if n_unsure == 1 else 'images have'} a proposal that is no "
            "label: its score is below its model's threshold or the one of [label] in "
            "curate.toml, or neither is set"
        )
    return pack(
        table,
        chosen,
        project.folder,
        dry_run=dry_run,
        near_duplicates_searched=counts.near_duplicates_searched(db),
        neighbours=pairs_within,
        absent=absent_table(absent.linked_absent(db)),
        citations=citations.cited(db),
        given=imports.given_splits(db),
        outside=dict(outside.most_common()),
        progress=project.progress,
    )


def _only_proposed(label: Label) -> bool:
    """Whether a model's proposal is all that is said, and does not make it a label."""
    is_silent = label.origin is None and not label.audited and not label.conflict
    return is_silent and label.proposed_by is not None


def recipe_of(settings: Settings, classes: ClassList) -> Recipe:
    """Return the recipe that `[balance]` and the class list describe.

    Raises:
        UsageError: a value is out of range, or two contradict each other.
    """
    given = settings.balance
    return Recipe(
        min_per_class=max(1, given.min_per_class),
        max_per_class=given.max_per_class or None,
        splits=given.splits,
        seed=given.seed,
        licenses=given.licenses,
        trust=given.trust,
        exclusive=True if classes.exclusive else None,
        downsample=amount(given.downsample, "min", "--downsample"),
        keep=given.keep,
        spread_by=given.spread_by,
        upsample=amount(given.upsample, "max", "--upsample"),
        negatives=None if given.negatives == 1 else given.negatives,
        where=given.where,
        group_by=given.group_by,
        holdout_by=given.holdout_by,
        folds=given.folds,
        sticky=given.sticky,
        include_unlabelled=given.include_unlabelled,
    )
