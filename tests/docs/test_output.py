"""The JSON documents of docs/reference/output.md have the shape of what the program prints."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from curate import Project
from curate.catalog import images
from curate.cli.main import app
from curate.demo import scenes
from tests.assist.scenery import Person, truth_of, write_backbone
from tests.docs.pages import ROOT, generator
from tests.fakes.gbif_downloads import recorded, serving
from tests.sources.archives import DWC, MULTIMEDIA, meta, table, zipped

PAGE = ROOT / "docs" / "reference" / "output.md"
KEYED_BY_DATA = {
    *("failed", "skipped", "excluded", "classes", "dropped", "deviations", "moved", "dealt"),
    "caps",
    *("corrected", "left_out", "thresholds", "consensus", "said", "corrections", "links"),
    *(
        "unshowable",
        "unknown_classes",
        "recipe",
        "hinted",
        "in_reserve",
        "annotated",
        "renamed",
        "outside",
    ),
}
"""Keys of objects whose own keys are names of classes, reasons, people …"""
OPTIONAL = {"consensus", "page", "undoes", "shown", "shown_score", "shown_by"}
"""Keys that a document has when they were asked for, or are known."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that two people have labelled, with a queue, a copy, and two manifests."""
    root = tmp_path_factory.mktemp("output")
    for number, name in enumerate(["cat", "dog"] * 12):
        path = root / "pets" / name / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(scenes.encode(scenes.render(("trees",), number, 96, 72)))
    run(root, "import", str(root / "pets"))
    with Project(root) as project:
        truth = truth_of(project)
        chosen = sorted(truth)
        ann, ben = Person(project, truth), Person(project, truth, "ben")
        ann.decide(chosen[:8], seconds=2.0, queue="random", mode="blind")
        ben.decide(chosen[:7], seconds=3.0, shown=("cat",), shown_score=0.9, mode="one")
        ben.decide(chosen[7:8], lambda _: ("bird",), seconds=3.0)
    run(root, "balance")
    run(root, "balance", "--seed", "1")
    run(root, "annotations", "export", str(root / "all.jsonl"))
    return root


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        ("fetch, import, status", ["status"]),
        ("plan", ["plan", "--budget", "1TB"]),
        ("verify", ["verify"]),
        ("balance", ["balance", "--seed", "1"]),
        ("dedupe", ["dedupe"]),
        ("init", ["init", "--dry-run"]),
        ("classes list", ["classes", "list"]),
        ("classes rename, classes map", ["classes", "rename", "cat", "kitten", "--dry-run"]),
        ("annotations export", ["annotations", "export", "{folder}/again.jsonl"]),
        ("annotations import", ["annotations", "import", "{folder}/all.jsonl"]),
        ("annotations agreement", ["annotations", "agreement", "--consensus", "majority"]),
        ("annotations conflicts", ["annotations", "conflicts"]),
        ("annotations pace", ["annotations", "pace"]),
        ("label", ["label", "--import-only"]),
        ("label", ["label", "--prepare-only", "--batch", "2"]),
        ("label --dry-run", ["label", "--dry-run"]),
        ("queue", ["queue", "random", "--n", "3"]),
        ("manifest list", ["manifest", "list"]),
        ("manifest diff", ["manifest", "diff"]),
        ("manifest verify", ["manifest", "verify"]),
        ("export", ["export", "csv", "--out", "{folder}/csv"]),
        ("report", ["report", "--out", "{folder}/report.html", "--dry-run"]),
    ],
)
def test_a_document_has_the_documented_shape(heading: str, words: list[str], folder: Path) -> None:
    # A difference of manifests ends with 5, and the exit code is not the question here.
    printed = run(folder, *(each.format(folder=folder) for each in words), codes=(0, 5))
    if words == ["status"]:
        assert_like({"pays": printed.pop("pays")}, documented(heading, 2))
    assert_like(printed, documented(heading))


def test_what_an_import_adds_has_the_documented_shape(folder: Path, tmp_path: Path) -> None:
    printed = run(tmp_path, "import", str(folder / "pets"))
    assert_like({"import": printed["import"]}, documented("fetch, import, status", 1))
    assert printed["run"].keys() == {"tried", "stored", "duplicate", "failed"}
    tried = run(tmp_path, "import", str(folder / "pets"), "--dry-run")
    assert tried.keys() == {"would_import", "images", "left_out"}


def test_a_class_list_that_is_set_has_the_documented_shape(tmp_path: Path) -> None:
    assert_like(run(tmp_path, "classes", "set", "cat", "dog"), documented("classes set"))
    run(tmp_path, "classes", "rename", "cat", "kitten")
    undone = run(tmp_path, "classes", "rename", "cat", "kitten", "--undo")
    assert undone == {"undone": {"cat": "kitten"}, "classes": ["cat", "dog"]}


def test_the_lines_of_an_export_have_the_documented_keys(folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / "all.jsonl").read_text().splitlines()]
    shown = documented("annotations export", 1)
    for line in lines:
        assert_like(line, shown)
    assert {"shown", "shown_score", "seconds"} <= {key for line in lines for key in line}


