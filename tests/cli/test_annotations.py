"""`curate annotations` and `curate classes`, and how far `curate balance` trusts whom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from curate.catalog.candidates import record
from curate.cli.main import app
from curate.project import Project
from curate.records import Annotation, Kind
from tests.catalog.rows import candidate, filled, stored
from tests.fetch.command import Said

SIZE = 6
"""Images of each class."""


def photo(path: Path, colour: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.linear_gradient("L").resize((64, 48)).point(lambda value: value ^ colour)
    picture.convert("RGB").save(path, quality=90)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project of twelve images without pictures, half of them `beach`, half `city`."""
    (tmp_path / "project").mkdir()
    names = ["beach"] * SIZE + ["city"] * SIZE
    rows = [candidate(number, name) for number, name in enumerate(names)]
    db = filled(*rows, path=tmp_path / "project" / "catalog.db")
    record(db, [stored(number + 1, number) for number in range(2 * SIZE)], 1.0)
    db.close()
    return tmp_path / "project"


def curate(*arguments: object) -> Said:
    """Run a command in this process: the libraries load once for all tests."""
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    return Said(done.exit_code, done.stdout, done.stderr)


def run(folder: Path, *arguments: object, code: int = 0) -> Any:
    said = curate(*arguments, "-C", folder, "--json")
    assert said.code == code, said.err
    return said.document if code == 0 else json.loads(said.err.splitlines()[-1])["error"]


def decide(folder: Path, *decisions: tuple[int, str, tuple[str, ...]], **more: Any) -> list[str]:
    """Let people label images by their place in the order of ids; return all ids."""
    with Project(folder) as here:
        ids = [each for (each,) in here.db.all("SELECT image_id FROM images ORDER BY image_id")]
        with here.people.ledger() as ledger:
            ledger.add(
                [
                    Annotation(f"{who}{n}", Kind.LABEL, who, 1.0, ids[n], names, **more)
                    for n, who, names in decisions
                ]
            )
    return ids


def test_balance_takes_only_what_people_said_if_told_so(folder: Path) -> None:
    decide(folder, *((n, "ada", ("trees",) if n < 4 else ("city",)) for n in range(8)))
    human = run(folder, "balance", "--trust", "human", "--dry-run")
    assert {name: n["after"] for name, n in human["classes"].items() if n["after"]} == {
        "trees": 4,
        "city": 4,
    }
    assert human["left_out"]["untrusted"] == 4
    every = run(folder, "balance", "--trust", "source", "--dry-run")
    assert sum(n["after"] for n in every["classes"].values()) == 2 * SIZE


def test_labels_outside_the_class_list_are_named_and_are_no_negatives(folder: Path) -> None:
    decide(folder, (0, "ada", ("harbour",)), (1, "ada", ("harbour", "pier")))
    decide(folder, (2, "ada", ("beach",)), (3, "ada", ()), (4, "ada", ("beach", "pier")))
    lost = {"harbour": 2, "pier": 1}
    before = run(folder, "balance", "--trust", "human", "--dry-run")
    assert (before["left_out"]["outside"], before["outside"]) == (0, {})
    tried = run(folder, "classes", "set", "beach", "city", "--dry-run")
    assert (tried["outside_images"], tried["outside"]) == (2, lost)
    said = curate("classes", "set", "beach", "city", "-C", folder)
    assert "2 images are labelled only with classes outside the list: harbour 2, pier 1" in said.err
    assert run(folder, "classes", "list")["outside"] == lost
    made = run(folder, "balance", "--trust", "human")
    assert (made["left_out"]["outside"], made["outside"]) == (2, lost)
    assert (made["negatives"], made["classes"]["beach"]["after"]) == (1, 2)
    line = (
        "left out: 2 images labelled only with classes outside the class list (outside): "
        "harbour 2, pier 1\n"
    )
    assert line in curate("balance", "-C", folder, "--trust", "human").out
    card = Path(made["path"]) / "README.md"
    assert "only with classes outside the class list: harbour 2, pier 1." in card.read_text()
    run(folder, "classes", "rename", "harbour", "city")
    again = run(folder, "balance", "--trust", "human", "--dry-run")
    assert (again["outside"], again["classes"]["city"]["after"]) == ({}, 2)


