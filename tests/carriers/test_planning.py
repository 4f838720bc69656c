"""Plans: exact counts, honest sizes, and what fits into a budget."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from curate.carriers.asked import FetchRequest
from curate.catalog.images import Sample
from curate.errors import SourceError, UsageError
from curate.fetch.guard import Guard
from curate.fetch.probe import peek_all
from curate.project import Project
from curate.report.plan import Plan, Variant, make_plan
from curate.report.planpicture import write_picture
from tests.benchmarks.archives import write_archive

NO_SAMPLE = Sample(0, None, None, None)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "fungi.zip"
    write_archive(path, 4000, 9000, n_species=60)
    return path


def by_hand(path: Path) -> pd.Series[int]:
    """Images per species, as a naturalist counts them in a notebook."""
    with zipfile.ZipFile(path) as opened:
        tables = [
            pd.read_csv(opened.open(name), sep="\t", quoting=3, dtype=str, keep_default_na=False)
            for name in ("occurrence.txt", "multimedia.txt")
        ]
    occurrences, media = tables
    media["gbifID"] = media["gbifID"].str.strip()
    media = media[(media["identifier"] != "") & media["type"].isin(["StillImage", ""])]
    media = media[~((media["type"] == "") & ~media["format"].str.startswith("image"))]
    media = media.drop_duplicates(["gbifID", "identifier"])
    merged = media.merge(occurrences[["gbifID", "species"]], on="gbifID")
    return merged[merged["species"] != ""].groupby("species").size()


def check(plan: Plan, counts: pd.Series[int]) -> None:
    assert dict(plan.classes) == counts.to_dict()
    for each in plan.thresholds:
        kept = counts[counts >= each.min]
        assert each.classes == len(kept)
        assert each.images == int((kept if each.max is None else kept.clip(upper=each.max)).sum())


def test_thresholds_are_those_of_a_group_by(archive: Path, tmp_path: Path) -> None:
    counts = by_hand(archive)
    assert len(counts) == 60
    request = FetchRequest(source="dwca", path=archive)
    with Project(tmp_path / "project") as project:
        check(project.plan(request), counts)
        for question in project.finder().open(project.db, request):
            project.finder().take(project.db, question)
        check(project.plan(FetchRequest()), counts)


def test_the_tail_is_told() -> None:
    plan = make_plan({"a": 80, "b": 10, "c": 5, "d": 4, "e": 1, "": 7}, NO_SAMPLE, 0, None)
    assert plan.tail.candidates == 100
    assert plan.tail.top_fifth_share == 0.8
    assert plan.tail.classes_for_80_percent == 1


def variant(name: str, mean: float) -> Variant:
    return Variant(name, 10, 0, mean, mean, mean, 0.1)


def test_a_budget_finds_the_largest_cap_and_then_the_largest_variant() -> None:
    sizes = {"a": 100, "b": 50, "c": 10}
    variants = [variant("original", 100.0), variant("512 px", 10.0), variant("256 px", 5.0)]
    plan = make_plan(sizes, NO_SAMPLE, 20, None, variants=variants, budget_bytes=1500)
    assert plan.budget is not None
    assert plan.budget.caps == {"original": 0, "512 px": 100, "256 px": 100}
    assert (plan.budget.max_per_class, plan.budget.variant) == (100, "512 px")
    assert plan.budget.needed_bytes == 1500
    tight = make_plan(sizes, NO_SAMPLE, 20, None, variants=variants, budget_bytes=500)
    assert tight.budget is not None
    assert (tight.budget.max_per_class, tight.budget.variant) == (50, "256 px")
    capped = make_plan(sizes, NO_SAMPLE, 20, 20, variants=variants, budget_bytes=5000)
    assert capped.budget is not None
    assert (capped.budget.max_per_class, capped.budget.variant) == (20, "original")


def test_a_budget_needs_sizes(archive: Path, tmp_path: Path) -> None:
    with Project(tmp_path) as project, pytest.raises(UsageError, match="--budget needs to know"):
        project.plan(FetchRequest(source="dwca", path=archive), budget_bytes=10**9)


def test_a_plan_of_one_class_shows_it(tmp_path: Path) -> None:
    write_picture(make_plan({"cat": 1362}, NO_SAMPLE, 1, None), tmp_path / "plan.svg")
    drawn = (tmp_path / "plan.svg").read_text()
    assert "1,362 candidates in 1 class;" in drawn
    assert 'stroke-width="20.0"' in drawn


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_plan_can_be_seen(tmp_path: Path, kind: str) -> None:
    plan = make_plan({f"c{i}": 1000 // (i + 1) for i in range(300)}, NO_SAMPLE, 10, 100)
    path = tmp_path / f"plan.{kind}"
    write_picture(plan, path)
    assert path.read_bytes().startswith(b"<svg" if kind == "svg" else b"\x89PNG")
    with pytest.raises(UsageError, match="must end in"):
        write_picture(plan, tmp_path / "plan.pdf")


@pytest.fixture
def server() -> Iterator[str]:
    """`/N/how`: an image of N bytes that knows ranges, or does not, or is elsewhere."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_args: Any) -> None:
            pass

        def do_GET(self) -> None:
            _, size, how = self.path.split("/")
            n_bytes = int(size)
            if how == "moved":
                self.send_response(302)
                self.send_header("Location", f"/{n_bytes}/ranges")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if how == "dead":
                self.send_error(404)
                return
            if how == "ranges":
                begin, end = 0, min(n_bytes, 65536)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{n_bytes}")
            else:
                end = n_bytes
                self.send_response(200)
            self.send_header("Content-Length", str(end))
            self.end_headers()
            try:
                self.wfile.write(b"x" * end)
            except OSError:
                self.close_connection = True

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_address[1]}"
    made.shutdown()
    made.server_close()
    thread.join()


