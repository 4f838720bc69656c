"""`curate label` as it is typed: what it says, and how it ends."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from curate.cli.main import app
from tests.label.labelme_world import folders, ledger, make_project, save

NO_DISPLAY = {"DISPLAY": None, "WAYLAND_DISPLAY": None, "QT_QPA_PLATFORM": None}


def label(project: Path, *words: object, **env: str | None) -> Result:
    arguments = ["label", *map(str, words), "-C", str(project)]
    return CliRunner().invoke(app, arguments, env={**NO_DISPLAY, **env})


@pytest.fixture
def program(tmp_path: Path) -> str:
    """A program in Labelme's place that ends at once."""
    path = tmp_path / "bin" / "labelme"
    path.parent.mkdir()
    path.write_text('#!/bin/sh\necho "$@" > "$1/called"\n')
    path.chmod(0o755)
    return str(path)


def test_as_written_it_starts_labelme_on_a_new_folder(tmp_path: Path, program: str) -> None:
    project = tmp_path / "p"
    make_project(project, [["beach"], []])
    done = label(project, DISPLAY=":0", PATH=str(Path(program).parent), LOGNAME="zoë")
    assert done.exit_code == 0, done.output
    (folder,) = folders(project)
    assert folder.name == "0001-zoë"
    called = (folder / "called").read_text().split()
    assert called == [
        str(folder),
        "--flags",
        str(folder / "flags.txt"),
        "--logger-level",
        "warning",
    ]
    assert (folder / "flags.txt").read_text() == "reviewed\nbeach\ncity\ntrees\n"
    assert "0 labels by zoë, images left: 2" in done.stdout


def test_only_the_images_of_a_manifest(tmp_path: Path) -> None:
    make_project(tmp_path, [["beach"], ["city"], []])
    assert CliRunner().invoke(app, ["balance", "-C", str(tmp_path)]).exit_code == 0
    done = label(tmp_path, "--manifest", "v0001", "--prepare-only", "--json")
    assert json.loads(done.stdout)["prepared"] == 2
    assert label(tmp_path, "--manifest", "v0002").exit_code == 1
    both = label(tmp_path, "--manifest", "v0001", "--folder", str(tmp_path))
    assert "--folder has its images already" in both.stderr


def test_without_labelme_it_says_how_to_install_it(tmp_path: Path) -> None:
    make_project(tmp_path, [[]])
    done = label(tmp_path, PATH="/nowhere", DISPLAY=":0")
    assert done.exit_code == 1
    how = "install it with `pipx install 'labelme>=6,<8'`"
    assert f"curate: Labelme is not installed ({how}" in done.stderr
    assert done.stderr.count("\n") == 1
    named = label(tmp_path, CURATE_LABELME="/no/such", DISPLAY=":0")
    assert "CURATE_LABELME names /no/such, which is no program" in named.stderr
    assert not (tmp_path / "labeling").exists()


@pytest.mark.parametrize(
    ("version", "is_known"), [("5.11.4", False), ("6.3.1", True), ("7.0.0", True), ("8.0", False)]
)
def test_a_labelme_that_is_not_known_is_named_with_what_to_run(
    version: str, is_known: bool, tmp_path: Path
) -> None:
    make_project(tmp_path / "p", [[]])
    installed = tmp_path / "site" / f"labelme-{version}.dist-info"
    installed.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: labelme\nVersion: {version}\n"
    (installed / "METADATA").write_text(metadata)
    program = tmp_path / "labelme"
    program.write_text(f"#!{sys.executable}\n")
    program.chmod(0o755)
    env = {"DISPLAY": ":0", "CURATE_LABELME": str(program), "PYTHONPATH": str(installed.parent)}
    done = label(tmp_path / "p", **env)
    assert (done.exit_code == 0) == is_known, done.output
    if not is_known:
        assert done.stderr == (
            f"curate: {program} is Labelme {version}; versions 6 and 7 are supported "
            f"(run `{sys.executable} -m pip install 'labelme>=6,<8'`)\n"
        )
        assert not (tmp_path / "p" / "labeling").exists()


def test_without_a_display_it_says_so_before_anything_is_made(tmp_path: Path, program: str) -> None:
    make_project(tmp_path / "p", [[]])
    done = label(tmp_path / "p", CURATE_LABELME=program)
    assert done.exit_code == 1
    assert "there is no display for Labelme" in done.stderr
    assert "curate audit" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "p" / "labeling").exists()


