"""Which hosts fail: candidates that were given up or wait for another try, host by host."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

from curate.catalog.database import Database

LOCAL = "(files)"
"""Stands for the files of this computer."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A host, and what of it failed."""

    host: str
    """Name and port; `(files)` for local files."""
    tried: int
    """Candidates that were tried."""
    failed: dict[str, int]
    """Those without an image, by their last reason, the most first."""

    @property
    def n_failed(self) -> int:
        """Candidates without an image."""
        return sum(self.failed.values())

    @property
    def share(self) -> float:
        """Share of those tried, 0-1."""
        return self.n_failed / self.tried


# The host ends at the first slash; what may still stand there (`?`, a name before `@`) is
# taken off the few groups.
_HOSTS = """
SELECT substr(rest, 1, instr(rest || '/', '/') - 1) AS host, bad, COUNT(*) FROM (
    SELECT substr(url, instr(url, '://') + 3) AS rest, bad FROM (
        SELECT url, CASE WHEN state = 'failed' THEN reason END AS bad
        FROM candidates WHERE state IN ('stored', 'duplicate', 'failed')
        UNION ALL SELECT url, reason FROM candidates INDEXED BY candidates_reason
        WHERE state = 'pending' AND reason IS NOT NULL))
GROUP BY host, bad
"""


def hosts(db: Database, limit: int) -> list[Trouble]:
    """Return the hosts with failures, the most first, `limit` at most."""
    (any_failed,) = db.one(
        "SELECT EXISTS (SELECT 1 FROM candidates INDEXED BY candidates_reason "
        "WHERE state IN ('failed', 'pending') AND reason IS NOT NULL)"
    )
    if not any_failed:
        return []
    tried: Counter[str] = Counter()
    failed: dict[str, Counter[str]] = {}
    for said, reason, n in db.all(_HOSTS):
        name = _name(said)
        tried[name] += n
        if reason is not None:
            failed.setdefault(name, Counter())[reason] += n
    found = [Trouble(name, tried[name], dict(each.most_common())) for name, each in failed.items()]
    return sorted(found, key=lambda each: (-each.n_failed, each.host))[:limit]


def _name(said: str) -> str:
    try:
        parts = urlsplit(f"//{said}")
    except ValueError:
        return said
    return parts.netloc.rpartition("@")[2].lower() or LOCAL
