"""Every format gives its images, classes and splits; bad input gives one line or a counted row."""

from __future__ import annotations

import csv
import json
import os
import pickle
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.errors import SourceError, UsageError
from curate.records import Candidate
from curate.sources import Query, SourceContext, create, datasets
from curate.sources.dataset import DatasetSource
from curate.sources.datasets.table import class_names
from tests.sources import made


def read(path: Path, **params: str | tuple[str, ...]) -> tuple[list[Candidate], Counter[str]]:
    """All candidates of a dataset, and what was left out."""
    given = {key: (each,) if isinstance(each, str) else each for key, each in params.items()}
    source = create("dataset", SourceContext(path=path))
    found, left = list[Candidate](), Counter[str]()
    for page in source.pages(Query(params=given)):
        found += page.candidates
        left.update(page.skipped)
    return found, left


def format_of(path: Path) -> str:
    return datasets.choose(path, None)[0]


def classes(found: list[Candidate]) -> Counter[str]:
    return Counter(name for each in found for name in each.classes)


def splits(found: list[Candidate]) -> Counter[str]:
    return Counter(each.meta.get("split", "") for each in found)


def name(each: Candidate) -> str:
    return each.source_id.partition("/")[2]


# Trees with lists


def test_cub_has_its_names_labels_and_split(tmp_path: Path) -> None:
    root = made.cub(tmp_path / "CUB_200_2011")
    found, left = read(root)
    assert format_of(root) == "cub"
    assert classes(found) == dict.fromkeys(made.BIRDS, 4)
    assert splits(found) == {"train": 6, "test": 6}
    assert not left
    assert (
        found[0].url
        == (root / "images" / made.BIRDS[0] / "Black_footed_Albatross_0000.jpg").as_uri()
    )
    assert {each.source for each in found} == {"folder"}


def test_a_dataset_in_the_only_folder_of_what_was_unpacked_is_found(tmp_path: Path) -> None:
    made.cub(tmp_path / "unpacked" / "CUB_200_2011")
    assert format_of(tmp_path / "unpacked") == "cub"
    assert len(read(tmp_path / "unpacked")[0]) == 12


def test_cub_without_a_class_of_that_number_is_one_line(tmp_path: Path) -> None:
    root = made.cub(tmp_path / "cub")
    (root / "classes.txt").write_text("1 only\n")
    with pytest.raises(SourceError, match=r"classes\.txt names no class '2'"):
        read(root)


def test_pets_have_the_breed_of_the_file_name_and_know_the_species(tmp_path: Path) -> None:
    root = made.pets(tmp_path / "pets")
    found, _ = read(root)
    assert format_of(root) == "pets"
    assert classes(found) == dict.fromkeys(made.BREEDS, 2)
    assert splits(found) == {"train": 37, "test": 37}
    species, _ = read(root, label_column="species")
    assert classes(species) == {"cat": 24, "dog": 50}
    with pytest.raises(SourceError, match="no column 'colour'"):
        read(root, label_column="colour")


# COCO


def test_coco_gives_the_set_of_categories_and_none_of_them_where_nothing_is_marked(
    tmp_path: Path,
) -> None:
    root = made.coco(tmp_path / "coco")
    found, left = read(root)
    assert format_of(root) == "coco"
    assert [each.classes for each in found] == [
        ("person",),
        ("cat",),
        ("dining table", "person"),
        ("person",),
        ("cat", "person"),
        ("",),
    ]
    assert splits(found) == {"val": 6}
    assert found[0].license == "CC-BY-2.0"
    assert not left
    from_file, _ = read(root / "annotations" / "instances_val2017.json")
    assert [each.source_id for each in from_file] == [each.source_id for each in found]