def test_a_shown_manifest_is_its_summary_and_its_file(folder: Path) -> None:
    printed = run(folder, "manifest", "show")
    own = json.loads((folder / printed["path"] / "manifest.json").read_text())
    [summary, *_] = documented("manifest list")["manifests"]
    assert printed.keys() == own.keys() | summary.keys()


def test_an_image_that_is_brought_back_is_named_as_documented(folder: Path) -> None:
    with Project(folder) as project:
        image_id = next(images.kept(project.db))[0].image_id
    assert_like(run(folder, "include", image_id), documented("include"))


@pytest.mark.slow
def test_what_models_say_has_the_documented_shape(folder: Path) -> None:
    write_backbone(folder / "backbone.onnx")
    model = str(folder / "models" / "head.onnx")
    trained = run(folder, "train", "--backbone", str(folder / "backbone.onnx"), "--trust", "source")
    assert_like(trained, documented("train"))
    assert_like(run(folder, "prelabel", "--model", model), documented("prelabel"))
    with Project(folder) as project:
        # Somebody to whom everything is a cat: the model must be wrong somewhere.
        chosen = sorted(truth_of(project))[8:]
        Person(project, dict.fromkeys(chosen, ("cat",)), "cy").decide(chosen)
    evaluated = run(
        folder, "evaluate", "--manifest", "v0002", "--trust", "source", "--page", f"{folder}/x.html"
    )
    assert_like(evaluated, documented("evaluate"))


def test_downloads_of_gbif_have_the_documented_shape(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = table("core", f"{DWC}Occurrence", "o.txt", ("species",))
    media = table("extension", MULTIMEDIA, "m.txt", ("type", "identifier"))
    texts = {"o.txt": "id\tspecies\n", "m.txt": "id\ttype\tidentifier\n"}
    archive = zipped(tmp_path / "made.zip", {"meta.xml": meta(core, media), **texts}).read_bytes()
    service = recorded(shared, archive)
    service.bodies[:] = service.bodies[-1:]
    with serving(service):
        monkeypatch.setenv("CURATE_GBIF_URL", service.url)
        monkeypatch.setenv("CURATE_FETCH_ALLOW_HOSTS", "127.0.0.1")
        monkeypatch.setenv("GBIF_USER", "naturalist")
        monkeypatch.setenv("GBIF_PASSWORD", "secret")
        asked = run(tmp_path, "gbif", "request", "--param", "country=DK")
        assert_like(asked, documented("gbif request"))
        assert_like(run(tmp_path, "gbif", "status"), documented("gbif status"))
        got = run(tmp_path, "gbif", "download", asked["key"])
        assert_like(got, documented("gbif download"))
        tried = run(tmp_path, "gbif", "request", "--param", "country=DK", "--dry-run")
        assert tried.keys() == {"would_request", "format"}


def test_an_error_has_the_documented_keys(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["-C", str(tmp_path), "balance", "--json"])
    assert done.exit_code == 1
    [*_, last] = done.stderr.splitlines()
    assert_like(json.loads(last), documented("Errors"))


def test_every_command_is_told_of() -> None:
    page = PAGE.read_text(encoding="utf-8").partition("## Keys of")[2]
    headings = re.findall(r"^### (.+)$", page, re.MULTILINE)
    told = {name for each in headings for name in each.split(", ")}
    assert [name for name in generator().commands() if name not in told] == []


def run(folder: Path, *words: str, codes: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """Run a command in a project and return its document."""
    done = CliRunner().invoke(app, ["-C", str(folder), *words, "--json"])
    assert done.exit_code in codes, done.output
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def documented(heading: str, which: int = 0) -> dict[str, Any]:
    """Return an example below a heading of the page."""
    section = PAGE.read_text(encoding="utf-8").partition(f"### {heading}\n")[2]
    examples = re.findall(r"```json\n(.*?)```", section.partition("\n### ")[0], re.DOTALL)
    document: dict[str, Any] = json.loads(examples[which])
    return document


def assert_like(printed: Any, shown: Any, at: str = "") -> None:
    """Fail where a printed value is of another shape than the one shown.

    Null is like anything, an empty list or object of data like any other; of several entries
    of one kind, all are compared with the first one shown.
    """
    if printed is None or shown is None:
        return
    kinds = {bool: "truth", int: "number", float: "number", str: "text", list: "list", dict: "keys"}
    assert kinds[type(printed)] == kinds[type(shown)], f"{at}: {printed!r}, but {shown!r} is shown"
    if isinstance(shown, list):
        if shown and isinstance(shown[0], dict):
            for each in printed:
                assert_like(each, shown[0], f"{at}[]")
    elif isinstance(shown, dict) and at.rpartition(".")[2] in KEYED_BY_DATA:
        for each in printed.values() if shown else ():
            assert_like(each, next(iter(shown.values())), f"{at}[…]")
    elif isinstance(shown, dict):
        differ = (printed.keys() ^ shown.keys()) - OPTIONAL
        assert not differ, f"{at or 'document'}: {sorted(differ)}"
        for key in printed.keys() & shown.keys():
            assert_like(printed[key], shown[key], f"{at}.{key}")
