"""JPEGs that have lost pixels, and are taken all the same: never because of the way they came."""

from __future__ import annotations

import io
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curate.fetch.verify import Limits, verify
from curate.records import DAMAGED, Reason, Refused
from tests.fetch.command import curate, image_files
from tests.fetch.runs import Folder


def photo(seed: int) -> tuple[bytes, bytes]:
    """A whole JPEG, and the same with a hole in it."""
    stream = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (200, 300)).astype(np.uint8)
    Image.fromarray(noise).save(stream, "JPEG", restart_marker_blocks=5)
    whole = stream.getvalue()
    middle = len(whole) // 2
    damaged = whole[:middle] + whole[middle + 1000 :]
    assert isinstance(verify(damaged), Refused)
    return whole, damaged


@contextmanager
def serving(bodies: dict[str, list[bytes]]) -> Iterator[tuple[str, Counter[str]]]:
    """Serve each path's bodies one after the other, the last one again and again."""
    asked: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = bodies[self.path]
            body = given[min(asked[self.path], len(given) - 1)]
            asked[self.path] += 1
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()


@pytest.mark.parametrize("keep_damaged", [False, True])
def test_damage_on_the_way_is_not_kept(tmp_path: Path, keep_damaged: bool) -> None:
    whole, damaged = photo(0)
    _other, hurt = photo(1)
    folder = Folder(tmp_path, keep_damaged=keep_damaged)
    with serving({"/way.jpg": [damaged, whole], "/file.jpg": [hurt]}) as (base, asked):
        folder.add([f"{base}/way.jpg", f"{base}/file.jpg"])
        folder.fetch()
    assert asked == {"/way.jpg": 2, "/file.jpg": 2}
    ends = ["stored", "stored" if keep_damaged else "corrupt"]
    assert list(folder.ends().values()) == ends
    notes = folder.db.all("SELECT COALESCE(note, '') FROM images ORDER BY first_id")
    assert [note.startswith(DAMAGED) for (note,) in notes] == [False, True][: len(notes)]
    folder.close()


def test_a_damaged_image_that_is_lost_is_fetched_again(tmp_path: Path) -> None:
    mine, project = tmp_path / "mine", tmp_path / "project"
    mine.mkdir()
    (mine / "hurt.jpg").write_bytes(photo(0)[1])
    assert curate("import", mine, "-C", project, "--keep-damaged").code == 0
    (kept,) = image_files(project)
    before = kept.read_bytes()
    kept.unlink()
    said = curate("verify", "--repair", "-C", project, "--json")
    assert said.code == 0, said.err
    assert kept.read_bytes() == before


def test_what_is_too_much_to_decode_stays_refused() -> None:
    stream = io.BytesIO()
    Image.new("L", (500, 500), 128).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    scan = data[data.rindex(b"\xff\xda") : -2]
    comments = b"\xff\xfe\0\2" * 10_001
    bomb = data[:2] + comments + data[2:-2] + scan * 600 + data[-2:]
    seen = verify(bomb, Limits(max_pixels=300_000, keep_damaged=True))
    assert isinstance(seen, Refused)
    assert seen.reason is Reason.CORRUPT
