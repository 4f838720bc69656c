"""`curate prelabel` as a person runs it: proposals, resuming, another model, a manifest."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curate.carriers.models import PrelabelRequest
from curate.catalog import proposals as rows
from curate.pack.recipe import Recipe
from curate.project import Project
from curate.records import Annotation, Kind
from tests.assist.made import classifier, saved
from tests.fetch.command import curate

COLOURS = {"red": (230, 20, 20), "green": (20, 230, 20), "blue": (20, 20, 230)}
NOTES = {"curate.classes": '["red", "green", "blue"]', "curate.exclusive": "true"}


def photos(folder: Path, each: int = 8) -> Path:
    """Noisy pictures of three colours, in one folder without classes."""
    chance = np.random.default_rng(1)
    folder.mkdir()
    for name, colour in COLOURS.items():
        for place in range(each):
            noise = chance.integers(-20, 20, size=(80, 80, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{name}{place}.png")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of 24 unlabelled pictures with three classes."""
    folder = tmp_path_factory.mktemp("made") / "project"
    assert curate("-C", folder, "import", photos(folder.parent / "photos"), "--quiet").code == 0
    (folder / "curate.toml").write_text('[classes]\nnames = ["red", "green", "blue"]\n')
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """A copy of it for each test."""
    return Path(shutil.copytree(made, tmp_path / "project"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    weights = 20 * np.eye(3)
    return saved(classifier(notes=NOTES, weights=weights), tmp_path / "model.onnx")


def proposed(folder: Path) -> dict[str, str]:
    """Image id to the class proposed by the newest model."""
    with Project(folder) as project:
        ids = [image_id for (image_id,) in project.db.all("SELECT image_id FROM images")]
        found = rows.newest(project.db, ids)
        return {key: each.classes[0] if each.classes else "" for key, each in found.items()}


def test_defaults_need_no_thought(project: Path, model: Path) -> None:
    said = curate("-C", project, "prelabel", "--model", model, "--preset", "unit", "--json")
    assert said.code == 0, said.err
    document = said.document
    assert document["classes"] == {"red": 8, "green": 8, "blue": 8}
    assert (document["proposed"], document["before"], document["left"]) == (24, 0, 0)
    assert document["model"]["sha256"] == rows_sha256(model)
    assert sorted(proposed(project).values()) == ["blue"] * 8 + ["green"] * 8 + ["red"] * 8
    again = curate("-C", project, "prelabel", "--model", model, "--preset", "unit", "--json")
    assert (again.document["proposed"], again.document["before"]) == (0, 24)


def rows_sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_guesses_are_told(project: Path, model: Path) -> None:
    said = curate("-C", project, "prelabel", "--model", model, "--dry-run")
    assert said.code == 0
    assert "preset imagenet, for it takes colours first" in said.err
    assert "nothing was written" in said.err
    assert proposed(project) == {}


def test_a_limit_and_then_the_rest(project: Path, model: Path) -> None:
    with Project(project) as opened:
        first = opened.models.prelabel(PrelabelRequest(model, limit=5))
        rest = opened.models.prelabel(PrelabelRequest(model))
        anew = opened.models.prelabel(PrelabelRequest(model, anew=True))
    assert (first.proposed, first.left) == (5, 19)
    assert (rest.proposed, rest.before, rest.left) == (19, 5, 0)
    assert (anew.proposed, anew.before) == (24, 0)


def test_progress_moves_with_every_image(project: Path, model: Path) -> None:
    told: list[tuple[int, int | None]] = []

    def listen(stage: str, done: int, total: int | None = None, **_counts: int) -> None:
        if stage == "prelabel":
            told.append((done, total))

    with Project(project, progress=listen) as opened:
        opened.models.prelabel(PrelabelRequest(model))
    assert told == [(done, 24) for done in range(25)]


def test_stopped_in_the_middle_it_goes_on_there(
    project: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curate.carriers.models.KEPT_TOGETHER", 4)

    def stop(stage: str, done: int, total: int | None = None, **_counts: int) -> None:
        if stage == "prelabel" and done >= 8:
            raise KeyboardInterrupt

    with Project(project, progress=stop) as opened, pytest.raises(KeyboardInterrupt):
        opened.models.prelabel(PrelabelRequest(model))
    kept = len(proposed(project))
    assert 8 <= kept < 24
    with Project(project) as opened:
        assert opened.models.prelabel(PrelabelRequest(model)).proposed == 24 - kept


def test_a_new_model_adds_proposals_and_old_ones_stay(
    project: Path, model: Path, tmp_path: Path
) -> None:
    swapped = 20 * np.eye(3)[[1, 0, 2]]
    other = saved(classifier(notes=NOTES, weights=swapped), tmp_path / "other.onnx")
    with Project(project) as opened:
        opened.models.prelabel(PrelabelRequest(model))
        before = proposed(project)
        opened.models.prelabel(PrelabelRequest(other))
        first = rows.by_model(opened.db, rows_sha256(model), before)
        assert {key: each.classes[0] for key, each in first.items()} == before
        assert len(rows.models(opened.db)) == 2
    turned = {"red": "green", "green": "red", "blue": "blue"}
    assert proposed(project) == {key: turned[name] for key, name in before.items()}


def test_other_settings_propose_anew(project: Path, model: Path, tmp_path: Path) -> None:
    mapping = tmp_path / "map.csv"
    mapping.write_text("red,blue\ngreen,green\n")
    with Project(project) as opened:
        opened.models.prelabel(PrelabelRequest(model))
        result = opened.models.prelabel(PrelabelRequest(model, map=mapping))
    assert result.proposed == 24
    assert dict(result.classes) == {"green": 8, "blue": 8}
    assert result.none == 8


def test_a_file_that_is_gone_is_counted_and_tried_again(project: Path, model: Path) -> None:
    gone = next((project / "images").rglob("*.png"))
    kept = gone.read_bytes()
    gone.unlink()
    said = curate("-C", project, "prelabel", "--model", model, "--json")
    assert (said.code, said.document["unreadable"]) == (4, 1)
    gone.write_bytes(kept)
    said = curate("-C", project, "prelabel", "--model", model, "--json")
    assert (said.code, said.document["proposed"]) == (0, 1)


def test_classes_of_folders_are_not_replaced_by_a_models(
    made: Path, tmp_path: Path, model: Path
) -> None:
    pictures = photos(tmp_path / "photos")
    for name, first in (("warm", "red"), ("cold", "blue")):
        (pictures / name).mkdir()
        for each in pictures.glob(f"{first}*.png"):
            each.rename(pictures / name / each.name)
    folder = tmp_path / "hinted"
    assert curate("-C", folder, "import", pictures, "--quiet").code == 0
    ask = ("-C", folder, "prelabel", "--model", model, "--preset", "unit")
    refused = curate(*ask, "--quiet")
    assert refused.code == 2
    assert "none of the model's 3 classes (red, green, blue) is one of the project's 2" in (
        refused.err
    )
    assert refused.err.count("\n") == 1
    assert proposed(folder) == {}
    own = curate(*ask, "--own-classes", "--json").document
    assert (own["classes"], own["none"]) == ({"blue": 8, "green": 8, "red": 8}, 0)
    both = curate(*ask, "--own-classes", "--map", "m.csv")
    assert (both.code, "exclude each other" in both.err) == (2, True)
    listed = curate("-C", made, "prelabel", "--model", model, "--own-classes")
    assert (listed.code, "does not count" in listed.err) == (2, True)


def test_an_unsure_softmax_still_proposes_its_best_unless_a_threshold_is_given(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "bare"
    assert curate("-C", folder, "import", photos(tmp_path / "photos"), "--quiet").code == 0
    unsure = saved(classifier(weights=0.3 * np.eye(3)), tmp_path / "unsure.onnx")
    names = tmp_path / "names.txt"
    names.write_text("red\ngreen\nblue\n")
    ask = ("-C", folder, "prelabel", "--model", unsure, "--preset", "unit", "--names", names)
    best = curate(*ask, "--json").document
    assert (best["classes"], best["none"]) == ({"blue": 8, "green": 8, "red": 8}, 0)
    cut = curate(*ask, "--threshold", "0.5", "--json").document
    assert cut["none"] == 24
    with Project(folder) as opened, opened.people.ledger() as ledger:
        image_id = next(iter(proposed(folder)))
        ledger.add([Annotation("k", Kind.LABEL, "ann", 1.0, image_id=image_id, classes=("red",))])
    again = curate(*ask, "--json").document
    assert list(again["classes"]) == ["blue", "green", "red"]  # what one person says narrows none


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--preset", "vivid"], 2, "'vivid' is no preset"),
        (["--outputs", "magic"], 2, "--outputs is one of"),
        (["--threshold", "2"], 2, "--threshold 2 is not between 0 and 1"),
        (["--manifest", "v0009"], 1, "there is no manifest v0009"),
        (["--map", "nothing.csv"], 2, "nothing.csv cannot be read"),
        (["--preset", "raw", "--preprocess", "x.json"], 2, "say the same"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    project: Path, model: Path, flags: list[str], code: int, said: str
) -> None:
    ended = curate("-C", project, "prelabel", "--model", model, *flags, "--quiet")
    assert ended.code == code
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_no_project_yet_leaves_no_trace(tmp_path: Path, model: Path) -> None:
    with Project(tmp_path / "none") as opened:
        result = opened.models.prelabel(PrelabelRequest(model))
    assert result.proposed == 0
    assert not (tmp_path / "none").exists()


def test_balance_says_why_a_proposal_is_no_label(project: Path, model: Path) -> None:
    ask = ("-C", project, "prelabel", "--model", model, "--preset", "unit", "--quiet")
    assert curate(*ask).code == 0
    trusting = curate("-C", project, "balance", "--trust", "model", "--dry-run")
    assert "24 images have a proposal that is no label" in trusting.err
    people_only = curate("-C", project, "balance", "--trust", "human", "--dry-run")
    assert "is no label" not in people_only.err
    with (project / "curate.toml").open("a") as file:
        file.write("[label]\nthreshold = 0.5\n")
    sure = curate("-C", project, "balance", "--trust", "model", "--dry-run")
    assert (sure.code, "is no label" in sure.err) == (0, False)


def test_a_manifests_next_version_has_the_proposals(project: Path, model: Path) -> None:
    recipe = Recipe(include_unlabelled=True, trust="human", splits=(1, 0, 0))
    with Project(project) as opened:
        some = [image_id for (image_id,) in opened.db.all("SELECT image_id FROM images LIMIT 2")]
        with opened.people.ledger() as ledger:
            ledger.add(
                [
                    Annotation(each, Kind.LABEL, "ann", 1.0, image_id=each, classes=("red",))
                    for each in some
                ]
            )
        assert opened.balance(recipe).manifest == "v0001"
        result = opened.models.prelabel(PrelabelRequest(model, manifest="v0001"))
        again = opened.models.prelabel(PrelabelRequest(model, manifest="v0001"))
    assert (result.manifest, result.proposed, result.before) == ("v0002", 24, 0)
    assert (again.manifest, again.proposed, again.before) == ("v0002", 0, 24)
    folder = project / "manifests" / "v0002"
    names = ("train", "unlabelled")
    tables = [pq.read_table(folder / f"{name}.parquet") for name in names]
    assert [table.num_rows for table in tables] == [2, 22]
    for table in tables:
        assert set(table.column("proposed_by").to_pylist()) == {rows_sha256(model)}
        assert all(0 < score <= 1 for score in table.column("proposed_score").to_pylist())
        assert all(len(each) == 1 for each in table.column("proposed_labels").to_pylist())
