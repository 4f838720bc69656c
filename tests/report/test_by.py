from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.catalog.database import Database
from curate.config import QualitySettings
from curate.errors import UsageError
from curate.report.by import PROPERTIES, count_by
from tests.dedupe.rows import Image, add
from tests.fetch.command import curate


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "catalog.db")
    free = [Image(f"{n}", n, license="CC0-1.0", brightness=10.0) for n in range(3)]
    add(made, [*free, Image("dim and small", 9, brightness=10.0, width_px=50), Image("out", 10)])
    made.execute("UPDATE images SET excluded = 'blurry' WHERE image_id = ?", (Image("out", 10).id,))
    yield made
    made.close()


def test_kept_images_are_counted_the_most_frequent_value_first(db: Database) -> None:
    found = {by: dict(count_by(db, by, QualitySettings())) for by in PROPERTIES}
    assert list(found["license"].items()) == [("CC0-1.0", 3), ("unknown", 1)]
    assert found["source"] == {"test": 4}
    assert found["format"] == {"jpeg": 4}
    assert found["excluded"] == {"kept": 4, "blurry": 1}
    flags = found["quality"]
    assert (flags["dark"], flags["small"], flags["none"]) == (4, 1, 0)


def test_what_cannot_be_counted_by_is_refused(db: Database) -> None:
    with pytest.raises(UsageError, match="'beauty'"):
        count_by(db, "beauty", QualitySettings())


def test_status_counts_by_a_property(db: Database, tmp_path: Path) -> None:
    said = curate("status", "-C", tmp_path, "--by", "quality", "--json")
    assert said.document["by"] == "quality"
    assert said.document["images"]["dark"] == 4
    assert "CC0-1.0" in curate("status", "-C", tmp_path, "--by", "license").out
    assert curate("status", "-C", tmp_path, "--by", "beauty").code == 2


def test_counting_leaves_no_trace_where_there_is_no_catalog(tmp_path: Path) -> None:
    (tmp_path / "curate.toml").touch()
    said = curate("status", "-C", tmp_path, "--by", "source", "--json")
    assert said.document == {"by": "source", "images": {}}
    assert [path.name for path in tmp_path.iterdir()] == ["curate.toml"]