def test_coco_images_that_are_not_here_are_downloads(tmp_path: Path) -> None:
    root = made.coco(tmp_path / "coco")
    (root / "val2017" / "000000000001.jpg").unlink()
    found, _ = read(root)
    assert [(each.source, each.url) for each in found if each.source != "folder"] == [
        ("urls", "http://images.example.org/val2017/000000000001.jpg")
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"images": [{"file_name": "a.jpg", "id": 1}', "is not JSON"),
        ('{"images": [{"file_name": "a.jpg", "id": 1}]}', "no list of categories"),
        (
            '{"images": [{"file_name": "a.jpg", "id": 1}], "categories": [], '
            '"annotations": [{"image_id": 1, "category_id": 7}]}',
            "names no category 7",
        ),
    ],
)
def test_coco_that_is_broken_is_one_line(tmp_path: Path, content: str, says: str) -> None:
    path = made.text(tmp_path / "annotations.json", content)
    with pytest.raises(SourceError, match=says):
        read(path)


# Labelme


def test_labelme_examples_have_their_ticked_flags(shared: Path) -> None:
    root = shared / "labelme/classification/data_annotated"
    found, _ = read(root)
    assert format_of(root) == "labelme"
    assert [(name(each), each.classes) for each in found] == [
        ("0001.jpg", ("cat",)),
        ("0002.jpg", ("dog",)),
    ]


def labelme(root: Path, stem: str, **document: object) -> None:
    made.put(root / f"{stem}.jpg", len(stem))
    said = {"version": "5.0", "imagePath": f"{stem}.jpg", "shapes": [], **document}
    made.text(root / f"{stem}.json", json.dumps(said))


def test_labelme_tells_none_of_the_classes_from_not_looked_at(tmp_path: Path) -> None:
    labelme(tmp_path, "a", flags={"beach": False})
    labelme(tmp_path, "b", flags={"reviewed": True, "beach": False})
    labelme(tmp_path, "c", flags={"reviewed": False, "beach": False})
    labelme(tmp_path, "d", flags={"reviewed": True, "beach": True, "city": True})
    labelme(tmp_path, "e", flags={}, shapes=[{"label": "dog"}, {"label": "dog"}])
    labelme(tmp_path, "f", flags={"__ignore__": True})
    found, left = read(tmp_path)
    assert [each.classes for each in found] == [("",), ("",), (), ("beach", "city"), ("dog",)]
    assert left == {"ignored": 1}


def test_labelme_files_that_are_broken_or_lead_away_are_counted(tmp_path: Path) -> None:
    root = tmp_path / "in"
    labelme(root, "a", flags={"beach": True})
    made.put(tmp_path / "secret.jpg", 9)
    labelme(root, "b", flags={"beach": True}, imagePath="../secret.jpg")
    labelme(root, "c", flags={"beach": True}, imagePath="gone.jpg")
    made.text(root / "d.json", '{"imagePath": "a.jpg", "flags": ')
    made.text(root / "e.json", "[1, 2]")
    found, left = read(root)
    assert [name(each) for each in found] == ["a.jpg"]
    assert left == {"outside": 1, "missing_file": 1, "bad_json": 1, "not_labelme": 1}
    allowed, _ = read(root, outside="yes")
    assert len(allowed) == 2


# Tables


def test_the_toy_dataset_is_a_multi_label_list(shared: Path) -> None:
    path = shared / "toy/data.csv"
    found, left = read(path)
    assert format_of(path) == "table"
    assert len(found) == 1049
    assert not left
    assert classes(found) == {"beach": 224, "city": 254, "sunset": 244, "trees": 237, "": 141}
    assert Counter(len(each.classes) for each in found if each.classes != ("",)) == {1: 857, 2: 51}
    assert {each.source for each in found} == {"urls"}
    assert found[0].meta == {"name": "3475e02ca87e422ca88e2fc1cfea4b4d.jpg"}


def table(root: Path, *rows: tuple[object, ...], file: str = "labels.csv") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    with (root / file).open("w", newline="") as opened:
        csv.writer(opened).writerows(rows)
    return root / file


