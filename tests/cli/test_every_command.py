"""Rules that hold for all commands, walked over the program itself.

A command that is new is under all of them; what is excepted stands in a table, with its reason.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from curate.cli.main import MODULES, app, program
from tests.docs.pages import generator
from tests.fetch.command import Said

KNOWN = generator().commands()
COMMANDS = {
    name: {spelling: flag for flag in flags for spelling in flag.names}
    for name, (_, flags) in KNOWN.items()
}
"""Every command by its whole name, with its flags."""

WRITES_NOTHING = {
    "annotations agreement": "it only reads",
    "annotations pace": "it only reads",
    "audit": "people decide on its page: there is nothing to try",
    "classes list": "it only reads",
    "doctor": "it only looks",
    "evaluate": "it writes the page that --page names, and nothing else",
    "gbif status": "it only asks, and notes the answer",
    "manifest diff": "it only reads",
    "manifest list": "it only reads",
    "manifest show": "it only reads",
    "manifest verify": "it only reads",
    "serve": "it keeps nothing of what it scores",
    "status": "it only reads",
}
"""Commands without --dry-run."""

CHANCE = {
    "balance": "draws images of large classes, and sides",
    "plan": "draws a sample of URLs",
    "queue": "draws images, and folds",
    "train": "draws folds",
}
"""Commands with --seed. Elsewhere only the waits between two tries of a URL are drawn, and the
intervals of `status`, always with the same seed."""

OTHER_WORDS = {
    "--annotator": "the page takes several people",
    "--backbone": "a queue can take that of the last training",
    "--class": "a dataset knows its classes, a search has its words",
    "--folder": "of images, or of Labelme's files",
    "--format": "of a dataset, or of a download",
    "--keep": "which image of a class, which copy, or which folder",
    "--limit": "of candidates, or of images",
    "--link": "an export is edited by others, an image of a project is not",
    "--manifest": "only its images, it as a whole, its next version, or all but its held-out rows",
    "--max-per-class": "`fetch` takes it for --per-class",
    "--min-per-class": "too few candidates, images, or labels",
    "--model": "of embeddings, of classes, or one that is known by its hash",
    "--negatives": "a share, or a folder",
    "--out": "each names its own default",
    "--overlap": "everybody sees all on the page, nobody in Labelme",
    "--page": "of copies, or of mistakes",
    "--port": "a project has a port of its own",
    "--queue": "where to begin, or where to stay",
    "--split": "one to measure on, or several to write",
    "--spread-by": "columns of a manifest, or of an archive",
    "--trust": "a model's own proposals are nothing to learn from",
    "--undo": "of a rename, or of near-duplicates",
}
"""Flags whose help is not the same wherever they stand, because they do not mean the same."""

OTHER_VALUES = {
    "--keep": "see above",
    "--model": "see above",
    "--negatives": "see above",
    "--out": "a file, or a folder",
}
"""Flags whose value is not called the same wherever they stand."""


def test_every_command_answers_in_json_and_names_its_project() -> None:
    for name, flags in COMMANDS.items():
        assert {"--json", "--quiet", "--verbose", "-C", "--project"} <= set(flags), name


def test_what_writes_can_be_tried_first() -> None:
    without = {name for name, flags in COMMANDS.items() if "--dry-run" not in flags}
    assert without == set(WRITES_NOTHING)


def test_where_chance_plays_there_is_a_seed() -> None:
    assert {name for name, flags in COMMANDS.items() if "--seed" in flags} == set(CHANCE)


def test_a_flag_says_the_same_wherever_it_stands() -> None:
    words, values = defaultdict(set), defaultdict(set)
    for flags in COMMANDS.values():
        for spelling, flag in flags.items():
            words[spelling].add(flag.text)
            values[spelling].add(flag.value)
    assert {each for each, texts in words.items() if len(texts) > 1} == set(OTHER_WORDS)
    assert {each for each, names in values.items() if len(names) > 1} == set(OTHER_VALUES)


def test_every_flag_is_explained_in_a_sentence() -> None:
    for name, flags in COMMANDS.items():
        for spelling, flag in flags.items():
            said = flag.text.partition(" [default")[0]
            assert said[:1].isupper() or said[:1] in "`-", (name, spelling, said)
            assert said.endswith("."), (name, spelling, said)


def test_the_list_of_commands_says_what_each_command_says_of_itself() -> None:
    listed = {name: text for commands in MODULES.values() for name, text in commands.items()}
    told = {name: text.partition("\n")[0] for name, (text, _) in KNOWN.items() if " " not in name}
    for group in app.registered_groups:
        told[str(group.name)] = str(group.typer_instance.info.help)
    assert listed == told


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_values_are_called_by_words(name: str) -> None:
    said = CliRunner().invoke(app, [*name.split(), "--help"]).stdout
    assert not re.search(r"<\w+", said), "types of Python are not words"


def test_no_summary_is_cut_off() -> None:
    for words in ([], *([group.name] for group in app.registered_groups)):
        listed = CliRunner().invoke(app, [*words, "--help"]).stdout.partition("Commands:")[2]
        assert listed
        assert "..." not in listed, words


@pytest.mark.parametrize("words", [["fetch"], ["-C", "status", "fetch"], ["manifest", "show"], []])
def test_only_what_is_called_is_there_but_all_is_listed(words: list[str]) -> None:
    some = CliRunner().invoke(program(words), ["--help"]).stdout.partition("Commands:")[2]
    every = CliRunner().invoke(app, ["--help"]).stdout.partition("Commands:")[2]
    assert sorted(some.splitlines()) == sorted(every.splitlines())
    if words:
        asked = [*words, "--help"]
        assert CliRunner().invoke(program(words), asked).stdout == (
            CliRunner().invoke(app, asked).stdout
        )


# A folder without a project

ARGUMENTS = {
    "annotations export": ("out.jsonl",),
    "annotations import": ("nowhere.jsonl",),
    "classes map": ("map.csv",),
    "classes rename": ("a", "b"),
    "classes set": ("a",),
    "dedupe": (),
    "export": ("csv",),
    "gbif download": ("KEY",),
    "import": ("photos",),
    "include": ("ab",),
    "prelabel": ("--model", "model.onnx"),
    "queue": ("random",),
    "serve": ("--model", "model.onnx"),
    "train": ("--backbone", "model.onnx"),
}
"""What a command must be given."""

NEEDS_NO_PROJECT = {
    "annotations import": "begins a project",
    "classes set": "begins a project",
    "demo": "begins one of its own",
    "doctor": "looks at the machine, too",
    "gbif download": "begins a project",
    "gbif request": "begins a project",
    "import": "begins a project",
    "init": "begins a project",
    "serve": "has to do with a model only",
}


def run(*arguments: object) -> Said:
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    return Said(done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which is no project, with a map of names in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "map.csv").write_text("a,b\n")
    return tmp_path


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - set(NEEDS_NO_PROJECT)))
def test_a_command_refuses_a_folder_without_a_project(name: str, here: Path) -> None:
    before = sorted(here.rglob("*"))
    words = [*name.split(), *ARGUMENTS.get(name, ()), "--json"]
    for folder, why in ((here, ""), (here / "mistyped", ", which does not exist")):
        said = run(*words, "-C", folder)
        assert (said.code, said.out) == (1, ""), said.err
        error = json.loads(said.err)["error"]
        assert error["kind"] == "no_project"
        assert error["message"] == f"there is no project in {folder.resolve()}{why}"
        assert "-C DIR" in error["hint"]
    if "--dry-run" in COMMANDS[name]:
        assert run(*words, "--dry-run").code == 1
    assert sorted(here.rglob("*")) == before


def test_what_was_begun_is_a_project_before_it_holds_an_image(here: Path) -> None:
    assert run("init", "-C", here / "one").code == 0
    assert run("classes", "set", "beach", "-C", here / "two").code == 0
    for folder in (here / "one", here / "two"):
        said = run("status", "-C", folder, "--json")
        assert said.code == 0, said.err
        assert said.document["candidates"]["total"] == 0
    assert "holds no images yet" in run("status", "-C", here / "one").err
    assert not (here / "one" / "catalog.db").exists()
    assert run("audit", "-C", here / "one", "--no-open").code == 1
    assert run("fetch", "-C", here / "one").code == 2


def test_a_manifest_that_is_named_by_its_folder_needs_no_project(here: Path) -> None:
    photos = here / "photos"
    for number in range(12):
        path = photos / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").rotate(number * 29).save(path)
    assert run("import", photos, "-C", here / "project").code == 0
    assert run("balance", "-C", here / "project").code == 0
    made = here / "project" / "manifests" / "v0001"
    for words in (
        ("manifest", "show", made),
        ("manifest", "verify", made),
        ("manifest", "diff", made, made),
        ("export", "csv", "--manifest", made, "--out", here / "out"),
    ):
        said = run(*words)
        assert said.code == 0, (words, said.err)
    (here / "project" / "catalog.db").unlink()
    listed = run("manifest", "list", "-C", here / "project", "--json")
    assert [each["manifest"] for each in listed.document["manifests"]] == ["v0001"]
    assert not (here / "project" / "catalog.db").exists()


# Trying writes nothing


def test_decisions_about_classes_and_copies_can_be_tried(here: Path) -> None:
    for number in range(2):
        Image.effect_noise((300, 300), 90).save(here / f"{number}.png")
    (here / "photos").mkdir()
    for number in range(2):
        (here / f"{number}.png").rename(here / "photos" / f"{number}.png")
    assert run("classes", "set", "cat", "dog", "-C", here / "new", "--dry-run").code == 0
    assert not (here / "new").exists()
    project = here / "project"
    assert run("import", "photos", "-C", project).code == 0

    def answer(*words: object) -> dict[str, object]:
        said = run(*words, "-C", project, "--json")
        assert said.code == 0, said.err
        document: dict[str, object] = said.document
        return document

    empty = answer("classes", "list")
    tried = answer("classes", "set", "cat", "dog", "--exclusive", "--dry-run")
    assert (tried["version"], tried["exclusive"]) == (1, True)
    assert answer("classes", "list") == empty
    assert answer("classes", "set", "cat", "dog", "--exclusive") == tried
    answer("classes", "rename", "cat", "lion")
    undone = answer("classes", "rename", "cat", "lion", "--undo", "--dry-run")
    assert undone["classes"] == ["lion", "dog"]
    assert run("classes", "rename", "x", "y", "--undo", "--dry-run", "-C", project).code == 2
    assert answer("classes", "list")["classes"] == ["lion", "dog"]
    ids = [path.stem for path in sorted((project / "images").rglob("*.png"))]
    assert answer("include", ids[0], "--dry-run") == {"image_id": ids[0], "was_excluded": None}
    assert answer("dedupe", "--not-same", *ids, "--dry-run") == {"not_same": ids}
    assert run("dedupe", "--not-same", ids[0], ids[0], "--dry-run", "-C", project).code == 2
    found = answer("annotations", "export", "out.jsonl", "--dry-run")
    assert found == {"annotations": 1, "path": "out.jsonl"}
    assert not (here / "out.jsonl").exists()
    planned = answer("demo", "--keep", here / "demo", "--dry-run")
    assert planned["project"] == str(here / "demo")
    assert not (here / "demo").exists()
