"""The commands of the page on GBIF downloads, typed as they stand."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curate.cli.main import app
from curate.demo.options import SampleOptions
from curate.demo.server import SampleServer
from tests.docs.pages import ROOT, blocks, console_lines
from tests.fakes.gbif_downloads import recorded, serving
from tests.sources.archives import DWC, MULTIMEDIA, meta, table, zipped


def archive(path: Path, server: SampleServer) -> bytes:
    """Three species of photos that the sample source serves, one with too few of them."""
    photos = server.found_as("city")[:8]
    core = table("core", f"{DWC}Occurrence", "o.txt", ("species", "genus", "recordedBy", "year"))
    media = table("extension", MULTIMEDIA, "m.txt", ("type", "identifier"))
    names = ["Amanita muscaria", "Boletus edulis", "Amanita muscaria", "Boletus edulis"] * 2
    names[7] = "Russula rara"
    records = "".join(
        f"{i}\t{name}\t{name.split()[0]}\tObserver {i % 2}\t2020\n" for i, name in enumerate(names)
    )
    pictures = "".join(
        f"{i}\tStillImage\t{server.url}/photo/{photo.photo_id}?w=96\n"
        for i, photo in enumerate(photos)
    )
    files = {
        "meta.xml": meta(core, media),
        "o.txt": f"id\tspecies\tgenus\trecordedBy\tyear\n{records}",
        "m.txt": f"id\ttype\tidentifier\n{pictures}",
    }
    return zipped(path, files).read_bytes()


def test_the_examples_work_in_their_order(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = SampleOptions.faultless(photos_per_class=10)
    with SampleServer(options) as server:
        service = recorded(shared, archive(tmp_path / "made.zip", server))
        service.bodies[:] = service.bodies[-1:]
        with serving(service):
            monkeypatch.chdir(tmp_path)
            monkeypatch.setenv("CURATE_GBIF_URL", service.url)
            monkeypatch.setenv("CURATE_FETCH_ALLOW_HOSTS", "127.0.0.1")
            monkeypatch.setenv("CURATE_FETCH_SIDE_PX", "0")
            monkeypatch.setenv("CURATE_FETCH_WORKERS", "1")
            outputs = {}
            for language, block in blocks(ROOT / "docs" / "gbif.md"):
                for line in console_lines(block) if language == "console" else ():
                    program, *words = shlex.split(line)
                    if program == "export":
                        for each in words:
                            name, _, value = each.partition("=")
                            monkeypatch.setenv(name, value)
                        continue
                    done = CliRunner().invoke(app, words)
                    assert done.exit_code == 0, f"$ {line}\n{done.output}"
                    outputs[" ".join(words[:2])] = done.output
    assert "10.15468/dl.np3k7j" in outputs["gbif download"]
    assert "left out: 1 class that cannot reach its minimum" in outputs["fetch --archive"]
    assert (tmp_path / "tail.svg").read_text().startswith("<svg")
