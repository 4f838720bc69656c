"""People who annotate: their names, and the secrets in their links.

Of a secret only its SHA-256 is kept: whoever reads the catalog cannot pass for somebody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from curate.catalog.database import Database
from curate.catalog.text import clean


@dataclass(frozen=True, slots=True)
class Annotator:
    """A person."""

    name: str
    """As it stands in the ledger."""
    has_link: bool
    """There is a link that lets them in."""
    images: int
    """Images that they have decided about."""


def add(db: Database, name: str, secret: str | None, now: float) -> None:
    """Note a person; a secret takes the place of the one they had.

    Args:
        db: the catalog.
        name: the person.
        secret: what their link holds; None: no link is made, an earlier one goes on working.
        now: Unix seconds.
    """
    hashed = None if secret is None else secret_hash(secret)
    with db.transaction():
        db.execute(
            "INSERT INTO annotators (name, token_hash, added_at) VALUES (?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET "
            "token_hash = COALESCE(excluded.token_hash, token_hash)",
            (clean(name), hashed, now),
        )


def shut_out(db: Database, name: str) -> bool:
    """Let a person's link work no more; return whether there was one."""
    with db.transaction():
        cursor = db.execute(
            "UPDATE annotators SET token_hash = NULL WHERE name = ? AND token_hash NOT NULL",
            (clean(name),),
        )
    return cursor.rowcount > 0


def by_secret(db: Database, secret: str) -> str | None:
    """Return whose link holds this secret; None if nobody's does."""
    sql = "SELECT name FROM annotators WHERE token_hash = ?"
    row = db.execute(sql, (secret_hash(secret),)).fetchone()
    return None if row is None else str(row[0])


def everyone(db: Database) -> list[Annotator]:
    """Return all who were invited or have decided something, by name."""
    rows = db.all(
        "SELECT name, MAX(has_link), SUM(n) FROM ("
        "SELECT name, token_hash NOT NULL AS has_link, 0 AS n FROM annotators "
        "UNION ALL SELECT annotator, 0, COUNT(*) FROM decisions GROUP BY annotator) "
        "GROUP BY name ORDER BY name"
    )
    return [Annotator(name, bool(has_link), n) for name, has_link, n in rows]


def secret_hash(secret: str) -> str:
    """Return the SHA-256 of a secret, 64 hexadecimal digits."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
