"""A host's stand-in is set aside, what it replaced is made up for, and legitimate copies stay."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from curate.carriers.duplicates import Duplicates
from curate.catalog import placeholders
from curate.catalog.counts import class_count, counts
from curate.catalog.searches import add_page, open_search, set_quota
from curate.config import Settings
from curate.fetch.placeholder import DOUBTFUL, Sighting, stand_in
from curate.records import Candidate, Reason
from tests.fetch.runs import QUICK, Folder
from tests.sources.made import picture


def sightings(n: int, **same: str) -> list[Sighting]:
    """`n` candidates of one host, each with its own URL, page and author unless given."""
    return [
        Sighting(
            same.get("url", "https://a.org/{}.jpg").format(i),
            same.get("page", "page {}").format(i),
            same.get("author", "author {}").format(i) or None,
        )
        for i in range(n)
    ]


@pytest.mark.parametrize(
    ("some", "host"),
    [
        (sightings(10), "a.org"),
        (sightings(9), None),
        (sightings(10, author=""), "a.org"),
        (sightings(40, url="https://a.org/same.jpg"), None),
        (sightings(40, page="one page"), None),
        (sightings(10, author="one person"), None),
        (sightings(10 * DOUBTFUL, author="one person"), "a.org"),
        (sightings(10, url="https://a.org/photo?ixid={}"), None),
        (sightings(10 * DOUBTFUL, url="https://a.org/get.php?id={}"), "a.org"),
        (sightings(40, url="https://{}.org/gone.jpg"), None),
        (sightings(40, url="file:///tmp/{}.jpg"), None),
        ([*sightings(9), *sightings(9, url="https://b.org/{}.jpg")], None),
    ],
)
def test_many_urls_of_one_host_on_different_pages_by_several_people(
    some: Sequence[Sighting], host: str | None
) -> None:
    assert stand_in(some, 10) == host
    assert stand_in(some, 0) is None


class Handler(BaseHTTPRequestHandler):
    """`/gone/…` answers the same stand-in; `/NUMBER.jpg` a picture of its own."""

    def do_GET(self) -> None:
        number = 0 if "/gone/" in self.path else int(self.path.strip("/").partition(".")[0])
        data = picture(number)
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def host() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def fill(folder: Folder, host: str, n_gone: int, n_good: int) -> None:
    """Candidates of one class whose first `n_gone` are stand-ins."""
    search = open_search(folder.db, "urls", "{}", "", 0.0)
    urls = [f"{host}/gone/{i}.jpg" for i in range(n_gone)]
    urls += [f"{host}/{i}.jpg" for i in range(1, n_good + 1)]
    rows = [Candidate("urls", url, url, ("beach",), author=f"person {url}") for url in urls]
    add_page(folder.db, search.id, rows, None)


def test_a_quota_is_filled_although_stand_ins_came_first(tmp_path: Path, host: str) -> None:
    folder = Folder(tmp_path, QUICK, placeholder_urls=5)
    fill(folder, host, 8, 20)
    set_quota(folder.db, 6, ["beach"])
    folder.fetch()
    beach = class_count(folder.db, "beach")
    now = counts(folder.db)
    folder.close()
    assert beach is not None
    assert beach.images == 6
    assert (now.kept, now.excluded) == (6, {"placeholder": 1})
    assert now.failed == {"placeholder": 8}
    assert now.stored == 6


def test_a_stand_in_is_known_at_the_next_run_and_after_a_lower_threshold(
    tmp_path: Path, host: str
) -> None:
    folder = Folder(tmp_path, QUICK, placeholder_urls=0)
    fill(folder, host, 6, 2)
    folder.fetch()
    assert counts(folder.db).failed == {}
    folder.close()
    folder = Folder(tmp_path, QUICK, placeholder_urls=5)
    more = [f"{host}/gone/more/{i}.jpg" for i in range(3)]
    folder.add(more, ("beach",))
    folder.fetch()
    now, rows = counts(folder.db), folder.rows()
    folder.close()
    assert now.failed == {"placeholder": 9}
    assert rows[more[0]].detail == "the same bytes as a host's stand-in"
    assert (now.kept, now.stored, now.duplicate) == (2, 2, 0)


def test_one_that_was_brought_back_stays(tmp_path: Path, host: str) -> None:
    folder = Folder(tmp_path, QUICK, placeholder_urls=5)
    fill(folder, host, 6, 2)
    folder.fetch()
    (image_id,) = folder.db.one("SELECT image_id FROM images WHERE excluded = 'placeholder'")
    before = class_count(folder.db, "beach")
    back = Duplicates(folder.db, Settings(), lambda: 1.0).include(image_id)
    after = class_count(folder.db, "beach")
    folder.add([f"{host}/gone/again.jpg"], ("beach",))
    folder.fetch()
    now = counts(folder.db)
    folder.close()
    assert back == (image_id, "placeholder")
    assert before is not None
    assert after is not None
    assert (before.images, after.images) == (2, 3)
    assert (now.failed, now.excluded, now.kept) == ({}, {}, 3)
    assert (now.stored, now.duplicate) == (3, 6)


def test_stand_ins_can_be_tried_again(tmp_path: Path, host: str) -> None:
    from curate.catalog.candidates import requeue

    folder = Folder(tmp_path, QUICK, placeholder_urls=5)
    fill(folder, host, 6, 0)
    folder.fetch()
    assert requeue(folder.db, [Reason.PLACEHOLDER]) == 6
    folder.fetch()
    now = counts(folder.db)
    assert placeholders.repeated(folder.db, 2) == []
    folder.close()
    assert (now.failed, now.kept) == ({"placeholder": 6}, 0)
