"""The commands of README and guides are typed as they stand, against the sample source.

Only the numbers are smaller: what the pages want 250 of, these tests want 25 of.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curate.cli.main import app
from curate.demo import scenes
from curate.demo.options import SampleOptions
from curate.demo.server import SampleServer
from tests.docs.pages import ROOT, blocks, console_lines
from tests.docs.test_gbif_page import archive

PAGES = (
    "README.md",
    "docs/quickstart.md",
    "docs/fetch.md",
    "docs/sources.md",
    "docs/labels.md",
    "docs/balance.md",
)


@pytest.fixture(scope="module")
def server() -> Iterator[SampleServer]:
    with SampleServer(SampleOptions(photos_per_class=60, limited_photos=0)) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, server: SampleServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, with an environment in which the sample source stands for the world."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNSPLASH_ACCESS_KEY", server.key)
    monkeypatch.setenv("CURATE_UNSPLASH_URL", server.unsplash_url)
    monkeypatch.setenv("CURATE_GBIF_URL", server.gbif_url)
    monkeypatch.setenv("CURATE_FETCH_ALLOW_HOSTS", "127.0.0.1")
    monkeypatch.setenv("CURATE_FETCH_SIDE_PX", "96")
    monkeypatch.setenv("CURATE_FETCH_BACKOFF_S", "0.05")
    monkeypatch.setenv("CURATE_FETCH_WORKERS", "1")
    monkeypatch.setattr("webbrowser.open", lambda _: True)
    monkeypatch.setattr("uvicorn.Server.run", end_at_once)
    for number, name in enumerate(["cat", "dog"] * 12):
        path = tmp_path / "pets" / name / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(scenes.encode(scenes.render(("trees",), number, 120, 90)))
    photos = server.found_as("city")[:5]
    rows = [f"{server.url}/photo/{photo.photo_id}?w=96,city" for photo in photos]
    (tmp_path / "list.csv").write_text("\n".join(["url,class", *rows]))
    archive(tmp_path / "0022697-200613084148143.zip", server)
    return tmp_path


def end_at_once(*_: object, **__: object) -> None:
    """Stand for somebody who has the audit page served, and types Ctrl-C."""
    raise KeyboardInterrupt


def smaller(command: str) -> str:
    return re.sub(r"(-per-class )(\d+)", lambda m: f"{m[1]}{max(1, int(m[2]) // 10)}", command)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_the_examples_of_a_page_work_in_their_order(name: str, folder: Path) -> None:
    typed = 0
    for language, block in blocks(ROOT / name):
        if language == "python":
            exec(compile(block, name, "exec"), {})
            typed += 1
        elif language == "console":
            for line in console_lines(block):
                program, *words = shlex.split(smaller(line))
                if program == "export":
                    continue
                assert program == "curate"
                done = CliRunner().invoke(app, words)
                assert done.exit_code == 0, f"$ {line}\n{done.output}"
                typed += 1
    assert typed >= 4
    document = json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)
    images = document["images"]
    on_disk = [*folder.glob("images/??/*.*")]
    assert images["kept"] + sum(images["excluded"].values()) == len(on_disk)
    assert images["kept"] >= 20
