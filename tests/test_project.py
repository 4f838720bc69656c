"""The project: searching as far as needed, quotas, limits, going on after a stop."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from curate.carriers.fetching import FetchResult
from curate.carriers.finding import FetchRequest
from curate.catalog import images, searches
from curate.catalog.counts import ClassCount
from curate.config import BalanceSettings
from curate.demo.options import SampleOptions
from curate.demo.server import SampleServer
from curate.errors import ExitCode, LockedError, MissingKeyError, SourceError, UsageError
from curate.project import Project
from curate.records import Reason
from curate.sources import RateLimitedError

FLAGS: dict[str, Any] = {
    "fetch.allow_hosts": ("127.0.0.1",),
    "fetch.workers": 1,
    "fetch.side_px": 64,
    "fetch.backoff_s": 0.01,
    "fetch.backoff_cap_s": 0.05,
}


class Clock:
    """The real time, which can be turned on."""

    ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


class World:
    """A sample server, and projects that ask it."""

    def __init__(self, server: SampleServer, folder: Path, clock: Clock, stack: ExitStack) -> None:
        self.server = server
        self.clock = clock
        self.notes: list[str] = []
        self._folder = folder
        self._stack = stack

    def project(self, **changes: Any) -> Project:
        environ = {
            "UNSPLASH_ACCESS_KEY": self.server.key,
            "CURATE_UNSPLASH_URL": self.server.unsplash_url,
            "CURATE_GBIF_URL": self.server.gbif_url,
        }
        options: dict[str, Any] = {
            "environ": {**environ, **changes.pop("environ", {})},
            "flags": {**FLAGS, **changes.pop("flags", {})},
            "notify": self.notes.append,
            "clock": self.clock,
            **changes,
        }
        return self._stack.enter_context(Project(self._folder / "project", **options))

    def fetch(self, **request: Any) -> FetchResult:
        return self.project().fetch(FetchRequest(**request))

    @property
    def n_searches(self) -> int:
        return self.server.count("/search/photos")


Start = Callable[..., World]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def start(**options: Any) -> World:
            clock = Clock()
            made = SampleOptions.faultless(**{"long_edge_px": 160, "several_share": 0.0, **options})
            server = stack.enter_context(SampleServer(made, clock))
            return World(server, tmp_path, clock, stack)

        yield start


def by_name(result: FetchResult) -> dict[str, ClassCount]:
    return {each.name: each for each in result.classes}


def test_a_quota_is_met_exactly_and_the_search_goes_no_further_than_needed(world: Start) -> None:
    here = world(photos_per_class=100)
    result = here.fetch(queries=("beach", "city"), per_class=6)
    found = by_name(result)
    assert {name: each.images for name, each in found.items()} == {"beach": 6, "city": 6}
    # A reserve of 6 x 1.3 + 30 is two pages of 30 for each query.
    assert here.n_searches == 4
    assert {each.pending for each in found.values()} == {54}
    assert (result.next_due, result.error, result.complete) == (None, None, True)
    before = here.server.n_image_requests
    again = here.fetch(queries=("beach", "city"), per_class=6)
    assert (here.server.n_image_requests, here.n_searches) == (before, 4)
    assert again.counts == result.counts


def test_a_class_that_lacks_images_is_searched_on_until_the_quota_is_met(world: Start) -> None:
    here = world(photos_per_class=120, not_found_share=0.7)
    good = [photo for photo in here.server.found_as("beach") if photo.fate == "good"]
    result = here.fetch(queries=("beach",), per_class=len(good) - 2)
    assert by_name(result)["beach"].images == len(good) - 2
    assert here.n_searches == 4
    assert set(result.counts.failed) == {"not_found"}


def test_a_class_whose_candidates_run_out_ends_with_all_there_are(world: Start) -> None:
    here = world(photos_per_class=40, gone_share=0.5)
    result = here.fetch(queries=("beach",), per_class=40)
    counts = result.counts
    assert counts.total == 40 == counts.stored + counts.failed["not_found"]
    assert by_name(result)["beach"].images == counts.stored
    assert result.complete


def test_a_question_that_was_refused_leaves_no_quota(world: Start) -> None:
    here = world(photos_per_class=3)
    with pytest.raises(MissingKeyError):
        here.project(environ={"UNSPLASH_ACCESS_KEY": ""}).fetch(
            FetchRequest(queries=("beahc",), per_class=10)
        )
    result = here.fetch(queries=("beach",), per_class=2)
    assert [(each.name, each.quota) for each in result.classes] == [("beach", 2)]


def test_a_quota_can_be_lifted_from_the_asked_classes_and_from_all(world: Start) -> None:
    here = world(photos_per_class=50)
    here.fetch(queries=("beach", "city"), per_class=2)
    found = by_name(here.fetch(queries=("beach",), per_class=0))
    assert {name: (each.quota, each.images) for name, each in found.items()} == {
        "beach": (None, 50),
        "city": (2, 2),
    }
    found = by_name(here.fetch(per_class=0))
    assert (found["city"].quota, found["city"].images) == (None, 50)


def test_a_larger_quota_takes_the_difference(world: Start) -> None:
    here = world(photos_per_class=50)
    here.fetch(queries=("beach",), per_class=5)
    result = here.fetch(queries=("beach",), per_class=9)
    assert by_name(result)["beach"].images == 9
    assert here.server.n_image_requests == 9


def test_a_limit_bounds_a_search_over_all_its_runs(world: Start) -> None:
    here = world(photos_per_class=70)
    assert here.fetch(queries=("beach",), limit=35).counts.total == 35
    asked, downloaded = here.n_searches, here.server.n_image_requests
    assert here.fetch(queries=("beach",), limit=35).counts.total == 35
    assert (here.n_searches, here.server.n_image_requests) == (asked, downloaded)
    assert here.fetch(queries=("beach",), limit=50).counts.total == 50
    assert here.fetch().counts.total == 50, "going on keeps the limit"
    assert here.fetch(queries=("beach",)).counts.total == 70
    assert len({photo.photo_id for photo in here.server.found_as("beach")}) == 70


def test_going_on_keeps_the_quota_and_asks_no_further(world: Start) -> None:
    here = world(photos_per_class=100)
    result = here.fetch(queries=("beach",), per_class=5)
    asked = here.n_searches
    again = here.fetch()
    assert here.n_searches == asked
    assert again.counts == result.counts


def test_a_spent_limit_fetches_what_came_and_goes_on_later_as_it_was_asked(world: Start) -> None:
    here = world(photos_per_class=90, unsplash_limit=2)
    first = here.fetch(queries=("beach",))
    assert isinstance(first.error, RateLimitedError)
    assert first.error.exit_code == ExitCode.FAILURES_LEFT
    assert "resume after" in first.error.message
    assert (first.counts.total, first.counts.stored) == (60, 60)
    assert not first.complete
    blocked = here.project(flags={"fetch.side_px": 32}).fetch(FetchRequest())
    assert isinstance(blocked.error, RateLimitedError)
    here.clock.ahead_s += here.server.options.window_s + 1
    second = here.project(flags={"fetch.side_px": 32}).fetch(FetchRequest())
    assert second.error is None
    assert (second.counts.total, second.counts.stored) == (90, 90)
    sides = here.project().db.all("SELECT MIN(MIN(width_px, height_px)) FROM images")
    assert sides[0][0] >= 64, "one size for the whole search"


def test_a_limit_that_was_spent_before_the_first_page_is_told_and_can_be_taken_up(
    world: Start,
) -> None:
    here = world(photos_per_class=5, unsplash_limit=1)
    here.fetch(queries=("city",))
    (project := here.project()).db.execute("DELETE FROM pings")
    result = project.fetch(FetchRequest(queries=("beach",)))
    assert isinstance(result.error, RateLimitedError)
    here.clock.ahead_s += here.server.options.window_s + 1
    assert by_name(here.fetch())["beach"].images == 5


def test_what_two_queries_find_has_both_classes(world: Start) -> None:
    here = world(photos_per_class=12, several_share=0.5)
    scenes = ("beach", "city", "sunset", "trees")
    found: dict[str, tuple[str, ...]] = {}
    for scene in scenes:
        for photo in here.server.found_as(scene):
            found[photo.photo_id] = (*found.get(photo.photo_id, ()), scene)
    assert any(len(classes) == 2 for classes in found.values())
    project = here.project()
    project.fetch(FetchRequest(queries=scenes))
    kept = [row for page in images.kept(project.db) for row in page]
    assert {row.source_id: row.classes for row in kept} == found
    assert all(row.queries == row.classes for row in kept)


def test_negatives_become_rows_without_labels_that_somebody_vouches_for(world: Start) -> None:
    from curate.pack.table import kept_table

    here = world(photos_per_class=6)
    here.fetch(queries=("beach",), classes=("",))
    here.fetch(queries=("city",), limit=2)
    project = here.project()
    table = kept_table(
        images.kept(project.db),
        "images",
        project.store.relative,
        project.people.labels,
        lambda page: {each.image_id: 0 for each in page},
    )
    rows = table.to_pylist()
    assert sorted((row["labels"], row["label_origin"], row["query"]) for row in rows) == [
        *[([], "query", ["beach"])] * 6,
        *[(["city"], "query", ["city"])] * 2,
    ]
    assert by_name(here.fetch())[""].images == 6
    assert "" not in here.project().plan(FetchRequest()).thresholds[0].__slots__


def test_a_quota_for_negatives_is_wrong_usage_and_touches_no_other_class(world: Start) -> None:
    here = world(photos_per_class=6)
    here.fetch(queries=("beach",), per_class=2)
    with pytest.raises(UsageError, match="--per-class"):
        here.fetch(queries=("city",), classes=("",), per_class=3)
    assert [each.quota for each in here.fetch().classes] == [2]


def test_an_empty_query_is_wrong_usage(world: Start) -> None:
    with pytest.raises(UsageError, match="--query is empty"):
        world().fetch(queries=(" ",))


def test_classes_from_a_field_get_the_quota_and_no_others_do(world: Start) -> None:
    here = world(photos_per_class=8, occurrences=60)
    here.fetch(queries=("beach",), per_class=3)
    result = here.fetch(source="gbif", class_by="species", per_class=2, limit=40)
    found = by_name(result)
    species = {name: each for name, each in found.items() if name != "beach"}
    assert found["beach"].quota == 3
    assert len(species) > 3
    assert {each.quota for each in species.values()} == {2}
    assert all(each.images == min(2, each.images + each.pending) for each in species.values())
    project = here.project()
    origins = {row.source: row.from_query for page in images.kept(project.db) for row in page}
    assert origins == {"unsplash": True, "gbif": False}


def test_failures_are_tried_again_when_asked(world: Start) -> None:
    here = world(photos_per_class=20, html_share=0.3, seed=3)
    first = here.fetch(queries=("beach",))
    n = first.counts.failed["html"]
    assert n
    before = here.server.n_image_requests
    again = here.fetch(retry=(Reason.HTML,))
    assert here.server.n_image_requests == before + n
    assert again.counts == first.counts


def test_terms_are_told_once_in_a_project(world: Start) -> None:
    here = world(photos_per_class=3)
    here.fetch(queries=("beach",))
    assert sum("machine" in note for note in here.notes) == 1
    here.fetch(queries=("city",))
    assert sum("machine" in note for note in here.notes) == 1


def test_each_stored_photo_is_pinged_once(world: Start) -> None:
    here = world(photos_per_class=4)
    here.fetch(queries=("beach",))
    here.fetch(queries=("beach",))
    assert here.server.pings == {photo.photo_id: 1 for photo in here.server.found_as("beach")}


def test_pings_that_unsplash_will_never_take_do_not_hold_up_the_others(world: Start) -> None:
    here = world(photos_per_class=4)
    db = here.project().db
    dead = [f"https://api.unsplash.com/photos/0000{n}/download?ixid=x" for n in range(9)]
    dead += ["https://[broken", "nonsense", "/photos/0"]
    db.many("INSERT INTO pings (url) VALUES (?)", [(url,) for url in dead])
    here.fetch(queries=("beach",))
    assert here.server.pings == {photo.photo_id: 1 for photo in here.server.found_as("beach")}
    assert db.all("SELECT * FROM pings WHERE sent_at IS NULL") == []


def test_pings_wait_for_a_key_that_is_taken(world: Start) -> None:
    here = world(photos_per_class=1)
    here.fetch(queries=("beach",))
    db = here.project().db
    db.execute("UPDATE pings SET sent_at = NULL")
    here.project(environ={"UNSPLASH_ACCESS_KEY": "wrong"}).fetch(FetchRequest())
    assert db.all("SELECT COUNT(*) FROM pings WHERE sent_at IS NULL") == [(1,)]
    assert "wait for the next run" in here.notes[-1]


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"queries": ("beach",)}, MissingKeyError),
        ({"path": Path("nowhere.csv")}, SourceError),
        ({"source": "folder", "path": Path("nowhere")}, SourceError),
        ({"source": "unsplash"}, UsageError),
        ({"source": "nobody"}, UsageError),
        ({"source": "urls"}, UsageError),
    ],
)
def test_a_request_that_cannot_be_answered_stops_at_once_and_leaves_no_search(
    world: Start, request_: dict[str, Any], error: type[Exception]
) -> None:
    here = world(photos_per_class=3)
    project = here.project(environ={"UNSPLASH_ACCESS_KEY": ""})
    with pytest.raises(error):
        project.fetch(FetchRequest(**request_))
    assert not project.exists or searches.unfinished(project.db) == []
    assert here.server.n_image_requests == 0
    assert project.fetch(FetchRequest()).complete


def test_a_search_that_can_no_longer_be_made_does_not_hold_up_the_rest(
    world: Start, tmp_path: Path
) -> None:
    here = world(photos_per_class=40)
    project = here.project()
    finder = project.finder()
    request = FetchRequest(queries=("beach",), limit=30)
    for question in finder.open(project.db, request):
        finder.take(project.db, question)  # killed before anything was downloaded
    finder.open(project.db, FetchRequest(path=tmp_path / "gone.csv"))
    result = here.project(environ={"UNSPLASH_ACCESS_KEY": ""}).fetch(FetchRequest())
    assert result.counts.stored == 30
    assert isinstance(result.error, SourceError)
    assert "gone.csv" in result.error.message
    assert here.project().fetch(FetchRequest()).error is None, "it is not asked again"


def test_a_list_that_changed_is_read_again(world: Start, tmp_path: Path) -> None:
    here = world(photos_per_class=4)
    urls = [f"{here.server.url}/photo/{p.photo_id}?w=64" for p in here.server.found_as("beach")]
    listed = tmp_path / "list.csv"
    listed.write_text("\n".join(["url", *urls[:2]]))
    assert here.fetch(path=listed).counts.total == 2
    assert here.fetch(path=listed).counts.total == 2
    listed.write_text("\n".join(["url", *urls]))
    assert here.fetch(path=listed).counts.total == 4


def test_a_list_that_changed_is_not_resumed_in_its_middle(world: Start, tmp_path: Path) -> None:
    here = world(photos_per_class=6)
    urls = [f"{here.server.url}/photo/{p.photo_id}?w=64" for p in here.server.found_as("beach")]
    listed = tmp_path / "list.csv"
    listed.write_text("\n".join(["url", *urls[3:]]))
    project = here.project()
    finder = project.finder()
    (question,) = finder.open(project.db, FetchRequest(path=listed))
    page = next(question.source.pages(question.query)).candidates[:2]
    searches.add_page(project.db, question.search.id, page, "2")  # killed in the middle
    listed.write_text("\n".join(["url", *urls]))
    assert here.fetch().counts.stored == 6
    assert sum("from the beginning" in note for note in here.notes) == 1


def test_two_fetches_at_once_are_not_possible(world: Start) -> None:
    from curate.catalog.database import writer_lock

    project = world().project()
    project.fetch(FetchRequest())
    with writer_lock(project.folder, "fetch"), pytest.raises(LockedError):
        project.fetch(FetchRequest())


def test_looking_at_an_empty_folder_leaves_no_trace(world: Start) -> None:
    here = world(photos_per_class=4)
    project = here.project()
    counts, classes, skipped = project.status()
    assert (counts.total, classes, skipped) == (0, [], {})
    assert project.verify().checked == 0
    assert project.plan(FetchRequest()).classes == {}
    assert project.preview(FetchRequest(queries=("beach",))).searches == {"beach": 4}
    assert project.plan(FetchRequest(queries=("beach",))).classes == {"beach": 4}
    assert not project.folder.exists()
    project.fetch(FetchRequest(queries=("beach",)))
    assert project.status()[0].stored == 4, "what was looked at is not what was made"


def test_a_plan_counts_by_class_before_anything_is_downloaded(world: Start) -> None:
    here = world(occurrences=80)
    project = here.project(flags={"balance.min_per_class": 5, "balance.max_per_class": 7})
    made = project.plan(FetchRequest(source="gbif", class_by="species"))
    assert sum(made.classes.values()) == 80
    sizes = list(made.classes.values())
    assert (made.chosen.min, made.chosen.max) == (5, 7)
    assert made.chosen.classes == sum(n >= 5 for n in sizes)
    assert made.chosen.images == sum(min(n, 7) for n in sizes if n >= 5)
    assert made.chosen.bytes is None
    assert here.server.n_image_requests == 0
    assert not project.exists


def test_a_file_is_not_a_project(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is not a folder"):
        Project(tmp_path / "file")


def test_balance_takes_its_recipe_from_the_settings(world: Start) -> None:
    here = world(photos_per_class=12)
    here.fetch(queries=("beach", "city"))
    project = here.project(flags={"balance.splits": "0.5,0.25,0.25", "balance.max_per_class": 8})
    assert project.settings.balance == BalanceSettings(0, 8, (0.5, 0.25, 0.25))
    result = project.balance()
    assert result.images == {"train": 8, "val": 4, "test": 4}
    assert result.leaks == 0


def test_a_list_with_half_a_character_is_read_to_its_end(world: Start, tmp_path: Path) -> None:
    here = world(photos_per_class=2)
    good = here.server.found_as("beach")[0]
    rows = [
        {"url": "http://127.0.0.1:1/abc\ud83d", "class": "x\ud83d", "title": "\udc00"},
        {"url": f"{here.server.url}/photo/{good.photo_id}?w=64", "class": "beach"},
    ]
    path = tmp_path / "list.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = here.project(flags={"fetch.tries": 1}).fetch(FetchRequest(path=path))
    assert (result.counts.total, result.complete) == (2, True)
    assert by_name(result)["beach"].images == 1


def test_what_a_project_file_lets_through_is_said(world: Start, tmp_path: Path) -> None:
    here = world(photos_per_class=1)
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "curate.toml").write_text('[fetch]\nallow_hosts = ["127.0.0.1"]\n')
    result = here.project(flags={"fetch.allow_hosts": None}).fetch(FetchRequest(queries=("beach",)))
    assert result.counts.stored == 1
    assert sum("allow_hosts" in note for note in here.notes) == 1


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_plan_counts_what_has_no_class(world: Start, tmp_path: Path, is_folder: bool) -> None:
    path = tmp_path / "given"
    if is_folder:
        path.mkdir()
        (path / "1.jpg").touch()
    else:
        path.write_text("url\nhttps://i.example/1.jpg\n")
    assert world().project().plan(FetchRequest(path=path)).classes == {"": 1}
