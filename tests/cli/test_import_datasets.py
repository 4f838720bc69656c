"""`curate import` of datasets that people have: from the command to labels, splits and status."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from curate.cli.main import app
from tests.cli.test_import import tree
from tests.fetch.command import Said
from tests.sources import made


def curate(*arguments: object) -> Said:
    """Run a command in this process: most of a short one's time is the start of another."""
    done = CliRunner().invoke(app, list(map(str, arguments)), env={"CURATE_FETCH_WORKERS": "1"})
    return Said(done.exit_code, done.stdout, done.stderr)


def run(*arguments: object) -> Any:
    said = curate(*arguments, "--json")
    assert said.code == 0, said.err
    return said.document


def rows_of(project: Path, manifest: str = "v0001") -> list[dict[str, Any]]:
    folder = project / "manifests" / manifest
    return [row for path in folder.glob("*.parquet") for row in pq.read_table(path).to_pylist()]


def given(row: dict[str, Any]) -> str:
    """The split that the dataset gave an image."""
    return str({each["key"]: each["value"] for each in row["meta"]}["split"])


def test_pets_become_two_classes_that_are_found_to_be_imbalanced(tmp_path: Path) -> None:
    pets, project = made.pets(tmp_path / "pets", 3), tmp_path / "project"
    before = tree(pets)
    document = run("import", pets, "-C", project)
    assert document["import"]["format"] == "pets"
    assert document["classes"] == dict.fromkeys(sorted(made.BREEDS), 3)
    names = {1: "cat", 2: "dog"}
    table = "".join(f"{breed},{names[species]}\n" for breed, species in made.BREEDS.items())
    made.text(tmp_path / "pets.csv", "old,new\n" + table)
    mapped = run("classes", "map", tmp_path / "pets.csv", "-C", project)
    assert mapped["classes"] == ["cat", "dog"]
    assert run("status", "-C", project)["classes"] == {"cat": 36, "dog": 75}
    said = curate("status", "-C", project).out
    assert "The classes are imbalanced: dog 68%, cat 32% (2.1 to 1)" in said
    balanced = run("balance", "--downsample", "min", "-C", project)
    assert {name: each["after"] for name, each in balanced["classes"].items()} == {
        "cat": 36,
        "dog": 36,
    }
    assert tree(pets) == before


