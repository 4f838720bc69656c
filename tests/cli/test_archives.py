"""Flags about archives, plans and downloads of GBIF that cannot be used: one line each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from curate.cli.main import app
from curate.demo.options import SampleOptions
from curate.demo.server import SampleServer
from tests.sources.archives import DWC, FILES, MULTIMEDIA, meta, table, zipped


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return zipped(tmp_path / "a.zip", FILES)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("fetch --archive a.zip --urls b.csv", "--archive and --urls exclude each other"),
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


def test_a_dry_run_leaves_no_trace(archive: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["fetch", "--archive", "a.zip", "--dry-run", "--json"])
    document = json.loads(done.stdout)
    assert document["would_search"] == {"a.zip": 2}
    assert sum(document["skipped"].values()) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


LIMITS = (
    "",
    "--license cc-by",
    "--min-per-class 3",
    "--per-class 2",
    "--per-class 3 --min-per-class 3 --license cc0",
    "--limit 5",
)


@pytest.mark.parametrize("flags", LIMITS)
def test_a_dry_run_says_what_the_run_does(
    flags: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CURATE_FETCH_ALLOW_HOSTS", "127.0.0.1")
    monkeypatch.setenv("CURATE_FETCH_WORKERS", "1")

    def answer(*words: str) -> Any:
        done = CliRunner().invoke(app, [*words, "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    with SampleServer(SampleOptions.faultless(photos_per_class=12, long_edge_px=64)) as server:
        write_licensed(tmp_path / "a.zip", server)
        asked = ("fetch", "--archive", "a.zip", "--side", "original", *flags.split())
        tried = answer(*asked, "--dry-run")
        assert not (tmp_path / "catalog.db").exists()
        done = answer(*asked)
        again = answer(*asked, "--dry-run")
    assert tried["would_search"] == {"a.zip": done["candidates"]["total"]}
    assert tried["skipped"] == done["candidates"]["skipped"]
    assert tried["would_fetch"] == done["images"]["kept"]
    if "--per-class" in flags:
        assert again["would_fetch"] == 0, "every class has what it is to have"


def write_licensed(path: Path, server: SampleServer) -> None:
    """Twelve photos of three species: six, four and two, every second one under CC0."""
    core = table("core", f"{DWC}Occurrence", "o.txt", ("species",))
    media = table("extension", MULTIMEDIA, "m.txt", ("type", "identifier", "license"))
    names = [*["Amanita muscaria"] * 6, *["Boletus edulis"] * 4, *["Russula rara"] * 2]
    terms = ("http://creativecommons.org/licenses/by/4.0/", "CC0 1.0")
    pictures = [
        f"{n}\tStillImage\t{server.url}/photo/{photo.photo_id}?w=64\t{terms[n % 2]}"
        for n, photo in enumerate(server.found_as("city"))
    ]
    files = {
        "meta.xml": meta(core, media),
        "o.txt": "\n".join(["id\tspecies", *(f"{n}\t{name}" for n, name in enumerate(names))]),
        "m.txt": "\n".join(["id\ttype\tidentifier\tlicense", *pictures]),
    }
    zipped(path, files)