def test_an_empty_project_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "curate.toml").touch()
    done = label(tmp_path)
    assert done.exit_code == 1
    assert "there are no images to label (get some first" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["curate.toml"]


def test_a_dry_run_counts_and_writes_nothing(tmp_path: Path) -> None:
    make_project(tmp_path, [["beach"], []])
    before = sorted(tmp_path.rglob("*"))
    done = label(tmp_path, "--dry-run", "--json", "--annotator", "ann")
    document = json.loads(done.stdout)
    assert (document["images"], document["proposed"], document["annotator"]) == (2, 1, "ann")
    assert [path for path in sorted(tmp_path.rglob("*")) if "catalog" not in path.name] == [
        path for path in before if "catalog" not in path.name
    ]


def test_a_folder_is_prepared_here_and_imported_later(tmp_path: Path) -> None:
    one, two = make_project(tmp_path, [[], []])
    done = label(tmp_path, "--prepare-only", "--annotator", "ann")
    assert done.exit_code == 0
    (folder,) = folders(tmp_path)
    assert done.stdout == f"prepared 2 images in {folder} for ann; 2 wait for a label in all\n"
    assert f"label it with: labelme {folder} --flags {folder / 'flags.txt'}" in done.stderr
    save(folder, one, "reviewed")
    save(folder, two, "city", "tundra")
    done = label(tmp_path, "--import-only")
    assert done.exit_code == 0
    assert "2 labels by " in done.stdout
    assert "1 of them none of the classes" in done.stdout
    assert "'tundra' is ticked (1x) but not in the class list" in done.stderr
    assert {row.annotator for row in ledger(tmp_path)} == {"ann"}


def test_the_words_to_start_labelme_by_hand_can_be_copied(tmp_path: Path) -> None:
    project = tmp_path / "our photos"
    make_project(project, [[]])
    done = label(project, "--prepare-only")
    (folder,) = folders(project)
    told = done.stderr.partition("label it with: ")[2].splitlines()[0]
    assert shlex.split(told)[:2] == ["labelme", str(folder)]


def test_what_others_have_is_not_said_to_be_labelled(tmp_path: Path) -> None:
    make_project(tmp_path, [[], []])
    assert label(tmp_path, "--prepare-only", "--annotator", "ann").exit_code == 0
    done = label(tmp_path, "--prepare-only", "--annotator", "ben")
    assert done.exit_code == 0
    assert "2 images wait, but others have them" in done.stderr
    assert "every image is labelled" not in done.stderr


def test_a_file_with_a_fault_ends_with_4_and_is_named(tmp_path: Path) -> None:
    (only,) = make_project(tmp_path, [[]], exclusive=True)
    label(tmp_path, "--prepare-only")
    path = save(folders(tmp_path)[0], only, "city", "beach")
    done = label(tmp_path, "--import-only", "--json")
    assert done.exit_code == 4
    (fault,) = json.loads(done.stdout)["faults"]
    assert (fault["path"], fault["kind"]) == (str(path), "two_classes")


def test_when_all_is_labelled_it_says_so(tmp_path: Path, program: str) -> None:
    (only,) = make_project(tmp_path / "p", [[]])
    label(tmp_path / "p", "--prepare-only")
    save(folders(tmp_path / "p")[0], only, "city")
    done = label(tmp_path / "p", CURATE_LABELME=program, DISPLAY=":0")
    assert done.exit_code == 0
    assert "nothing waits" in done.stderr
    assert "1 label by" in done.stdout
    assert len(folders(tmp_path / "p")) == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--import-only", "--dry-run"], "different things"),
        (["--folder", ".", "--queue", "odd"], "--folder has its images already"),
        (["--folder", "nowhere", "--import-only"], "is not a folder"),
        (["--folder", ".", "--prepare-only"], "is no working folder"),
        (["--queue", "odd", "--prepare-only"], "no queue 'odd'"),
        (["--batch", "0"], "--batch"),
    ],
)
def test_wrong_calls_are_refused_in_one_line(
    words: list[str], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_project(tmp_path, [[]])
    done = label(tmp_path, *words)
    assert done.exit_code == 2
    assert why in done.stderr
    assert done.stderr.count("\n") == 1
