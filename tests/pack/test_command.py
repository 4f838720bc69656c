"""`curate balance`, as a user runs it, on photos with planted copies."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from curate.cli.balance import LEFT_OUT
from curate.cli.main import app
from curate.pack import read_manifest
from curate.report.sections import human_size
from tests.dedupe.test_command import picture


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return imported(tmp_path)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for tests that write nothing."""
    return imported(tmp_path_factory.mktemp("project"))


def imported(tmp_path: Path) -> Path:
    """Eight pictures of noise, of which two have a smaller copy, and one of fog."""
    photos = tmp_path / "photos"
    for seed in range(9):
        path = photos / ("fog" if seed == 8 else "noise") / f"{seed}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(seed).save(path)
        if seed < 2:
            picture(seed).resize((200, 200)).save(path.with_name(f"{seed}-copy.png"))
    assert curate(tmp_path, "import", str(photos), "--quiet").exit_code == 0
    return tmp_path


def curate(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["-C", str(folder), *words])


def test_balance_says_that_near_duplicates_were_not_looked_for_until_they_were(
    project: Path,
) -> None:
    before = curate(project, "balance")
    assert "run `curate dedupe` first" in before.output
    assert curate(project, "dedupe").exit_code == 0
    after = curate(project, "balance")
    assert "curate dedupe" not in after.output
    assert "a new version: the images have changed" in after.output
    picture(50).save(project / "photos" / "noise" / "50.png")
    assert curate(project, "import", str(project / "photos"), "--quiet").exit_code == 0
    assert "run `curate dedupe` first" in curate(project, "balance", "--dry-run").output


def test_balance_tells_sums_empty_splits_and_only_what_was_left_out(project: Path) -> None:
    said = curate(project, "balance", "--min-per-class", "2").output
    assert "10 images: " in said
    assert "dropped fog: 1 image, too few" in said
    assert "left out: 1 image of dropped classes (small_class)" in said
    assert said.count("left out") == 1
    alone = curate(project, "balance").output
    assert "\nval and test have no image of fog\n" in alone
    assert "left out" not in alone
    [total] = [line.split() for line in alone.splitlines() if line.startswith("all images")]
    assert [int(n) for n in total[2:]] == [11, 9, 1, 1]
    assert "a new version: the recipe has changed" in alone
    assert ", as it was" in curate(project, "balance").output


def test_balance_warns_of_a_dataset_with_hardly_any_training_images(project: Path) -> None:
    said = curate(project, "balance", "--splits", "0.1,0,0.9").output
    assert "WARNING" not in said
    said = curate(project, "balance", "--splits", "0.9,0,0.1").output
    assert said.count("WARNING") == 1
    assert "images, and 10 are due: images stay where" in said
    assert "`curate balance --fresh` divides anew" in said
    assert "WARNING" not in curate(project, "balance", "--fresh").output


def test_the_report_gives_the_bytes_of_the_images_that_it_counts(project: Path) -> None:
    for words in (("dedupe",), ("balance",), ("report", "--out", str(project / "page.html"))):
        assert curate(project, *words).exit_code == 0
    images = read_manifest(project / "manifests/v0001").table(columns=["n_bytes"])
    size = human_size(sum(images.column(0).to_pylist()))
    page = (project / "page.html").read_text("utf-8")
    assert f"<b>{images.num_rows}</b><span>valid, distinct images not left out, {size}<" in page


