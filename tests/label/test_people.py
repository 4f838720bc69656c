"""Labels of a project: what people, models and sources say, put together."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from curate.carriers.people import DISAGREEMENTS, People
from curate.catalog import images, searches
from curate.catalog.candidates import record
from curate.catalog.class_lists import ClassList
from curate.catalog.database import Database
from curate.catalog.proposals import ModelRow, record_model, record_proposals
from curate.catalog.queues import read_queue
from curate.project import Project
from curate.records import Candidate, Kind, Label, Origin, Proposal
from tests.catalog.rows import candidate, filled, image_id, stored
from tests.label.ledgers import add, label, project, rename, said, undo

MODEL = "m" * 64


def labels(people: People) -> dict[str, Label]:
    return {
        key: each for page in images.kept(people.db) for key, each in people.labels(page).items()
    }


def proposes(
    db: Database, number: int, *classes: str, made_at: float = 5.0, **scores: float
) -> None:
    settings = {"thresholds": {"beach": 0.8}}
    record_model(db, ModelRow(MODEL, "m.onnx", ("beach", "city"), False, settings, 1.0))
    best = max(scores.values(), default=0.0)
    record_proposals(db, [Proposal(image_id(number), MODEL, classes, best, scores, made_at)])


def test_a_proposal_is_a_label_from_its_models_threshold_on(tmp_path: Path) -> None:
    with project(tmp_path, 4) as here:
        proposes(here.db, 0, "beach", beach=0.9)
        proposes(here.db, 1, "beach", beach=0.7)
        proposes(here.db, 2, "city", city=0.9)
        found = labels(here.people)
        assert found[image_id(0)].origin is Origin.MODEL
        assert [found[image_id(k)].origin for k in (1, 2, 3)] == [None] * 3
        assert found[image_id(1)].proposed == ("beach",)
        assert found[image_id(1)].proposed_by == MODEL
    with Project(tmp_path, flags={"label.threshold": 0.85}) as here:
        found = labels(here.people)
        assert [found[image_id(k)].origin for k in (0, 1, 2)] == [Origin.MODEL, None, Origin.MODEL]


def test_a_rename_reaches_hints_proposals_and_thresholds(tmp_path: Path) -> None:
    with project(tmp_path, 2, "beach") as here:
        here.clock = lambda: 50.0
        proposes(here.db, 0, "beach", beach=0.9)
        here.people.rename({"beach": "shore"}, "ada")
        found = labels(here.people)
        assert (found[image_id(0)].classes, found[image_id(0)].origin) == (("shore",), Origin.MODEL)
        assert (found[image_id(1)].classes, found[image_id(1)].origin) == (
            ("shore",),
            Origin.SOURCE,
        )
        [only] = [each for each in here.status()[1] if each.images]
        assert (only.name, only.images) == ("shore", 2)


def test_classes_that_become_one_count_each_image_once(tmp_path: Path) -> None:
    with project(tmp_path, 3, "tabby", "persian") as here:
        here.people.rename({"tabby": "cat", "persian": "cat"}, "ada")
        assert [(each.name, each.images) for each in here.status()[1]] == [("cat", 3)]
        assert labels(here.people)[image_id(0)].classes == ("cat",)


def test_status_counts_annotations_and_proposals(tmp_path: Path) -> None:
    with project(tmp_path, 3) as here:
        proposes(here.db, 0, "beach", beach=0.9)
        proposes(here.db, 1, "city", city=0.9)
        add(here.people, label(0, "a"), label(0, "b", by="bob"), label(1, "a"), undo("ada-1-a"))
        found = here.status()[0]
        assert (found.annotations, found.annotated, found.annotators) == (4, 1, 2)
        assert (found.proposals, found.models) == (2, 1)


def test_the_class_list_is_set_or_in_the_settings_or_what_hints_say(tmp_path: Path) -> None:
    with project(tmp_path, 1, "hint") as here:
        assert here.people.class_list() == ClassList(0, ("hint",), False)
    (tmp_path / "curate.toml").write_text('[classes]\nnames = ["b", "a"]\nexclusive = true\n')
    with Project(tmp_path) as here:
        assert here.people.class_list() == ClassList(0, ("b", "a"), True, True)
        here.people.set_classes(["c"], exclusive=False)
        found = here.people.class_list()
        assert (found.version, found.names, found.exclusive) == (1, ("c",), False)


def test_classes_that_only_people_name_are_classes_unless_a_list_is_set(tmp_path: Path) -> None:
    with project(tmp_path, 3, "hint") as here:
        people = here.people
        add(people, label(0, "pier"), label(1, "Pier"), label(2, "hint"), said(2, Kind.REJECT))
        assert people.class_list().names == ("hint", "Pier", "pier")
        people.rename({"Pier": "pier"}, "ada")
        add(people, label(2, "dune", by="bob"))
        assert people.class_list() == ClassList(0, ("hint", "dune", "pier"), False)
        assert people.annotated() == {"dune": 1, "pier": 2}
        add(people, undo("bob-2-dune", by="bob"))
        assert people.class_list().names == ("hint", "pier")
        people.set_classes(["hint"], exclusive=False)
        assert people.class_list().names == ("hint",)


def test_people_who_disagree_are_a_conflict_or_a_consensus_as_configured(tmp_path: Path) -> None:
    with project(tmp_path, 2) as here:
        add(here.people, label(0, "a"), label(0, "a", by="bob"), label(0, "b", by="eve"))
        add(here.people, label(1, "a"), label(1, "b", by="bob"))
        assert [labels(here.people)[image_id(k)].conflict for k in (0, 1)] == [True, True]
    with Project(tmp_path, flags={"label.consensus": "majority"}) as here:
        found = labels(here.people)
        assert (found[image_id(0)].classes, found[image_id(0)].origin) == (
            ("a",),
            Origin.CONSENSUS,
        )
        assert found[image_id(0)].annotators == ("ada", "bob", "eve")
        assert found[image_id(1)].conflict, "a tie stays open"
    flags = {"label.consensus": "majority", "label.trusted": "eve"}
    with Project(tmp_path, flags=flags) as here:
        assert labels(here.people)[image_id(0)].classes == ("b",)


def test_a_new_decision_is_seen_by_whoever_reads_already(tmp_path: Path) -> None:
    with Project(tmp_path / "x", flags={"label.consensus": "majority"}) as _:
        pass
    with project(tmp_path, 1, label__consensus="majority") as here:
        people = here.people
        add(people, label(0, "a"), label(0, "b", by="bob"))
        assert labels(people)[image_id(0)].conflict
        add(people, label(0, "b", by="eve"), rename("b", "c"))
        assert labels(people)[image_id(0)].classes == ("c",)


def test_disagreements_are_queued_most_open_first(tmp_path: Path) -> None:
    with project(tmp_path, 4) as here:
        add(here.people, *(label(0, "a", by=who) for who in "xyz"), label(0, "b", by="w"))
        add(here.people, label(1, "a"), label(1, "b", by="bob"))
        add(here.people, label(2, "a"), label(2, "a", by="bob"))
        add(here.people, label(3, "a"), said(3, Kind.UNSURE, by="bob"))
        assert here.people.queue_disagreements() == 2
        assert [e.image_id for e in read_queue(here.db, DISAGREEMENTS)] == [
            image_id(1),
            image_id(0),
        ]
        add(here.people, undo("bob-1-b", by="bob"))
        assert here.people.queue_disagreements() == 1


def offered_twice(*sets: tuple[str, ...]) -> Database:
    """One URL on several lines of one list, with these classes."""
    rows = [candidate(1, *names) for names in sets]
    db = filled(*rows)
    record(db, [stored(1, 1)], 1.0)
    return db


@pytest.mark.parametrize(
    ("sets", "disputed"),
    [
        ([("beach",), ("city",)], True),
        ([("beach",), ("beach", "city")], True),
        ([("beach",), ("",)], True),
        ([("beach",), ("beach",)], False),
        ([("beach", "city"), ("city", "beach")], False),
        ([("beach",), ()], False),
    ],
)
def test_a_url_listed_twice_with_other_classes_is_disputed(
    sets: list[tuple[str, ...]], disputed: bool
) -> None:
    db = offered_twice(*sets)
    [[row]] = images.kept(db)
    assert row.disputed == disputed
    assert [each.disputed for each in images.some_kept(db, [row.image_id])] == [disputed]


def test_on_different_pages_too_and_reading_the_list_again_changes_nothing() -> None:
    db = filled()
    search = searches.open_search(db, "urls", "{}", "", 0.0)
    for _ in range(2):
        searches.add_page(db, search.id, [candidate(1, "beach"), candidate(2, "city")], "1")
        searches.add_page(db, search.id, [candidate(1, "city"), candidate(3, "city")], None)
        searches.restart(db, search.id)
    record(db, [stored(n, n) for n in (1, 2, 3)], 1.0)
    found = {row.source_id: row.disputed for page in images.kept(db) for row in page}
    assert found == {"1": True, "2": False, "3": False}


def test_one_image_in_two_places_of_one_search_is_disputed_if_their_classes_differ() -> None:
    db = filled(candidate(1, "cat"), candidate(2, "dog"), candidate(3, "cat"), candidate(4, "cat"))
    record(db, [stored(1, 1), stored(2, 1), stored(3, 3), stored(4, 3)], 1.0)
    found = {row.image_id: row.disputed for page in images.kept(db) for row in page}
    assert found == {image_id(1): True, image_id(3): False}


def test_what_two_searches_found_is_not_disputed() -> None:
    db = filled()
    for query in ("beach", "sunset"):
        search = searches.open_search(db, "unsplash", f'{{"text": "{query}"}}', query, 0.0)
        searches.add_page(db, search.id, [candidate(1, query, source="unsplash")], None)
    record(db, [stored(1, 1)], 1.0)
    [[row]] = images.kept(db)
    assert (row.disputed, row.classes, row.from_query) == (False, ("beach", "sunset"), True)


def test_what_the_source_knows_counts_before_what_a_search_text_says(tmp_path: Path) -> None:
    with project(tmp_path, 1, "oak") as here:
        search = searches.open_search(here.db, "urls", '{"text": "tree"}', "tree", 0.0)
        searches.add_page(here.db, search.id, [candidate(0, "tree")], None)
        found = labels(here.people)[image_id(0)]
        assert (found.classes, found.origin) == (("oak",), Origin.SOURCE)


def test_the_five_contradictions_of_the_toy_dataset_are_conflicts_by_name(
    tmp_path: Path, shared: Path
) -> None:
    with (shared / "toy" / "data.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("beach", "city", "sunset", "trees")
    offered = [
        Candidate("urls", row["url"], row["url"], tuple(n for n in names if row[n] == "1") or ("",))
        for row in rows
    ]
    db = filled(*offered, path=tmp_path / "catalog.db")
    numbers = dict(db.all("SELECT source_id, id FROM candidates"))
    record(db, [stored(number, number) for number in numbers.values()], 1.0)
    db.close()
    seen: dict[str, set[tuple[str, ...]]] = {}
    for each in offered:
        seen.setdefault(each.url, set()).add(each.classes)
    contradicting = {url for url, sets in seen.items() if len(sets) > 1}
    with Project(tmp_path) as here:
        found = list(here.people.conflicts())
        assert len(contradicting) == 5
        assert {each.source_id for each in found} == contradicting
        assert {each.kind for each in found} == {"source"}
        add(here.people, label(numbers[found[0].source_id], "beach"))
        left = {each.source_id for each in here.people.conflicts()}
        assert left == contradicting - {found[0].source_id}
