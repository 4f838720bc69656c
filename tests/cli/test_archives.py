"""Flags about archives, plans and downloads of GBIF that cannot be used: one line each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curate.cli.main import app
from tests.sources.archives import FILES, zipped


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return zipped(tmp_path / "a.zip", FILES)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("fetch --archive a.zip --urls b.csv", "--archive excludes --urls and --folder"),
        ("fetch --archive a.zip --per-class 3 --max-per-class 3", "are the same"),
        ("fetch --archive a.zip --min-per-class 4 --max-per-class 3", "is more than the 3 images"),
        ("plan --archive a.zip --budget much", "--budget 'much' is not a size"),
        ("plan --archive a.zip --budget 1TB", "--budget needs to know how large"),
        ("plan --archive a.zip --picture a.pdf", "must end in .svg or .png"),
        ("plan --archive a.zip --class-by colour", "has no column 'colour'"),
        ("plan --archive b.zip", "there is no archive b.zip"),
        ("gbif request --format csv --query Fungi", "--format 'csv' is not one of"),
        ("gbif download fungi", "is not the key of a download"),
        ("gbif request", "name a taxon"),
    ],
)
def test_what_cannot_be_meant_is_one_line(archive: Path, words: str, said: str) -> None:
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code in (1, 2)
    assert said in done.output
    assert done.output.count("\n") == 1


def test_an_archive_is_planned_without_a_trace(archive: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["plan", "--archive", "a.zip", "--json"])
    document = json.loads(done.stdout)
    assert document["classes"] == {"Amanita muscaria": 1, "Boletus edulis": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_dry_run_counts_the_rows(archive: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["fetch", "--archive", "a.zip", "--dry-run", "--json"])
    assert json.loads(done.stdout)["would_search"] == {"a.zip": 5}
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
