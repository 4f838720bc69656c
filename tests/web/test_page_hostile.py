"""Names and texts from outside that want to be a script, in a real browser: none ever is.

They come in by every door there is: fields of candidates, names of files and folders, files
of Labelme, archives of GBIF and its API; and everything that shows them is looked at, the
audit page and the pages that commands write.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from curate.catalog.images import kept
from curate.catalog.queues import Queued, write_queue
from curate.cli.main import app
from curate.project import Project
from curate.records import Annotation, Kind
from tests.assist.made import classifier, saved
from tests.fakes.bodies import encoded
from tests.fakes.misbehaving import Misbehaving
from tests.fetch.command import curate, environment, start
from tests.label.labelme_world import folders
from tests.sources.archives import DWC, MULTIMEDIA, meta, table, zipped
from tests.sources.gbif_world import World as Gbif
from tests.web.payloads import FILE_NAMES, SOME, TEXTS, check, watch
from tests.web.user import User, user
from tests.web.world import World, inside, make_world, picture, propose

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.slow, pytest.mark.full]


def look_at_everything(world: World, browser: Browser, texts: Sequence[str]) -> None:
    """Go through the audit page and all that it shows; make sure that all texts were seen."""
    with inside(world, texts[0], "ben") as server, user(browser) as person:
        asked = watch(person)
        person.open(server.link)
        assert person.words("who") == texts[0]
        person.page.locator("#filter-size").select_option("40")
        person.page.locator("#filter-state").select_option("all")
        person.wait("() => document.getElementById('heading-words').textContent.includes('in all')")
        seen = words_of_all_images(person, len(world.truth))
        seen += person.words("classes")
        for _ in range(2):
            person.press("/")
            person.page.keyboard.type("<")
            person.wait("() => document.querySelectorAll('#palette-list li').length > 0")
            person.press("Enter")
        person.press("?", "Escape")
        person.page.locator("#filter-state").select_option("open")
        person.page.locator("#filter-queue").select_option(index=1)
        person.wait("() => document.getElementById('heading').textContent.startsWith('Queue')")
        person.press("Shift+Enter")
        person.wait_saved()
        check(person, asked, f"http://127.0.0.1:{server.port}/")
    assert [text for text in texts if text not in seen] == []
    assert any(each.annotator == texts[0] for each in world.ledger())


def words_of_all_images(person: User, n: int) -> str:
    """Look at each of n images large, page by page; return all that was there to be read."""
    seen = ""
    while tiles := person.shown():
        person.press("Home", "v")
        for tile in tiles:
            person.wait(
                "(id) => [...document.querySelectorAll('.facts dd')].some("
                "(each) => each.textContent === id)",
                tile["id"][:12],
            )
            seen += tile["label"] + person.words("zoom")
            person.press("ArrowRight")
        person.press("v")
        n -= len(tiles)
        if n <= 0:
            break
        person.press(".")
        person.wait_turned(tiles[0]["id"])
    return seen


def look_at_pages(folder: Path, browser: Browser, *, copies: bool = False) -> None:
    """Look at the pages that commands write, as a browser does that opens a file."""
    graded, report, side_by_side = (
        folder.parent / f"{name}.html" for name in ("graded", "report", "copies")
    )
    for words in (
        *((("dedupe", "--page", side_by_side),) if copies else ()),
        ("balance",),
        ("evaluate", "--page", graded),
        ("report", "--out", report),
    ):
        said = CliRunner().invoke(app, [str(word) for word in (*words, "-C", folder)])
        assert said.exit_code == 0, said.output
    for page in (graded, report, *((side_by_side,) if copies else ())):
        with user(browser) as person:
            asked = watch(person)
            person.page.goto(page.as_uri())
            is_shown = "alert" in person.page.evaluate("document.documentElement.outerHTML")
            assert is_shown, f"{page.name} shows none of the names"
            check(person, asked, page.as_uri())


def imported(folder: Path) -> World:
    """A project as the tests of the page know one: what its source says is the truth."""
    with Project(folder) as project:
        pages = list(kept(project.db))
    return World(folder, {each.image_id: each.classes[0] for page in pages for each in page})


def worse(jpeg: bytes) -> bytes:
    """The same picture in other bytes."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(jpeg)) as image:
        image.save(out, "JPEG", quality=50)
    return out.getvalue()


