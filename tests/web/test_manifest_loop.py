"""From unlabelled photos to a dataset, as a user types it: a model proposes, a person audits.

v0001 holds photos that nobody has labelled, v0002 what a model proposes for them, v0003 what a
person decided on the page, in a real browser. Each difference is exactly what was done.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from curate.demo import scenes
from curate.records import Kind
from tests.assist.made import finished, saved
from tests.fetch.command import curate
from tests.web.user import User, user
from tests.web.world import NAMES, World, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser

N_PHOTOS = 300
CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
CIFAR_USED = ("airplane", "automobile", "bird", "cat", "frog", "ship")
PLACES = 8
"""The model of scenes looks at so many by so many places."""
OTHERWISE = ("reject", "unsure", "none")
"""Decisions other than a class, each for a few photos."""
ALL_DONE = f"{N_PHOTOS} of {N_PHOTOS}"
KEYS = {"reject": "x", "unsure": "u", "none": "0"}


@dataclass(frozen=True)
class Given:
    """Photos in one folder without a word about what they show, and a model of their classes."""

    photos: Path
    model: Sequence[object]
    classes: Sequence[str]
    truth: Mapping[str, str]


def flat(folder: Path, photos: Mapping[str, Sequence[bytes]]) -> dict[str, str]:
    """Write photos under numbers; return image id to class."""
    folder.mkdir()
    truth = {}
    for name, all_of_it in photos.items():
        for data in all_of_it:
            truth[sha256(data).hexdigest()] = name
            (folder / f"{len(truth):03}.jpg").write_bytes(data)
    return truth


def real_photos(folder: Path, shared: Path) -> Given:
    """Small real photos and a real model that is right about three in four of them."""
    source = shared / "photos" / "cifar10-500"
    photos = {
        name: [each.read_bytes() for each in sorted((source / name).iterdir())]
        for name in CIFAR_USED
    }
    truth = flat(folder / "photos", photos)
    names = folder / "names.txt"
    names.write_text("\n".join(CIFAR))
    model = shared / "onnx" / "resnet8_cifar10_nhwc_f32.onnx"
    return Given(folder / "photos", [model, "--preset", "raw", "--names", names], CIFAR_USED, truth)


def painted_scenes(folder: Path) -> Given:
    """Painted scenes, and a model made from a few others of them."""
    photos = {
        name: [
            scenes.encode(scenes.render((name,), number, 64, 64))
            for number in range(N_PHOTOS // len(NAMES))
        ]
        for name in NAMES
    }
    truth = flat(folder / "photos", photos)
    return Given(
        folder / "photos", [scene_model(folder / "scenes.onnx"), "--preset", "unit"], NAMES, truth
    )


def scene_model(path: Path) -> Path:
    """Write a model that compares colours by place with the mean of a few scenes of a class."""
    seen = [
        np.mean([places(scenes.render((name,), 900 + n, 64, 64)) for n in range(6)], axis=0)
        for name in NAMES
    ]
    means = np.array(seen, dtype=np.float32)
    side = 64 // PLACES
    nodes = [
        helper.make_node(
            "AveragePool", ["input"], ["mean"], kernel_shape=[side, side], strides=[side, side]
        ),
        helper.make_node("Flatten", ["mean"], ["places"], axis=1),
        helper.make_node("Gemm", ["places", "weights", "bias"], ["linear"], transB=1),
        helper.make_node("Softmax", ["linear"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "scenes",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 64, 64])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(2 * means, "weights"),
            numpy_helper.from_array(-(means**2).sum(axis=1), "bias"),
        ],
    )
    notes = {"curate.classes": json.dumps(NAMES), "curate.exclusive": "true"}
    return saved(finished(graph, notes), path)


def places(picture: Image.Image) -> Any:
    """What the model of scenes looks at."""
    small = picture.convert("RGB").resize((PLACES, PLACES), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32).transpose(2, 0, 1).ravel() / 255


def ran(project: Path, *words: object, code: int = 0) -> Any:
    """Run a command, and return its document."""
    said = curate("-C", project, *words, "--json")
    assert said.code == code, said.err
    return said.document


def rows(project: Path, version: str, part: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(
        project / "manifests" / version / f"{part}.parquet"
    ).to_pylist()
    return found


def labelled(project: Path, version: str) -> dict[str, dict[str, Any]]:
    return {
        each["image_id"]: each
        for split in ("train", "val", "test")
        for each in rows(project, version, split)
    }


def audit(person: User, wanted: Mapping[str, str], keys: Mapping[str, str]) -> None:
    """Correct what is wrong on each page by keys, confirm the rest of it, until nothing is left."""
    while tiles := person.shown():
        for tile in tiles:
            if tile["standing"] == "open" and tile["words"] != wanted[tile["id"]]:
                person.press(tile["letter"], keys[wanted[tile["id"]]])
        person.press("Shift+Enter")
        person.wait_turned(tiles[0]["id"])
    person.wait_saved()


@pytest.fixture(params=["real photos", "painted scenes"])
def given(request: pytest.FixtureRequest, tmp_path: Path) -> Given:
    if request.param == "real photos":
        return real_photos(tmp_path, request.getfixturevalue("shared"))
    return painted_scenes(tmp_path)


@pytest.mark.slow
def test_the_dataset_says_what_was_decided_and_each_diff_what_was_done(
    given: Given, browser: Browser, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    assert ran(project, "import", given.photos)["images"]["kept"] == N_PHOTOS
    ran(project, "classes", "set", *given.classes, "--exclusive")
    shutil.rmtree(given.photos)
    check_unlabelled(project, given)
    proposed = check_proposed(project, given)
    wanted = dict(given.truth)
    wanted |= {each: OTHERWISE[n % 3] for n, each in enumerate(sorted(wanted)[::25])}
    corrected = sum(proposed[each] != [name] for each, name in wanted.items())
    assert 12 <= corrected < N_PHOTOS / 2, "the model is neither perfect nor useless"
    labels = check_audited(project, given, wanted, browser)
    check_labelled(project, wanted, labels)
    assert ran(project, "manifest", "verify", "v0001", "v0002", "v0003")["faults"] == []


def check_unlabelled(project: Path, given: Given) -> None:
    """Make v0001, of photos alone."""
    first = ran(project, "balance", "--include-unlabelled")
    assert (first["manifest"], first["unlabelled"]) == ("v0001", N_PHOTOS)
    assert first["images"] == {"train": 0, "val": 0, "test": 0}
    waiting = rows(project, "v0001", "unlabelled")
    assert {each["image_id"] for each in waiting} == set(given.truth)
    assert {(each["proposed_by"], each["proposed_score"]) for each in waiting} == {(None, None)}


def check_proposed(project: Path, given: Given) -> dict[str, list[str]]:
    """Make v0002, in which every proposed column is filled; return what is proposed."""
    made = ran(project, "prelabel", "--model", *given.model, "--manifest", "v0001")
    assert (made["manifest"], made["proposed"]) == ("v0002", N_PHOTOS)
    found = {each["image_id"]: each for each in rows(project, "v0002", "unlabelled")}
    assert set(found) == set(given.truth)
    for each in found.values():
        assert each["proposed_by"] == made["model"]["sha256"]
        assert 0 < each["proposed_score"] <= 1
        assert (each["labels"], each["label_origin"], each["audited"]) == ([], None, False)
    proposed = {each: row["proposed_labels"] for each, row in found.items()}
    assert ran(project, "manifest", "diff", "v0001", "v0002", code=5) == {
        "old": "v0001",
        "new": "v0002",
        "added": [],
        "removed": [],
        "relabelled": [],
        "moved": [],
        "proposed": [
            {"image_id": each, "from": None, "to": proposed[each]} for each in sorted(proposed)
        ],
        "recipe": {},
    }
    return proposed


def check_audited(
    project: Path, given: Given, wanted: Mapping[str, str], browser: Browser
) -> dict[str, list[str]]:
    """Go through v0002 on the page; return the labels that the ledger has."""
    keys = {name: str(place + 1) for place, name in enumerate(given.classes)} | KEYS
    world = World(project, given.truth)
    flags = ("--annotator", "anna", "--manifest", "v0002", "--port", "0")
    with served(world, *flags) as server, user(browser, server.link) as person:
        audit(person, wanted, keys)
        person.wait(f"() => document.getElementById('done-words').textContent === '{ALL_DONE}'")
        assert person.problems == []
    decided = {image_id: each for (image_id, _), each in world.decisions().items()}
    assert {image_id: said(each.kind, each.classes) for image_id, each in decided.items()} == wanted
    return {
        image_id: list(each.classes or ())
        for image_id, each in decided.items()
        if each.kind is Kind.LABEL
    }


def check_labelled(
    project: Path, wanted: Mapping[str, str], labels: Mapping[str, list[str]]
) -> None:
    """Make v0003, which says what the ledger says."""
    assert ran(project, "balance", "--include-unlabelled")["manifest"] == "v0003"
    after = labelled(project, "v0003")
    assert {image_id: each["labels"] for image_id, each in after.items()} == labels
    for each in after.values():
        assert (each["label_origin"], each["annotators"], each["audited"]) == (
            "human", ["anna"], True,
        )  # fmt: skip
    unsure = {each for each, name in wanted.items() if name == "unsure"}
    assert {each["image_id"] for each in rows(project, "v0003", "unlabelled")} == unsure
    assert ran(project, "manifest", "diff", "v0002", "v0003", code=5) == {
        "old": "v0002",
        "new": "v0003",
        "added": [],
        "removed": sorted(each for each, name in wanted.items() if name == "reject"),
        "relabelled": [
            {"image_id": each, "from": None, "to": labels[each]} for each in sorted(labels)
        ],
        "moved": [
            {"image_id": each, "from": "unassigned", "to": after[each]["split"]}
            for each in sorted(labels)
        ],
        "proposed": [],
        "recipe": {},
    }


def said(kind: Kind, classes: Sequence[str] | None) -> str:
    """A decision as the test names it."""
    if kind is Kind.LABEL:
        return ", ".join(classes or ("none",))
    return {Kind.REJECT: "reject", Kind.UNSURE: "unsure"}[kind]
