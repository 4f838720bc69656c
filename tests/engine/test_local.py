"""Worker processes: answers come back, deaths and hangs cost one item each."""

from __future__ import annotations

import os
import selectors
from collections.abc import Iterator

import pytest

from curate.engine.local import LocalEngine, Lost, Pool, usable_cores
from curate.engine.worker import Raised, environment, pack_frame, unpack_frames
from curate.errors import CurateError
from tests.engine import work


class Bench:
    """A pool and the selector that an event loop would have."""

    def __init__(self, function: object, n_workers: int = 1, **options: object) -> None:
        self.selector = selectors.DefaultSelector()
        self.pool: Pool[object, object] = Pool(
            function,  # type: ignore[arg-type]
            n_workers,
            **options,  # type: ignore[arg-type]
        )
        self.pool.attach(
            lambda fd: self.selector.register(fd, selectors.EVENT_READ) and None,
            lambda fd: self.selector.unregister(fd) and None,
        )

    def answers(self, items: list[object]) -> list[object]:
        """Submit all, and return what became of each, in their order."""
        tickets = [self.pool.submit(item) for item in items]
        done: dict[int, object] = {}
        while len(done) < len(items):
            self.selector.select(0.2)
            for ticket, answer in self.pool.collect():
                assert ticket not in done
                done[ticket] = answer
        return [done[ticket] for ticket in tickets]

    def close(self) -> None:
        self.pool.close()
        assert not self.selector.get_map()
        self.selector.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench(work.obey)
    yield made
    made.close()


def test_answers_belong_to_their_items(bench: Bench) -> None:
    items: list[object] = [f"item {number}" for number in range(50)]
    assert bench.answers(items) == items
    assert bench.pool.load == 0


@pytest.mark.parametrize(
    ("order", "why"), [("die", "killed by signal 9"), ("exit 3", "ended with status 3")]
)
def test_a_worker_that_dies_costs_its_item_only(bench: Bench, order: str, why: str) -> None:
    items: list[object] = ["a", "b", order, "c", "d", "e", order, "f"]
    expected = [Lost(why) if item == order else item for item in items]
    assert bench.answers(items) == expected


def test_a_worker_that_hangs_is_ended_and_costs_its_item_only() -> None:
    bench = Bench(work.obey, item_timeout_s=0.5)
    assert bench.answers(["a", "hang", "b"]) == ["a", Lost("took over 0.5 s"), "b"]
    bench.close()


def test_what_a_function_raises_is_told_as_text(bench: Bench) -> None:
    raised, refused = bench.answers(["raise", "refuse"])
    assert raised == Raised("ValueError", "as told")
    assert refused == Raised("PermissionError", "[Errno 13] as told: 'x'", is_os_error=True)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the heap limit is Linux's")
def test_too_large_a_heap_is_an_error_of_the_item_and_not_of_the_machine(bench: Bench) -> None:
    eaten, after = bench.answers(["eat", "after"])
    assert isinstance(eaten, Raised)
    assert eaten.kind == "MemoryError"
    assert after == "after"


def test_items_and_answers_larger_than_any_buffer_do_not_block_each_other() -> None:
    bench = Bench(work.grow)
    items: list[object] = [bytes([number]) * 3_000_000 for number in range(6)]
    answers = bench.answers(items)
    assert [len(answer) for answer in answers if isinstance(answer, bytes)] == [6_000_000] * 6
    bench.close()


def test_work_is_spread_over_all_workers() -> None:
    bench = Bench(work.pid, n_workers=2)
    assert len(set(bench.answers(list(range(40))))) == 2
    bench.close()


def test_a_function_that_cannot_be_loaded_is_an_error_and_no_lost_item() -> None:
    bench = Bench(work.Unloadable())
    with pytest.raises(CurateError, match="could not start: ended with status 7"):
        bench.answers([1, 2])
    bench.pool.close()
    bench.selector.close()


def test_workers_end_with_their_parent() -> None:
    bench = Bench(work.pid, n_workers=2)
    pids = {answer for answer in bench.answers(list(range(40))) if isinstance(answer, int)}
    bench.close()
    for each in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(each, 0)


def test_closing_ends_a_worker_in_the_middle_of_its_item(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curate.engine.local.STOP_S", 0.2)
    bench = Bench(work.obey)
    assert bench.answers(["ready"]) == ["ready"]
    bench.pool.submit("hang")
    bench.close()


def test_workers_are_not_in_the_group_that_a_terminal_interrupts() -> None:
    bench = Bench(work.pid)
    [worker] = {answer for answer in bench.answers([0]) if isinstance(answer, int)}
    assert os.getpgid(worker) != os.getpgrp()
    bench.close()


class TestMap:
    def test_every_batch_comes_back_with_its_result(self) -> None:
        found = dict(LocalEngine(2).map(work.double, range(100)))
        assert found == {number: 2 * number for number in range(100)}

    def test_batches_are_drawn_as_they_are_needed(self) -> None:
        drawn = []

        def batches() -> Iterator[int]:
            for number in range(1000):
                drawn.append(number)
                yield number

        results = LocalEngine(1).map(work.double, batches())
        next(results)
        assert len(drawn) < 20
        results.close()  # type: ignore[attr-defined]

    def test_a_batch_that_lost_its_worker_is_run_once_more(self, tmp_path: object) -> None:
        marker = f"{tmp_path}/marker"
        assert list(LocalEngine(1).map(work.die_once, [marker])) == [(marker, "lived")]

    def test_a_batch_that_loses_its_worker_twice_is_an_error(self) -> None:
        with pytest.raises(CurateError, match="died twice at the same batch: killed by signal 9"):
            list(LocalEngine(1).map(work.obey, ["a", "die", "b"]))

    def test_a_batch_that_raises_is_an_error(self) -> None:
        with pytest.raises(CurateError, match="a worker failed: ValueError: as told"):
            list(LocalEngine(1).map(work.obey, ["raise"]))

    def test_nothing_gives_nothing(self) -> None:
        assert list(LocalEngine(1).map(work.double, [])) == []


def test_frames_survive_any_cut() -> None:
    frames = b"".join(pack_frame(value) for value in ("a", 1, [2, "b" * 1000]))
    for step in (1, 3, 1000, len(frames)):
        buffer = bytearray()
        values = []
        for start in range(0, len(frames), step):
            buffer += frames[start : start + step]
            values += unpack_frames(buffer)
        assert values == ["a", 1, [2, "b" * 1000]]
        assert not buffer


def test_there_is_a_core_to_use() -> None:
    assert usable_cores() >= 1


def test_workers_are_told_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ("UNSPLASH_ACCESS_KEY", "my_token", "A_SECRET", "DB_PASSWORD")
    for name in (*secrets, "PLAIN"):
        monkeypatch.setenv(name, "said")
    given = environment()
    assert not set(secrets) & set(given)
    assert given["PLAIN"] == "said"
    assert given["OMP_NUM_THREADS"] == "1"
