"""Repair: nothing is deleted before what replaces it is there."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from curate.catalog import candidates, images
from curate.engine.local import LocalEngine
from curate.fetch import integrity
from curate.fetch.integrity import Fault, check_store, repair_store
from tests.fakes.misbehaving import Misbehaving
from tests.fetch.runs import Folder


@pytest.fixture(scope="module")
def server() -> Iterator[Misbehaving]:
    with Misbehaving() as running:
        yield running


class Made:
    """Four images of a server, each with its file."""

    def __init__(self, folder: Path, server: Misbehaving) -> None:
        self.folder = Folder(folder)
        self.urls = [server.url("ok", folder.name, seed=seed) for seed in range(4)]
        self.folder.add(self.urls)
        self.folder.fetch()
        self.ids = [str(row.image_id) for row in self.folder.rows().values()]
        self.paths = [self.folder.store.path(each, "jpeg") for each in self.ids]

    def check(self) -> integrity.Integrity:
        return check_store(self.folder.db, self.folder.store, LocalEngine(1))

    def repair(self, found: integrity.Integrity) -> tuple[int, list[Fault]]:
        fetch = partial(self.folder.fetch, only=candidates.CHOSEN)
        return repair_store(self.folder.db, self.folder.store, found, fetch)

    def kill_source(self, number: int) -> None:
        self.folder.db.execute(
            "UPDATE candidates SET url = 'http://127.0.0.1:1/gone' WHERE url = ?",
            (self.urls[number],),
        )


@pytest.fixture
def made(tmp_path: Path, server: Misbehaving) -> Iterator[Made]:
    made = Made(tmp_path, server)
    assert all(path.is_file() for path in made.paths)
    yield made
    made.folder.close()


def files(made: Made) -> set[Path]:
    return {path for path in made.folder.store.root.glob("??/*") if path.is_file()}


def test_a_damaged_file_whose_source_is_gone_stays_and_stays_a_fault(made: Made) -> None:
    made.paths[0].write_bytes(b"damaged")
    made.kill_source(0)
    before = made.folder.db.all("SELECT * FROM images ORDER BY image_id")
    found = made.check()
    n_repaired, [left] = made.repair(found)
    assert n_repaired == 0
    assert (left.kind, left.image_id) == ("size", made.ids[0])
    assert "connect" in left.detail
    assert made.paths[0].read_bytes() == b"damaged"
    assert made.folder.db.all("SELECT * FROM images ORDER BY image_id") == before
    assert made.check() == found


def test_a_damaged_file_goes_once_its_image_is_back(made: Made) -> None:
    expected, whole = files(made), made.paths[1].read_bytes()
    made.paths[1].write_bytes(b"damaged")
    assert made.repair(made.check()) == (1, [])
    assert files(made) == expected
    assert made.paths[1].read_bytes() == whole


def test_a_repair_that_is_interrupted_puts_everything_back(made: Made) -> None:
    made.paths[0].write_bytes(b"damaged")
    found = made.check()

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        repair_store(made.folder.db, made.folder.store, found, interrupted)
    assert made.paths[0].read_bytes() == b"damaged"
    assert made.check() == found


def test_damaged_bytes_are_kept_when_their_source_sends_other_ones(
    made: Made, server: Misbehaving
) -> None:
    made.paths[0].write_bytes(b"damaged")
    other = server.url("ok", "other", seed=99)
    made.folder.db.execute("UPDATE candidates SET url = ? WHERE url = ?", (other, made.urls[0]))
    n_repaired, [left] = made.repair(made.check())
    assert (n_repaired, left.kind) == (0, "lost")
    aside = made.paths[0].with_name(f"{made.paths[0].name}.damaged")
    assert aside.name in left.detail
    assert aside.read_bytes() == b"damaged"
    assert made.check().faults == ()


def test_what_cannot_be_read_is_left_alone(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken_disk(path: Path) -> str:
        if path == made.paths[2]:
            raise OSError(5, "Input/output error")
        return path.stem

    monkeypatch.setattr(integrity, "sha256_file", broken_disk)
    batch = [file for page in images.stored_files(made.folder.db) for file in page]
    faults = integrity._check_files(str(made.folder.store.root), batch)
    assert [(fault.kind, fault.image_id) for fault in faults] == [("unreadable", made.ids[2])]
    before = files(made)
    rows = made.folder.rows()
    assert made.repair(integrity.Integrity(4, tuple(faults), ())) == (0, faults)
    assert files(made) == before
    assert made.folder.rows() == rows
