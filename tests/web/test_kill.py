"""A server killed at any moment loses no decision that it has acknowledged, and doubles none."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate.carriers.auditing import MOST_TILES, Auditing
from curate.catalog.annotations import all_decisions, rebuild
from curate.label.grid import STATES, View
from curate.project import Project
from tests.full import size
from tests.web.world import NAMES, Caller, Served, World, decision, make_world, sent, served

WHO = ("anna", "ben")


class Crowd:
    """People who decide, change their minds, and send again what was not acknowledged."""

    def __init__(self, world: World, server: Served, seed: int) -> None:
        self.world = world
        self.server = server
        self.rng = random.Random(seed)
        self.callers = {who: Caller.through(server, who) for who in WHO}
        self.acknowledged: list[str] = []
        self.standing: dict[tuple[str, str], list[str]] = {}
        self.resent = 0
        self.renames = 0
        self.kills = 0
        self.n = 0

    def make(self, who: str) -> dict[str, Any]:
        self.n += 1
        key, image = f"op-{self.n:012d}", self.rng.choice(self.world.ids)
        mine = self.standing.setdefault((who, image), [])
        kind = self.rng.choice(["label", "label", "label", "reject", "unsure", "undo"])
        if kind == "undo" and mine:
            return decision(key, image, kind="undo", classes=None, undoes=mine.pop())
        mine.append(decision(key, image)["key"])
        if kind in ("label", "undo"):
            return decision(key, image, self.rng.choice(NAMES))
        return decision(key, image, kind=kind, classes=None)

    def decide(self) -> int:
        """Send a few decisions until they are acknowledged; returns how many."""
        who = self.rng.choice(WHO)
        rows = [self.make(who) for _ in range(self.rng.randint(1, 6))]
        body = json.dumps(sent(who, *rows)).encode()
        while True:
            try:
                answer = self.callers[who].ask("POST", "/api/decisions", body)
            except (OSError, http.client.HTTPException):
                self.resent += 1
                time.sleep(0.02)
                continue
            assert answer.status == 200, answer.body
            assert {each["status"] for each in answer.json["results"]} <= {"new", "known"}
            self.acknowledged += [each["key"] for each in rows]
            return len(rows)

    def rename(self) -> int:
        """Give a class a new name, or merge it into another, from another process's side."""
        with Project(self.world.folder) as project:
            names = [*NAMES, "coast", "town"]
            old, new = self.rng.sample(names, 2)
            project.people.rename({old: new}, "anna")
        self.renames += 1
        return 1


def rampage(world: World, operations: int, kills: int, seed: int = 1) -> Crowd:
    """Let a crowd work while the server is killed again and again."""
    with served(world, "--port", "0", *(f"--annotator={who}" for who in WHO)) as server:
        crowd = Crowd(world, server, seed)
        stop = threading.Event()
        done = 0
        share = operations / kills

        def kill_and_start() -> None:
            for number in range(kills):
                while done < share * number + share / 2 and not stop.is_set():
                    time.sleep(0.002)
                time.sleep(crowd.rng.random() * 0.05)
                server.kill()
                crowd.kills += 1
                server.start()

        killer = threading.Thread(target=kill_and_start)
        killer.start()
        try:
            while done < operations:
                done += crowd.rename() if crowd.rng.random() < 0.05 else crowd.decide()
        finally:
            stop.set()
            killer.join()
        live = {who: seen_live(world, Caller.through(server, who), who) for who in WHO}
    check(world, crowd, live)
    return crowd


def seen_live(world: World, caller: Caller, who: str) -> dict[str, Any]:
    """What the running server says: counts, what images say, and the order of every state."""
    wanted = {"images": world.ids, "queue": ""}
    return {
        "counts": caller.get(f"/api/counts?person={who}"),
        "tiles": caller.post("/api/tiles", wanted)["tiles"],
        **{
            state: [each["image_id"] for each in told["tiles"]]
            for state in STATES
            for told in [caller.get(f"/api/page?state={state}&person={who}&size={MOST_TILES}")]
        },
    }


def seen_anew(world: World, who: str) -> dict[str, Any]:
    """The same, worked out from the ledger by somebody who has just come."""
    with Project(world.folder) as project:
        anew = Auditing(project)
        seen = {
            "counts": anew.counts(who, ""),
            "tiles": anew.seen(who, world.ids, "")["tiles"],
            **{
                state: [
                    each["image_id"]
                    for each in anew.page(who, View(state, person=who), "", MOST_TILES)["tiles"]
                ]
                for state in STATES
            },
        }
    told: dict[str, Any] = json.loads(json.dumps(seen))
    return told


def check(world: World, crowd: Crowd, live: dict[str, Any]) -> None:
    keys = [each.key for each in world.ledger() if each.image_id is not None]
    assert sorted(keys) == sorted(crowd.acknowledged), "none lost, none doubled"
    db = world.db()
    before = list(all_decisions(db))
    rebuild(db)
    assert list(all_decisions(db)) == before
    db.close()
    assert {who: seen_anew(world, who) for who in live} == live


@pytest.mark.slow
@pytest.mark.full
def test_decisions_outlive_a_server_that_is_killed(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    n, kills = size(300, 10_000), size(4, 200)
    world = make_world(tmp_path / "project", 40)
    crowd = rampage(world, n, kills)
    assert len(crowd.acknowledged) + crowd.renames >= n
    assert crowd.kills == kills
    assert crowd.resent > 0
    record_property("operations of the page's server, kills -9", f"{n:,}, {kills}")
    record_property("renames and merges among them, sent again", f"{crowd.renames}, {crowd.resent}")
