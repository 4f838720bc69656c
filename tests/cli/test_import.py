"""`curate import`: real folders come in whole, and stay as they were."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.cli.unprivileged import curate_unprivileged
from tests.fetch.command import curate, image_files

State = dict[str, tuple[int, int, int]]


def tree(folder: Path) -> State:
    """Size, time of change and number of links of every file."""
    return {
        str(path.relative_to(folder)): (stat.st_size, stat.st_mtime_ns, stat.st_nlink)
        for path in folder.rglob("*")
        if path.is_file() and (stat := path.stat())
    }


def photo(path: Path, colour: int) -> Path:
    """Write a small picture, another one for each colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.linear_gradient("L").resize((64, 48)).point(lambda value: value ^ colour)
    picture.convert("RGB").save(path, quality=90)
    return path


def run_import(project: Path, *arguments: object) -> Any:
    said = curate("import", *arguments, "-C", project, "--json")
    assert said.code == 0, said.err
    return said.document


@pytest.fixture
def flowers(shared: Path, tmp_path: Path) -> Path:
    """Some of the real photos, in the tree that they were published in."""
    folder = tmp_path / "flowers"
    for split in ("train", "test"):
        for class_ in sorted((shared / "photos" / "flowers12" / split).iterdir())[:3]:
            (folder / split / class_.name).mkdir(parents=True)
            for path in sorted(class_.iterdir())[:8]:
                shutil.copy2(path, folder / split / class_.name)
    return folder


def test_a_labelled_tree_gives_classes_and_stays_as_it_was(flowers: Path, tmp_path: Path) -> None:
    before = tree(flowers)
    document = run_import(tmp_path / "project", flowers)
    files = [path for path in flowers.rglob("*") if path.is_file()]
    distinct = {path.read_bytes(): path.parent.name for path in files}
    assert document["images"]["kept"] == len(distinct)
    assert document["candidates"]["stored"] == len(distinct)
    assert document["candidates"]["total"] == len(files) == 48
    assert document["classes"] == dict(sorted(Counter(distinct.values()).items()))
    assert len(document["classes"]) == 3, "train and test are not classes"
    assert tree(flowers) == before
    stored = {path.read_bytes() for path in image_files(tmp_path / "project")}
    assert stored == set(distinct)


def test_importing_again_changes_nothing_and_new_files_are_found(
    flowers: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    first = run_import(project, flowers)
    files = tree(project / "images")
    second = run_import(project, flowers)
    assert second.pop("run") == {"tried": 0, "stored": 0, "duplicate": 0, "failed": 0}
    assert second == {key: value for key, value in first.items() if key != "run"}
    assert tree(project / "images") == files
    deep = next(path for path in (flowers / "train").iterdir())
    photo(deep / "new.png", 5)
    again = run_import(project, flowers)
    assert again["candidates"]["total"] == first["candidates"]["total"] + 1
    assert again["classes"][deep.name] == first["classes"][deep.name] + 1


def test_the_cartoons_with_alpha_and_palette_come_in_by_their_folders(
    shared: Path, tmp_path: Path
) -> None:
    source = shared / "photos" / "tuxpaint"
    before = tree(source)
    document = run_import(tmp_path / "project", source)
    files = [path for path in source.rglob("*") if path.suffix in (".png", ".jpg")]
    assert document["candidates"]["total"] == len(files)
    assert document["candidates"]["failed"] == {}
    assert set(document["classes"]) == {path.parent.name for path in files}
    assert tree(source) == before


def test_an_unlabelled_folder_gives_images_without_classes(shared: Path, tmp_path: Path) -> None:
    document = run_import(tmp_path / "project", shared / "photos" / "exif-orientation")
    assert document["classes"] == {}
    assert document["images"]["kept"] + document["candidates"]["duplicate"] == 9
    assert document["candidates"]["skipped"] == {"not_an_image": 2}


def test_a_class_may_be_given_instead(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "a" / "1.jpg", 1)
    document = run_import(tmp_path / "project", tmp_path / "in", "--class", "mine")
    assert document["classes"] == {"mine": 1}


def test_links_share_the_bytes_and_copies_do_not(tmp_path: Path) -> None:
    original = photo(tmp_path / "in" / "a" / "1.jpg", 1)
    run_import(tmp_path / "copied", tmp_path / "in")
    [copy] = image_files(tmp_path / "copied")
    assert not copy.samefile(original)
    run_import(tmp_path / "linked", tmp_path / "in", "--link")
    [link] = image_files(tmp_path / "linked")
    assert link.samefile(original)


def test_what_is_damaged_is_counted_by_reason_and_stays_where_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "a"
    good = photo(folder / "good.jpg", 1)
    data = good.read_bytes()
    (folder / "cut.jpg").write_bytes(data[: len(data) // 2])
    (folder / "empty.jpg").touch()
    (folder / "page.jpg").write_text("<!doctype html><html><body>Not found</body></html>")
    (folder / "words.png").write_bytes(b"these are words, not pixels")
    (folder / "lies.png").write_bytes(data)
    (folder / "notes.txt").touch()
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    before = tree(tmp_path / "in")
    document = run_import(tmp_path / "project", tmp_path / "in")
    assert document["candidates"]["failed"] == {
        "corrupt": 1,
        "empty": 1,
        "html": 1,
        "not_an_image": 1,
    }
    assert document["candidates"]["skipped"] == {"broken_link": 1, "not_an_image": 1}
    assert (document["images"]["kept"], document["candidates"]["duplicate"]) == (1, 1)
    assert tree(tmp_path / "in") == before


def test_equal_names_in_two_folders_are_different_files(tmp_path: Path) -> None:
    photo(tmp_path / "one" / "cat" / "1.jpg", 1)
    photo(tmp_path / "two" / "cat" / "1.jpg", 2)
    run_import(tmp_path / "project", tmp_path / "one")
    document = run_import(tmp_path / "project", tmp_path / "two")
    assert document["candidates"]["total"] == 2
    assert document["classes"] == {"cat": 2}


def test_names_that_need_care_in_a_url_are_found_again(tmp_path: Path) -> None:
    names = ("a b.jpg", "50%.jpg", "käse#1?.jpg", "100%25.jpg")
    for number, name in enumerate(names):
        photo(tmp_path / "in" / "[red] ü" / name, number)
    document = run_import(tmp_path / "project", tmp_path / "in")
    assert document["classes"] == {"[red] ü": 4}
    run_import(tmp_path / "project", tmp_path / "in", "--class", "[/red]")
    shown = curate("status", "-C", tmp_path / "project").out
    assert "[red] ü" in shown
    assert "[/red]" in shown


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.touch()])
def test_a_folder_that_is_none_is_one_line_and_makes_no_project(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "in")
    said = curate("import", tmp_path / "in", "-C", tmp_path / "project")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"curate: {tmp_path / 'in'} ")
    assert said.err.count("\n") == 1
    assert not (tmp_path / "project").exists()


