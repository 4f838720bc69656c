"""`curate manifest`, `export` and `report`, as a user runs them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from curate.cli.export import FORMATS
from curate.cli.main import app
from curate.pack.export import BUILT_IN


def curate(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["-C", str(folder), *words])


def document(folder: Path, *words: str, code: int = 0) -> dict[str, Any]:
    done = curate(folder, *words, "--json")
    assert done.exit_code == code, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two manifests; tests must not change it."""
    folder = tmp_path_factory.mktemp("made")
    for number in range(36):
        name = ("cat", "dog", "owl")[number % 3]
        path = folder / "photos" / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = Image.effect_noise((64, 48), 20 + number)
        noise.save(path)
    for words in (
        ("import", str(folder / "photos"), "--quiet"),
        ("balance", "--seed", "1"),
        ("balance", "--seed", "1", "--max-per-class", "8"),
    ):
        done = curate(folder, *words)
        assert done.exit_code == 0, done.output
    return folder


def test_list_names_every_manifest_with_its_numbers(made: Path) -> None:
    rows = document(made, "manifest", "list")["manifests"]
    assert [row["manifest"] for row in rows] == ["v0001", "v0002"]
    assert [row["images"] for row in rows] == [36, 24]
    assert "v0002" in curate(made, "manifest", "list").stdout


def test_list_of_nothing_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "curate.toml").touch()
    assert document(tmp_path, "manifest", "list") == {"manifests": []}
    assert "curate balance" in curate(tmp_path, "manifest", "list").stdout
    assert [path.name for path in tmp_path.iterdir()] == ["curate.toml"]


def test_show_counts_by_class_and_split(made: Path) -> None:
    info = document(made, "manifest", "show", "1")
    assert info["manifest"] == "v0001"
    assert info["classes"]["cat"]["after"] == 12
    shown = curate(made, "manifest", "show", "v0002").stdout
    assert "all images" in shown
    assert "owl" in shown
    assert "recipe" in shown
    assert "… 2 smaller ones" in curate(made, "manifest", "show", "--classes", "1").stdout


def test_a_manifest_that_there_is_not_is_named_with_those_that_there_are(made: Path) -> None:
    done = curate(made, "manifest", "show", "v0009")
    assert done.exit_code == 1
    assert "v0009" in done.stderr
    assert "v0001, v0002" in done.stderr


def test_diff_tells_what_is_gone_and_ends_with_five(made: Path) -> None:
    found = document(made, "manifest", "diff", code=5)
    assert len(found["removed"]) == 12
    assert (found["added"], found["relabelled"]) == ([], [])
    assert found["recipe"]["max_per_class"] == {"from": None, "to": 8}
    assert len(document(made, "manifest", "diff", "v0002", "v0001", code=5)["added"]) == 12
    assert document(made, "manifest", "diff", "v0001", "v0001")["removed"] == []
    shown = curate(made, "manifest", "diff").stdout
    lines = shown.splitlines()
    assert lines[0] == "v0001 → v0002: 0 added, 12 removed, 0 moved, 0 relabelled, 0 proposed"
    gone = [line.split() for line in lines if line.startswith("- ")]
    assert sorted(name for _, _, name in gone) == ["cat"] * 4 + ["dog"] * 4 + ["owl"] * 4


