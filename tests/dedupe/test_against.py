from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.catalog.database import Database
from curate.config import DedupeSettings
from curate.dedupe.against import Contamination, compare
from curate.engine.local import LocalEngine
from curate.errors import CurateError, SourceError
from curate.records import Reason, Refused, Verified
from tests.dedupe.rows import PLAIN, Image, add

BASE = 0xA5A5_F00F_3C3C_9669
SETTINGS = DedupeSettings()


class Inline:
    """An engine without processes."""

    def map(self, function: Callable, batches: Iterable) -> Iterator:  # type: ignore[type-arg]
        for batch in batches:
            yield batch, function(batch)


def describe(data: bytes) -> Verified | Refused:
    """Read the hashes out of a made-up file: `phash name`."""
    try:
        phash = int(data.split()[0], 16)
    except (ValueError, IndexError):
        return Refused(Reason.NOT_AN_IMAGE)
    return Verified(
        image_id=hashlib.sha256(data.split()[1]).hexdigest(),
        format="jpeg",
        n_bytes=len(data),
        width_px=100,
        height_px=100,
        orientation=1,
        phash=phash,
        phash256=PLAIN,
        brightness=100.0,
        contrast=50.0,
        sharpness=1000.0,
        entropy=7.0,
    )


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    (tmp_path / "ours").mkdir()
    made = Database(tmp_path / "ours" / "catalog.db")
    add(
        made,
        [Image("same", BASE), Image("near", BASE ^ (0xFF << 20)), Image("far", ~BASE & 2**64 - 1)],
    )
    yield made
    made.close()


def run(
    db: Database, path: Path, settings: DedupeSettings = SETTINGS, **more: Any
) -> Contamination:
    return compare(db, path, settings, describe, more.pop("engine", Inline()), **more)


def told(found: Contamination) -> list[tuple[str, str, str, int, bool]]:
    names = {Image(name, 0).id: name for name in ("same", "near", "far")}
    return [
        (names[each.image_id], each.other, each.kind, each.distance, each.confirmed)
        for each in found.matches
    ]


def test_a_folder_of_images_is_hashed_and_compared(db: Database, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "cat").mkdir(parents=True)
    (theirs / "cat" / "a.jpg").write_text(f"{BASE:x} same")
    (theirs / "b.jpg").write_text(f"{BASE ^ 0b111 << 40:x} other")
    (theirs / "notes.jpg").write_text("no image")
    (theirs / "README.txt").write_text(f"{BASE:x} same")
    found = run(db, theirs)
    assert sorted(told(found)) == [
        ("near", "b.jpg", "near", 11, True),
        ("near", "cat/a.jpg", "near", 8, True),
        ("same", "b.jpg", "near", 3, True),
        ("same", "cat/a.jpg", "equal", 0, True),
    ]
    assert (found.others, found.unreadable) == (2, 1)
    document = found.to_json()
    assert (document["images"], len(document["matches"])) == (2, 4)


def manifest(folder: Path, rows: list[tuple[str, int, str]]) -> Path:
    path = folder / "manifests" / "v0001" / "test.parquet"
    path.parent.mkdir(parents=True)
    columns = {
        "image_id": [hashlib.sha256(name.encode()).hexdigest() for name, _, _ in rows],
        "phash": pa.array([phash for _, phash, _ in rows], pa.uint64()),
        "path": [file for _, _, file in rows],
    }
    pq.write_table(pa.table(columns), path)
    return path


def test_a_manifest_without_its_files_is_compared_by_the_short_hash_alone(
    db: Database, tmp_path: Path
) -> None:
    path = manifest(tmp_path / "theirs", [("same", BASE, "x.jpg"), ("o", BASE ^ 0b11, "y.jpg")])
    expected = [("same", "x.jpg", "equal", 0, True), ("same", "y.jpg", "near", 2, False)]
    assert sorted(told(run(db, path))) == expected
    assert sorted(told(run(db, path.parent))) == expected


def test_a_manifest_with_its_files_is_confirmed_by_the_long_hash(
    db: Database, tmp_path: Path
) -> None:
    path = manifest(tmp_path / "theirs", [("o", BASE, "images/y.jpg")])
    (tmp_path / "theirs" / "images").mkdir()
    (tmp_path / "theirs" / "images" / "y.jpg").write_text(f"{BASE:x} o")
    assert sorted(told(run(db, path))) == [
        ("near", "images/y.jpg", "near", 8, True),
        ("same", "images/y.jpg", "near", 0, True),
    ]


@pytest.mark.parametrize(
    "name", ["../secret.jpg", "{absolute}", "images/link.jpg", "a\0b", "x" * 999]
)
def test_a_foreign_manifest_reaches_no_file_outside_its_folder(
    db: Database, tmp_path: Path, name: str
) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_text(f"{BASE:x} same")
    (tmp_path / "theirs" / "images").mkdir(parents=True)
    (tmp_path / "theirs" / "images" / "link.jpg").symlink_to(secret)
    path = manifest(
        tmp_path / "theirs", [("other", ~BASE & 2**64 - 2, name.format(absolute=secret))]
    )
    assert [row[:3] + row[4:] for row in told(run(db, path))] == [
        ("far", name.format(absolute=secret), "near", False)
    ]


def test_a_file_beyond_the_bound_is_not_read(db: Database, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text(f"{BASE:x} same")
    found = run(db, tmp_path, max_bytes=10)
    assert (found.others, found.unreadable) == (0, 1)


def fatal(data: bytes) -> Verified | Refused:
    """End the process at one file, run out of memory at another."""
    if b"fatal" in data:
        os._exit(3)
    if b"huge" in data:
        raise MemoryError
    return describe(data)


@pytest.mark.slow
def test_a_file_that_kills_its_worker_costs_itself_only(db: Database, tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_text(f"{BASE:x} {number}")
    (tmp_path / "bad.jpg").write_text("1 fatal")
    (tmp_path / "big.jpg").write_text("1 huge")
    found = compare(db, tmp_path, SETTINGS, fatal, LocalEngine(1))
    assert (found.others, found.unreadable) == (5, 2)


def test_an_engine_that_does_nothing_is_told_not_taken_for_bad_files(
    db: Database, tmp_path: Path
) -> None:
    class Broken:
        def map(self, function: Callable, batches: Iterable) -> Iterator:  # type: ignore[type-arg]
            raise CurateError("no workers")

    (tmp_path / "a.jpg").write_text(f"{BASE:x} same")
    with pytest.raises(CurateError, match="no workers"):
        run(db, tmp_path, engine=Broken())


def test_images_that_are_out_already_are_not_compared(db: Database, tmp_path: Path) -> None:
    db.execute("UPDATE images SET excluded = 'dark'")
    path = manifest(tmp_path / "theirs", [("same", BASE, "x.jpg")])
    assert run(db, path).matches == ()


def test_what_is_neither_a_manifest_nor_a_folder_is_refused(db: Database, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not there"):
        run(db, tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no images"):
        run(db, tmp_path / "empty")
    broken = tmp_path / "broken.parquet"
    broken.write_text("PAR1 not really")
    with pytest.raises(SourceError, match=r"broken\.parquet"):
        run(db, broken)
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [1]}), other)
    with pytest.raises(SourceError, match="image_id"):
        run(db, other)
