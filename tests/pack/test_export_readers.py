"""Every export, read by the library it is made for: counts and labels are the manifest's.

Libraries that are not installed (dependency group `exports`) skip their test. Ultralytics and
torchvision are not asked: the one has a licence that cannot come here, the other is a
gigabyte; their few rules are written down below instead. FiftyOne, which brings a database
server, likewise.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas
import pytest
from PIL import Image

from curate.pack import Manifest
from curate.pack.export import Options, find_format, huggingface, webdataset
from curate.pack.export.run import export
from tests.pack.photos import ONE, SEVERAL, photo, project, truth

SPLITS = ("train", "val", "test")
ROOT = Path(__file__).resolve().parents[2]
Found = dict[str, tuple[str, tuple[str, ...]]]
"""Image id to split and classes, as a reader saw them."""


@pytest.fixture(params=[ONE, SEVERAL], ids=["one class", "several classes"])
def manifest(request: pytest.FixtureRequest, tmp_path: Path) -> Manifest:
    return project(tmp_path, request.param)


@pytest.fixture
def single(tmp_path: Path) -> Manifest:
    return project(tmp_path, ONE)


def exported(manifest: Manifest, name: str, **options: Any) -> Path:
    target = manifest.project / "exports" / "it"
    export(manifest, find_format(name), target, Options(**options))
    return target


def image_folder(root: Path, extensions: Sequence[str]) -> tuple[list[str], dict[str, int]]:
    """Read a folder as torchvision's ImageFolder(allow_empty=True) does."""
    classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    found = {}
    for number, name in enumerate(classes):
        for path in sorted((root / name).rglob("*")):
            if path.suffix.lower() in extensions:
                found[path.stem] = number
    return classes, found


