"""From a project to a dataset: ties labels and images to the pack room.

`Project.balance` and the commands about manifests come here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from curate.catalog import counts, images
from curate.pack.recipe import Recipe

if TYPE_CHECKING:
    from curate.pack.build import PackResult
    from curate.project import Project


def balance(
    project: Project, recipe: Recipe | None, *, trust: str | None, dry_run: bool
) -> PackResult:
    """Choose, split and write a manifest. See `Project.balance`."""
    from curate.dedupe.neighbours import pairs_within
    from curate.pack.build import pack
    from curate.pack.table import kept_table

    db = project.look()
    store = project.store
    table = kept_table(images.kept(db), store.root.name, store.relative, project.people.labels)
    chosen = recipe if recipe is not None else _recipe(project)
    return pack(
        table,
        chosen if trust is None else replace(chosen, trust=trust),
        project.folder,
        dry_run=dry_run,
        near_duplicates_searched=counts.near_duplicates_searched(db),
        neighbours=pairs_within,
        progress=project.progress,
    )


def _recipe(project: Project) -> Recipe:
    given = project.settings.balance
    return Recipe(
        min_per_class=max(1, given.min_per_class),
        max_per_class=given.max_per_class or None,
        splits=given.splits,
        seed=given.seed,
        licenses=given.licenses,
    )