def test_a_consensus_counts_where_it_is_asked_for(folder: Path) -> None:
    (folder / "curate.toml").write_text('[label]\nconsensus = "majority"\n')
    votes = [(0, "a", ("city",)), (0, "b", ("city",)), (0, "c", ("beach",)), (1, "a", ("city",))]
    decide(folder, *votes)
    human = run(folder, "balance", "--trust", "human", "--dry-run")
    both = run(folder, "balance", "--trust", "consensus", "--dry-run")
    assert [found["classes"]["city"]["after"] for found in (human, both)] == [1, 2]


def test_conflicts_are_listed_queued_and_kept_out(folder: Path) -> None:
    ids = decide(folder, (0, "ada", ("beach",)), (0, "bob", ("city",)), (1, "ada", ("city",)))
    found = run(folder, "annotations", "conflicts")
    [one] = found["conflicts"]
    assert (one["image_id"], one["kind"]) == (ids[0], "people")
    assert one["said"] == {"ada": "beach", "bob": "city"}
    assert found["queued"] == 1
    assert run(folder, "balance", "--dry-run")["left_out"]["conflict"] == 1
    decide(folder, (0, "bob2", ("city",)))
    with Project(folder) as here, here.people.ledger() as ledger:
        ledger.add([Annotation("u", Kind.UNDO, "ada", 2.0, undoes="ada0")])
    assert run(folder, "annotations", "conflicts")["conflicts"] == []