def decide(world: World, people: Sequence[str]) -> None:
    """Let a model propose, and people say what images show, each a part of them."""
    db = world.db()
    propose(db, world.truth, sorted(set(world.truth.values())), 0.5)
    db.execute("UPDATE models SET name = ?", (people[0],))
    write_queue(db, people[0], [Queued(each, (people[0],)) for each in world.ids])
    db.close()
    with Project(world.folder) as project, project.people.ledger() as ledger:
        ledger.add(
            [
                Annotation(str(n), Kind.LABEL, people[n % len(people)], 1.0, image_id, (name,))
                for n, (image_id, name) in enumerate(world.truth.items())
                if n % 3
            ]
        )


def test_no_text_of_any_field_becomes_a_script(browser: Browser, tmp_path: Path) -> None:
    fields = ("author", "license", "attribution", "page_url", "rights_holder", "query")
    world = make_world(
        tmp_path / FILE_NAMES[2],
        len(TEXTS),
        names=TEXTS,
        details=lambda n: {**dict.fromkeys(fields, TEXTS[n]), "meta": {TEXTS[n]: TEXTS[n]}},
    )
    db = world.db()
    for each, text in zip(world.ids, TEXTS, strict=True):
        write_queue(db, text, [Queued(each, suggested=(text,))])
    db.close()
    decide(world, TEXTS[1:])
    look_at_everything(world, browser, TEXTS)
    look_at_pages(world.folder, browser)


def test_no_name_of_a_file_or_folder_becomes_a_script(browser: Browser, tmp_path: Path) -> None:
    root, project = tmp_path / "photos", tmp_path / FILE_NAMES[2]
    for number, name in enumerate(FILE_NAMES):
        folder = root / FILE_NAMES[number % 20]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.jpg").write_bytes(picture(number))
        if number < 10:
            (folder / f"{name} again.jpg").write_bytes(worse(picture(number)))
    said = curate("import", root, "-C", project, "--json")
    assert said.code == 0, said.err
    world = imported(project)
    assert len(world.truth) == len(FILE_NAMES) + 10
    assert set(world.truth.values()) == set(FILE_NAMES[:20])
    decide(world, ["ann"])
    look_at_everything(world, browser, FILE_NAMES)
    look_at_pages(project, browser, copies=True)


def test_no_flag_of_labelmes_becomes_a_script(browser: Browser, tmp_path: Path) -> None:
    root, project = tmp_path / "photos", tmp_path / FILE_NAMES[2]
    root.mkdir()
    for number, (name, flag) in enumerate(zip(FILE_NAMES, SOME, strict=True)):
        (root / f"{name}.jpg").write_bytes(picture(number))
        document = {"version": SOME[0], "flags": {SOME[1]: False, flag: True}, "shapes": [],
                    "imagePath": f"{name}.jpg", "imageData": None}  # fmt: skip
        (root / f"{name}.json").write_text(json.dumps(document))
    assert curate("import", root, "--format", "folder", "-C", project).code == 0
    assert curate("classes", "set", *SOME[:10], "-C", project).code == 0
    options = ("--import-only", "--folder", root, "--annotator", SOME[2], "--json")
    taken = curate("label", *options, "-C", project)
    assert taken.code == 0, taken.document["faults"]
    assert taken.document["labels"] == len(SOME)
    shown = curate("label", "--prepare-only", "--overlap", 2, "--annotator", "ann", "-C", project)
    assert shown.code == 0, shown.err
    assert (folders(project)[0] / "flags.txt").read_text().splitlines()[1:] == list(SOME[:10])
    world = World(project, {str(each.image_id): (each.classes or ("",))[0]
                            for each in World(project, {}).ledger()})  # fmt: skip
    db = world.db()
    write_queue(db, SOME[3], [Queued(each) for each in world.ids])
    db.close()
    look_at_everything(world, browser, SOME)


class Occurrences(BaseHTTPRequestHandler):
    """GBIF's search, on loopback."""

    world: Gbif

    def do_GET(self) -> None:
        status, headers, body = self.world.reply(SimpleNamespace(url=self.path))
        data = body.encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def gbif(world: Gbif) -> Iterator[str]:
    handler = type("Answers", (Occurrences,), {"world": world})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


