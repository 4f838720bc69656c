"""What a fetch would do, before it does it."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.carriers.asked import FetchRequest
from curate.demo.options import SampleOptions
from curate.demo.server import SampleServer
from curate.project import Project

ROWS = """url,class
https://example.org/1,a
https://example.org/1,b
https://example.org/2,a
https://example.org/2,a
https://example.org/3,a
https://example.org/4,
ftp://example.org/5,a
"""


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    path = tmp_path / "list.csv"
    path.write_text(ROWS)
    return path


def test_what_stands_twice_counts_once(listed: Path, tmp_path: Path) -> None:
    found = Project(tmp_path / "new").preview(FetchRequest(path=listed))
    assert found.searches == {str(listed): 4}
    assert dict(found.classes) == {"a": 3, "b": 1, "": 1}
    assert sum(found.skipped.values()) == 1
    assert found.images == 4, "an image of two classes is fetched once"


def test_a_class_below_its_minimum_is_left_out_and_one_without_a_name_has_none(
    listed: Path, tmp_path: Path
) -> None:
    request = FetchRequest(path=listed, min_per_class=2, per_class=2)
    found = Project(tmp_path / "new").preview(request)
    assert found.left_out == {"b": 1}
    assert found.images == 3, "two of a, and what has no class"


def test_an_empty_list_gives_nothing(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("url,class\n")
    found = Project(tmp_path / "new").preview(FetchRequest(path=path))
    assert (dict(found.searches), dict(found.classes), found.images) == ({str(path): 0}, {}, 0)


@pytest.mark.parametrize(
    ("class_by", "limit", "is_known"),
    [("species", None, True), ("species", 5, False), ("recordedBy", None, False)],
)
def test_an_api_says_what_it_can(
    class_by: str, limit: int | None, is_known: bool, tmp_path: Path
) -> None:
    with SampleServer(SampleOptions.faultless(photos_per_class=6)) as server:
        project = Project(tmp_path / "new", environ={"CURATE_GBIF_URL": server.gbif_url})
        request = FetchRequest("gbif", class_by=class_by, per_class=2, limit=limit)
        found = project.preview(request)
    [n] = found.searches.values()
    assert n == (limit or server.options.occurrences)
    assert bool(found.classes) == is_known
    assert found.images == (sum(min(each, 2) for each in found.classes.values()) or None)
    assert not project.folder.exists()