def test_a_table_of_files_has_names_lists_or_flags(tmp_path: Path) -> None:
    for i, each in enumerate("abc"):
        made.put(tmp_path / "images" / f"{each}.jpg", i)
    names = table(
        tmp_path, ("filename", "label"), ("a.jpg", "cat"), ("b.jpg", "cat|dog"), ("c.jpg", "")
    )
    assert [each.classes for each in read(names)[0]] == [("cat",), ("cat", "dog"), ()]
    assert format_of(tmp_path) == "table"
    assert [each.source_id for each in read(tmp_path)[0]] == [
        each.source_id for each in read(names)[0]
    ]
    bits = [("a.jpg", 1, 0), ("b.jpg", 1, 1), ("c.jpg", 0, 0)]
    flags = table(tmp_path, ("image", "cat", "dog"), *bits, file="f.csv")
    assert [each.classes for each in read(flags)[0]] == [("cat",), ("cat", "dog"), ("",)]
    only, _ = read(flags, label_column="dog")
    assert [each.classes for each in only] == [("",), ("dog",), ("",)]


def test_an_image_is_the_same_candidate_whichever_way_its_folder_comes_in(tmp_path: Path) -> None:
    made.put(tmp_path / "cat" / "a.jpg", 1)
    path = table(tmp_path, ("path", "label"), ("cat/a.jpg", "cat"))
    (from_table,) = read(path)[0]
    (page,) = create("folder", SourceContext(path=tmp_path)).pages(Query())
    assert (from_table.source, from_table.source_id) == (
        page.candidates[0].source,
        page.candidates[0].source_id,
    )


def test_a_cell_may_be_a_list() -> None:
    assert class_names("beach; sunset") == ("beach", "sunset")
    assert class_names("['beach', \"don't\"]") == ("beach", "don't")
    assert class_names('["beach"]') == ("beach",)
    assert class_names("[]") == ()
    assert class_names(["a", "a", "b"]) == ("a", "b")
    assert class_names(" ") is None
    assert class_names(3) == ("3",)


def test_names_that_lead_out_of_the_folder_are_refused_unless_allowed(tmp_path: Path) -> None:
    made.put(tmp_path / "secret.jpg", 1)
    made.put(tmp_path / "in" / "a.jpg", 2)
    away = [
        "../secret.jpg",
        "x/../../secret.jpg",
        str(tmp_path / "secret.jpg"),
        "..\\secret.jpg",
        "../../../../../../../../etc/passwd",
        "/etc/passwd",
        "C:\\windows\\a.jpg",
    ]
    path = table(
        tmp_path / "in", ("file", "label"), ("a.jpg", "cat"), *((each, "cat") for each in away)
    )
    found, left = read(path)
    assert [name(each) for each in found] == ["a.jpg"]
    assert left == {"outside": len(away)}
    allowed, left = read(path, outside="yes")
    assert {each.url for each in allowed} >= {(tmp_path / "secret.jpg").as_uri()}
    assert left["outside"] == 0


def test_every_row_that_gives_no_image_is_counted_by_reason(tmp_path: Path) -> None:
    made.put(tmp_path / "a.jpg", 1)
    path = table(
        tmp_path,
        ("file", "cat", "dog"),
        ("a.jpg", 1, 0),
        ("gone.jpg", 1, 0),
        ("", 1, 0),
        ("a.jpg", 1, 0, "too", "many"),
        ("nul\0.jpg", 0, 1),
    )
    found, left = read(path)
    assert len(found) == 1
    assert left == {"missing_file": 1, "no_file": 2, "bad_row": 1}


def test_columns_that_are_not_there_are_named_with_those_that_are(tmp_path: Path) -> None:
    made.put(tmp_path / "a.jpg", 1)
    path = table(tmp_path, ("file", "kind", "size"), ("a.jpg", "cat", 7))
    with pytest.raises(SourceError, match=r"no column 'label'; its columns are: file, kind, size"):
        read(path, label_column="label")
    with pytest.raises(SourceError, match="holds other values than 0 and 1"):
        read(path, label_column=("kind", "size"))
    with pytest.raises(SourceError, match="no column with files or URLs"):
        read(table(tmp_path, ("x", "y"), (1, 2), file="other.csv"))


