"""Before a download: how many candidates there would be, and what thresholds would keep.

`Project.plan` comes here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from curate.catalog import counts, images
from curate.report.plan import Plan, make_plan

if TYPE_CHECKING:
    from curate.finding import FetchRequest
    from curate.project import Project


def plan(project: Project, request: FetchRequest) -> Plan:
    """Count candidates per class, of a search or of the catalog. See `Project.plan`."""
    db = project.look()
    asked = project.finder().queries(request)
    found: dict[str, int] = {}
    if not asked:
        found = {each.name: each.images + each.pending for each in counts.class_counts(db)}
    for source, query in asked:
        named = query.class_by or not (source.is_remote or query.classes)
        by_class = source.class_counts(query) if named else None
        if by_class is None:
            by_class = {name: source.count(query) or 0 for name in query.classes or ("",)}
        for name, n in by_class.items():
            found[name] = found.get(name, 0) + n
    limits = project.settings.balance
    return make_plan(found, images.sample(db), limits.min_per_class, limits.max_per_class or None)
