from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curate.errors import LockedError, PackError, UsageError
from curate.pack import Manifest, read_manifest
from curate.pack.export import BUILT_IN, Options, find_format, names
from curate.pack.export import place as place_module
from curate.pack.export.run import Exported, export
from tests.pack.photos import ONE, SEVERAL, photo, picture, project, truth


def run(manifest: Manifest, name: str, target: Path, **options: Any) -> Exported:
    rest = {key: options.pop(key) for key in ("force", "dry_run") if key in options}
    return export(manifest, find_format(name), target, Options(**options), **rest)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_registry_has_the_eight_formats_by_their_names() -> None:
    assert names()[:8] == list(BUILT_IN)
    assert all(find_format(name).name == name for name in BUILT_IN)
    with pytest.raises(UsageError, match="no export called 'voc'"):
        find_format("voc")


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_export_has_its_rows_and_tells_how_it_was_made(name: str, tmp_path: Path) -> None:
    manifest = project(tmp_path)
    done = run(manifest, name, tmp_path / "out")
    assert sum(done.images.values()) == len(truth(manifest)) == 60
    assert done.images == manifest.info["images"]
    with (tmp_path / "out" / "ATTRIBUTION.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {each["image_id"] for each in rows} == set(truth(manifest))
    assert all(each["author"].startswith("Observer") for each in rows)
    if not find_format(name).embeds:
        assert all((tmp_path / "out" / each["file"]).is_file() for each in rows)
    said = json.loads((tmp_path / "out" / "export.json").read_text("utf-8"))
    assert (said["manifest"], said["format"]) == ("v0001", name)
    readme = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "How to load it" in readme
    assert "## Limits" in readme
    assert "made with are in `manifest.json` of the manifest v0001" in readme
    assert "\n\n\n" not in readme
    assert [path.name for path in tmp_path.glob(".*")] == []


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_same_export_has_the_same_bytes(name: str, tmp_path: Path) -> None:
    manifest = project(tmp_path, n=20)
    run(manifest, name, tmp_path / "a" / "out")
    run(manifest, name, tmp_path / "b" / "out")
    assert files_of(tmp_path / "a" / "out") == files_of(tmp_path / "b" / "out")


@pytest.mark.parametrize("name", BUILT_IN)
def test_images_of_several_classes_are_exported_or_refused_by_name(
    name: str, tmp_path: Path
) -> None:
    manifest = project(tmp_path, SEVERAL)
    if find_format(name).one_label:
        with pytest.raises(PackError, match="several classes") as caught:
            run(manifest, name, tmp_path / "out")
        assert "csv" in caught.value.hint
        assert not (tmp_path / "out").exists()
    else:
        assert sum(run(manifest, name, tmp_path / "out").images.values()) == 60


def test_a_dry_run_tells_the_same_numbers_and_writes_nothing(tmp_path: Path) -> None:
    manifest = project(tmp_path, n=20)
    before = files_of(tmp_path)
    planned = run(manifest, "coco", tmp_path / "out", dry_run=True)
    assert files_of(tmp_path) == before
    made = run(manifest, "coco", tmp_path / "out")
    assert (planned.images, planned.classes) == (made.images, made.classes)
    assert (planned.is_written, made.is_written) == (False, True)


def test_a_link_is_the_same_file_and_a_copy_another(tmp_path: Path) -> None:
    manifest = project(tmp_path, n=12)
    run(manifest, "imagefolder", tmp_path / "linked", link=True)
    run(manifest, "imagefolder", tmp_path / "copied")
    inodes = {path.stat().st_ino for path in (tmp_path / "images").rglob("*.*")}
    linked = [path.stat().st_ino for path in (tmp_path / "linked" / "train").rglob("*.*")]
    copied = [path.stat().st_ino for path in (tmp_path / "copied" / "train").rglob("*.*")]
    assert len(linked) == len(copied) == manifest.info["images"]["train"]
    assert set(linked) <= inodes
    assert not set(copied) & inodes


def test_where_no_link_can_be_made_a_copy_is_and_it_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_source: object, _target: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(place_module.os, "link", refuse)
    done = run(project(tmp_path, n=12), "csv", tmp_path / "out", link=True)
    assert done.n_copied == 12
    assert len(list((tmp_path / "out" / "images").iterdir())) == 12


def test_resized_images_are_upright_jpegs_and_never_larger_than_they_were(tmp_path: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        turned = Image.new("RGB", (80, 40), "red")
        exif = turned.getexif()
        exif[0x0112] = 6
        path = tmp_path / "turned.jpg"
        turned.save(path, exif=exif)
        clear = Image.new("RGBA", (60, 90), (0, 0, 0, 0))
        clear.save(tmp_path / "clear.png")
        rows[0] = photo(tmp_path, 0, ["beach"], format="jpeg", data=path.read_bytes())
        data = (tmp_path / "clear.png").read_bytes()
        rows[1] = photo(tmp_path, 1, ["city"], format="png", data=data)

    manifest = project(tmp_path, n=12, change=change)
    run(manifest, "coco", tmp_path / "out", resize_px=30)
    sizes = {}
    for path in (tmp_path / "out" / "images").rglob("*"):
        if path.is_file():
            with Image.open(path) as image:
                assert (path.suffix, image.format, image.mode) == (".jpg", "JPEG", "RGB")
                sizes[path.stem] = image.size
                if image.size == (30, 45):
                    assert image.getpixel((5, 5)) == (255, 255, 255)
    assert sorted(sizes.values()) == [(30, 45), (30, 60), *[(32, 24)] * 10]
    for split in ("train", "val", "test"):
        document = json.loads((tmp_path / "out" / "annotations" / f"{split}.json").read_text())
        for each in document["images"]:
            assert sizes[each["image_id"]] == (each["width"], each["height"])


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_bytes_are_those_of_the_images_after_resizing(name: str, tmp_path: Path) -> None:
    manifest = project(tmp_path, n=12)
    originals = sum(path.stat().st_size for path in (tmp_path / "images").rglob("*.*"))
    assert run(manifest, name, tmp_path / "whole").n_bytes == originals
    done = run(manifest, name, tmp_path / "out", resize_px=8)
    said = json.loads((tmp_path / "out" / "export.json").read_text("utf-8"))
    assert 0 < done.n_bytes == said["bytes"] != originals
    if not find_format(name).embeds:
        pictures = (tmp_path / "out").rglob("*.jpg")
        assert done.n_bytes == sum(path.stat().st_size for path in pictures)


def test_a_format_that_readers_pass_over_is_told_and_left_out_unless_resized(
    tmp_path: Path,
) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[0] = photo(tmp_path, 0, ["beach"], format="gif", data=picture(0, "gif"))

    manifest = project(tmp_path, n=12, change=change)
    done = run(manifest, "imagefolder", tmp_path / "out")
    assert done.left_out == {"unreadable": 1}
    assert "--resize PX" in (tmp_path / "out" / "README.md").read_text("utf-8")
    whole = run(manifest, "imagefolder", tmp_path / "small", resize_px=16)
    assert (dict(whole.left_out), sum(whole.images.values())) == ({}, 12)


def test_negatives_are_left_out_of_folders_unless_they_get_one(tmp_path: Path) -> None:
    manifest = project(tmp_path, (["beach"], []), n=20)
    done = run(manifest, "imagefolder", tmp_path / "out")
    assert done.left_out == {"negative": 10}
    with_them = run(manifest, "imagefolder", tmp_path / "both", negatives="nothing/here")
    assert sum(with_them.images.values()) == 20
    folders = {path.name for path in (tmp_path / "both" / "train").iterdir()}
    assert folders == {"beach", "nothing_here"}


def test_repeated_training_rows_are_files_of_their_own(tmp_path: Path) -> None:
    manifest = project(tmp_path, n=12)
    path = manifest.path / "train.parquet"
    rows = pq.read_table(path)
    twice = pa.concat_tables([rows.slice(0, 1), rows.slice(0, 1), rows])
    pq.write_table(twice, path)
    done = run(manifest, "yolo-cls", tmp_path / "out")
    assert done.images["train"] == rows.num_rows + 2
    stems = [each.stem for each in (tmp_path / "out" / "train").rglob("*.*")]
    first = rows.column("image_id")[0].as_py()
    assert len(stems) == rows.num_rows + 2
    assert {first, f"{first}-1", f"{first}-2"} <= set(stems)


def test_only_the_splits_that_are_asked_for(tmp_path: Path) -> None:
    manifest = project(tmp_path, n=20)
    done = run(manifest, "csv", tmp_path / "out", splits=("test",))
    assert set(done.images) == {"test"}
    assert {path.name for path in (tmp_path / "out").glob("t*.csv")} == {"test.csv"}
    with pytest.raises(UsageError, match="no split extra"):
        run(manifest, "csv", tmp_path / "other", splits=("extra",))


def test_what_stands_there_is_replaced_with_force_only_and_only_if_it_is_an_export(
    tmp_path: Path,
) -> None:
    manifest = project(tmp_path, n=12)
    out = tmp_path / "out"
    run(manifest, "csv", out)
    with pytest.raises(PackError, match="there already"):
        run(manifest, "coco", out)
    assert (out / "train.csv").is_file()
    run(manifest, "coco", out, force=True)
    assert not (out / "train.csv").exists()
    assert (out / "annotations" / "train.json").is_file()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(PackError, match="not an export"):
        run(manifest, "coco", mine, force=True)
    assert (mine / "thesis.txt").read_text() == "irreplaceable"


def test_a_stopped_export_goes_on_where_it_was_and_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = project(tmp_path, n=30)
    run(manifest, "coco", tmp_path / "whole" / "out")
    copied: list[str] = []
    copy = place_module._copy

    def failing(source: Path, target: Path) -> None:
        if len(copied) == 10:
            raise KeyboardInterrupt
        copied.append(source.name)
        copy(source, target)

    monkeypatch.setattr(place_module, "_copy", failing)
    with pytest.raises(KeyboardInterrupt):
        run(manifest, "coco", tmp_path / "cut" / "out")
    assert not (tmp_path / "cut" / "out").exists()
    monkeypatch.setattr(place_module, "_copy", lambda a, b: (copied.append(a.name), copy(a, b)))
    run(manifest, "coco", tmp_path / "cut" / "out")
    assert sorted(copied) == sorted(path.name for path in (tmp_path / "images").rglob("*.*"))
    assert files_of(tmp_path / "cut" / "out") == files_of(tmp_path / "whole" / "out")


def test_what_is_left_of_another_export_is_not_mixed_in(tmp_path: Path) -> None:
    manifest = project(tmp_path, n=12)
    partial = tmp_path / ".out.partial"
    (partial / "images").mkdir(parents=True)
    (partial / "images" / "stray.jpg").write_bytes(b"stray")
    (partial / ".partial.json").write_text('{"another":1}')
    run(manifest, "csv", tmp_path / "out")
    assert not (tmp_path / "out" / "images" / "stray.jpg").exists()


def test_a_second_writer_of_the_same_export_is_kept_out(tmp_path: Path) -> None:
    import fcntl

    manifest = project(tmp_path, n=12)
    partial = tmp_path / ".out.partial"
    partial.mkdir()
    held = os.open(partial, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        with pytest.raises(LockedError):
            run(manifest, "csv", tmp_path / "out")
    finally:
        os.close(held)


def test_a_missing_image_stops_the_export_by_name(tmp_path: Path) -> None:
    manifest = project(tmp_path, n=12)
    gone = next(path for path in (tmp_path / "images").rglob("*.*"))
    gone.unlink()
    for name, options in (("csv", {}), ("huggingface", {}), ("coco", {"resize_px": 8})):
        with pytest.raises(PackError, match=gone.stem) as caught:
            run(manifest, name, tmp_path / name, **options)
        assert "curate verify" in caught.value.hint
        assert not (tmp_path / name).exists()


def test_a_foreign_manifest_cannot_make_us_copy_files_from_outside(tmp_path: Path) -> None:
    manifest = project(tmp_path / "project", n=12)
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(picture(1))
    path = manifest.path / "val.parquet"
    rows = pq.read_table(path)
    for bad in ("../secret.jpg", str(secret)):
        column = pa.array([bad] * rows.num_rows)
        pq.write_table(rows.set_column(rows.column_names.index("path"), "path", column), path)
        with pytest.raises(PackError, match="leads out of the project"):
            run(read_manifest(manifest.path), "csv", tmp_path / "out")


@pytest.mark.parametrize(
    ("column", "bad"),
    [("image_id", "../../../evil"), ("format", "/../../evil"), ("split", "../../evil")],
)
def test_a_foreign_manifest_cannot_make_us_write_files_outside(
    tmp_path: Path, column: str, bad: str
) -> None:
    manifest = project(tmp_path / "project", n=12)
    path = manifest.path / "val.parquet"
    rows = pq.read_table(path)
    values = pa.array([bad] * rows.num_rows)
    pq.write_table(rows.set_column(rows.column_names.index(column), column, values), path)
    with pytest.raises(PackError, match=f"with the {column}"):
        run(read_manifest(manifest.path), "csv", tmp_path / "a" / "b" / "out")
    assert not list(tmp_path.rglob("*evil*"))


def test_a_link_in_the_place_of_what_is_left_is_not_followed(tmp_path: Path) -> None:
    manifest = project(tmp_path / "project", n=12)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("irreplaceable")
    (tmp_path / ".out.partial").symlink_to(mine)
    with pytest.raises(PackError, match="is a link"):
        run(manifest, "csv", tmp_path / "out")
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]


def test_links_in_what_is_left_are_taken_away_and_not_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = project(tmp_path / "project", n=12)
    mine = tmp_path / "mine"
    mine.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(place_module, "_copy", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(manifest, "csv", tmp_path / "out")
    images = tmp_path / ".out.partial" / "images"
    images.rmdir()
    images.symlink_to(mine)
    assert run(manifest, "csv", tmp_path / "out").images
    assert not list(mine.iterdir())


def _interrupt(_source: Path, _target: Path) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", names())
def test_an_export_that_failed_ends_the_same_once_it_can(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curate.pack.export.huggingface.SHARD_BYTES", 2000)
    manifest = project(tmp_path, n=30)
    run(manifest, name, tmp_path / "whole" / "out")
    middle = manifest.table("train", ["path"])["path"].to_pylist()[9]
    away = (tmp_path / middle).rename(tmp_path / "away")
    with pytest.raises(PackError, match="No such file"):
        run(manifest, name, tmp_path / "cut" / "out")
    away.rename(tmp_path / middle)
    run(manifest, name, tmp_path / "cut" / "out")
    assert files_of(tmp_path / "cut" / "out") == files_of(tmp_path / "whole" / "out")


def test_negatives_do_not_go_into_the_folder_of_a_class(tmp_path: Path) -> None:
    manifest = project(tmp_path, [["beach"], []], n=20)
    with pytest.raises(PackError, match="of the class beach"):
        run(manifest, "imagefolder", tmp_path / "out", negatives="Beach")


def test_a_full_disk_is_told_before_anything_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(100, 100, 0))
    manifest = project(tmp_path, ONE, n=12)
    with pytest.raises(PackError, match="are free"):
        run(manifest, "csv", tmp_path / "out")
    assert sum(run(manifest, "csv", tmp_path / "linked", link=True).images.values()) == 12
