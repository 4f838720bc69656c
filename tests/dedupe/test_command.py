"""The commands, as a user starts them, on photos with planted copies."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from curate.catalog.database import writer_lock
from curate.errors import ExitCode
from curate.project import Project
from tests.fetch.command import Said, curate


def picture(seed: int) -> Image.Image:
    """Smooth noise with the spectrum of a photo."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(rng.normal(size=(n, n)).astype(np.float32)).resize(
                (240, 240), Image.Resampling.BICUBIC
            )
        )
        / n**0.6
        for n in (3, 5, 9, 17, 33)
    ]
    grey = 128 + 60 * sum(layers)
    return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).convert("RGB")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures: three with a smaller copy, one of those brightened, one flat pair."""
    folder = tmp_path_factory.mktemp("made")
    photos = folder / "photos" / "noise"
    photos.mkdir(parents=True)
    for seed in range(9):
        image = picture(seed)
        image.save(photos / f"{seed}.jpg", quality=92)
        if seed < 3:
            ImageEnhance.Brightness(image.resize((160, 160))).enhance(1 + seed / 10).save(
                photos / f"{seed}-copy.jpg", quality=70
            )
    Image.new("RGB", (200, 200), (250, 250, 250)).save(photos / "blank.jpg")
    Image.new("RGB", (210, 200), (251, 250, 250)).save(photos / "blank2.jpg")
    with Project(folder / "project") as project:
        project.import_folder(photos.parent)
    return folder / "project"


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """A copy of it for each test."""
    return Path(shutil.copytree(made, tmp_path / "project"))


def run(project: Path, *words: str) -> Said:
    return curate(*words[:1], "-C", project, "--json", *words[1:])


def test_copies_are_left_out_and_can_be_brought_back(project: Path) -> None:
    said = run(project, "dedupe")
    assert (said.code, said.document["groups"], said.document["excluded"]) == (0, 3, 3)
    assert said.document["flat"] == 2
    assert run(project, "status").document["images"]["excluded"] == {"near_duplicate": 3}
    assert run(project, "dedupe", "--undo").document == {"brought_back": 3}
    assert run(project, "status").document["images"]["excluded"] == {}


def test_a_copy_can_be_included_for_good_by_the_beginning_of_its_id(project: Path) -> None:
    run(project, "dedupe")
    with Project(project) as made:
        out = next(each for each in made.duplicates.places() if each.left_out)
    said = run(project, "include", out.image_id[:16])
    assert said.document == {"image_id": out.image_id, "was_excluded": "near_duplicate"}
    assert run(project, "dedupe").document["excluded"] == 2
    assert run(project, "include", "").code == 2
    assert run(project, "include", "zz").code == 2


def test_two_images_can_be_declared_different(project: Path) -> None:
    run(project, "dedupe")
    with Project(project) as made:
        out = next(each for each in made.duplicates.places() if each.left_out)
    said = run(project, "dedupe", "--not-same", out.image_id[:20], out.keeper[:20])
    assert said.document == {"not_same": [out.image_id, out.keeper]}
    assert run(project, "dedupe").document["groups"] == 2
    assert run(project, "dedupe", "--not-same", out.image_id, out.image_id).code == 2


def test_a_contaminated_project_is_told_with_exit_code_5(project: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    picture(4).resize((180, 180)).save(theirs / "four.png")
    picture(40).save(theirs / "new.png")
    said = run(project, "dedupe", "--against", str(theirs))
    assert (said.code, said.document["images"]) == (5, 1)
    assert [each["other"] for each in said.document["matches"]] == ["four.png"]
    assert run(project, "status").document["images"]["excluded"] == {}
    assert run(project, "dedupe", "--against", str(theirs), "--exclude").code == 5
    assert run(project, "status").document["images"]["excluded"] == {"contaminates": 1}
    assert run(project, "dedupe", "--against", str(theirs)).code == 0


def test_nothing_is_excluded_for_its_quality_unless_asked(project: Path) -> None:
    run(project, "dedupe")
    with Project(project) as made:
        assert made.duplicates.quality()["bright"] == 2
    said = run(project, "dedupe", "--exclude-quality", "bright, dark")
    assert said.document == {"excluded": {"bright": 2, "dark": 0}}
    assert run(project, "dedupe", "--exclude-quality", "ugly").code == 2


def test_a_mirrored_copy_is_found_when_asked_for(project: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.mkdir()
    picture(7).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(more / "mirror.png")
    picture(8).transpose(Image.Transpose.ROTATE_90).save(more / "turned.png")
    with Project(project) as made:
        made.import_folder(more)
    assert run(project, "dedupe").document["groups"] == 3
    assert run(project, "dedupe", "--invariant", "flip").document["groups"] == 4
    assert run(project, "dedupe", "--invariant", "flip,rotate").document["groups"] == 5
    assert run(project, "dedupe", "--invariant", "zoom").code == 2


@pytest.mark.parametrize(
    "words",
    [
        ("--undo", "--against", "x"),
        ("--exclude",),
        ("--dry-run", "--not-same", "a", "b"),
        ("--keep", "beauty"),
    ],
)
def test_flags_that_contradict_are_refused(project: Path, words: tuple[str, ...]) -> None:
    assert run(project, "dedupe", *words).code == 2


@pytest.mark.parametrize(
    "words", [("dedupe",), ("dedupe", "--dry-run"), ("dedupe", "--undo"), ("include", "a")]
)
def test_a_project_without_a_catalog_gets_none(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "curate.toml").touch()
    assert run(tmp_path, *words).code == (2 if words[0] == "include" else 0)
    assert [path.name for path in tmp_path.iterdir()] == ["curate.toml"]


def test_a_dry_run_of_anything_changes_nothing(project: Path, tmp_path: Path) -> None:
    run(project, "dedupe")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    picture(4).save(theirs / "four.png")
    against = ("--against", str(theirs), "--exclude")
    assert run(project, "dedupe", "--dry-run", "--undo").document == {"brought_back": 3}
    assert run(project, "dedupe", "--dry-run", *against).document["images"] == 1
    said = run(project, "dedupe", "--dry-run", "--exclude-quality", "bright,low_information")
    assert said.document == {"excluded": {"bright": 2, "low_information": 0}}
    assert run(project, "status").document["images"]["excluded"] == {"near_duplicate": 3}


@pytest.mark.parametrize(
    "words",
    [("include", "a"), ("dedupe", "--not-same", "a", "b"), ("dedupe", "--undo"), ("dedupe",)],
)
def test_what_writes_waits_for_no_one(project: Path, words: tuple[str, ...]) -> None:
    with writer_lock(project, "fetch"):
        said = run(project, *words)
    assert said.code == ExitCode.LOCKED
    assert "curate fetch" in said.err


def test_a_page_shows_the_groups_with_the_kept_image_first(project: Path, tmp_path: Path) -> None:
    page = tmp_path / "groups.html"
    said = run(project, "dedupe", "--page", str(page))
    assert said.document["page"] == str(page)
    text = page.read_text(encoding="utf-8")
    assert text.count("<figure class='kept'>") == text.count("<figure class='out'>") == 3
    assert text.count("left out: fewer pixels") == 3
    assert text.index("<b>kept</b>") < text.index("<b>left out")
    with Project(project) as made:
        out = next(each for each in made.duplicates.places() if each.left_out)
        kept = next(made.store.root.rglob(f"{out.keeper}.*"))
    run(project, "include", out.image_id)
    kept.write_bytes(b"gone bad")
    run(project, "dedupe", "--page", str(page))
    text = page.read_text(encoding="utf-8")
    assert "kept: included by hand" in text
    assert "no picture" in text
    assert run(project, "dedupe", "--page", str(page), "--undo").code == 2
    assert run(project, "dedupe", "--page", str(tmp_path / "no" / "p.html")).code == 1


def test_both_kept_copies_go_to_one_side_of_a_split(project: Path) -> None:
    run(project, "dedupe")
    run(project, "dedupe", "--undo")
    with Project(project) as made:
        linked = {each.image_id: each.linked for each in made.duplicates.places()}
        packed = made.balance()
        assert packed.path is not None
        import pyarrow.parquet as pq

        rows = [
            (row["image_id"], row["split"])
            for split in ("train", "val", "test")
            for row in pq.read_table(packed.path / f"{split}.parquet").to_pylist()
        ]
    sides: dict[str, set[str]] = {}
    for image_id, split in rows:
        if image_id in linked:
            sides.setdefault(linked[image_id], set()).add(split)
    assert len(sides) == 3
    assert all(len(each) == 1 for each in sides.values())