def test_one_photo_in_two_class_folders_is_a_conflict_by_name(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        photo(tmp_path / "photos" / name / "same.jpg", 7)
    photo(tmp_path / "photos" / "cat" / "other.jpg", 99)
    run(tmp_path / "project", "import", tmp_path / "photos")
    [one] = run(tmp_path / "project", "annotations", "conflicts")["conflicts"]
    assert one["kind"] == "source"
    assert one["said"] == {"source": "cat | dog"}
    assert one["source_id"].endswith("cat/same.jpg")


def test_a_ledger_goes_out_and_in_unchanged(folder: Path, tmp_path: Path) -> None:
    decide(folder, (0, "ada", ("beach",)), (1, "bob", ()))
    run(folder, "classes", "rename", "beach", "shore", "--annotator", "ada")
    out = run(folder, "annotations", "export", tmp_path / "a.jsonl")
    assert out == {"annotations": 3, "path": str(tmp_path / "a.jsonl")}
    other = tmp_path / "other"
    tried = run(other, "annotations", "import", tmp_path / "a.jsonl", "--dry-run")
    assert (tried["lines"], tried["added"], tried["unknown_images"]) == (3, 3, 2)
    assert not other.exists()
    assert run(other, "annotations", "import", tmp_path / "a.jsonl")["added"] == 3
    assert run(other, "annotations", "import", tmp_path / "a.jsonl")["added"] == 0
    said = curate("annotations", "export", "-C", other)
    assert said.out.encode() == (tmp_path / "a.jsonl").read_bytes()
    assert run(other, "status")["annotations"] == {
        "total": 3,
        "images": 2,
        "annotators": 2,
        "classes": {"shore": 1},
    }


def test_a_bad_line_is_one_error_and_nothing_is_imported(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("{}\n")
    error = run(folder, "annotations", "import", tmp_path / "bad.jsonl", code=1)
    assert "line 1" in error["message"]
    assert error["hint"] == "nothing was imported"
    assert run(folder, "status")["annotations"]["total"] == 0


def test_agreement_and_consensus_are_told(folder: Path) -> None:
    same = [(n, who, ("city",)) for n in range(3) for who in ("ada", "bob")]
    decide(folder, *same, (3, "ada", ("beach",)), (3, "bob", ("city",)))
    found = run(folder, "annotations", "agreement", "--consensus", "majority")
    assert (found["n"], found["percent"]) == (4, 75.0)
    assert set(found["classes"]) == {"beach", "city"}
    [pair] = found["pairs"]
    assert (pair["one"], pair["other"], pair["n"]) == ("ada", "bob", 4)
    assert len(found["consensus"]) == 3, "a tie stays open"
    assert run(folder, "annotations", "agreement", "--consensus", "dice", code=2)["kind"] == "usage"
    asked = ["annotations", "agreement", "--consensus", "majority", "-C", str(folder)]
    text = CliRunner().invoke(app, asked).stdout
    assert "in [label] of curate.toml" in text
    assert "Cohen's kappa" in text


def test_pace_is_told(folder: Path) -> None:
    decide(folder, (0, "ada", ("city",)), seconds=2.0, shown=("beach",), mode="one")
    found = run(folder, "annotations", "pace")
    assert found["speeds"][0]["median_s"] == 2.0
    assert found["corrections"]["beach"] == {"proposed": 1, "kept": 0, "added": 0}


def test_classes_are_set_listed_renamed_and_merged(folder: Path, tmp_path: Path) -> None:
    assert run(folder, "classes", "list")["classes"] == ["beach", "city"]
    done = run(folder, "classes", "set", "beach", "city", "none such", "--exclusive")
    assert (done["version"], done["exclusive"], done["set"]) == (1, True, True)
    decide(folder, (0, "ada", ("beach",)), (1, "bob", ("city",)))
    (tmp_path / "map.csv").write_text("old,new\nbeach,outdoors\ncity,outdoors\n")
    tried = run(folder, "classes", "map", tmp_path / "map.csv", "--dry-run")
    assert tried["classes"] == ["beach", "city", "none such"]
    merged = run(folder, "classes", "map", tmp_path / "map.csv", "--annotator", "ada")
    assert merged["classes"] == ["outdoors", "none such"]
    found = run(folder, "classes", "list")
    assert found["hinted"]["outdoors"] == 2 * SIZE
    assert found["annotated"]["outdoors"] == 2
    assert run(folder, "status")["classes"] == {"outdoors": 2 * SIZE}
    taken = run(folder, "balance", "--dry-run")["classes"]
    assert {name: n["after"] for name, n in taken.items() if n["after"]} == {"outdoors": 2 * SIZE}


def test_a_merge_can_be_taken_back(folder: Path) -> None:
    run(folder, "classes", "rename", "beach", "city", "--annotator", "ada")
    assert run(folder, "classes", "list")["classes"] == ["city"]
    done = run(folder, "classes", "rename", "beach", "city", "--undo", "--annotator", "bob")
    assert done["classes"] == ["beach", "city"]
    assert run(folder, "status")["classes"] == {"beach": SIZE, "city": SIZE}
    error = run(folder, "classes", "rename", "beach", "city", "--undo", code=2)
    assert "was not renamed" in error["message"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a,b,c\n", "not an old and a new name"),
        ("a\n", "not an old and a new name"),
        ("a,b\na,c\n", "both"),
        ("", "no names"),
        ("old,new\n", "no names"),
        ("a,b\nb,a\n", "circle"),
    ],
)
def test_a_map_that_makes_no_sense_is_refused(
    folder: Path, tmp_path: Path, text: str, why: str
) -> None:
    (tmp_path / "map.csv").write_text(text)
    said = curate("classes", "map", tmp_path / "map.csv", "-C", folder)
    assert said.code in (1, 2)
    assert why in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_a_class_of_the_list_alone_counts(folder: Path) -> None:
    run(folder, "classes", "set", "beach")
    taken = run(folder, "balance", "--dry-run")["classes"]
    assert {name: n["after"] for name, n in taken.items() if n["after"]} == {"beach": SIZE}


@pytest.mark.parametrize("arguments", [("conflicts",), ("agreement",), ("pace",)])
def test_a_project_without_a_catalog_has_nothing_to_tell_and_gets_none(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "curate.toml").touch()
    said = curate("annotations", *arguments, "-C", tmp_path)
    assert said.code == 0, said.err
    assert not (tmp_path / "catalog.db").exists()


def test_people_read_tables(folder: Path) -> None:
    decide(folder, (0, "ada", ("beach",)), (0, "bob", ("city",)), seconds=2.0, shown=("city",))
    for words, expected in [
        (("annotations", "conflicts"), "ada: beach; bob: city"),
        (("annotations", "agreement"), "alpha"),
        (("annotations", "pace"), "seconds each"),
        (("classes", "list"), "annotated"),
        (("status",), "1 image annotated by 2 people, in 2 entries"),
    ]:
        said = curate(*words, "-C", folder)
        assert said.code == 0
        assert expected in said.out


def test_no_empty_file_passes_for_a_backup(tmp_path: Path) -> None:
    error = run(tmp_path / "mistyped", "annotations", "export", tmp_path / "rows.jsonl", code=1)
    assert "there is no project in" in error["message"]
    assert not (tmp_path / "rows.jsonl").exists()
    assert not (tmp_path / "mistyped").exists()