def test_classes_that_lack_a_split_are_named_in_one_line(tmp_path: Path) -> None:
    for seed in range(10):
        path = tmp_path / "photos" / f"class{seed // 2}" / f"{seed}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(seed).save(path)
    assert curate(tmp_path, "import", str(tmp_path / "photos"), "--quiet").exit_code == 0
    said = curate(tmp_path, "balance", "--splits", "0.9,0.1,0").output
    [line] = [line for line in said.splitlines() if "no image of" in line]
    assert line == "val has no image of class0, class1, class2 and 1 more class"


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Forty pictures of two classes."""
    for seed in range(40):
        path = tmp_path / "photos" / ("cat" if seed % 2 else "dog") / f"{seed}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(seed).save(path)
    assert curate(tmp_path, "import", str(tmp_path / "photos"), "--quiet").exit_code == 0
    return tmp_path


def test_a_split_that_earlier_manifests_leave_empty_is_told_with_the_cure(pets: Path) -> None:
    import json

    assert "no image of" not in curate(pets, "balance", "--splits", "0.6,0.1,0.3").output
    said = curate(pets, "balance").output
    assert "40 images: 28 train, 0 val, 12 test" in said
    [line] = [line for line in said.splitlines() if "no image of" in line]
    assert line.startswith("val has no image of cat, dog: images stay where earlier manifests")
    assert line.endswith("`curate balance --fresh` divides anew")
    document = json.loads(curate(pets, "balance", "--dry-run", "--json").stdout)
    assert document["without_image"] == {"train": [], "val": ["cat", "dog"], "test": []}
    for words in (("--splits", "0.6,0,0.4"), ("--fresh", "--folds", "3"), ("--fresh",)):
        assert "no image of" not in curate(pets, "balance", "--dry-run", *words).output


def test_training_images_that_another_recipe_moves_into_test_are_warned_of(pets: Path) -> None:
    import json

    assert "32 train, 4 val, 4 test" in curate(pets, "balance").output
    words = ("balance", "--splits", "0.5,0.1,0.4")
    document = json.loads(curate(pets, *words, "--dry-run", "--json").stdout)
    dealt = document["sticky"]["dealt"]
    said = curate(pets, *words).output
    [line] = [line for line in said.splitlines() if line.startswith("WARNING")]
    assert f"{dealt['train_to_test']} images moved from train to test" in line
    assert "`curate balance --fresh` begins anew" in line
    assert document["sticky"]["moved"] == {}
    assert "WARNING" not in curate(pets, *words).output
    assert "WARNING" not in curate(pets, "balance", "--fresh").output


def test_trust_and_license_are_checked_before_anything_is_written(project: Path) -> None:
    for words in (("--trust", "nobody"), ("--license", "foo")):
        said = curate(project, "balance", *words)
        assert said.exit_code == 2
        assert words[1] in said.output
    said = curate(project, "balance", "--trust", "human")
    assert said.exit_code == 1
    assert "--trust query" in said.output
    assert not (project / "manifests").exists()


def test_fetch_refuses_a_licence_that_there_is_not(tmp_path: Path) -> None:
    said = curate(tmp_path, "fetch", "--query", "beach", "--license", "cc0,foo")
    assert said.exit_code == 2
    assert "cc-by-nc" in said.output


def test_every_flag_of_balance_reaches_the_recipe(project: Path) -> None:
    import json

    words = shlex.split(
        "balance --min-per-class 2 --max-per-class 8 --downsample 6 --keep spread "
        "--spread-by author,width_px --upsample max --negatives 0.5 --trust source --where "
        "width_px>=100 --splits 0.5,0.25,0.25 --group-by author --folds 3 --fresh "
        "--include-unlabelled --seed 4 --dry-run --json"
    )
    # Nobody says the author of these pictures.
    assert "no image says its author" in curate(project, *words).output
    words[words.index("--group-by") + 1] = "occurrence,source_id"
    said = curate(project, *words)
    assert said.exit_code == 0, said.output
    assert sum(json.loads(said.stdout)["images"].values()) == 6
    made = curate(project, *(word for word in words if word != "--dry-run"))
    assert made.exit_code == 0, made.output
    recipe = json.loads((project / "manifests/v0001/manifest.json").read_text())["recipe"]
    assert recipe == {
        "min_per_class": 2,
        "max_per_class": 8,
        "splits": [0.5, 0.25, 0.25],
        "seed": 4,
        "licenses": [],
        "trust": "source",
        "exclusive": None,
        "downsample": 6,
        "keep": "spread",
        "spread_by": ["author", "width_px"],
        "upsample": "max",
        "negatives": 0.5,
        "where": "width_px>=100",
        "group_by": ["occurrence", "source_id"],
        "holdout_by": "",
        "folds": 3,
        "sticky": False,
        "include_unlabelled": True,
    }


def test_balance_tells_what_proves_the_split_and_what_is_kept(project: Path) -> None:
    assert curate(project, "dedupe").exit_code == 0
    first = curate(project, "balance").output
    assert "proof: 0 of 9 groups on two sides; the nearest images across sides differ in" in first
    assert "classes are off their shares by" in first
    picture(50).save(project / "photos" / "noise" / "50.png")
    assert curate(project, "import", str(project / "photos"), "--quiet").exit_code == 0
    assert "9 images stay where v0001 had them" in curate(project, "balance").output
    fresh = curate(project, "balance", "--fresh").output
    assert "stay where" not in fresh
    held = curate(project, "balance", "--fresh", "--holdout-by", "width_px").output
    assert "held out for test: width_px 200" in held or "leaves nothing to train on" in held


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--where", "width_px >"), "cannot be read"),
        (("--where", "breite > 3"), "no image has a column 'breite'"),
        (("--downsample", "most"), "--downsample takes min or a whole number"),
        (("--downsample", "0"), "--downsample takes min or a number from 1"),
        (("--upsample", "min"), "--upsample takes max or a whole number"),
        (("--keep", "first"), "--keep must be one of random, best, spread"),
        (("--negatives", "1.5"), "--negatives"),
        (("--folds", "1"), "--folds must be 2 to 100"),
        (("--group-by", "nothing"), "no image has a column 'nothing'"),
        (("--holdout-by", "year"), "no image says its year"),
        (("--holdout-by", "format", "--splits", "0.9,0.1,0"), "--holdout-by needs a test split"),
        (("--min-per-class", "5", "--downsample", "3"), "--downsample 3 is below"),
    ],
)
def test_a_flag_that_cannot_be_used_is_refused_in_one_line(
    untouched: Path, words: tuple[str, ...], said: str
) -> None:
    found = curate(untouched, "balance", *words)
    assert found.exit_code == 2
    assert said in found.output
    assert len(found.output.strip().splitlines()) == 1
    assert not (untouched / "manifests").exists()


def test_every_reason_to_leave_an_image_out_is_explained(untouched: Path) -> None:
    import json

    left_out = json.loads(curate(untouched, "balance", "--dry-run", "--json").stdout)["left_out"]
    page = (Path(__file__).parents[2] / "docs" / "reference" / "output.md").read_text("utf-8")
    assert left_out.keys() == LEFT_OUT.keys()
    assert all(f"| `{reason}` |" in page for reason in left_out)
