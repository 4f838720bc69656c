"""Pauses that hosts asked for, kept so that a later run honours them too."""

from __future__ import annotations

from curate.catalog.database import Database


def paused(db: Database, now: float) -> dict[str, float]:
    """Return the hosts that are to be left alone, and until when (Unix seconds)."""
    return dict(db.all("SELECT name, paused_until FROM hosts WHERE paused_until > ?", (now,)))


def pause(db: Database, name: str, until: float, why: str) -> None:
    """Leave `name` alone until then, or longer if that was agreed before."""
    with db.transaction():
        db.execute(
            "INSERT INTO hosts (name, paused_until, why) VALUES (?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET why = excluded.why, "
            "paused_until = MAX(paused_until, excluded.paused_until)",
            (name, until, why),
        )