def test_sizes_are_told_without_a_download(server: str) -> None:
    kinds = ("500/ranges", "900000/ranges", "900001/whole", "70/moved", "5/dead")
    urls = [f"{server}/{kind}" for kind in kinds]
    peeks = peek_all(urls, Guard(("127.0.0.0/8",)), user_agent="curate-test")
    assert [each.n_bytes for each in peeks] == [500, 900_000, 900_001, 70, None]


def test_the_guard_judges_who_is_asked(server: str) -> None:
    (peek,) = peek_all([f"{server}/5/ranges"], Guard(()), user_agent="curate-test")
    assert peek.n_bytes is None


def test_a_plan_estimates_from_what_hosts_say(server: str, tmp_path: Path) -> None:
    rows = "".join(f"{server}/{1000 + 10 * i}/ranges,class {i % 4}\n" for i in range(40))
    (tmp_path / "list.csv").write_text(f"url,class\n{rows}")
    flags = {"fetch.allow_hosts": ["127.0.0.0/8"]}
    request = FetchRequest(source="urls", path=tmp_path / "list.csv", class_column="class")
    with Project(tmp_path / "project", flags=flags) as project:
        plan = project.plan(request, sample=40, budget_bytes=20_000)
        again = project.plan(request, sample=15, seed=3).to_json()
    document = plan.to_json()
    assert document["bytes_per_image"]["n"] == 40
    assert document["bytes_per_image"]["mean"] == pytest.approx(1195)
    assert document["bytes_per_image"]["low"] < 1195 < document["bytes_per_image"]["high"]
    assert document["chosen"]["bytes"] == 40 * 1195
    assert document["variants"][0]["seconds_each"] > 0
    assert document["budget"]["max_per_class"] == 4
    assert again["bytes_per_image"]["n"] == 15


def test_hosts_that_tell_no_size_are_an_error_of_the_source(server: str, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(f"url,class\n{server}/5/dead,a\n{server}/6/dead,a\n")
    flags = {"fetch.allow_hosts": ["127.0.0.0/8"]}
    request = FetchRequest(source="urls", path=tmp_path / "list.csv", class_column="class")
    with (
        Project(tmp_path / "project", flags=flags) as project,
        pytest.raises(SourceError, match="2 of 2 URLs told no size"),
    ):
        project.plan(request, sample=2, budget_bytes=20_000)
