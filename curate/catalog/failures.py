"""What did not come, and what was left out: single rows for a person to look at.

Counts say how many failed; these queries say which, why, and what would help.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from curate.catalog import candidates
from curate.catalog.database import Database
from curate.records import Reason

_ADDRESS = re.compile(r"address (\S+)\Z")


@dataclass(frozen=True, slots=True)
class Failed:
    """A candidate that was given up."""

    url: str
    """Where it was looked for; a `file:` URL for a file."""
    reason: str
    """One word of `Reason`."""
    detail: str
    """What exactly happened; may be empty."""


@dataclass(frozen=True, slots=True)
class Excluded:
    """An image that datasets leave out."""

    image_id: str
    """SHA-256 of its bytes."""
    url: str
    """Where it came from."""
    reason: str
    """Why it is left out."""
    kept_id: str | None
    """The image kept in its place, if one is."""


@dataclass(frozen=True, slots=True)
class Group:
    """Candidates in the same trouble."""

    n: int
    """How many."""
    reason: str
    """One word of `Reason`."""
    host: str
    """The host that most of them are at."""
    hosts: Mapping[str, int]
    """Candidates at each host, the most first."""
    detail: str
    """What happened to most of them."""

    @property
    def address(self) -> str | None:
        """The address that was denied, if an address was the trouble."""
        found = _ADDRESS.search(self.detail)
        return found and found[1]


def failed(db: Database, reason: Reason | None, limit: int) -> list[Failed]:
    """Return candidates given up, those of one reason or all, `limit` at most."""
    rows = db.all(
        "SELECT url, reason, COALESCE(detail, '') FROM candidates INDEXED BY candidates_reason "
        "WHERE state = 'failed' AND reason = COALESCE(?, reason) ORDER BY reason, id LIMIT ?",
        (reason, limit),
    )
    return [Failed(*row) for row in rows]


def excluded(db: Database, limit: int) -> list[Excluded]:
    """Return images that datasets leave out, `limit` at most."""
    rows = db.all(
        "SELECT images.image_id, url, excluded, excluded_for FROM images "
        "JOIN candidates ON candidates.id = first_id "
        "WHERE excluded IS NOT NULL ORDER BY excluded, images.image_id LIMIT ?",
        (limit,),
    )
    return [Excluded(*row) for row in rows]


def denied(db: Database) -> list[Group]:
    """Return what the guard did not let through, by what was wrong, the most first."""
    rows = db.all("SELECT detail, url FROM candidates WHERE state = 'failed' AND reason = 'denied'")
    return _grouped(("denied", detail or "", detail or "", url) for detail, url in rows)


def waiting(db: Database) -> list[Group]:
    """Return what is pending after a failure, by its reason, the most first."""
    rows = db.all(
        "SELECT reason, detail, url FROM candidates INDEXED BY candidates_due "
        "WHERE state = 'pending' AND due_at > 0 AND reason IS NOT NULL"
    )
    return _grouped((reason, reason, detail or "", url) for reason, detail, url in rows)


def empty_searches(db: Database, names: Iterable[str]) -> list[str]:
    """Return those of some query texts and paths whose search ended without a candidate."""
    found = {
        name
        for pair in db.all(
            "SELECT query, json_extract(request, '$.path') FROM searches WHERE done AND given = 0"
        )
        for name in pair
        if name
    }
    return [name for name in names if name in found]


def requeue(db: Database, reasons: Iterable[Reason], allowed: Iterable[str]) -> int:
    """Put failures back into the queue: those of some reasons, and what is now let through.

    Args:
        db: the catalog.
        reasons: failures to try again, all of them.
        allowed: host names and networks; what was denied there is tried again.

    Returns:
        How many were put back.
    """
    n = candidates.requeue(db, reasons)
    names = {each.lower() for each in allowed}
    if not names:
        return n
    rows = db.all(
        "SELECT id, url, detail FROM candidates WHERE state = 'failed' AND reason = 'denied'"
    )
    found = [(number,) for number, url, detail in rows if _is_allowed(url, detail or "", names)]
    with db.transaction():
        for one in found:
            db.execute(
                "UPDATE candidates SET state = 'pending', tries = 0, limited = 0, due_at = 0 "
                "WHERE id = ?",
                one,
            )
    return n + len(found)


def _is_allowed(url: str, detail: str, names: set[str]) -> bool:
    host = _host(url)
    address = _ADDRESS.search(detail)
    if address is None:
        return False
    return host in names or any(_covers(name, address[1]) for name in names)


def _covers(network: str, address: str) -> bool:
    try:
        return ip_address(address) in ip_network(network, strict=False)
    except ValueError:
        return False


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _grouped(rows: Iterable[tuple[str, str, str, str]]) -> list[Group]:
    """Group `(reason, key, detail, url)` by key."""
    reasons: dict[str, str] = {}
    hosts: dict[str, Counter[str]] = {}
    details: dict[str, Counter[str]] = {}
    for reason, key, detail, url in rows:
        reasons[key] = reason
        hosts.setdefault(key, Counter())[_host(url)] += 1
        details.setdefault(key, Counter())[detail] += 1
    groups = [
        Group(
            n=hosts[key].total(),
            reason=reason,
            host=hosts[key].most_common(1)[0][0],
            hosts=dict(sorted(hosts[key].items(), key=lambda pair: (-pair[1], pair[0]))),
            detail=details[key].most_common(1)[0][0],
        )
        for key, reason in reasons.items()
    ]
    return sorted(groups, key=lambda each: -each.n)
