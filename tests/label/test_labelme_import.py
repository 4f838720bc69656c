"""What is saved in a working folder becomes an annotation: once, and whatever happens."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.carriers.labeling import Asked, Labeling, Session
from curate.carriers.people import People
from curate.catalog.database import Database, writer_lock
from curate.catalog.queues import Queued, write_queue
from curate.errors import CurateError, LockedError, PackError, UsageError
from curate.flags import REVIEWED
from curate.project import Project
from curate.records import Annotation, Kind
from tests.label.labelme_world import (
    folders,
    index,
    ledger,
    make_project,
    picture,
    propose,
    said,
    save,
)


def prepared(path: Path, annotator: str = "ann", n: int = 100, queue: str = "") -> Path:
    """Prepare a working folder."""
    with Project(path) as project:
        working = Labeling(project, Asked(annotator, n, queue)).prepare()
    assert working is not None
    return working.path


def imported(path: Path, annotator: str = "ann", folder: Path | None = None) -> Session:
    """Import what was saved."""
    with Project(path) as project:
        return Labeling(project, Asked(annotator, 100)).import_all(folder)


def test_ticked_classes_are_the_label_and_an_untouched_image_says_nothing(tmp_path: Path) -> None:
    beach, city, plain, other = make_project(tmp_path, [["beach"], ["city"], [], []])
    folder = prepared(tmp_path)
    save(folder, beach, "beach", REVIEWED)
    save(folder, city, "city")  # saved, but as it was: nothing is decided
    save(folder, plain, "trees")
    save(folder, other)
    done = imported(tmp_path)
    assert (done.labels, done.none, done.faults, done.left) == (2, 0, [], 2)
    assert {row[0]: row[2] for row in said(tmp_path)} == {
        beach[:8]: ("beach",),
        plain[:8]: ("trees",),
    }


def test_reviewed_without_a_class_is_none_of_the_classes(tmp_path: Path) -> None:
    (only,) = make_project(tmp_path, [["beach"]])
    save(prepared(tmp_path), only, REVIEWED)
    assert imported(tmp_path).none == 1
    (row,) = ledger(tmp_path)
    assert (row.kind, row.classes, row.image_id) == (Kind.LABEL, (), only)
    assert (row.shown, row.shown_by, row.tool, row.mode) == (("beach",), "source", "labelme", "one")


def test_importing_again_adds_nothing_and_every_change_of_mind_adds_one_row(tmp_path: Path) -> None:
    (only,) = make_project(tmp_path, [[]])
    folder = prepared(tmp_path)
    expected = []
    for flags in (("beach",), ("city",), ("beach",), ("beach", REVIEWED), (REVIEWED,)):
        save(folder, only, *flags)
        label = tuple(flag for flag in flags if flag != REVIEWED)
        if not expected or expected[-1] != label:
            expected.append(label)
        for _ in range(3):
            imported(tmp_path)
        assert [row.classes for row in ledger(tmp_path)] == expected


def test_a_tick_that_is_taken_away_again_is_taken_back(tmp_path: Path) -> None:
    (only,) = make_project(tmp_path, [["beach"]])
    folder = prepared(tmp_path)
    save(folder, only, "city")
    imported(tmp_path)
    save(folder, only, "beach")  # as it was proposed, and not reviewed
    assert imported(tmp_path).undone == 1
    first, second = ledger(tmp_path)
    assert (second.kind, second.undoes) == (Kind.UNDO, first.key)
    with Project(tmp_path) as project:
        assert project.people.current([only]) == {}
    save(folder, only, "beach", REVIEWED)
    imported(tmp_path)
    assert [row.classes for row in ledger(tmp_path)] == [("city",), None, ("beach",)]


def test_what_was_undone_elsewhere_counts_again_only_when_it_is_saved_again(tmp_path: Path) -> None:
    (only,) = make_project(tmp_path, [[]])
    folder = prepared(tmp_path)
    save(folder, only, "beach")
    imported(tmp_path)
    (row,) = ledger(tmp_path)
    undo = Annotation("u", Kind.UNDO, "ann", time.time(), undoes=row.key)
    with Project(tmp_path) as project, project.people.ledger() as open_ledger:
        open_ledger.add([undo])
    assert imported(tmp_path).labels == 0
    save(folder, only, "beach", later_s=0.01)
    assert imported(tmp_path).labels == 1


def test_two_people_in_one_folder_are_two_annotations(tmp_path: Path) -> None:
    one, two = make_project(tmp_path, [[], []])
    folder = prepared(tmp_path, "ann")
    save(folder, one, "beach")
    save(folder, two, "trees")
    with Project(tmp_path) as project:
        assert Labeling(project, Asked("bob", 100, folder=folder)).prepare() is not None
    save(folder, one, "city", later_s=0.01)
    imported(tmp_path, "eve")  # whoever imports: what is saved now is Bob's
    assert said(tmp_path) == [
        (one[:8], "ann", ("beach",)),
        (two[:8], "ann", ("trees",)),
        (one[:8], "bob", ("city",)),
    ]


def test_two_classes_are_reported_where_one_is_allowed_and_never_chosen(tmp_path: Path) -> None:
    one, two = make_project(tmp_path, [["beach", "city"], ["beach"]], exclusive=True)
    folder = prepared(tmp_path)
    tasks = {task["image_id"]: task["shown"] for task in index(folder)["images"].values()}
    assert tasks == {one: None, two: ["beach"]}, "a contradiction is not proposed"
    path = save(folder, two, "beach", "city", REVIEWED)
    (fault,) = imported(tmp_path).faults
    assert (fault.path, fault.kind) == (path, "two_classes")
    assert "beach, city" in fault.detail
    assert ledger(tmp_path) == []
    save(folder, two, "city", REVIEWED, later_s=0.01)
    done = imported(tmp_path)
    assert (done.labels, done.faults) == (1, [])


def test_a_flag_that_is_no_class_is_told_and_kept(tmp_path: Path) -> None:
    (only,) = make_project(tmp_path, [[]])
    save(prepared(tmp_path), only, "beach", "glacier")
    assert imported(tmp_path).unknown == {"glacier": 1}
    assert ledger(tmp_path)[0].classes == ("beach", "glacier")


def test_a_flag_that_can_be_no_class_is_a_fault_and_the_others_come_in(tmp_path: Path) -> None:
    one, two = make_project(tmp_path, [[], []])
    folder = prepared(tmp_path)
    save(folder, one, "bell\x07")
    save(folder, two, "city")
    done = imported(tmp_path)
    assert [fault.kind for fault in done.faults] == ["bad_class"]
    assert said(tmp_path) == [(two[:8], "ann", ("city",))]


def test_garbage_in_the_folder_is_told_and_left(tmp_path: Path) -> None:
    (only,) = make_project(tmp_path, [[]])
    folder = prepared(tmp_path)
    good = save(folder, only, "beach")
    (folder / "half.json").write_text(good.read_text()[:40])
    (folder / "other.json").write_text('{"compilerOptions": {}}')
    (folder / "strange.json").write_text(json.dumps({"flags": {"beach": True}, "imagePath": "x"}))
    (folder / "folder.json").mkdir()
    (folder / "dangling.json").symlink_to("nowhere")
    before = sorted(path.name for path in folder.iterdir())
    done = imported(tmp_path)
    kinds = {fault.path.name: fault.kind for fault in done.faults}
    assert kinds == {
        "half.json": "unreadable",
        "other.json": "unreadable",
        "strange.json": "unknown_image",
        "folder.json": "unreadable",
    }
    assert done.labels == 1
    assert sorted(path.name for path in folder.iterdir()) == before


def test_drawn_shapes_stay_in_the_file_and_count_for_nothing(tmp_path: Path) -> None:
    (only,) = make_project(tmp_path, [["beach"]])
    shape = {"label": "cat", "points": [[1, 1], [5, 5]], "shape_type": "rectangle"}
    path = save(prepared(tmp_path), only, "beach", shapes=[shape])
    before = path.read_bytes()
    assert imported(tmp_path).labels == 0
    assert path.read_bytes() == before


def test_renamed_and_copied_files_count_for_their_image_and_the_last_saved_wins(
    tmp_path: Path,
) -> None:
    one, two = make_project(tmp_path, [[], []])
    folder = prepared(tmp_path)
    first = save(folder, one, "beach")
    first.rename(folder / "renamed.json")
    second = save(folder, two, "city")
    shutil.copy2(second, folder / "copy.json")
    save(folder, two, "trees", later_s=1)
    for _ in range(2):
        imported(tmp_path)
    assert sorted(said(tmp_path)) == sorted(
        [(one[:8], "ann", ("beach",)), (two[:8], "ann", ("trees",))]
    )


def test_a_lost_index_or_folder_costs_no_label(tmp_path: Path) -> None:
    one, _two = make_project(tmp_path, [[], []])
    folder = prepared(tmp_path)
    save(folder, one, "beach")
    imported(tmp_path)
    (folder / "index.json").write_text("{")
    assert imported(tmp_path).labels == 0
    again = imported(tmp_path, folder=folder)
    assert (again.labels, again.faults) == (1, []), "a folder without index is anybody's folder"
    shutil.rmtree(folder)
    assert imported(tmp_path).labels == 0
    assert len(ledger(tmp_path)) == 2


def test_an_index_of_nonsense_is_no_index(tmp_path: Path) -> None:
    (only,) = make_project(tmp_path, [["beach"]])
    folder = prepared(tmp_path)
    save(folder, only, "city")
    good = index(folder)
    for key, nonsense in [*((key, None) for key in good), ("images", [1]), ("since", {"a": 1})]:
        (folder / "index.json").write_text(json.dumps({**good, key: nonsense}))
        imported(tmp_path)
    (folder / "index.json").write_text(json.dumps(good))
    imported(tmp_path)
    with Project(tmp_path) as project:
        assert [row.classes for row in project.people.current([only])[only]][-1] == ("city",)


def test_a_foreign_folder_is_matched_by_the_bytes_of_its_images(tmp_path: Path) -> None:
    one, _two = make_project(tmp_path / "p", [[], []])
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "photo.jpg").write_bytes(picture(0))
    (foreign / "stranger.jpg").write_bytes(b"other bytes")
    for name in ("photo", "stranger"):
        document = {"flags": {"beach": True}, "shapes": [], "imagePath": f"{name}.jpg"}
        (foreign / f"{name}.json").write_text(json.dumps(document))
    for _ in range(2):
        done = imported(tmp_path / "p", folder=foreign)
        assert [fault.path.name for fault in done.faults] == ["stranger.json"]
    assert said(tmp_path / "p") == [(one[:8], "ann", ("beach",))]


def test_the_files_of_labelmes_own_example_come_in(shared: Path, tmp_path: Path) -> None:
    example = shared / "labelme" / "classification" / "data_annotated"
    with Project(tmp_path) as project:
        project.import_folder(example)
        Labeling(project, Asked("ann", 10))
    done = imported(tmp_path, folder=example)
    assert (done.labels, done.faults) == (2, [])
    assert sorted(str(row.classes) for row in ledger(tmp_path)) == ["('cat',)", "('dog',)"]
    assert done.unknown == {"cat": 1, "dog": 1}, "the project has no such classes yet"


def test_proposals_of_a_model_are_ticked_and_noted(tmp_path: Path) -> None:
    one, two, three = make_project(tmp_path, [["trees"], [], []])
    model = propose(tmp_path, {one: (["beach"], 0.75), two: (["glacier"], 0.5), three: ([], 0.25)})
    folder = prepared(tmp_path)
    tasks = {task["image_id"]: task["shown"] for task in index(folder)["images"].values()}
    assert tasks == {one: ["beach"], two: None, three: []}
    ticked = [json.loads(path.read_text())["flags"] for path in folder.glob("0*.json")]
    assert [[flag for flag, on in each.items() if on] for each in ticked] == [["beach"]]
    save(folder, one, "beach", REVIEWED)
    imported(tmp_path)
    (row,) = ledger(tmp_path)
    assert (row.shown, row.shown_score, row.shown_by) == (("beach",), 0.75, model)


def test_a_queue_has_its_own_order_and_blind_images_show_nothing(tmp_path: Path) -> None:
    one, _two, three = make_project(tmp_path, [["beach"], ["beach"], ["beach"]])
    db = Database(tmp_path / "catalog.db")
    write_queue(db, "odd", [Queued(three, ("city",)), Queued(one, blind=True)])
    db.close()
    folder = prepared(tmp_path, queue="odd")
    shown = [(task["image_id"], task["shown"]) for task in index(folder)["images"].values()]
    assert shown == [(three, ["city"]), (one, None)]
    save(folder, one, "beach", REVIEWED)
    imported(tmp_path)
    (row,) = ledger(tmp_path)
    assert (row.queue, row.mode, row.shown) == ("odd", "blind", None)
    with Project(tmp_path) as project, pytest.raises(UsageError, match="no queue 'even'"):
        Labeling(project, Asked("ann", 5, "even")).prepare()


def test_a_manifest_bounds_what_is_labelled_and_a_queue_orders_it(tmp_path: Path) -> None:
    one, two, three, four = make_project(tmp_path, [["beach"], ["city"], ["trees"], []])
    with Project(tmp_path) as project:
        assert project.balance().manifest == "v0001"
        write_queue(project.db, "odd", [Queued(each) for each in (four, three, one)])
        asked = Asked("ann", 2, manifest="v0001")
        assert [task.image_id for task in Labeling(project, asked).plan()] == sorted(
            (one, two, three)
        )[:2]
        labeling = Labeling(project, replace(asked, queue="odd"))
        assert [task.image_id for task in labeling.plan()] == [three, one]
        working = labeling.prepare()
        assert working is not None
        assert [task.image_id for task in working.tasks.values()] == [three, one]
    save(working.path, three, "trees", REVIEWED)
    with Project(tmp_path) as project:
        done = Labeling(project, replace(asked, queue="odd")).import_all()
        assert (done.labels, done.left) == (1, 1)
        rest = Labeling(project, replace(asked, batch=9)).prepare()
        assert rest is not None
        assert {task.image_id for task in rest.tasks.values()} == {one, two}
        with pytest.raises(PackError, match="no manifest v0009"):
            Labeling(project, Asked("ann", 5, manifest="v0009")).import_all()


def test_the_next_folder_begins_where_the_last_one_ended(tmp_path: Path) -> None:
    ids = sorted(make_project(tmp_path, [[] for _ in range(6)]))
    folder = prepared(tmp_path, n=4)
    assert prepared(tmp_path, n=4) == folder, "nothing was done in it: it is opened again"
    for image_id in ids[:3]:
        save(folder, image_id, "beach")
    second = prepared(tmp_path, n=4)
    assert [task["image_id"] for task in index(second)["images"].values()] == ids[3:]
    assert [each.name for each in folders(tmp_path)] == ["0001-ann", "0002-ann"]


def test_two_people_are_given_different_images(tmp_path: Path) -> None:
    make_project(tmp_path, [[] for _ in range(6)])
    mine = {task["image_id"] for task in index(prepared(tmp_path, "ann", 3))["images"].values()}
    theirs = {
        task["image_id"] for task in index(prepared(tmp_path, "../b:b", 3))["images"].values()
    }
    assert len(mine) == len(theirs) == 3
    assert not mine & theirs
    assert [each.name for each in folders(tmp_path)] == ["0001-ann", "0002-b-b"]


def test_the_seconds_of_a_decision_are_the_time_since_the_save_before(tmp_path: Path) -> None:
    ids = sorted(make_project(tmp_path, [[] for _ in range(3)]))
    folder = prepared(tmp_path)
    began = index(folder)["opened_at"]
    for image_id, at in zip(ids, (2.0, 5.5, 4000.0), strict=True):
        path = save(folder, image_id, "beach")
        os.utime(path, (began + at, began + at))
    imported(tmp_path)
    assert [row.seconds for row in ledger(tmp_path)] == [2.0, 3.5, None]


def test_it_works_while_another_process_fetches(tmp_path: Path) -> None:
    (only,) = make_project(tmp_path, [[]])
    with writer_lock(tmp_path, "fetch"):
        save(prepared(tmp_path), only, "beach")
        assert imported(tmp_path).labels == 1


def test_the_project_may_be_moved_with_its_folders(tmp_path: Path) -> None:
    (_only,) = make_project(tmp_path / "p", [[]])
    folder = prepared(tmp_path / "p")
    (tmp_path / "p").rename(tmp_path / "q")
    (link,) = (tmp_path / "q" / folder.relative_to(tmp_path / "p")).glob("*.jpg")
    assert link.is_symlink()
    assert link.read_bytes() == picture(0)


def test_without_links_images_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_project(tmp_path, [[]])

    def refused(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(Path, "symlink_to", refused)
    monkeypatch.setattr(Path, "hardlink_to", refused)
    (copy,) = prepared(tmp_path).glob("*.jpg")
    assert not copy.is_symlink()
    assert copy.stat().st_nlink == 1
    assert copy.read_bytes() == picture(0)


def test_a_missing_image_is_told_and_the_others_are_prepared(tmp_path: Path) -> None:
    one, two = make_project(tmp_path, [[], []])
    next((tmp_path / "images").glob(f"*/{one}.jpg")).unlink()
    with Project(tmp_path) as project:
        labeling = Labeling(project, Asked("ann", 10))
        assert labeling.prepare() is not None
    assert list(labeling.session.unshowable) == [one]
    assert [task["image_id"] for task in index(folders(tmp_path)[0])["images"].values()] == [two]


def test_nothing_to_label_says_what_to_run(tmp_path: Path) -> None:
    with Project(tmp_path) as project, pytest.raises(CurateError, match="no images") as raised:
        Labeling(project, Asked("ann", 10)).prepare()
    assert "curate fetch" in raised.value.hint
    make_project(tmp_path, [[]], classes=())
    with Project(tmp_path) as project, pytest.raises(CurateError, match="no classes") as raised:
        Labeling(project, Asked("ann", 10)).prepare()
    assert "curate classes set" in raised.value.hint


def test_a_folder_in_use_is_not_taken_over(tmp_path: Path) -> None:
    from curate.carriers.labeling import _held
    from curate.label.labelme_folder import open_folder

    make_project(tmp_path, [[]])
    folder = prepared(tmp_path)
    working = open_folder(folder)
    assert working is not None
    with _held(working), Project(tmp_path) as project, pytest.raises(LockedError):
        Labeling(project, Asked("bob", 10, folder=folder)).prepare()


def test_a_renamed_class_is_known_in_folders_that_were_open(tmp_path: Path) -> None:
    (only,) = make_project(tmp_path, [[]])
    folder = prepared(tmp_path)
    rename = Annotation("r", Kind.RENAME, "ann", time.time(), classes=("beach", "coast"))
    with Project(tmp_path) as project, project.people.ledger() as open_ledger:
        open_ledger.add([rename])
    save(folder, only, "beach")
    imported(tmp_path)
    with Project(tmp_path) as project:
        people: People = project.people
        assert people.current([only])[only][0].classes == ("coast",)


@settings(max_examples=15)
@given(
    st.lists(
        st.tuples(st.sets(st.sampled_from([REVIEWED, "beach", "city"])), st.booleans()),
        min_size=1,
        max_size=6,
    )
)
def test_what_is_in_force_is_what_the_file_says_however_often_it_is_read(
    tmp_path_factory: pytest.TempPathFactory, saves: list[tuple[set[str], bool]]
) -> None:
    path = tmp_path_factory.mktemp("law")
    (only,) = make_project(path, [["beach"]])
    folder = prepared(path)
    for number, (flags, is_read_twice) in enumerate(saves):
        save(folder, only, *flags, later_s=number / 100)
        for _ in range(1 + is_read_twice):
            imported(path)
    classes = flags - {REVIEWED}
    decided = REVIEWED in flags or (classes and classes != {"beach"})
    with Project(path) as project:
        current = project.people.current([only]).get(only, [])
    assert [row.classes for row in current] == ([tuple(sorted(classes))] if decided else [])
    rows = ledger(path)
    labels = [row for row in rows if row.kind is Kind.LABEL]
    assert len(labels) <= len(saves)
    assert len(rows) <= 2 * len(labels), "each is taken back once at most"
