"""A server killed at any moment loses no decision that it has acknowledged, and doubles none."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from curate.auditing import Auditing
from curate.catalog.annotations import all_decisions, rebuild
from curate.project import Project
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
                server.start()

        killer = threading.Thread(target=kill_and_start)
        killer.start()
        try:
            while done < operations:
                done += crowd.rename() if crowd.rng.random() < 0.01 else crowd.decide()
        finally:
            stop.set()
            killer.join()
        crowd.callers = {who: Caller.through(server, who) for who in WHO}
        live = {
            who: crowd.callers[who].get(f"/api/counts?person={who}") for who in ("", *WHO) if who
        }
        check(world, crowd, live)
    return crowd


def check(world: World, crowd: Crowd, live: dict[str, Any]) -> None:
    keys = [each.key for each in world.ledger() if each.image_id is not None]
    assert sorted(keys) == sorted(crowd.acknowledged), "none lost, none doubled"
    db = world.db()
    before = list(all_decisions(db))
    rebuild(db)
    assert list(all_decisions(db)) == before
    db.close()
    with Project(world.folder) as project:
        anew = Auditing(project)
        assert {who: anew.counts(who, "") for who in live} == live


@pytest.mark.slow
def test_decisions_outlive_a_server_that_is_killed(tmp_path: Path) -> None:
    world = make_world(tmp_path / "project", 40)
    crowd = rampage(world, 300, 4)
    assert len(crowd.acknowledged) + crowd.renames >= 300
    assert crowd.resent > 0