def test_the_toy_datasets_contradictions_are_told_by_name_before_anything_is_fetched(
    shared: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    said = curate("import", shared / "toy/data.csv", "-C", project, "--json")
    assert said.code == 0
    document = said.document
    assert document["candidates"]["total"] == document["candidates"]["pending"] == 1044
    assert len(document["import"]["conflicts"]) == 5
    told = [json.loads(line)["note"] for line in said.err.splitlines()]
    assert sum(note.startswith("contradicting labels: ") for note in told) == 5
    assert any(
        "98302d984c1f4f2facd031d2090fc409.jpg: sunset; "
        "9050afb842004df1971b7439232a917c.jpg: trees" in note
        for note in told
    )
    listed = run("annotations", "conflicts", "-C", project)["conflicts"]
    assert len(listed) == 5
    told_again = sorted(" / ".join(sorted(each["said"].values())) for each in listed)
    assert told_again == ["beach | sunset / sunset"] * 4 + ["sunset / trees"]
    table = curate("annotations", "conflicts", "-C", project).out
    assert max(len(line.rstrip()) for line in table.splitlines()) < 180
    plan = curate("plan", "-C", project).out
    assert "\n955 candidates in 4 classes" in plan
    assert "\n903 different ones" in plan
    assert run("status", "-C", project)["disputed"] == 5
    classes = run("classes", "list", "-C", project)
    assert classes["in_reserve"] == {"beach": 224, "city": 254, "sunset": 240, "trees": 237}
    assert (classes["classes"], classes["exclusive"]) == (
        ["beach", "city", "sunset", "trees"],
        False,
    )


def labels(folder: Path, *rows: str) -> Path:
    return made.text(folder / "labels.csv", "".join(f"{row}\n" for row in rows))


def test_contradictions_and_negatives_reach_the_manifest(tmp_path: Path) -> None:
    data, project = tmp_path / "data", tmp_path / "project"
    for i in range(12):
        made.put(data / f"{i}.jpg", i)
    rows = [f"{i}.jpg,{i % 2},{int(i % 3 == 1)}" for i in range(12)]
    path = labels(data, "name,beach,city", *rows, "1.jpg,0,1")
    document = run("import", path, "-C", project)
    assert document["images"]["kept"] == 12
    (conflict,) = document["import"]["conflicts"]
    assert conflict["said"] == [["1.jpg", ["beach", "city"]], ["1.jpg", ["city"]]]
    balanced = run("balance", "-C", project)
    assert balanced["left_out"]["conflict"] == 1
    negatives = [row for row in rows_of(project) if not row["labels"]]
    assert len(negatives) == 4
    assert {row["label_origin"] for row in rows_of(project)} == {"source"}
    assert len(rows_of(project)) == 11


def test_a_table_that_was_corrected_says_what_it_says_now(tmp_path: Path) -> None:
    data, project = tmp_path / "data", tmp_path / "project"
    for i in range(4):
        made.put(data / f"{i}.jpg", i)
    run("import", labels(data, "file,label", "0.jpg,cat", "1.jpg,cat", "2.jpg,dog"), "-C", project)
    again = run(
        "import", labels(data, "file,label", "0.jpg,dog", "1.jpg,cat", "3.jpg,dog"), "-C", project
    )
    assert again["classes"] == {"cat": 1, "dog": 2}
    assert again["run"] == {"tried": 1, "stored": 1, "duplicate": 0, "failed": 0}
    same = run("import", data / "labels.csv", "-C", project)
    assert (same["classes"], same["run"]["tried"]) == ({"cat": 1, "dog": 2}, 0)
    assert same["import"]["conflicts"] == []


def test_labels_may_become_a_persons_annotations(tmp_path: Path) -> None:
    data, project = tmp_path / "data", tmp_path / "project"
    for i in range(4):
        made.put(data / f"{i}.jpg", i)
    path = labels(data, "file,label", "0.jpg,cat", "1.jpg,cat", "2.jpg,dog", "3.jpg,")
    first = run("import", path, "--as-annotations", "ann", "-C", project)
    again = run("import", path, "--as-annotations", "ann", "-C", project)
    assert (first["import"]["annotated"], again["import"]["annotated"]) == (3, 0)
    assert first["annotations"]["images"] == 3, "as it stands after the import"
    assert again["annotations"] == first["annotations"]
    assert again["annotations"]["classes"] == {"cat": 2, "dog": 1}
    run("balance", "--trust", "human", "-C", project)
    rows = rows_of(project)
    assert Counter(row["labels"][0] for row in rows) == {"cat": 2, "dog": 1}
    assert {(row["label_origin"], *row["annotators"]) for row in rows} == {("human", "ann")}


def test_the_datasets_split_is_kept_and_goes_before_shares(tmp_path: Path) -> None:
    birds, project = made.cub(tmp_path / "birds", 10), tmp_path / "project"
    run("import", birds, "--keep-split", "-C", project)
    run("balance", "-C", project)
    rows = rows_of(project)
    assert len(rows) == 30
    assert all(row["split"] == given(row) for row in rows)
    free = tmp_path / "free"
    run("import", birds, "-C", free)
    run("balance", "-C", free)
    assert not all(row["split"] == given(row) for row in rows_of(free))
    run("balance", "--fresh", "-C", project)
    fresh = rows_of(project, "v0002")
    assert Counter(row["split"] for row in fresh) == Counter(row["split"] for row in rows_of(free))


def test_a_tree_of_splits_is_kept_too(tmp_path: Path) -> None:
    data, project = tmp_path / "data", tmp_path / "project"
    for i in range(24):
        made.put(data / ("train", "val", "test")[i % 3] / "ab"[i % 2] / f"{i}.jpg", i)
    document = run("import", data, "--keep-split", "-C", project)
    assert document["import"]["format"] == "yolo-cls"
    run("balance", "-C", project)
    assert Counter(row["split"] for row in rows_of(project)) == {"train": 8, "val": 8, "test": 8}


@pytest.mark.parametrize("make", [made.hub, made.saved])
def test_images_inside_tables_come_out_whole(tmp_path: Path, make: Any) -> None:
    data, project = make(tmp_path / "data"), tmp_path / "project"
    before = tree(data)
    document = run("import", data, "-C", project)
    n = document["candidates"]["total"]
    assert document["images"]["kept"] == n
    stored = {path.read_bytes() for path in (project / "images").rglob("*.jpg")}
    assert stored == {made.picture(i) for i in range(n)}
    assert run("import", data, "-C", project)["run"]["tried"] == 0
    victim = next((project / "images").rglob("*.jpg"))
    victim.write_bytes(b"damaged")
    assert run("verify", "--repair", "-C", project)["repaired"] == 1
    assert tree(data) == before


BAD = {
    "no column": ("file,kind\na.jpg,cat\n", ("--label-column", "label"), "no column 'label'"),
    "only outside": ("file,label\n../../etc/passwd,cat\n", (), "outside (e.g. ../../etc/passwd)"),
    "only missing": ("file,label\ngone.jpg,cat\n", (), "1 as missing_file (e.g. gone.jpg)"),
    "nothing": ("", (), "is empty"),
    "open quote": ('file,label\na.jpg,"cat\na.jpg,dog\n', (), "never closes"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_table_is_one_line_and_makes_no_project(name: str, tmp_path: Path) -> None:
    content, flags, says = BAD[name]
    made.put(tmp_path / "data" / "a.jpg", 1)
    path = made.text(tmp_path / "data" / "labels.csv", content)
    said = curate("import", path, *flags, "-C", tmp_path / "project")
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1), said.err
    assert says in said.err
    assert not (tmp_path / "project").exists()


def test_what_gives_no_image_is_counted_and_named(tmp_path: Path) -> None:
    made.put(tmp_path / "data" / "a.jpg", 1)
    path = labels(tmp_path / "data", "file,label", "a.jpg,cat", "gone.jpg,cat", "../b.jpg,dog")
    said = curate("import", path, "-C", tmp_path / "project", "--json")
    assert said.document["import"]["left_out"] == {"missing_file": 1, "outside": 1}
    assert said.document["candidates"]["skipped"] == {"missing_file": 1, "outside": 1}
    assert "labels.csv: left out 1 as outside (e.g. ../b.jpg)" in said.err


def test_a_dry_run_of_a_dataset_counts_and_leaves_no_trace(tmp_path: Path) -> None:
    data = made.cub(tmp_path / "cub")
    found = run("import", data, "--dry-run", "-C", tmp_path / "project")
    assert found["would_import"] == dict.fromkeys(made.BIRDS, 4)
    assert not (tmp_path / "project").exists()


def test_status_names_the_hosts_that_fail(tmp_path: Path) -> None:
    project = tmp_path / "project"
    path = made.text(
        tmp_path / "urls.csv",
        "url,label\n" + "".join(f"http://127.0.0.1:9/{i}.jpg,cat\n" for i in range(3)),
    )
    assert run("import", path, "-C", project)["import"]["waiting"] == 3
    curate("fetch", "-C", project)
    (host,) = run("status", "-C", project)["hosts"]
    assert host == {"host": "127.0.0.1:9", "tried": 3, "failed": {"denied": 3}, "share": 1.0}
    assert "127.0.0.1:9" in curate("status", "-C", project).out


def test_an_import_that_was_killed_while_reading_is_read_again(tmp_path: Path) -> None:
    data, project = made.cub(tmp_path / "cub"), tmp_path / "project"
    run("import", data, "-C", project)
    with sqlite3.connect(project / "catalog.db") as db:
        db.execute("UPDATE searches SET done = 0, cursor = '3', given = 3")
        db.execute("DELETE FROM hints WHERE candidate_id > 3")
    db.close()
    assert run("import", data, "-C", project)["classes"] == dict.fromkeys(made.BIRDS, 4)