TORCHVISION = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
ULTRALYTICS = (".bmp", ".dng", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp")


@pytest.mark.parametrize(
    ("name", "extensions"), [("imagefolder", TORCHVISION), ("yolo-cls", ULTRALYTICS)]
)
def test_folders_of_classes_are_read_the_same_in_every_split(
    single: Manifest, name: str, extensions: Sequence[str]
) -> None:
    out = exported(single, name)
    rows = json.loads((out / "classes.json").read_text("utf-8"))
    class_of = {row["index"]: row["class"] for row in rows}
    found: Found = {}
    for split in SPLITS:
        classes, images = image_folder(out / split, extensions)
        assert classes == [row["folder"] for row in rows]
        found |= {stem: (split, (class_of[number],)) for stem, number in images.items()}
    assert found == truth(single)


def test_a_class_that_a_split_lacks_shifts_no_number(tmp_path: Path) -> None:
    manifest = project(tmp_path, [["beach"]] * 20 + [["aardvark"]], n=21)
    out = exported(manifest, "yolo-cls")
    for split in SPLITS:
        assert image_folder(out / split, ULTRALYTICS)[0] == ["aardvark", "beach"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", ["folder", "imagefolder"])
def test_datasets_reads_the_folders(
    single: Manifest, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = the_datasets(monkeypatch)
    out = exported(single, "imagefolder")
    cache = str(tmp_path / "cache")
    if how == "folder":
        loaded = datasets.load_dataset(str(out), cache_dir=cache)
    else:
        loaded = datasets.load_dataset("imagefolder", data_dir=str(out), cache_dir=cache)
    folder_of = {
        row["folder"]: row["class"] for row in json.loads((out / "classes.json").read_text("utf-8"))
    }
    found: Found = {}
    for name, rows in loaded.items():
        names = rows.features["label"].names
        split = "val" if name == "validation" else name
        for row in rows.cast_column("image", datasets.Image(decode=False)):
            stem = Path(row["image"]["path"]).stem
            found[stem] = (split, (folder_of[names[row["label"]]],))
    assert found == truth(single)


def the_datasets(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import `datasets`, which must neither call home nor remember anything."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    return pytest.importorskip("datasets", reason="datasets is not installed (group `exports`)")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", ["folder", "parquet"])
def test_datasets_reads_parquet_with_pictures_inside(
    manifest: Manifest, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = the_datasets(monkeypatch)
    monkeypatch.setattr(huggingface, "SHARD_BYTES", 2000)
    out = exported(manifest, "huggingface")
    assert len(list((out / "data").glob("train-*-of-*.parquet"))) > 1
    cache = str(tmp_path / "cache")
    if how == "folder":
        loaded = datasets.load_dataset(str(out), cache_dir=cache)
    else:
        files = {
            split: str(out / "data" / f"{split}-*.parquet")
            for split in ("train", "validation", "test")
        }
        loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=cache)
    found: Found = {}
    for name, rows in loaded.items():
        split = "val" if name == "validation" else name
        exclusive = "label" in rows.features
        feature = rows.features["label"] if exclusive else rows.features["labels"].feature
        assert feature.names == sorted(manifest.info["classes"])
        for row in rows:
            assert row["image"].size == (32, 24)
            codes = [row["label"]] if exclusive else row["labels"]
            labels = tuple(feature.names[code] for code in codes if code >= 0)
            found[row["image_id"]] = (split, labels)
    assert found == truth(manifest)


@pytest.mark.parametrize("one_hot", [False, True])
def test_pandas_reads_the_tables(manifest: Manifest, one_hot: bool) -> None:
    out = exported(manifest, "csv", one_hot=one_hot)
    classes = sorted(manifest.info["classes"])
    found: Found = {}
    for split in SPLITS:
        frame = pandas.read_csv(out / f"{split}.csv", keep_default_na=False)
        if one_hot:
            assert list(frame.columns) == ["name", *classes, "url"]
        for row in frame.to_dict("records"):
            assert (out / "images" / row["name"]).is_file()
            assert row["url"].startswith("https://example.org/media/")
            said = row.get("label", row.get("labels", ""))
            labels = [name for name in classes if row[name] == 1] if one_hot else said.split(";")
            found[Path(row["name"]).stem] = (split, tuple(each for each in labels if each))
    assert found == truth(manifest)


def test_the_one_hot_table_has_the_form_of_the_toy_dataset(shared: Path, tmp_path: Path) -> None:
    with (shared / "toy" / "data.csv").open(newline="", encoding="utf-8") as file:
        toy = csv.reader(file)
        head = next(toy)
        some = [
            [name for name, cell in zip(head, row, strict=True) if cell == "1"]
            for row, _ in zip(toy, range(80), strict=False)
        ]
    manifest = project(tmp_path, some, n=80)
    out = exported(manifest, "csv", one_hot=True)
    with (out / "train.csv").open(newline="", encoding="utf-8") as file:
        assert next(csv.reader(file)) == head


@pytest.mark.filterwarnings("ignore")
def test_webdataset_reads_the_shards(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    wds = pytest.importorskip("webdataset", reason="webdataset is not installed (group `exports`)")
    monkeypatch.setattr(webdataset, "SHARD_SAMPLES", 7)
    out = exported(manifest, "webdataset")
    assert len(list(out.glob("train-*.tar"))) > 1
    classes = json.loads((out / "classes.json").read_text("utf-8"))
    found: Found = {}
    for split in SPLITS:
        shards = sorted(str(path) for path in out.glob(f"{split}-*.tar"))
        for sample in wds.WebDataset(shards, shardshuffle=False).decode("pil"):
            [picture] = [sample[key] for key in ("jpg", "png", "webp") if key in sample]
            assert picture.size == (32, 24)
            labels = tuple(sample["json"]["labels"])
            if manifest.info["exclusive"]:
                assert classes[sample["cls"]] == labels[0]
            assert sample["__key__"] == sample["json"]["image_id"]
            found[sample["__key__"]] = (split, labels)
    assert found == truth(manifest)


def test_pycocotools_reads_the_json(manifest: Manifest) -> None:
    coco = pytest.importorskip(
        "pycocotools.coco", reason="pycocotools is not installed (group `exports`)"
    )
    out = exported(manifest, "coco")
    found: Found = {}
    numbers: set[int] = set()
    for split in SPLITS:
        read = coco.COCO(str(out / "annotations" / f"{split}.json"))
        names = {each["id"]: each["name"] for each in read.loadCats(read.getCatIds())}
        assert sorted(names.values()) == sorted(manifest.info["classes"])
        for image in read.loadImgs(read.getImgIds()):
            assert (out / "images" / split / image["file_name"]).is_file()
            rows = read.loadAnns(read.getAnnIds(imgIds=[image["id"]]))
            assert all(row["bbox"] == [0, 0, 32, 24] for row in rows)
            labels = tuple(sorted(names[row["category_id"]] for row in rows))
            found[image["image_id"]] = (split, labels)
            numbers.add(image["id"])
    assert found == truth(manifest)
    assert len(numbers) == len(found)


def labelme_flags(version: int, files: Sequence[Path]) -> list[dict[str, bool]]:
    """Read files with Labelme's own reader, in a process of its own."""
    python = ROOT / f".venv-labelme-{version}" / "bin" / "python"
    if not python.is_file():
        pytest.skip(f"Labelme {version}, a separate program, is not installed: `make labelme`")
    # The files are told on stdin: hundreds of paths make a command that is too long.
    reader = {
        6: "from labelme._label_file import LabelFile as read\n",
        7: "from labelme._label_file import read_label_file\n"
        "read = lambda path: read_label_file(filename=path)\n",
    }
    program = (
        f"import json, sys\n{reader[version]}"
        "print(json.dumps([read(path).flags for path in json.load(sys.stdin)]))\n"
    )
    done = subprocess.run(
        [python, "-c", program],
        input=json.dumps(list(map(str, files))),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        timeout=100,
    )
    flags: list[dict[str, bool]] = json.loads(done.stdout.splitlines()[-1])
    return flags


@pytest.mark.slow
@pytest.mark.parametrize("version", [6, 7])
def test_labelme_reads_the_flags(manifest: Manifest, version: int) -> None:
    out = exported(manifest, "labelme")
    files = [path for split in SPLITS for path in sorted((out / split).glob("*.json"))]
    found: Found = {}
    for path, flags in zip(files, labelme_flags(version, files), strict=True):
        labels = tuple(name for name, on in flags.items() if on and name != "reviewed")
        found[path.stem] = (path.parent.name, labels)
    assert found == truth(manifest)


@pytest.mark.slow
@pytest.mark.parametrize("version", [6, 7])
def test_labelme_reads_turned_images_and_odd_names(tmp_path: Path, version: int) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        picture = Image.new("RGB", (80, 40), "red")
        exif = picture.getexif()
        exif[0x0112] = 6
        picture.save(tmp_path / "turned.jpg", exif=exif)
        data = (tmp_path / "turned.jpg").read_bytes()
        rows[0] = photo(tmp_path, 0, ["reviewed"], format="jpeg", data=data)

    manifest = project(tmp_path, [["reviewed"], ["two\nlines"]], n=12, change=change)
    out = exported(manifest, "labelme")
    files = sorted(out.glob("*/*.json"))
    names = {"reviewed (class)": "reviewed", "two lines": "two\nlines"}
    wanted = truth(manifest)
    for path, flags in zip(files, labelme_flags(version, files), strict=True):
        [flag] = [name for name, on in flags.items() if on and name != "reviewed"]
        assert wanted[path.stem] == (path.parent.name, (names[flag],))
    sizes = {json.loads(path.read_text("utf-8"))["imageWidth"] for path in files}
    assert sizes == {40, 32}


def test_labelme_flags_begin_with_reviewed_and_are_those_of_the_flags_file(
    manifest: Manifest,
) -> None:
    out = exported(manifest, "labelme")
    flags = (out / "flags.txt").read_text("utf-8").splitlines()
    assert flags == ["reviewed", *sorted(manifest.info["classes"])]
    audited = {
        row["image_id"]: row["audited"]
        for row in manifest.table(columns=["image_id", "audited"]).to_pylist()
    }
    for path in out.glob("*/*.json"):
        document = json.loads(path.read_text("utf-8"))
        assert list(document["flags"]) == flags
        assert document["flags"]["reviewed"] == audited[path.stem]
        assert (path.parent / document["imagePath"]).is_file()
        assert (document["imageWidth"], document["imageHeight"]) == (32, 24)


def test_fiftyone_finds_an_image_and_a_class_for_each_label(manifest: Manifest) -> None:
    out = exported(manifest, "fiftyone")
    found: Found = {}
    for split in SPLITS:
        document = json.loads((out / split / "labels.json").read_text("utf-8"))
        # Its importer finds images below data/ by their names without the extension.
        images = {path.stem for path in (out / split / "data").iterdir()}
        assert images == set(document["labels"])
        for stem, target in document["labels"].items():
            codes = target if isinstance(target, list) else [target]
            labels = tuple(document["classes"][code] for code in codes if code is not None)
            found[stem] = (split, labels)
    assert found == truth(manifest)