def test_a_folder_that_may_not_be_read_is_one_line(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "a" / "1.jpg", 1)
    (tmp_path / "in" / "a").chmod(0)
    said = curate_unprivileged("import", tmp_path / "in", "-C", tmp_path / "project")
    (tmp_path / "in" / "a").chmod(0o700)
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "cannot be read" in said.err
    assert run_import(tmp_path / "project", tmp_path / "in")["images"]["kept"] == 1


def test_a_file_that_may_not_be_read_is_counted(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "a" / "1.jpg", 1).chmod(0)
    photo(tmp_path / "in" / "a" / "2.jpg", 2)
    arguments = ("import", tmp_path / "in", "-C", tmp_path / "project", "--json")
    document = curate_unprivileged(*arguments).document
    assert document["candidates"]["failed"] == {"unreadable": 1}
    assert document["images"]["kept"] == 1


def test_a_photo_with_a_latin1_name_is_imported(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"f\xeate")
    photo(folder / os.fsdecode(b"plage \xe9t\xe9") / os.fsdecode(b"caf\xe9.jpg"), 1)
    photo(folder / os.fsdecode(b"plage \xe9t\xe9") / "other.jpg", 2)
    (folder / os.fsdecode(b"plage \xe9t\xe9") / os.fsdecode(b"bad\xe9.jpg")).write_bytes(b"no")
    document = run_import(tmp_path / "project", folder)
    assert document["candidates"]["stored"] == 2
    assert document["classes"] == {r"plage \xe9t\xe9": 2}
    assert run_import(tmp_path / "project", folder)["candidates"]["stored"] == 2
    said = curate("balance", "-C", tmp_path / "project", "--json")
    assert said.code == 0, said.err


def test_files_that_failed_or_changed_are_read_again_and_no_others(tmp_path: Path) -> None:
    folder, project = tmp_path / "in", tmp_path / "project"
    photo(folder / "cat" / "1.jpg", 1)
    shutil.copy(folder / "cat" / "1.jpg", folder / "cat" / "2.jpg")
    photo(folder / "cat" / "3.jpg", 3)
    (folder / "cat" / "4.jpg").write_bytes(b"not yet an image")
    first = run_import(project, folder)["candidates"]
    assert (first["stored"], first["duplicate"], first["failed"]) == (2, 1, {"not_an_image": 1})
    photo(folder / "cat" / "1.jpg", 5)
    photo(folder / "cat" / "4.jpg", 4)
    (folder / "cat" / "3.jpg").touch()
    os.utime(folder / "cat" / "3.jpg", (4e9, 4e9))
    second = run_import(project, folder)
    assert second["candidates"]["stored"] == second["images"]["kept"] == 4
    assert second["classes"] == {"cat": 4}
    distinct = {path.read_bytes() for path in folder.rglob("*.jpg")}
    assert {path.read_bytes() for path in image_files(project)} == distinct
    with sqlite3.connect(project / "catalog.db") as db:
        tries = db.execute("SELECT tries FROM candidates ORDER BY source_id").fetchall()
    db.close()
    assert tries == [(1,), (1,), (1,), (1,)]
    assert curate("verify", "-C", project).code == 0


