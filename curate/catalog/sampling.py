"""A few candidates drawn from many, to ask what the many are like."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass

from curate.catalog.database import Database

TRIES = 20
"""Ids drawn for each candidate wanted, before what there is must do."""


@dataclass(frozen=True, slots=True)
class SampledCandidate:
    """What is needed to ask how large an image is."""

    url: str
    """Where it is, in the size that was asked for."""
    meta: Mapping[str, str]
    """What the source says besides."""


def pending_sample(db: Database, n: int, rng: random.Random) -> list[SampledCandidate]:
    """Draw pending candidates, every one as likely as any other.

    Numbers between the first and the last are drawn, and those that are no pending candidate
    are passed over: no row is read that is not drawn.

    Args:
        db: the catalog.
        n: how many; fewer if there are not so many, or they are far between.
        rng: source of the chance.
    """
    first, last, total = db.one(
        "SELECT MIN(id), MAX(id), COUNT(*) FROM candidates INDEXED BY candidates_state "
        "WHERE state = 'pending'"
    )
    if not total:
        return []
    if total <= n * TRIES:
        ids = [each for (each,) in db.all("SELECT id FROM candidates WHERE state = 'pending'")]
        chosen = rng.sample(ids, min(n, len(ids)))
    else:
        tried = dict.fromkeys(rng.randint(first, last) for _ in range(n * TRIES))
        chosen = list(tried)
    found: list[SampledCandidate] = []
    for each in chosen:
        row = db.execute(
            "SELECT url, whole FROM candidates JOIN whole_meta ON candidate_id = id "
            "WHERE id = ? AND state = 'pending'",
            (each,),
        ).fetchone()
        if row is not None:
            found.append(SampledCandidate(row[0], json.loads(row[1]) if row[1] else {}))
        if len(found) == n:
            break
    return found
