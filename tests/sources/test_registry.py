from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import curate.sources
from curate.errors import UsageError
from curate.sources import Source, SourceContext, create, names
from curate.sources.base import Page, RateLimitedError, limited
from curate.sources.folder import FolderSource


def test_each_source_is_made_by_its_name(tmp_path: Path) -> None:
    context = SourceContext(path=tmp_path)
    made: list[Source] = [create(name, context) for name in curate.sources.BUILT_IN]
    assert [one.name for one in made] == ["unsplash", "gbif", "dwca", "urls", "folder", "dataset"]
    assert [one.is_remote for one in made] == [True, True, False, False, False, False]


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="'flickr'") as caught:
        create("flickr", SourceContext())
    assert "unsplash, gbif, dwca, urls, folder, dataset" in caught.value.hint


def test_third_parties_add_theirs_by_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = EntryPoint("herbarium", "curate.sources.folder:FolderSource", "curate.sources")
    monkeypatch.setattr(curate.sources, "entry_points", lambda group: [point])
    assert names() == ["unsplash", "gbif", "dwca", "urls", "folder", "dataset", "herbarium"]
    assert isinstance(create("herbarium", SourceContext(path=tmp_path)), FolderSource)


def test_the_registry_loads_no_source_and_no_heavy_library() -> None:
    code = (
        "import sys, curate.sources as s; s.names();"
        "print([m for m in ('requests', 'unsplash', 'pyarrow', 'curate.sources.gbif')"
        " if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_rate_limit_says_the_time_or_the_day() -> None:
    noon = 1_700_000_000.0
    assert str(RateLimitedError("X's", 300, noon + 60, noon)).startswith(
        "X's limit is spent: 300 candidates so far, resume after "
    )
    assert len(str(RateLimitedError("X's", 0, noon + 86_400, noon)).split()[-2]) == len(
        "2023-11-15"
    )


def test_a_limit_of_nothing_asks_for_nothing() -> None:
    def run(start: str | None) -> object:
        raise AssertionError(f"asked from {start}")

    pages: list[Page] = list(limited(None, 0, run))  # type: ignore[arg-type]  # never iterated
    assert pages == []