def test_a_dry_run_counts_and_leaves_no_trace(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "cat" / "1.jpg", 1)
    photo(tmp_path / "in" / "2.jpg", 2)
    document = run_import(tmp_path / "project", tmp_path / "in", "--dry-run")
    assert document == {"would_import": {"": 1, "cat": 1}, "images": 2, "left_out": {}}
    named = run_import(tmp_path / "project", tmp_path / "in", "--class", "pet", "--dry-run")
    assert named["would_import"] == {"pet": 2}
    assert not (tmp_path / "project").exists()


def test_a_dry_run_ends_with_a_total_and_names_what_is_passed_over(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "cat" / "1.jpg", 1)
    photo(tmp_path / "in" / "2.jpg", 2)
    (tmp_path / "in" / "README.txt").touch()
    passed_over = "in: left out 1 as not_an_image (e.g. README.txt)\n"
    said = curate("import", tmp_path / "in", "-C", tmp_path / "project", "--dry-run")
    assert said.out.endswith("2 images in all\n")
    assert passed_over in said.err
    assert passed_over in curate("import", tmp_path / "in", "-C", tmp_path / "project").err


@pytest.mark.parametrize("name", ["", "README.txt"])
def test_a_folder_without_images_is_one_line_and_makes_no_project(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    if name:
        (tmp_path / "in" / name).touch()
    said = curate("import", tmp_path / "in", "-C", tmp_path / "project")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"curate: {tmp_path / 'in'} gives no image: ")
    assert (said.err.count("\n"), name in said.err) == (1, True)
    assert not (tmp_path / "project").exists()


def test_a_split_that_is_not_kept_is_told(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "train" / "cat" / "1.jpg", 1)
    photo(tmp_path / "in" / "test" / "cat" / "2.jpg", 2)
    told = "its split is not kept (test 1, train 1): --keep-split keeps it"
    asked = ("import", tmp_path / "in", "-C", tmp_path / "project")
    assert told in curate(*asked).err
    assert "split is not kept" not in curate(*asked, "--keep-split").err


def test_a_project_inside_the_folder_is_not_taken_for_its_classes(tmp_path: Path) -> None:
    photo(tmp_path / "cats" / "1.jpg", 1)
    photo(tmp_path / "images" / "dogs" / "2.jpg", 2)
    first = run_import(tmp_path, tmp_path)
    (tmp_path / "thumbs").mkdir()
    photo(tmp_path / "thumbs" / "3.jpg", 3)
    again = run_import(tmp_path, tmp_path)
    assert first["classes"] == again["classes"] == {"cats": 1, "dogs": 1}
    assert again["candidates"]["total"] == 2
    assert again["candidates"]["skipped"]["project"] >= 2, "the store and the thumbnails"
    assert "not_an_image" not in again["candidates"]["skipped"], "the catalog"


def test_a_flat_folder_is_told_how_it_gets_classes(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "1.jpg", 1)
    said = curate("import", tmp_path / "in", "-C", tmp_path / "project")
    assert said.code == 0
    assert "this run: +1 image, 0 duplicates, 0 failed\n" in said.err
    assert "no classes: sub-folders name them, or give --class NAME\n" in said.err
    named = curate("import", tmp_path / "in", "-C", tmp_path / "project", "--class", "cat")
    assert "no classes" not in named.err


def test_damaged_photos_are_taken_only_if_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    photo(folder / "whole.jpg", 0)
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (200, 300)).astype(np.uint8)
    Image.fromarray(noise).save(stream, "JPEG", restart_marker_blocks=5)
    data, middle = stream.getvalue(), len(stream.getvalue()) // 2
    (folder / "hurt.jpg").write_bytes(data[:middle] + data[middle + 1000 :])
    refused = run_import(tmp_path / "a", folder)
    assert refused["candidates"]["failed"] == {"corrupt": 1}
    taken = run_import(tmp_path / "b", folder, "--keep-damaged")
    assert taken["candidates"]["failed"] == {}
    said = curate("status", "--by", "quality", "-C", tmp_path / "b", "--json")
    assert said.document["images"]["damaged"] == 1


def test_what_libtiff_complains_of_does_not_hide_our_own_words(
    shared: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    photo(folder / "whole.jpg", 0)
    for path in (shared / "corpus" / "reject").glob("*tif*"):
        shutil.copy2(path, folder)
    said = curate("import", folder, "-C", tmp_path / "p", "--json")
    assert "TIFF" not in said.err