SAID = ("license", "rightsHolder", "creator", "references", "publisher")
"""What GBIF says of a medium in free words."""
NAMES = ("scientificName", "species", "genus", "family", "country", "recordedBy", "taxonRank")
"""And of an occurrence."""


def test_no_name_of_an_archive_becomes_a_script(browser: Browser, tmp_path: Path) -> None:
    project = tmp_path / FILE_NAMES[2]
    core = table("core", f"{DWC}Occurrence", "o.txt", NAMES)
    extension = table("extension", MULTIMEDIA, "m.txt", ("type", "identifier", *SAID))
    with Misbehaving(files={"copy": worse(encoded(0))}) as server:
        urls = [server.url("ok", seed=n) for n in range(len(SOME) - 1)]
        urls.append(server.url("ok", body="copy"))
        rows = [[str(n), *[text] * len(NAMES)] for n, text in enumerate(SOME)]
        media = [
            [str(n), "StillImage", url, *[text] * len(SAID)]
            for n, (url, text) in enumerate(zip(urls, SOME, strict=True))
        ]
        archive = zipped(
            tmp_path / f"{FILE_NAMES[1]}.zip",
            {
                "meta.xml": meta(core, extension),
                "o.txt": "\n".join(map("\t".join, [["id", *NAMES], *rows])),
                "m.txt": "\n".join(map("\t".join, [["id", "type", "identifier", *SAID], *media])),
            },
        )
        words = ("--archive", archive, "--class-by", "scientificName")
        words = ("fetch", *words, "--side", "original", "--allow-host", "127.0.0.1")
        said = curate(*words, "-C", project, "--json")
    assert said.code == 0, said.err
    world = imported(project)
    assert set(world.truth.values()) == set(SOME)
    decide(world, SOME)
    look_at_everything(world, browser, SOME)
    look_at_pages(project, browser, copies=True)


def test_no_name_that_gbif_says_becomes_a_script(browser: Browser, tmp_path: Path) -> None:
    project = tmp_path / FILE_NAMES[2]
    with Misbehaving() as server:
        rows = [
            {
                "key": n,
                **dict.fromkeys(NAMES, text),
                "media": [
                    {
                        "type": "StillImage",
                        "identifier": server.url("ok", seed=n),
                        **dict.fromkeys(SAID, text),
                    }
                ],
            }
            for n, text in enumerate(SOME)
        ]
        with gbif(Gbif(rows)) as url:
            words = ("fetch", "--source", "gbif", "--class-by", "scientificName")
            options = ("--side", "original", "--allow-host", "127.0.0.1", "--json")
            said = curate(*words, *options, "-C", project, env=environment(gbif_url=url))
    assert said.code == 0, said.err
    world = imported(project)
    assert set(world.truth.values()) == set(SOME)
    decide(world, SOME)
    look_at_everything(world, browser, SOME)
    look_at_pages(project, browser)


def test_no_class_of_a_model_that_is_served_becomes_a_script(
    browser: Browser, tmp_path: Path
) -> None:
    names = TEXTS[:20:2]  # the page shows the ten best
    notes = {"curate.classes": json.dumps(names), "curate.exclusive": "true"}
    made = classifier(notes=notes, weights=np.linspace(0, 1, 30).reshape(3, 10))
    model, photo = tmp_path / f"{FILE_NAMES[1]}.onnx", tmp_path / f"{FILE_NAMES[2]}.jpg"
    photo.write_bytes(picture(0))
    words = ("serve", "--model", saved(made, model), "--port", 0, "--preset", "unit")
    process = start(*words)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        with user(browser) as person:
            asked = watch(person)
            person.page.goto(url)
            person.wait("() => document.getElementById('model').textContent.length > 3")
            person.page.locator("#file").set_input_files(photo)
            person.wait("() => document.querySelectorAll('#scores th').length === 10")
            shown = set(person.page.locator("#scores th").all_text_contents())
            assert shown == set(names)
            assert FILE_NAMES[1] in person.words("model")
            check(person, [each for each in asked if not each.startswith("blob:")], url)
    finally:
        process.terminate()
        process.communicate()
