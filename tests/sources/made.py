"""Small datasets in the layouts that people have, as they are published."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def picture(number: int) -> bytes:
    """A small JPEG, another one for each number."""
    made = Image.linear_gradient("L").resize((48, 40)).point(lambda value: (value * 7) ^ number)
    buffer = io.BytesIO()
    Image.merge("RGB", (made, made.rotate(180), made)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def put(path: Path, number: int) -> Path:
    """Write a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture(number))
    return path


def text(path: Path, content: str) -> Path:
    """Write a text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


BIRDS = ("001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross")


def cub(root: Path, per_class: int = 4) -> Path:
    """CUB-200-2011: numbered lists; every other image is for training."""
    names = [f"{bird}/{bird[4:]}_{n:04}.jpg" for bird in BIRDS for n in range(per_class)]
    for number, name in enumerate(names, 1):
        put(root / "images" / name, number)
    numbered = list(enumerate(names, 1))
    text(root / "images.txt", "".join(f"{i} {name}\n" for i, name in numbered))
    text(
        root / "image_class_labels.txt",
        "".join(f"{i} {int(name.split('.')[0])}\n" for i, name in numbered),
    )
    text(root / "classes.txt", "".join(f"{i} {name}\n" for i, name in enumerate(BIRDS, 1)))
    text(root / "train_test_split.txt", "".join(f"{i} {i % 2}\n" for i, _ in numbered))
    text(root / "bounding_boxes.txt", "1 0.0 0.0 5.0 5.0\n")
    return root


BREEDS = {
    "Abyssinian": 1,
    "Bengal": 1,
    "Birman": 1,
    "Bombay": 1,
    "British_Shorthair": 1,
    "Egyptian_Mau": 1,
    "Maine_Coon": 1,
    "Persian": 1,
    "Ragdoll": 1,
    "Russian_Blue": 1,
    "Siamese": 1,
    "Sphynx": 1,
    **dict.fromkeys(
        (
            *("american_bulldog", "american_pit_bull_terrier", "basset_hound", "beagle", "boxer"),
            *("chihuahua", "english_cocker_spaniel", "english_setter", "german_shorthaired"),
            *("great_pyrenees", "havanese", "japanese_chin", "keeshond", "leonberger"),
            *("miniature_pinscher", "newfoundland", "pomeranian", "pug", "saint_bernard"),
            *("samoyed", "scottish_terrier", "shiba_inu", "staffordshire_bull_terrier"),
            *("wheaten_terrier", "yorkshire_terrier"),
        ),
        2,
    ),
}
"""The 37 breeds of the Oxford-IIIT Pet dataset, and their species."""


def pets(root: Path, per_breed: int = 2) -> Path:
    """Oxford-IIIT Pets: the breed in the file's name; the last of each breed is for testing."""
    rows, parts = [], {"trainval": [], "test": []}  # type: tuple[list[str], dict[str, list[str]]]
    for number, (breed, species) in enumerate(BREEDS.items()):
        for n in range(1, per_breed + 1):
            put(root / "images" / f"{breed}_{n}.jpg", number * per_breed + n)
            row = f"{breed}_{n} {number + 1} {species} 1\n"
            rows.append(row)
            parts["test" if n == per_breed else "trainval"].append(row)
    head = "#Image CLASS-ID SPECIES BREED ID\n#ID: 1:37 Class ids\n"
    text(root / "annotations" / "list.txt", head + "".join(rows))
    for name, some in parts.items():
        text(root / "annotations" / f"{name}.txt", "".join(some))
    text(root / "annotations" / "README", "made up\n")
    (root / "annotations" / "trimaps").mkdir()
    return root


def coco(root: Path, split: str = "val2017", n: int = 6) -> Path:
    """COCO instances: image i has categories i % 3 (twice) and, if even, also `person`."""
    categories = ["person", "cat", "dining table"]
    images, annotations = [], []
    for i in range(n):
        name = f"{i:012}.jpg"
        put(root / split / name, i)
        images.append(
            {
                "license": 1,
                "file_name": name,
                "coco_url": f"http://images.example.org/{split}/{name}",
                "height": 40,
                "width": 48,
                "id": 1000 + i,
            }
        )
        marked = [] if i == n - 1 else [i % 3, i % 3, *([0] if i % 2 == 0 else [])]
        annotations += [
            {
                "segmentation": {"counts": [1, 2], "size": [40, 48]},
                "iscrowd": 0,
                "image_id": 1000 + i,
                "category_id": category + 1,
                "id": len(annotations) + k,
                "bbox": [0, 0, 4, 4],
            }
            for k, category in enumerate(marked)
        ]
    document = {
        "info": {"description": "made up"},
        "licenses": [{"id": 1, "url": "http://creativecommons.org/licenses/by/2.0/", "name": "BY"}],
        "images": images,
        "annotations": annotations,
        "categories": [
            {"supercategory": "thing", "id": i, "name": name}
            for i, name in enumerate(categories, 1)
        ],
    }
    text(root / "annotations" / f"instances_{split}.json", json.dumps(document))
    text(
        root / "annotations" / f"captions_{split}.json", json.dumps({**document, "annotations": []})
    )
    return root


FEATURES = {
    "image": {"_type": "Image"},
    "label": {"names": ["cat", "dog"], "_type": "ClassLabel"},
    "note": {"dtype": "string", "_type": "Value"},
}


def hub_table(numbers: Iterable[int], features: dict[str, Any] | None = FEATURES) -> pa.Table:
    """A table as the hub has it: images as bytes and path, classes as numbers."""
    some = list(numbers)
    table = pa.table(
        {
            "image": pa.array(
                [{"bytes": picture(i), "path": f"{i}.jpg"} for i in some],
                pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
            ),
            "label": pa.array([i % 2 if i % 5 else -1 for i in some], pa.int64()),
            "note": [f"n{i}" for i in some],
        }
    )
    if features is None:
        return table
    said = {"huggingface": json.dumps({"info": {"features": features}})}
    return table.replace_schema_metadata(said)


def hub(root: Path, n: int = 12) -> Path:
    """Parquet files as a repository of the hub has them, two of train and one of test."""
    (root / "data").mkdir(parents=True)
    half = n // 2
    pq.write_table(hub_table(range(half)), root / "data/train-00000-of-00002.parquet", 4)
    pq.write_table(hub_table(range(half, n)), root / "data/train-00001-of-00002.parquet", 4)
    pq.write_table(hub_table(range(n, n + 4)), root / "data/test-00000-of-00001.parquet", 4)
    text(root / "README.md", "---\ntask_categories: [image-classification]\n---\n")
    return root


def saved(root: Path, n: int = 10) -> Path:
    """What `DatasetDict.save_to_disk` writes."""
    text(root / "dataset_dict.json", json.dumps({"splits": ["train", "validation"]}))
    for name, numbers in (("train", range(n)), ("validation", range(n, n + 4))):
        folder = root / name
        folder.mkdir()
        table = hub_table(numbers)
        path = str(folder / "data-00000-of-00001.arrow")
        with pa.OSFile(path, "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table, max_chunksize=3)
        state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_split": name}
        text(folder / "state.json", json.dumps(state))
        text(folder / "dataset_info.json", json.dumps({"features": FEATURES}))
    return root
