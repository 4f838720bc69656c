"""The real Labelme opens what we prepare, and what is saved through it comes in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from curate.carriers.labeling import Asked, Labeling
from curate.catalog.candidates import Outcome, record
from curate.catalog.database import Database
from curate.fetch.verify import Limits, verify
from curate.project import Project
from curate.records import Verified
from curate.store import Store
from tests.catalog.rows import candidate, filled
from tests.fetch.command import start
from tests.full import size
from tests.label.labelme_world import (
    fake_labelme,
    folders,
    label,
    labelme_python,
    ledger,
    make_project,
    person,
    propose,
    said,
    save,
)

VERSIONS = ("6", "7")
ACCEPTS = Path(__file__).with_name("labelme_accepts.py")


def until(is_so: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < end, "it did not come to be so"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.full
@pytest.mark.parametrize("version", VERSIONS)
def test_a_flag_changed_in_labelme_arrives_as_one_annotation(version: str, tmp_path: Path) -> None:
    project = tmp_path / "p"
    ids = sorted(make_project(project, [["beach"], [], ["city"], []]))
    seen = tmp_path / "seen.json"
    env = person(
        tmp_path,
        version,
        [
            ["report", str(seen)],
            ["key", "D"],
            ["click", "trees"],
            ["wait", 2.5],  # long enough to be imported while the window is open
            ["key", "D"],
            ["click", "reviewed"],
            ["close"],
        ],
    )
    propose(
        project, {ids[0]: (["beach", "trees"], 0.9), ids[1]: (["city"], 0.8), ids[2]: ([], 0.7)}
    )
    done = label(project, "--annotator", "ann", env=env)
    assert done.code == 0, done.err
    shown = json.loads(seen.read_text())
    ticks = {"reviewed": False, "beach": True, "city": False, "trees": True}
    assert list(shown["flags"].items()) == list(ticks.items()), "in order, prefilled"
    assert (shown["files"], shown["dialogs"]) == (4, [])
    assert said(project) == [(ids[1][:8], "ann", ("city", "trees")), (ids[2][:8], "ann", ())]
    second, third = ledger(project)
    assert (second.shown, second.shown_score, second.tool) == (("city",), 0.8, "labelme")
    assert third.shown == (), "the model proposed none of the classes, and that was confirmed"
    assert done.document["labels"] == 2
    assert done.document["none_of_the_classes"] == 1
    assert done.document["left"] == 2
    assert label(project, "--import-only").document["labels"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_labelme_opens_whatever_is_an_image(version: str, shared: Path, tmp_path: Path) -> None:
    """Real photos of all orientations, and the valid but odd files of all formats and modes."""
    python = labelme_python(version)
    corpus = shared / "corpus"
    files = [*(shared / "photos" / "exif-orientation").glob("*.jpg")]
    files += [path for path in (corpus / "accept").rglob("*") if path.is_file()]
    db = filled(*(candidate(n, "beach") for n in range(len(files))), path=tmp_path / "catalog.db")
    store = Store(tmp_path / "images")
    kept = 0
    for number, path in enumerate(files):
        found = verify(path.read_bytes(), limits=Limits(50_000_000))
        if isinstance(found, Verified):
            stored = store.path(found.image_id, found.format)
            stored.parent.mkdir(parents=True, exist_ok=True)
            stored.write_bytes(path.read_bytes())
            record(db, [Outcome(number + 1, found, http_status=200)], 1.0)
    (kept,) = db.one("SELECT COUNT(*) FROM images")
    db.close()
    assert kept > 120
    with Project(tmp_path) as project:
        labeling = Labeling(project, Asked("ann", 1000))
        working = labeling.prepare()
    assert working is not None
    assert labeling.session.unshowable == {}
    assert len(working.tasks) == kept == len(list(working.path.glob("0*.json")))
    trouble = tmp_path / "trouble.json"
    subprocess.run(
        [python, ACCEPTS, working.path, trouble],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        timeout=110,
        check=True,
    )
    assert json.loads(trouble.read_text()) == {}
    links = [path for path in working.path.glob("0*") if path.is_symlink()]
    assert len(links) > kept / 2


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_whatever_dies_what_was_saved_comes_in(version: str, tmp_path: Path) -> None:
    project = tmp_path / "p"
    ids = sorted(make_project(project, [[] for _ in range(3)]))
    saved, go_on = tmp_path / "saved", tmp_path / "go on"
    steps = [
        ["click", "beach"],
        ["touch", str(saved)],
        ["await", str(go_on)],
        ["key", "D"],
        ["click", "city"],
        ["hang"],
    ]
    running = start(
        "label", "--annotator", "ann", "-C", project, env=person(tmp_path, version, steps)
    )
    until(saved.exists)
    running.kill()  # curate dies, the window lives on
    running.communicate()
    go_on.touch()
    (folder,) = folders(project)
    until(lambda: any(ids[1] in path.name for path in folder.glob("*.json")))
    labelme = next(iter(_processes(folder)))
    os.kill(labelme, signal.SIGKILL)
    done = label(project, "--import-only", "--annotator", "eve")
    assert done.code == 0, done.err
    assert said(project) == [(ids[0][:8], "ann", ("beach",)), (ids[1][:8], "ann", ("city",))]


def _processes(folder: Path) -> list[int]:
    """Processes that work in this folder."""
    found = []
    for each in Path("/proc").iterdir():
        try:
            if each.name.isdigit() and (each / "cwd").resolve() == folder.resolve():
                found.append(int(each.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_labelme_that_is_killed_costs_nothing_that_was_saved(tmp_path: Path) -> None:
    project = tmp_path / "p"
    (only,) = make_project(project, [[]])
    saved = tmp_path / "saved"
    steps = [["click", "beach"], ["touch", str(saved)], ["hang"]]
    running = start("label", "--annotator", "ann", "-C", project, env=person(tmp_path, "6", steps))
    until(saved.exists)
    (folder,) = folders(project)
    for labelme in _processes(folder):
        os.kill(labelme, signal.SIGKILL)
    _, talk = running.communicate(timeout=30)
    assert running.returncode == 1
    assert "Labelme was ended by SIGKILL" in talk
    assert said(project) == [(only[:8], "ann", ("beach",))]


@pytest.mark.slow
@pytest.mark.full
@pytest.mark.parametrize("version", VERSIONS)
def test_plain_labelme_costs_two_presses_for_each_image(
    version: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """What the audit page is compared with: one click on `reviewed`, one key for the next."""
    project = tmp_path / "p"
    n = size(40, 500)
    ids = sorted(make_project(project, [[] for _ in range(n)], exclusive=True))
    names = ("beach", "city", "trees")
    truth = {image_id: names[place % 3] for place, image_id in enumerate(ids)}
    wrong = set(ids[::10])
    proposed = {
        image_id: ([names[(place + (image_id in wrong)) % 3]], 0.9)
        for place, image_id in enumerate(ids)
    }
    propose(project, proposed)
    with Project(project) as opened:
        working = Labeling(opened, Asked("ann", n)).prepare()
    assert working is not None
    want = {name: [truth[task.image_id]] for name, task in working.tasks.items()}
    counted = tmp_path / "counted.json"
    env = person(tmp_path, version, [["audit", want], ["report", str(counted)], ["close"]])
    done = label(project, "--annotator", "ann", "--batch", n, env=env)
    assert done.code == 0, done.err
    with Project(project) as opened:
        current = opened.people.current(ids)
    assert {image_id: current[image_id][0].classes for image_id in ids} == {
        image_id: (name,) for image_id, name in truth.items()
    }
    count = json.loads(counted.read_text())
    # A wrong proposal costs two clicks more: one box off, another on.
    assert count["clicks"] == n + 2 * len(wrong)
    assert count["keys"] == n
    each = (count["clicks"] + count["keys"]) / n
    assert each >= 2
    record_property(f"presses per image in Labelme {version}, {n} images", f"{each:.3f}")


def test_saves_come_in_while_it_runs_and_ctrl_c_takes_the_last_and_ends_it(tmp_path: Path) -> None:
    project = tmp_path / "p"
    one, two = make_project(project, [[], []])
    ready = tmp_path / "ready"
    env = fake_labelme(tmp_path, f"open({str(ready)!r}, 'w').close()\ntime.sleep(90)")
    running = start("label", "--annotator", "ann", "-C", project, env=env)
    until(ready.exists)
    (folder,) = folders(project)
    save(folder, one, "beach")
    until(lambda: said(project) == [(one[:8], "ann", ("beach",))])
    assert running.poll() is None
    save(folder, two, "city")
    running.send_signal(signal.SIGINT)
    _, talk = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "what was saved is imported" in talk
    assert said(project)[1:] == [(two[:8], "ann", ("city",))]
    assert _processes(folder) == []


@pytest.mark.slow
def test_a_half_written_file_is_waited_for_and_read_when_it_is_whole(tmp_path: Path) -> None:
    (only,) = make_project(tmp_path / "p", [[]])
    body = (
        "import json\n"
        "image = next(name for name in os.listdir(folder) if name.endswith('.jpg'))\n"
        "text = json.dumps({'flags': {'city': True}, 'shapes': [], 'imagePath': image})\n"
        "path = os.path.join(folder, image[:-3] + 'json')\n"
        "file = open(path, 'w')\n"
        "file.write(text[:20]); file.flush(); time.sleep(2.5)\n"
        "file.write(text[20:]); file.close(); time.sleep(2.5)\n"
    )
    done = label(tmp_path / "p", "--annotator", "ann", env=fake_labelme(tmp_path, body))
    assert (done.code, done.document["faults"]) == (0, [])
    assert said(tmp_path / "p") == [(only[:8], "ann", ("city",))]


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_a_display_that_does_not_answer_is_told_from_a_crash(version: str, tmp_path: Path) -> None:
    make_project(tmp_path / "p", [[]])
    env = {**person(tmp_path, version, []), "DISPLAY": ":4711"}
    del env["QT_QPA_PLATFORM"]
    done = label(tmp_path / "p", env=env)
    assert done.code == 1
    assert "Labelme could not open a window" in done.err
    assert "libxcb-cursor0" in done.err


def test_labelme_that_does_not_start_says_why(tmp_path: Path) -> None:
    make_project(tmp_path / "p", [[]])
    env = fake_labelme(tmp_path, "print('qt.qpa.xcb: could not connect'); sys.exit(3)")
    done = label(tmp_path / "p", env=env)
    assert done.code == 1
    assert "exit code 3: qt.qpa.xcb: could not connect" in done.err
    db = Database(tmp_path / "p" / "catalog.db")
    assert db.one("SELECT COUNT(*) FROM assignments") == (0,), "what was not done is free again"
    db.close()