def test_the_class_given_stands_for_all(tmp_path: Path) -> None:
    made.put(tmp_path / "a.jpg", 1)
    path = table(tmp_path, ("file", "label"), ("a.jpg", "cat"))
    source = create("dataset", SourceContext(path=path))
    (page,) = source.pages(Query(classes=("pet",)))
    assert page.candidates[0].classes == ("pet",)


def test_pandas_tables_come_from_parquet_and_hdf(tmp_path: Path) -> None:
    for i, each in enumerate("abc"):
        made.put(tmp_path / f"{each}.jpg", i)
    frame = pd.DataFrame({"file": ["a.jpg", "b.jpg", "c.jpg"], "label": ["cat", "dog", "cat"]})
    frame.to_parquet(tmp_path / "t.parquet")
    assert classes(read(tmp_path / "t.parquet")[0]) == {"cat": 2, "dog": 1}
    pytest.importorskip("tables")
    frame.to_hdf(tmp_path / "fixed.h5", key="labels", mode="w")
    frame.to_hdf(tmp_path / "table.h5", key="labels", mode="w", format="table")
    for file in ("fixed.h5", "table.h5"):
        assert format_of(tmp_path / file) == "hdf"
        assert classes(read(tmp_path / file)[0]) == {"cat": 2, "dog": 1}


class _Harm:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch harmed",)


def test_an_hdf_file_that_would_run_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytables = pytest.importorskip("tables")
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"file": ["a.jpg"], "label": ["cat"]})
    frame.to_hdf(tmp_path / "bad.h5", key="labels", mode="w")
    with pytables.open_file(str(tmp_path / "bad.h5"), "a") as file:
        node = file.root.labels
        file.remove_node(node, "block0_values")
        array = file.create_vlarray(node, "block0_values", pytables.ObjectAtom())
        array.append(_Harm())
    assert pickle.dumps(_Harm())
    with pytest.raises(SourceError, match="may run code"):
        read(tmp_path / "bad.h5")
    assert not (tmp_path / "harmed").exists()


def test_hdf_without_pytables_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tables", None)
    path = tmp_path / "a.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(SourceError, match="takes PyTables") as caught:
        read(path)
    assert "'.[hdf]'" in caught.value.hint


# Hugging Face


def test_metadata_of_an_imagefolder_names_files_from_its_own_folder(tmp_path: Path) -> None:
    made.put(tmp_path / "train" / "cat" / "a.jpg", 1)
    made.put(tmp_path / "train" / "dog" / "b.jpg", 2)
    rows = [{"file_name": "cat/a.jpg", "text": "one"}, {"file_name": "dog/b.jpg", "text": "two"}]
    made.text(tmp_path / "train" / "metadata.jsonl", "\n".join(map(json.dumps, rows)))
    made.put(tmp_path / "test" / "c.jpg", 3)
    made.text(tmp_path / "test" / "metadata.csv", "file_name,label\nc.jpg,dog\n")
    found, _ = read(tmp_path)
    assert format_of(tmp_path) == "imagefolder"
    assert {name(each): (each.classes, each.meta["split"]) for each in found} == {
        "train/cat/a.jpg": (("cat",), "train"),
        "train/dog/b.jpg": (("dog",), "train"),
        "test/c.jpg": (("dog",), "test"),
    }


def test_parquet_files_of_the_hub_point_at_rows(tmp_path: Path) -> None:
    root = made.hub(tmp_path / "hub")
    found, left = read(root)
    assert format_of(root) == "parquet-images"
    assert splits(found) == {"train": 12, "test": 4}
    assert classes(found) == {"cat": 6, "dog": 6}
    assert not left
    assert len({each.source_id for each in found}) == 16
    (seventh,) = (each for each in found if each.meta["note"] == "n7")
    assert seventh.url.endswith("train-00001-of-00002.parquet#row=1&column=image")


