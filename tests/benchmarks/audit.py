"""The audit page of 100,000 images in a real browser: how long a person waits, and for what.

Each round starts `curate audit` as a user does, opens its link in a fresh Chromium, turns pages
and decides, by keys. Times are taken inside the page, from the key (or from the start of the
navigation) until what it is for is there to be seen, so that nothing of the program that drives
the browser counts. The images that are looked at are photos of 1,024 pixels, for which thumbnails
have to be made; the rest are the smallest JPEGs there are, and count in the catalog only.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from curate.catalog import searches
from curate.catalog.candidates import Outcome, record
from curate.catalog.database import NAME, Database
from curate.catalog.proposals import ModelRow, record_model, record_proposals
from curate.records import Candidate, Proposal
from curate.store import Store
from tests.benchmarks.render import encode, render
from tests.benchmarks.report import Options, setting, talk
from tests.benchmarks.runs import clean_env, script, table
from tests.catalog.rows import image
from tests.web.chromium import launched, program
from tests.web.world import picture

if TYPE_CHECKING:
    from playwright.sync_api import Page

FULL, QUICK = 100_000, 10_000
CLASSES: Final = 50
PHOTOS: Final = 400
"""Images that are looked at."""
PHOTO_PX: Final = (1024, 768)
SHEET_PX: Final = (2048, 1536)
"""Pictures that photos are cut from: drawing one costs more than all else here."""
PHOTOS_A_SHEET: Final = 20
TOGETHER: Final = 1000
"""Rows written at a time."""
PAGES: Final = 8
"""Pages turned in each round."""
MODEL: Final = "a" * 64
READ_WITHIN_S: Final = 60.0
HEAD: Final = ("what", "median", "worst")
# Both run in the page and return milliseconds. A page is there when it has other images than
# before, each with its picture if those count.
_SHOWN: Final = """(before) => [...document.querySelectorAll(".tile")].length === 20
    && document.querySelector(".tile").dataset.image !== before"""
_PICTURES: Final = f"""(before) => ({_SHOWN})(before)
    && document.querySelectorAll(".well img.there").length === 20"""
_SAVED: Final = """() => document.getElementById("saved").dataset.state === "saved"
    && document.querySelector(".tile[aria-selected=true][data-saved=true]") !== null
    && document.querySelector(".tile[aria-selected=true][data-standing=label]") !== null"""
_SINCE_START: Final = """(holds) => {
    window.since = new Promise((resolve) => {
        const since = {};
        const look = () => {
            for (const [what, when] of Object.entries(holds)) {
                if (!since[what] && when("")) since[what] = performance.now();
            }
            if (Object.keys(since).length < Object.keys(holds).length) requestAnimationFrame(look);
            else resolve(since);
        };
        look();
    });
}"""
_SINCE_KEY: Final = """(holds) => {
    const before = document.querySelector(".tile").dataset.image;
    window.since = new Promise((resolve) => {
        addEventListener("keydown", () => {
            const began = performance.now();
            const look = () => {
                if (holds(before)) resolve(performance.now() - began);
                else requestAnimationFrame(look);
            };
            look();
        }, { capture: true, once: true });
    });
}"""


@dataclass(frozen=True, slots=True)
class Round:
    """What one start of the page cost."""

    link_ms: float
    """From the start of the command to its link."""
    opened_ms: float
    """From opening the link, which a user does at once, to all tiles of the first page."""
    first_ms: float
    """The same once the server has read everything."""
    pictures_ms: float
    """And to all pictures, thumbnails made before."""
    next_ms: tuple[float, ...]
    """From the key to the next page with its pictures, page by page."""
    cold_ms: tuple[float, ...]
    """From another choice of what is shown to its first page, which nothing has loaded before."""
    saved_ms: tuple[float, ...]
    """From the key of a class to "All saved", the decision being on the disk."""
    peak_mib: float
    """Largest resident memory of the server."""


def photographs() -> Iterator[bytes]:
    """Yield JPEGs that cost a decoder what photos cost, each another one."""
    rng = np.random.default_rng(0)
    room = [sheet - photo for sheet, photo in zip(SHEET_PX, PHOTO_PX, strict=True)]
    while True:
        sheet = render(rng, SHEET_PX)
        for _ in range(PHOTOS_A_SHEET):
            left, top = (int(rng.integers(each)) for each in room)
            cut = sheet.crop((left, top, left + PHOTO_PX[0], top + PHOTO_PX[1]))
            yield encode(cut, 85, progressive=False)


def make_project(folder: Path, n: int) -> None:
    """Write a project of n images with proposals; the least certain are photos."""
    rng = random.Random(0)
    photos = photographs()
    names = tuple(f"class {number:02d}" for number in range(CLASSES))
    (folder / "curate.toml").write_text(f"[classes]\nnames = {json.dumps(names)}\n")
    store, db = Store(folder / "images"), Database(folder / NAME)
    search = searches.open_search(db, "urls", "{}", "", 0.0)
    record_model(db, ModelRow(MODEL, "model.onnx", names, True, {}, 1.0))
    for start in range(0, n, TOGETHER):
        candidates, outcomes, proposals = [], [], []
        for number in range(start, min(n, start + TOGETHER)):
            is_photo = number < PHOTOS
            data = next(photos) if is_photo else picture(number)
            image_id = sha256(data).hexdigest()
            path = store.path(image_id, "jpeg")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            name = names[0] if is_photo else names[number % CLASSES]
            score = rng.uniform(0.2, 0.3) if is_photo else rng.uniform(0.4, 0.99)
            url = f"https://example.org/{number}.jpg"
            candidates.append(Candidate("urls", str(number), url, classes=(name,)))
            verified = image(number, image_id=image_id, n_bytes=len(data))
            outcomes.append(Outcome(number + 1, verified, http_status=200))
            proposals.append(Proposal(image_id, MODEL, (name,), score, {name: score}, 2.0))
        searches.add_page(db, search.id, candidates, None)
        record(db, outcomes, 1.0)
        record_proposals(db, proposals)
    db.close()


@contextmanager
def audit(folder: Path, work: Path) -> Iterator[tuple[subprocess.Popen[str], str, float]]:
    """Run `curate audit`; give its process, its link, and the milliseconds until that came."""
    command = [script("curate"), "audit", "--no-open", "--json", "--port", "0", "-C", str(folder)]
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env=clean_env(work), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline() or "{}")
        link_ms = (time.perf_counter() - began) * 1000
        if not told:
            raise RuntimeError(process.communicate()[1])
        yield process, next(iter(told["links"].values())), link_ms
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=READ_WITHIN_S)


def since_start(page: Page, address: str) -> Mapping[str, float]:
    """Open an address; return the milliseconds until tiles and pictures were there."""
    page.goto(address)
    found: dict[str, float] = page.evaluate("window.since")
    return found


def since_key(page: Page, holds: str, *keys: str) -> float:
    """Press keys; return the milliseconds from the first until something holds."""
    page.evaluate(f"({_SINCE_KEY})({holds})")
    for key in keys:
        page.keyboard.press(key)
    return float(page.evaluate("window.since"))


def one_round(browser: Any, folder: Path, work: Path) -> Round:
    """Start the page, look at it, turn pages and decide."""
    with audit(folder, work) as (process, link, link_ms):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.add_init_script(f"({_SINCE_START})({{tiles: {_SHOWN}, pictures: {_PICTURES}}})")
        opened = since_start(page, link)
        first = since_start(page, page.url)
        following, cold, saved = [], [], []
        for _ in range(PAGES):
            page.wait_for_timeout(1500)  # somebody looks at it
            following.append(since_key(page, _PICTURES, "PageDown"))
        for order in ("best", "score", "worst"):
            page.wait_for_timeout(500)
            cold.append(chosen(page, "filter-sort", order))
        for number in range(PAGES):
            page.wait_for_timeout(300)
            page.keyboard.press("asdghjkl"[number])
            saved.append(
                since_key(page, _SAVED.replace(".tile[", ".tile[aria-selected=true]["), "2")
            )
        context.close()
        peak = peak_mib(process.pid)
    return Round(
        link_ms,
        opened["tiles"],
        first["tiles"],
        first["pictures"],
        tuple(following),
        tuple(cold),
        tuple(saved),
        peak,
    )


def chosen(page: Page, control: str, value: str) -> float:
    """Choose something at the side; return the milliseconds until its first page is there."""
    page.evaluate(
        f"""([control, value]) => {{
            const holds = {_SHOWN};
            const before = document.querySelector(".tile").dataset.image;
            const began = performance.now();
            const box = document.getElementById(control);
            box.value = value;
            box.dispatchEvent(new Event("change"));
            window.since = new Promise((resolve) => {{
                const look = () => (holds(before) ? resolve(performance.now() - began)
                    : requestAnimationFrame(look));
                look();
            }});
        }}""",
        [control, value],
    )
    return float(page.evaluate("window.since"))


def peak_mib(pid: int) -> float:
    """Return the largest resident memory that a process has had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def bench(options: Options) -> str:
    """Return the report in Markdown."""
    found = program()
    if found is None:
        return "There was no Chromium on this machine."
    n = QUICK if options.quick else FULL
    with tempfile.TemporaryDirectory(prefix="curate-bench-", dir=options.work) as parent:
        work = Path(parent)
        folder = work / "project"
        folder.mkdir()
        talk(f"audit: {n:,} images")
        make_project(folder, n)
        rounds = []
        with launched(found) as browser:
            version = browser.version
            for number in range(options.rounds):
                talk(f"audit: round {number + 1}")
                rounds.append(one_round(browser, folder, work))
    load = os.getloadavg()[1]
    return (
        f"{n:,} images in {CLASSES} classes, 20 a page; milliseconds, medians of "
        f"{options.rounds} starts. Chromium {version}, {setting('uvicorn')} "
        f"Load of the machine: {load:.1f}.\n\n{table(HEAD, rows_of(rounds))}"
    )


def rows_of(rounds: list[Round]) -> list[list[str]]:
    """The table: what was waited for, with the median and the worst of all rounds."""
    measured = {
        "`curate audit` until its link is printed": [each.link_ms for each in rounds],
        "first page, opened as soon as the link is there": [each.opened_ms for each in rounds],
        "first page, once all images are read": [each.first_ms for each in rounds],
        "the same with all its pictures": [each.pictures_ms for each in rounds],
        "next page with its pictures": [ms for each in rounds for ms in each.next_ms],
        "first page in another order": [ms for each in rounds for ms in each.cold_ms],
        "a decision on the disk": [ms for each in rounds for ms in each.saved_ms],
    }
    rows = [[what, f"{median(ms):.0f}", f"{max(ms):.0f}"] for what, ms in measured.items()]
    peaks = [each.peak_mib for each in rounds]
    return [*rows, ["memory of the server, MiB", f"{median(peaks):.0f}", f"{max(peaks):.0f}"]]