def test_diff_names_images_that_moved_before_those_that_are_new(tmp_path: Path) -> None:
    def add(first: int) -> None:
        for number in range(first, first + 30):
            path = tmp_path / "photos" / ("cat", "dog")[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((64, 48), 20 + number).save(path)
        assert curate(tmp_path, "import", str(tmp_path / "photos"), "--quiet").exit_code == 0

    add(0)
    assert curate(tmp_path, "balance").exit_code == 0
    add(30)
    assert curate(tmp_path, "balance", "--seed", "1").exit_code == 0
    n_moved = len(document(tmp_path, "manifest", "diff", code=5)["moved"])
    counts, recipe, *lines = curate(tmp_path, "manifest", "diff").stdout.splitlines()
    assert counts == (
        f"v0001 → v0002: 30 added, 0 removed, {n_moved} moved, 0 relabelled, 0 proposed"
    )
    assert recipe.split() == ["recipe", "seed:", "0", "→", "1"]
    assert 0 < n_moved < 20
    assert all(line.startswith("> ") and " → " in line for line in lines[:n_moved])
    assert lines[n_moved].startswith("+ ")
    assert all(line.split()[2].strip(":") in {"cat", "dog"} for line in lines[:20])
    assert lines[20] == f"… and {n_moved + 10} more; --json has all"


def test_verify_reads_every_image_and_ends_with_five_for_a_fault(
    made: Path, tmp_path: Path
) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    assert document(copy, "manifest", "verify") == {"checked": 24, "manifests": 1, "faults": []}
    both = document(copy, "manifest", "verify", "v0001", "v0002")
    assert (both["checked"], both["manifests"]) == (60, 2)
    gone = next((copy / "images").glob("??/*.png"))
    gone.unlink()
    [fault] = document(copy, "manifest", "verify", "v0001", code=5)["faults"]
    assert (fault["kind"], fault["image_id"]) == ("missing", gone.stem)
    assert document(copy, "manifest", "verify", "v0001", "--no-images")["faults"] == []
    assert gone.stem in curate(copy, "manifest", "verify", "v0001").stdout


def test_the_help_of_export_names_every_format() -> None:
    assert FORMATS.split(", ") == list(BUILT_IN)


def test_export_goes_to_its_folder_and_a_dry_run_nowhere(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    planned = document(made, "export", "imagefolder", "--out", str(out), "--dry-run")
    assert (planned["written"], out.exists()) == (False, False)
    done = document(made, "export", "imagefolder", "--out", str(out), "--link")
    assert done["images"] == planned["images"]
    assert done["classes"] == {"cat": 8, "dog": 8, "owl": 8}
    assert len(list(out.glob("*/*/*.png"))) == 24
    again = curate(made, "export", "imagefolder", "--out", str(out))
    assert again.exit_code == 1
    assert "--force" in again.stderr
    forced = curate(made, "export", "csv", "--out", str(out), "--force", "--one-hot")
    assert forced.exit_code == 0
    assert (out / "train.csv").read_text("utf-8").startswith("name,cat,dog,owl,url\n")


@pytest.mark.parametrize(
    "words",
    [
        ("voc",),
        ("csv", "--link", "--copy"),
        ("csv", "--link", "--resize", "32"),
        ("coco", "--one-hot"),
        ("csv", "--split", "extra"),
        ("csv", "--resize", "0"),
    ],
)
def test_a_wrong_export_is_refused_before_anything_is_written(
    made: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = curate(made, "export", *words, "--out", str(tmp_path / "out"))
    assert done.exit_code == 2, done.output
    assert list(tmp_path.iterdir()) == []


def test_report_writes_a_page_and_pictures(made: Path, tmp_path: Path) -> None:
    page = tmp_path / "deep" / "page.html"
    said = document(made, "report", "--out", str(page), "--png", str(tmp_path / "png"))
    assert (said["manifest"], said["images"], said["classes"]) == ("v0002", 36, 3)
    text = page.read_text("utf-8")
    assert "The long tail" in text
    assert "Contact sheet" in text
    assert text.count("data:image/jpeg") >= 24
    assert {path.name for path in (tmp_path / "png").iterdir()} >= {"classes.png", "sources.png"}


def test_report_of_an_older_manifest_and_a_dry_run(made: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    said = document(made, "report", "--manifest", "v0001", "--out", str(page), "--dry-run")
    assert (said["manifest"], said["written"], page.exists()) == ("v0001", False, False)


def test_report_without_a_manifest_shows_what_was_fetched(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        path = tmp_path / "photos" / name / "one.png"
        path.parent.mkdir(parents=True)
        Image.effect_noise((64, 48), len(name) + ord(name[0])).save(path)
    assert curate(tmp_path, "import", str(tmp_path / "photos"), "--quiet").exit_code == 0
    said = document(tmp_path, "report")
    assert (said["manifest"], said["classes"]) == (None, 2)
    assert "There is no manifest yet" in (tmp_path / "report.html").read_text("utf-8")


def test_report_of_nothing_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "curate.toml").touch()
    done = curate(tmp_path, "report")
    assert done.exit_code == 1
    assert "curate fetch" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["curate.toml"]


def test_a_damaged_manifest_is_one_line(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "manifests", tmp_path / "manifests")
    shutil.copy2(made / "catalog.db", tmp_path)
    with (tmp_path / "manifests" / "v0002" / "train.parquet").open("ab") as file:
        file.write(b"x")
    done = curate(tmp_path, "export", "csv", "--manifest", "v0002", "--out", str(tmp_path / "out"))
    assert done.exit_code == 1
    assert "train.parquet is damaged" in done.stderr
    assert "a bug" not in done.stderr