def test_parquet_without_types_is_read_by_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "images.parquet"
    table = pa.table({"image": pa.array([made.picture(1)], pa.binary()), "label": ["cat"]})
    pq.write_table(table, path)
    assert format_of(path) == "parquet-images"
    assert classes(read(path)[0]) == {"cat": 1}


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("has_bytes", ["all", "none", "some"])
def test_rows_with_and_without_bytes_are_told_apart(
    has_bytes: str, statistics: bool, tmp_path: Path
) -> None:
    holds = [has_bytes == "all" or (has_bytes == "some" and n % 2 == 0) for n in range(70)]
    cells = [
        {
            "bytes": made.picture(n) if held else None,
            "path": made.put(tmp_path / f"{n}.jpg", n).name,
        }
        for n, held in enumerate(holds)
    ]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(cells, kind), "label": ["cat"] * 70})
    pq.write_table(table, tmp_path / "images.parquet", 40, write_statistics=statistics)
    found, left = read(tmp_path / "images.parquet")
    assert not left
    assert ["#row=" in each.url for each in found] == holds
    assert [
        int(each.url.partition("#row=")[2].partition("&")[0]) for each in found if "#" in each.url
    ] == [n for n, held in enumerate(holds) if held]


def test_images_are_not_read_to_be_listed(tmp_path: Path) -> None:
    path = tmp_path / "images.parquet"
    pq.write_table(made.hub_table(range(8)), path, compression="none", use_dictionary=False)
    data = bytearray(path.read_bytes())
    first = pq.ParquetFile(path).metadata.row_group(0).column(0).data_page_offset
    data[first : first + 16] = b"\xff" * 16
    path.write_bytes(data)
    with pytest.raises(OSError, match="page header"):
        pq.read_table(path)
    assert len(read(path)[0]) == 8


def test_a_label_without_a_name_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "images.parquet"
    few = {**made.FEATURES, "label": {"names": ["cat"], "_type": "ClassLabel"}}
    pq.write_table(made.hub_table(range(1, 5), few), path)
    found, left = read(path)
    assert classes(found) == {"cat": 2}
    assert left == {"bad_label": 2}


def test_a_saved_dataset_is_read_split_by_split(tmp_path: Path) -> None:
    root = made.saved(tmp_path / "saved")
    found, _ = read(root)
    assert format_of(root) == "saved"
    assert splits(found) == {"train": 10, "val": 4}
    assert format_of(root / "train") == "saved"


def test_a_saved_dataset_that_names_files_elsewhere_is_refused(tmp_path: Path) -> None:
    root = made.saved(tmp_path / "saved")
    made.text(root / "train" / "state.json", '{"_data_files": [{"filename": "../../x.arrow"}]}')
    with pytest.raises(SourceError, match="which is not in it"):
        read(root)


# Choosing


def test_ordinary_trees_stay_what_they_are(tmp_path: Path) -> None:
    made.put(tmp_path / "a" / "train" / "cat" / "1.jpg", 1)
    made.put(tmp_path / "b" / "cat" / "1.jpg", 1)
    made.text(tmp_path / "b" / "notes.csv", "when,what\n1,2\n")
    made.text(tmp_path / "b" / "settings.json", '{"images": 3}')
    assert format_of(tmp_path / "a") == "yolo-cls"
    assert format_of(tmp_path / "b") == "folder"


def test_what_is_no_dataset_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        format_of(tmp_path / "nowhere")
    with pytest.raises(SourceError, match="not a dataset that curate reads"):
        format_of(made.text(tmp_path / "a.xyz", "?"))
    with pytest.raises(UsageError, match="'zip' is not a format"):
        datasets.choose(tmp_path, "zip")


def test_every_format_is_made_by_its_name() -> None:
    for each in datasets.FORMATS:
        loaded = datasets.load(each)
        assert loaded.name == each
        assert loaded.about


def test_pages_go_on_where_they_stopped(tmp_path: Path) -> None:
    rows = [(f"https://example.org/{i}.jpg", "cat") for i in range(2500)]
    path = table(tmp_path, ("url", "label"), *rows)
    source = DatasetSource(SourceContext(path=path))
    pages = list(source.pages(Query()))
    assert [len(page.candidates) for page in pages] == [1000, 1000, 500]
    rest = list(source.pages(Query(), pages[0].cursor))
    assert [each.url for page in rest for each in page.candidates] == [
        url for url, _ in rows[1000:]
    ]
