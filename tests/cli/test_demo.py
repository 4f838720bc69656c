"""The demo goes the whole road, tells the truth, and deletes only what it made."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from io import BytesIO, StringIO
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from curate.cli.demo import draw_demo
from curate.cli.main import app
from curate.demo.flow import MARKER, OPTIONS, QUERIES, SPECIES, DemoResult, Step, run_demo
from curate.demo.options import SampleOptions
from curate.errors import UsageError

SMALL = SampleOptions(
    photos_per_class=16,
    gone_share=0.1,
    not_found_share=0.05,
    html_share=0.05,
    truncated_share=0.06,
    duplicate_share=0.1,
    placeholder_share=0.2,
    unavailable_share=0.1,
)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    folder = tmp_path_factory.mktemp("demo") / "demo-project"
    return run_demo(folder, options=SMALL, per_class=8, per_species=4)


class Page(HTMLParser):
    """What a browser would load and run, and the text that it would show."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "data")]

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def page(result: DemoResult) -> Page:
    return Page(result.report.read_text(encoding="utf-8"))


def test_the_sample_source_agrees_with_every_number(result: DemoResult) -> None:
    assert [row for row in result.truth.rows if not row.agrees] == []
    assert {row.what for row in result.truth.rows} >= {"images", "not_found", "placeholder"}


def test_the_story_has_the_same_numbers_from_its_beginning_to_its_end(result: DemoResult) -> None:
    console = Console(file=StringIO(), width=1000)
    draw_demo(console, result)
    text = console.file.getvalue()  # type: ignore[attr-defined] # a StringIO
    stored = result.fetched.counts.stored
    left_out = result.deduped.excluded
    assert f"gave {stored:,} valid, distinct images" in text
    assert f"agrees with every number: {stored:,} images" in " ".join(text.split())
    stand_ins = result.verified.checked - stored
    assert stand_ins > 0, "this source has stand-ins"
    assert re.search(
        rf"^All {stored:,} images and .*stand-ins? .* read again: 0 faults", text, re.M
    )
    assert left_out, "this source has near-duplicates"
    assert f"left out: {stored - left_out:,} remain." in text
    assert f"v0001: {stored - left_out:,} images" in text


def test_every_class_has_what_was_asked_for(result: DemoResult) -> None:
    # A photo of two scenes counts for both, so a class may end with more.
    images = {each.name: each.images for each in result.fetched.classes}
    assert {name for name in images if images[name] >= 8} == set(QUERIES)
    assert {name for name in images if images[name] == 4} == set(SPECIES)


def test_every_missing_image_has_a_reason_and_an_example(result: DemoResult) -> None:
    counts = result.fetched.counts
    by_reason = {row.reason: row.n for row in result.missing}
    assert by_reason.pop("duplicate", 0) == counts.duplicate
    retried = sum(n for name, n in by_reason.items() if name.startswith("to be retried"))
    assert retried == counts.retrying
    given_up = {name: n for name, n in by_reason.items() if not name.startswith("to be")}
    assert given_up == counts.failed
    assert all(row.meaning and row.example.startswith("http") for row in result.missing)


def test_the_manifest_is_there_and_sound(result: DemoResult) -> None:
    assert result.packed.path == result.folder / "manifests" / "v0001"
    assert result.verified.faults == ()
    rows = [
        row
        for split in ("train", "val", "test")
        for row in pq.read_table(result.packed.path / f"{split}.parquet").to_pylist()
    ]
    assert len(rows) == result.fetched.counts.kept - result.deduped.excluded
    assert all((result.folder / row["path"]).is_file() for row in rows)


def test_the_report_needs_nothing_from_outside(page: Page) -> None:
    assert "script" not in page.tags
    assert "link" not in page.tags
    elsewhere = [link for link in page.links if not link.startswith("#")]
    assert {link.partition(":")[0] for link in elsewhere} == {"data"}


def test_the_report_shows_classes_reasons_licences_and_pictures(
    page: Page, result: DemoResult
) -> None:
    for name in [*result.packed.classes, *result.fetched.counts.failed, "CC-BY-NC-4.0"]:
        assert name in page.words
    pictures = [link for link in page.links if link.startswith("data:image/jpeg;base64,")]
    assert len(pictures) >= 4 * 7
    for link in pictures[:5]:
        with Image.open(BytesIO(base64.b64decode(link.partition(",")[2]))) as image:
            assert image.height == 132


def test_the_steps_told_are_commands_of_the_program(tmp_path: Path) -> None:
    told: list[Step] = []
    run_demo(tmp_path / "d", options=SMALL, per_class=2, per_species=1, tell=told.append)
    assert [step.command.split()[1] for step in told] == [
        "fetch",
        "fetch",
        "dedupe",
        "balance",
        "verify",
    ]
    shown = CliRunner().invoke(app, ["fetch", "--help"], terminal_width=200).output
    for flag in re.findall(r"--[a-z-]+", " ".join(step.command for step in told)):
        assert flag in shown


def test_a_folder_of_an_earlier_demo_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "demo-project"
    folder.mkdir()
    (folder / MARKER).touch()
    (folder / "old").touch()
    run_demo(folder, options=SMALL, per_class=2, per_species=1)
    assert not (folder / "old").exists()
    assert (folder / "manifests" / "v0001" / "train.parquet").is_file()


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="no demo made it"):
        run_demo(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_link_to_a_demos_folder_is_not_followed(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / MARKER).touch()
    (tmp_path / "link").symlink_to(real)
    with pytest.raises(UsageError, match="not a folder"):
        run_demo(tmp_path / "link")
    assert (real / MARKER).exists()


def test_a_foreign_folder_is_wrong_usage_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    done = CliRunner().invoke(app, ["demo", "--keep", str(tmp_path)])
    assert done.exit_code == 2
    assert "no demo made it" in done.stderr
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.slow
def test_the_whole_demo_shows_every_kind_of_fault(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["demo", "--keep", str(tmp_path / "d"), "--json", "--quiet"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["agrees"]
    assert document["faults"] == 0
    assert document["balance"]["leaks"] == 0
    assert {"corrupt", "html", "not_found", "placeholder"} <= set(document["candidates"]["failed"])
    assert document["candidates"]["duplicate"] > 0
    assert OPTIONS.limited_photos > 0
    assert document["balance"]["manifest"] == "v0001"
