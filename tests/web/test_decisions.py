"""What the server makes of decisions: kept once, never overwritten, given out fairly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.carriers import auditing
from curate.catalog.queues import Queued, write_queue
from curate.pack import Recipe, read_manifest
from curate.project import Project
from curate.records import Annotation, Kind
from tests.web.world import (
    NAMES,
    Caller,
    Inside,
    World,
    decision,
    inside,
    make_world,
    propose,
    sent,
    until,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "project", 24)


@pytest.fixture
def server(world: World) -> Iterator[Inside]:
    with inside(world, "anna", "ben") as running:
        yield running


@pytest.fixture
def anna(server: Inside) -> Caller:
    return Caller.through(server, "anna")


@pytest.fixture
def ben(server: Inside) -> Caller:
    return Caller.through(server, "ben")


def states(caller: Caller) -> dict[str, int]:
    return {name: n for name, n in caller.get("/api/counts")["states"].items() if n}


def test_a_decision_sent_twice_is_one(world: World, anna: Caller) -> None:
    body = sent("anna", decision("same", world.ids[0], "beach"))
    first, second = (anna.post("/api/decisions", body)["results"][0]["status"] for _ in range(2))
    assert (first, second) == ("new", "known")
    assert len(world.ledger()) == 1


def test_one_bad_decision_does_not_hold_up_the_others(world: World, anna: Caller) -> None:
    told = anna.post(
        "/api/decisions",
        sent(
            "anna",
            decision("good", world.ids[0], "beach"),
            decision("blank", world.ids[1], " beach"),
            decision("nobody", "0" * 64, "beach"),
            decision("lost", world.ids[1], kind="undo", classes=None, undoes="no-such-key-here"),
            decision("fine", world.ids[2], "city"),
        ),
    )
    assert [each["status"] for each in told["results"]] == [
        "new", "refused", "refused", "refused", "new",
    ]  # fmt: skip
    assert {each.image_id for each in world.ledger()} == {world.ids[0], world.ids[2]}


@pytest.mark.parametrize(
    ("key", "tool"),
    [(f"labelme:{'0' * 16}:12:{'a' * 24}", "labelme"), ("Zeile 7 (alt), Ä" + "x" * 400, "import")],
)
def test_what_was_decided_elsewhere_can_be_corrected_and_undone_here(
    world: World, anna: Caller, key: str, tool: str
) -> None:
    before = Annotation(key, Kind.LABEL, "anna", 1.0, world.ids[0], ("beach",), tool=tool)
    with Project(world.folder) as project, project.people.ledger() as ledger:
        ledger.add([before])
    (tile,) = anna.post("/api/tiles", {"images": [world.ids[0]]})["tiles"]
    correct = decision("better", world.ids[0], "city", base=tile["mine"]["key"])
    undo = decision("undo", world.ids[0], kind="undo", classes=None, undoes=key)
    told = anna.post("/api/decisions", sent("anna", correct, undo))
    assert [(each["status"], each.get("replaced")) for each in told["results"]] == [
        ("new", None),
        ("new", None),
    ]
    assert [each.classes for each in world.ledger()] == [("beach",), ("city",), None]


def test_a_session_does_not_take_somebody_elses_work(world: World, anna: Caller) -> None:
    body = json.dumps(sent("ben", decision("mine", world.ids[0], "beach"))).encode()
    assert anna.ask("POST", "/api/decisions", body).status == 409
    assert not world.ledger()


def test_what_replaces_an_unseen_decision_is_reported(world: World, anna: Caller) -> None:
    one = decision("one", world.ids[0], "beach")
    anna.post("/api/decisions", sent("anna", one))
    blindly = decision("two", world.ids[0], "city")
    told = anna.post("/api/decisions", sent("anna", blindly))
    assert told["results"][0]["replaced"] == {"kind": "label", "classes": ["beach"]}
    knowingly = decision("three", world.ids[0], "trees", base=blindly["key"])
    told = anna.post("/api/decisions", sent("anna", knowingly))
    assert told["results"][0]["replaced"] is None
    assert len(world.ledger()) == 3


def test_several_keys_in_one_breath_contradict_nobody(world: World, anna: Caller) -> None:
    image = world.ids[0]
    keys = [decision(f"key-{n}", image)["key"] for n in range(4)]
    anna.post("/api/decisions", sent("anna", decision(keys[0], image, "beach")))
    typed = [decision(keys[n], image, *NAMES[: n + 1], base=keys[n - 1]) for n in (1, 2)]
    told = anna.post("/api/decisions", sent("anna", *typed))
    assert [each["replaced"] for each in told["results"]] == [None, None]
    # But what another window did before the first of them is seen by none of them.
    late = decision(keys[3], image, "trees", base="another-window-01")
    more = decision("and-one-more-key", image, "trees", "city", base=keys[3])
    told = anna.post("/api/decisions", sent("anna", late, more))
    unseen = {"kind": "label", "classes": ["beach", "city", "sunset"]}
    assert [each["replaced"] for each in told["results"]] == [unseen, unseen]


def test_two_people_make_two_annotations_and_a_conflict(
    world: World, anna: Caller, ben: Caller
) -> None:
    anna.post("/api/decisions", sent("anna", decision("a", world.ids[0], "beach")))
    told = ben.post("/api/decisions", sent("ben", decision("b", world.ids[0], "city")))
    [tile] = told["tiles"]
    assert tile["state"] == "conflict"
    assert tile["others"] == [{"annotator": "anna", "kind": "label", "classes": ["beach"]}]
    assert states(anna) == {"open": 23, "conflict": 1}
    ben.post(
        "/api/decisions",
        sent(
            "ben",
            decision(
                "c", world.ids[0], kind="undo", classes=None, undoes=told["results"][0]["key"]
            ),
        ),
    )
    assert states(anna) == {"open": 23, "done": 1}


def test_nobody_takes_back_what_somebody_else_decided(
    world: World, anna: Caller, ben: Caller
) -> None:
    key = decision("a", world.ids[0], "beach")
    anna.post("/api/decisions", sent("anna", key))
    undo = decision("b", world.ids[0], kind="undo", classes=None, undoes=key["key"])
    assert ben.post("/api/decisions", sent("ben", undo))["results"][0]["status"] == "refused"
    assert states(ben) == {"open": 23, "done": 1}


def test_changes_tell_what_others_did(world: World, anna: Caller, ben: Caller) -> None:
    last = anna.get("/api/changes?after=0")["last"]
    ben.post("/api/decisions", sent("ben", decision("b", world.ids[3], "city")))
    told = anna.get(f"/api/changes?after={last}")
    assert told["images"] == [world.ids[3]]
    assert anna.get(f"/api/changes?after={told['last']}")["images"] == []


def test_pages_go_through_everything_once_while_images_are_decided(
    world: World, anna: Caller
) -> None:
    seen: list[str] = []
    after = ""
    while tiles := anna.get(f"/api/page?size=5&after={after}")["tiles"]:
        ids = [tile["image_id"] for tile in tiles]
        seen += ids
        after = ids[-1]
        anna.post(
            "/api/decisions",
            sent("anna", *(decision(f"k{each[:20]}", each, "beach") for each in ids)),
        )
    assert sorted(seen) == world.ids
    assert anna.get("/api/page")["total"] == 0
    assert len(anna.get("/api/page?state=done&class=beach&size=100")["tiles"]) == 24
    before = anna.get(f"/api/before?state=all&size=5&image={seen[10]}")["tiles"]
    assert [tile["image_id"] for tile in before] == seen[5:10]


def test_what_a_model_proposes_meanwhile_shows(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "LOOK_EVERY_S", 0.2)
    with inside(world) as server:
        anna = Caller.through(server)
        trees = {"trees": {"total": 24, "open": 24}}
        assert anna.get("/api/counts")["classes"] != trees
        db = world.db()
        propose(db, dict.fromkeys(world.ids, "trees"), NAMES, 0.0, at=3.0)
        write_queue(db, "later", [Queued(world.ids[5])])
        db.close()
        until(lambda: anna.get("/api/counts")["classes"] == trees)
        [tile] = anna.get("/api/page?queue=later")["tiles"]
        assert tile["image_id"] == world.ids[5]


def test_a_rename_shows_at_once(world: World, anna: Caller) -> None:
    anna.post("/api/decisions", sent("anna", decision("a", world.ids[0], "beach")))
    with Project(world.folder) as project:
        project.people.rename({"beach": "coast"}, "anna")
    assert "coast" in anna.get("/api/counts")["classes"]
    assert "coast" in anna.get("/api/start")["classes"]
    # A page that was open goes on saying the old name.
    told = anna.post("/api/decisions", sent("anna", decision("b", world.ids[1], "beach")))
    assert told["tiles"][0]["mine"]["classes"] == ["coast"]


def test_overlap_gives_each_image_to_so_many_people(tmp_path: Path) -> None:
    world = make_world(tmp_path / "project", 24)
    names = ("anna", "ben", "cleo")
    with inside(world, *names, overlap=2) as server:
        callers = {name: Caller.through(server, name) for name in names}
        for _ in range(8):
            for name, caller in callers.items():
                ids = [tile["image_id"] for tile in caller.get("/api/batch?size=4")["tiles"]]
                rows = [decision(f"{name}{each[:20]}", each, "beach") for each in ids]
                if rows:
                    caller.post("/api/decisions", sent(name, *rows))
        counts = [
            len({who for image, who in world.decisions() if image == each}) for each in world.ids
        ]
        assert counts == [2] * 24
        assert len(world.ledger()) == 48


def test_only_a_manifests_images_are_shown(world: World) -> None:
    with Project(world.folder) as project:
        made = project.balance(Recipe(max_per_class=3))
    assert made.path is not None
    wanted = set(read_manifest(made.path).table()["image_id"].to_pylist())
    assert 0 < len(wanted) < 24
    with inside(world, manifest="v0001") as server:
        told = Caller.through(server).get("/api/page?size=100")
        assert {tile["image_id"] for tile in told["tiles"]} == wanted


def test_a_blind_images_proposal_is_not_in_any_answer(world: World) -> None:
    db = world.db()
    write_queue(db, "random", [Queued(world.ids[0], blind=True)])
    db.close()
    with inside(world, "anna") as server:
        anna = Caller.through(server)
        for path in ("/api/page?size=100", "/api/page?size=100&queue=random"):
            [tile] = [t for t in anna.get(path)["tiles"] if t["image_id"] == world.ids[0]]
            assert tile["blind"]
            assert (tile["proposed"], tile["score"], tile["guesses"]) == (None, None, [])
        for name in NAMES:
            ids = [t["image_id"] for t in anna.get(f"/api/page?size=100&class={name}")["tiles"]]
            assert world.ids[0] not in ids
        blind = decision("blind", world.ids[0], "city", mode="blind", queue="random")
        told = anna.post("/api/decisions", sent("anna", blind))
        assert told["tiles"][0]["proposed"] is not None, "now it may be compared"
        [row] = world.ledger()
        assert (row.mode, row.shown, row.kind) == ("blind", None, Kind.LABEL)


def test_wrong_questions_are_answered_so(anna: Caller, world: World) -> None:
    assert anna.ask("GET", "/api/page?state=nowhere").status == 400
    assert anna.ask("GET", "/api/page?sort=nowhere").status == 400
    assert anna.get("/api/page?queue=nowhere")["tiles"] == []
    assert anna.get(f"/api/page?after={'0' * 64}&size=1")["total"] == 24
    assert anna.ask("GET", f"/api/image/{'0' * 64}").status == 404
    assert anna.ask("GET", f"/thumb/{'0' * 64}").status == 404
    facts = anna.get(f"/api/image/{world.ids[0]}")
    assert facts["url"].startswith("https://example.org/")
