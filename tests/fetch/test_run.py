"""The fetch loop: quotas, retries, pauses, lost workers, and what it says in the end."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.catalog import candidates, hosts
from curate.catalog.candidates import Outcome
from curate.catalog.counts import class_counts, counts
from curate.engine.local import Pool
from curate.fetch import check, feed, run
from curate.records import Reason, Verified
from tests.fakes.flaky import Corpus, Kind
from tests.fakes.misbehaving import Misbehaving
from tests.fakes.unsplash_search import FlakyUnsplash
from tests.fetch import decoders
from tests.fetch.command import curate, environment, image_files
from tests.fetch.runs import Folder

HOUR_S = 3600.0


@pytest.fixture(scope="module")
def server() -> Iterator[Misbehaving]:
    with Misbehaving() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path)
    yield made
    made.close()


def later(seconds: float) -> float:
    return time.time() + seconds


class TestTheMainCommand:
    """`curate fetch --query beach --per-class 200` on a host that fails."""

    @pytest.mark.slow
    @pytest.mark.parametrize("n_photos", [600, 232])
    def test_it_ends_with_exactly_the_images_asked_for_and_every_candidate_accounted_for(
        self, tmp_path: Path, n_photos: int
    ) -> None:
        corpus = Corpus(n_photos, seed=3)
        with FlakyUnsplash(corpus) as unsplash:
            env = environment(unsplash_url=unsplash.base, fetch_idle_timeout_s=1)
            env["UNSPLASH_ACCESS_KEY"] = "any"
            asked = ("fetch", "--query", "beach", "--per-class", 200, "--allow-host", "127.0.0.1")
            first = curate(*asked, "-C", tmp_path, "--json", env=env)
            assert first.code == 0, first.err
            n_requests = unsplash.n_image_requests
            again = curate(*asked, "-C", tmp_path, "--json", env=env)
            assert unsplash.n_image_requests == n_requests
        status = curate("status", "-C", tmp_path, "--json").document
        for said in (first, again):
            assert {key: said.document[key] for key in status} == status
        all_of = status["candidates"]
        failed = all_of["failed"]
        assert status["classes"] == {"beach": 200}
        assert status["images"]["kept"] == all_of["stored"] == len(image_files(tmp_path)) == 200
        accounted = all_of["stored"] + all_of["duplicate"] + all_of["pending"]
        assert all_of["total"] == accounted + sum(failed.values())
        assert set(failed) <= {Reason.NOT_FOUND, Reason.CORRUPT}
        verified = curate("verify", "-C", tmp_path, "--json")
        assert (verified.code, verified.document["checked"]) == (0, 200)
        assert verified.document["unrecorded"] == 0

    @pytest.mark.slow
    def test_where_the_candidates_run_out_it_says_so_and_every_one_has_met_its_fate(
        self, tmp_path: Path
    ) -> None:
        corpus = Corpus(120, seed=5)
        with FlakyUnsplash(corpus) as unsplash:
            env = environment(unsplash_url=unsplash.base, fetch_idle_timeout_s=1)
            env["UNSPLASH_ACCESS_KEY"] = "any"
            asked = ("fetch", "--query", "beach", "--per-class", 200, "--allow-host", "127.0.0.1")
            said = curate(*asked, "-C", tmp_path, "--json", env=env)
        n = {kind: len(corpus.numbers(kind)) for kind in Kind}
        assert said.code == 0
        assert f"beach: {n[Kind.GOOD]} of 200, the candidates ran out" in said.err
        found = said.document["candidates"]
        assert found["failed"] == {"corrupt": n[Kind.CORRUPT], "not_found": n[Kind.DEAD]}
        assert (found["stored"], found["duplicate"]) == (n[Kind.GOOD], n[Kind.DUPLICATE])
        assert found["pending"] == 0


class TestWaiting:
    """What a server asks for is kept in the catalog."""

    @pytest.mark.parametrize(
        ("wait", "low_s", "high_s"),
        [
            ("1000", 1000, 1000),
            ("date:1000", 998, 1001),
            ("date:31536000", HOUR_S, HOUR_S),
            ("31536000", HOUR_S, HOUR_S),
            ("date:-3600", 0, 0.05),
            ("soon", 0, 0.05),
            ("-10", 0, 0.05),
        ],
    )
    @pytest.mark.parametrize("code", [429, 503])
    def test_retry_after_is_kept_capped_at_an_hour_and_honoured_by_a_later_run(
        self, server: Misbehaving, folder: Folder, code: int, wait: str, low_s: float, high_s: float
    ) -> None:
        url = server.url("flaky", code, wait, code=code, retry_after=wait)
        folder.add([url])
        now = time.time()
        end = folder.fetch(wait=False, clock=lambda: now)
        row = folder.rows()[url]
        assert (row.state, row.tries, row.http_status) == ("pending", 1, code)
        assert low_s <= row.due_at - now <= high_s
        pause_s = hosts.paused(folder.db, now).get(f"127.0.0.1:{server.port}", now) - now
        if code == 429:
            assert pause_s == pytest.approx(max(row.due_at - now, run.WAIT_PAUSED_S))
            assert end.next_due == pytest.approx(row.due_at)
        else:
            assert pause_s == 0
        too_early = min(now + pause_s, row.due_at) - 0.001
        assert folder.fetch(wait=False, clock=lambda: too_early).tried == 0
        assert server.count(url) == 1
        in_time = max(now + pause_s, row.due_at)
        assert folder.fetch(wait=False, clock=lambda: in_time) == run.FetchEnd(1, None, 0)
        assert folder.ends() == {url: "stored"}

    def test_a_429_stops_all_requests_to_its_host_and_to_no_other(
        self, server: Misbehaving, tmp_path: Path
    ) -> None:
        folder = Folder(tmp_path, per_host=1)
        other = server.url("ok", seed=50).replace("127.0.0.1", "other.test")
        limited = server.url("flaky", "first", code=429, retry_after=600)
        same_host = [server.url("ok", "after", seed=seed) for seed in range(20)]
        folder.add([limited, *same_host, other])
        resolve = (f"other.test:{server.port}:127.0.0.1",)
        end = folder.fetch(resolve=resolve)
        assert end.tried == 2
        assert end.next_due is not None
        assert 590 < end.next_due - time.time() < 610
        assert folder.ends() == dict.fromkeys([limited, *same_host], "pending") | {other: "stored"}
        assert folder.fetch(resolve=resolve).tried == 0
        assert folder.fetch(resolve=resolve, clock=lambda: later(601), wait=False).tried == 21
        folder.close()

    def test_a_host_that_refuses_connections_is_left_alone_after_some_tries(
        self, server: Misbehaving, tmp_path: Path
    ) -> None:
        folder = Folder(tmp_path, per_host=2)
        folder.add([f"http://down.test:1/{number}.jpg" for number in range(200)])
        end = folder.fetch(resolve=("down.test:1:127.0.0.1",), wait=False)
        assert 10 <= end.tried <= 12
        assert counts(folder.db).pending == 200
        assert end.next_due is not None
        folder.close()

    def test_a_quota_that_is_met_waits_for_nobody(
        self, server: Misbehaving, tmp_path: Path
    ) -> None:
        folder = Folder(tmp_path, per_host=2)
        limited = server.url("retry_seconds", "met", retry_after=600)
        good = server.url("ok", seed=1).replace("127.0.0.1", "good.test")
        reserve = [server.url("ok", "reserve", seed=seed) for seed in range(9)]
        folder.add([limited, *reserve[:4], good, *reserve[4:]], ("beach",))
        folder.db.execute("UPDATE classes SET quota = 1")
        end = folder.fetch(resolve=(f"good.test:{server.port}:127.0.0.1",))
        assert (end.next_due, end.unmet) == (None, 0)
        assert [each.images for each in class_counts(folder.db)] == [1]
        folder.close()


class TestEachCandidateOnce:
    def test_sweeps_that_overtake_each_other_ask_for_nothing_twice(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # A short look-ahead makes a sweep wait in the middle of a page, while retries of the
        # sweep before it end.
        monkeypatch.setattr(feed, "LOOKAHEAD", 5)
        with Misbehaving(Corpus(300, seed=9), latency_s=0.01) as server:
            corpus = server.corpus
            assert corpus is not None
            folder = Folder(tmp_path, per_host=8, idle_timeout_s=3.0)
            folder.add([server.base + corpus.path(number) for number in range(corpus.n)])
            end = folder.fetch()
            tries = sum(row.tries for row in folder.rows().values())
            assert end.tried == tries == server.stats.counts.total()
            assert end.tried == sum(_expected_requests(corpus, n) for n in range(corpus.n))
            folder.close()

    def test_a_candidate_of_two_classes_with_quotas_is_asked_for_once(
        self, server: Misbehaving, folder: Folder
    ) -> None:
        urls = [server.url("ok", "two", seed=seed) for seed in range(40)]
        folder.add(urls, ("beach", "sunset"))
        folder.db.execute("UPDATE classes SET quota = 100")
        assert folder.fetch().tried == 40
        assert [each.images for each in class_counts(folder.db)] == [40, 40]

    def test_what_is_done_is_not_asked_for_again(self, server: Misbehaving, folder: Folder) -> None:
        urls = [server.url(name, "done") for name in ("ok", "empty", "html_as_jpeg", "placeholder")]
        folder.add(urls)
        assert folder.fetch().tried == 4
        assert folder.fetch() == run.FetchEnd(0, None, 0)
        assert sum(map(server.count, urls)) == 4


def _expected_requests(corpus: Corpus, number: int) -> int:
    fate = corpus.fate(number)
    return 1 + (fate.first != "ok") + (fate.kind is Kind.CORRUPT)


class TestLostWorkers:
    def test_a_decoder_that_dies_or_hangs_costs_its_item_and_nothing_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(check, "check", decoders.touchy)
        monkeypatch.setattr(check, "Pool", partial(Pool, item_timeout_s=2.0))
        files = {name: name.encode() for name in ("kill", "exit", "hang")}
        with Misbehaving(files=files) as server:
            folder = Folder(tmp_path)
            good = [server.url("ok", seed=seed) for seed in range(30)]
            bad = [server.url("ok", body=name) for name in files]
            folder.add([*good[:10], bad[0], *good[10:20], bad[1], bad[2], *good[20:]])
            folder.fetch()
        rows = folder.rows()
        assert [rows[url].end for url in good] == ["stored"] * 30
        assert [(rows[url].end, rows[url].detail) for url in bad] == [
            ("decoder_crash", "the decoder killed by signal 9"),
            ("decoder_crash", "the decoder ended with status 3"),
            ("decoder_crash", "the decoder took over 2 s"),
        ]
        assert not list(folder.store.staging.iterdir())
        folder.close()

    def test_a_bug_in_a_worker_is_not_taken_for_a_full_disk(
        self, server: Misbehaving, folder: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(check, "check", decoders.buggy)
        folder.add([server.url("ok")])
        with pytest.raises(RuntimeError, match="in a worker: LookupError"):
            folder.fetch()
        assert set(folder.ends().values()) == {"pending"}


def _image(number: int) -> Verified:
    return Verified(f"{number:064x}", "jpeg", 10, 5, 5, 1, number, bytes(32), 0.0, 0.0, 0.0, 0.0)


_ENDS = st.one_of(
    st.integers(0, 4).map(_image), st.sampled_from([Reason.NOT_FOUND, Reason.CORRUPT])
)


class TestOrder:
    @settings(max_examples=40, deadline=None)
    @given(ends=st.lists(_ENDS, min_size=1, max_size=12), seed=st.integers(0, 1 << 20))
    def test_the_order_of_arrival_changes_nothing(
        self, tmp_path_factory: pytest.TempPathFactory, ends: list[Verified | Reason], seed: int
    ) -> None:
        outcomes = [
            Outcome(number, end) if isinstance(end, Verified) else Outcome(number, reason=end)
            for number, end in enumerate(ends, 1)
        ]
        rng = random.Random(seed)
        tables = []
        for shuffled in (False, True):
            folder = Folder(tmp_path_factory.mktemp("order"))
            folder.add([f"http://example.com/{number}" for number in range(len(ends))])
            if shuffled:
                rng.shuffle(outcomes)
            while_left = list(outcomes)
            while while_left:
                n = rng.randint(1, len(while_left))
                candidates.record(folder.db, while_left[:n], now=1.0)
                del while_left[:n]
            images = folder.db.all("SELECT * FROM images ORDER BY image_id")
            tables.append((folder.rows(), images))
            folder.close()
        assert tables[0] == tables[1]
