"""`curate balance`, as a user runs it, on photos with planted copies."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from curate.cli.balance import LEFT_OUT
from curate.cli.main import app
from tests.dedupe.test_command import picture


@pytest.fixture
def project(tmp_path: Path) -> Path:
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
    assert "fog has no image in val and test" in alone
    assert "left out" not in alone
    assert "a new version: the recipe has changed" in alone
    assert ", as it was" in curate(project, "balance").output


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


def test_every_reason_to_leave_an_image_out_is_explained(project: Path) -> None:
    import json

    left_out = json.loads(curate(project, "balance", "--dry-run", "--json").stdout)["left_out"]
    page = (Path(__file__).parents[2] / "docs" / "reference" / "output.md").read_text("utf-8")
    assert left_out.keys() == LEFT_OUT.keys()
    assert all(f"| `{reason}` |" in page for reason in left_out)
