"""Projects with small pictures and proposals, and servers of the audit page to look at them."""

from __future__ import annotations

import http.client
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from PIL import Image

from curate.catalog import searches
from curate.catalog.annotations import all_decisions, history
from curate.catalog.candidates import Outcome, record
from curate.catalog.database import Database
from curate.catalog.proposals import ModelRow, record_model, record_proposals
from curate.project import Project
from curate.records import Annotation, Candidate, Proposal
from curate.store import Store
from curate.web.desk import Options
from curate.web.run import audit_page
from tests.catalog.rows import image

NAMES = ("beach", "city", "sunset", "trees")
MODEL = "a" * 64
STARTED_S = 30.0


@dataclass(frozen=True)
class World:
    """A project, and the truth about it."""

    folder: Path
    truth: Mapping[str, str]

    @property
    def ids(self) -> list[str]:
        return sorted(self.truth)

    def db(self) -> Database:
        return Database(self.folder / "catalog.db")

    def decisions(self) -> dict[tuple[str, str], Annotation]:
        """What is in force: image and annotator to annotation."""
        db = self.db()
        found = {
            (str(each.image_id), each.annotator): each
            for page in all_decisions(db)
            for _, each in page
        }
        db.close()
        return found

    def ledger(self) -> list[Annotation]:
        db = self.db()
        rows = [each for page in history(db) for _, each in page]
        db.close()
        return rows


def picture(number: int) -> bytes:
    """A small JPEG; another number is another picture."""
    rng = random.Random(number)
    small = Image.new("RGB", (4, 3))
    small.putdata([tuple(rng.randrange(256) for _ in range(3)) for _ in range(12)])
    out = io.BytesIO()
    small.resize((96, 72)).save(out, "JPEG", quality=70)
    return out.getvalue()


def make_world(
    folder: Path,
    n: int,
    *,
    names: Sequence[str] = NAMES,
    wrong: float = 0.1,
    exclusive: bool = False,
    proposals: bool = True,
    details: Callable[[int], Mapping[str, Any]] | None = None,
) -> World:
    """A project of `n` pictures with proposals, of which a share is wrong.

    `details` gives fields of the candidate of each number, e.g. its author.
    """
    folder.mkdir(parents=True)
    if exclusive:
        quoted = ", ".join(json.dumps(name) for name in names)
        (folder / "curate.toml").write_text(f"[classes]\nnames = [{quoted}]\nexclusive = true\n")
    store = Store(folder / "images")
    db = Database(folder / "catalog.db")
    search = searches.open_search(db, "urls", "{}", "", 0.0)
    truth: dict[str, str] = {}
    candidates, outcomes = [], []
    for number in range(n):
        data = picture(number)
        image_id = sha256(data).hexdigest()
        truth[image_id] = names[number % len(names)]
        path = store.path(image_id, "jpeg")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        values: dict[str, Any] = {
            "classes": (truth[image_id],),
            **(details(number) if details else {}),
        }
        url = f"https://example.org/{number}.jpg"
        candidates.append(Candidate("urls", str(number), url, **values))
        verified = image(number, image_id=image_id, n_bytes=len(data), width_px=96, height_px=72)
        outcomes.append(Outcome(number + 1, verified, http_status=200))
    searches.add_page(db, search.id, candidates, None)
    record(db, outcomes, 1.0)
    if proposals:
        propose(db, truth, names, wrong)
    db.close()
    return World(folder, truth)


def propose(
    db: Database, truth: Mapping[str, str], names: Sequence[str], wrong: float, at: float = 2.0
) -> None:
    """Let a model propose classes: wrong for a share of the images."""
    rng = random.Random(1)
    missed = set(rng.sample(sorted(truth), round(len(truth) * wrong)))
    record_model(db, ModelRow(MODEL, "scenes.onnx", tuple(names), True, {}, 1.0))
    rows = []
    for image_id, name in truth.items():
        said = rng.choice([each for each in names if each != name]) if image_id in missed else name
        score = rng.uniform(0.4, 0.9)
        rows.append(Proposal(image_id, MODEL, (said,), score, {said: score}, at))
    record_proposals(db, rows)


class Served:
    """`curate audit` as a process."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.folder = folder
        self.flags = flags
        self.links: dict[str, str] = {}
        self.port = 0
        self.start()

    def start(self) -> None:
        port = ["--port", str(self.port)] if self.port else []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "curate", "-C", str(self.folder), "audit", "--no-open",
             "--json", *self.flags, *port],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.communicate()[1])
        told = json.loads(line)
        self.links, self.port = told["links"], told["port"]

    def kill(self) -> None:
        """As a power cut would: nothing is finished."""
        self.process.kill()
        self.process.communicate()

    def interrupt(self) -> tuple[int, str]:
        """As Ctrl-C does; returns the exit code and what was said."""
        self.process.send_signal(signal.SIGINT)
        _, told = self.process.communicate(timeout=STARTED_S)
        return self.process.returncode, told

    @property
    def link(self) -> str:
        return next(iter(self.links.values()))


@contextmanager
def served(world: World, *flags: str) -> Iterator[Served]:
    server = Served(world.folder, *flags)
    try:
        yield server
    finally:
        server.kill()


@dataclass
class Inside:
    """The audit page in a thread of this process: quicker to start, but nothing to kill."""

    links: dict[str, str]
    port: int

    @property
    def link(self) -> str:
        return next(iter(self.links.values()))


@contextmanager
def inside(
    world: World, *annotators: str, queue: str = "", manifest: str = "", overlap: int = 0
) -> Iterator[Inside]:
    options = Options(manifest, queue, overlap)
    names = annotators or ("anna",)
    with audit_page(lambda: Project(world.folder), world.folder, names, options, 0) as page:
        thread = threading.Thread(target=page.serve)
        thread.start()
        try:
            yield Inside(page.links, page.port)
        finally:
            page.stop()
            thread.join()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Caller:
    """Speaks HTTP as exactly as a test wants it; holds a session's cookie."""

    port: int
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def through(cls, server: Served | Inside, annotator: str | None = None) -> Caller:
        """Come in through a link."""
        caller = cls(server.port)
        link = server.links[annotator] if annotator else server.link
        answer = caller.ask("GET", "/?" + link.partition("?")[2])
        assert answer.status == 303, answer.body
        caller.cookie = answer.headers["set-cookie"].partition(";")[0]
        return caller

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        **changes: str | None,
    ) -> Answer:
        """Send a request; header names are given with `_`, a value of None leaves one out."""
        headers: dict[str, str | None] = {
            "Host": f"127.0.0.1:{self.port}",
            "Cookie": self.cookie or None,
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
            headers["Origin"] = f"http://127.0.0.1:{self.port}"
            headers["Content-Length"] = str(len(body))
        headers |= {name.replace("_", "-").title(): value for name, value in changes.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status == 200, answer.body
        return answer.json

    def post(self, path: str, document: Any) -> Any:
        answer = self.ask("POST", path, json.dumps(document).encode())
        assert answer.status == 200, answer.body
        return answer.json


def decision(key: str, image_id: str, *classes: str, **changes: Any) -> dict[str, Any]:
    """A decision as the page sends it."""
    made = {"key": key.ljust(16, "-"), "kind": "label", "image_id": image_id,
            "classes": sorted(classes)}  # fmt: skip
    return {**made, **changes}


def sent(annotator: str, *decisions: dict[str, Any]) -> dict[str, Any]:
    return {"annotator": annotator, "decisions": list(decisions)}


def until(holds: Any, within_s: float = 20.0) -> None:
    """Wait for something to hold."""
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, "it did not come to hold"
        time.sleep(0.02)
