"""Politeness: limits, rates, pauses and the breaker, with a clock of our own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from curate.fetch.hosts import (
    BREAKER_FAILURES,
    BREAKER_PAUSE_CAP_S,
    BREAKER_PAUSE_S,
    GROW_AFTER,
    HOST_FAILURES,
    STALLS,
    Gate,
)
from curate.records import Reason

HOST = "example.com"
NAMES = ("a.test", "b.test", "c.test")


def gate(
    per_host: int = 4, rate_per_s: float = 0.0, paused: dict[str, float] | None = None
) -> Gate:
    return Gate(per_host, rate_per_s, paused or {})


def room(gate: Gate, now: float, name: str = HOST) -> int:
    """How many downloads may begin now; begins and ends them (with no verdict on the host)."""
    n = 0
    while gate.may_start(name, now):
        gate.started(name, now)
        n += 1
    for _ in range(n):
        gate.ended(name, Reason.DENIED, answered=False, now=now)
    return n


def fail(gate: Gate, n: int, now: float) -> None:
    for _ in range(n):
        gate.started(HOST, now)
        gate.ended(HOST, Reason.CONNECT, answered=False, now=now)


def succeed(gate: Gate, n: int, now: float) -> None:
    for _ in range(n):
        gate.started(HOST, now)
        gate.ended(HOST, None, answered=True, now=now)


def test_each_host_has_its_own_limit() -> None:
    hosts = gate(3)
    for _ in range(3):
        hosts.started(HOST, 0.0)
    assert not hosts.may_start(HOST, 0.0)
    assert room(hosts, 0.0, "other.test") == 3


def test_a_limit_of_nothing_is_one() -> None:
    assert room(gate(0), 0.0) == 1


def test_a_rate_spaces_requests_evenly() -> None:
    hosts = gate(100, rate_per_s=4.0)
    starts = []
    for step in range(200):
        now = step / 100
        if hosts.may_start(HOST, now):
            hosts.started(HOST, now)
            starts.append(now)
    assert starts == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]


def test_a_pause_halves_the_limit_and_good_answers_raise_it_one_by_one() -> None:
    hosts = gate(8)
    hosts.pause(HOST, 10.0)
    assert room(hosts, 9.9) == 0
    assert room(hosts, 10.0) == 4
    hosts.pause(HOST, 5.0)  # a shorter one changes nothing
    assert hosts.paused_until(HOST) == 10.0
    succeed(hosts, GROW_AFTER, 11.0)
    assert room(hosts, 11.0) == 5
    succeed(hosts, GROW_AFTER * 100, 11.0)
    assert room(hosts, 11.0) == 8


def test_pauses_of_an_earlier_run_hold() -> None:
    hosts = gate(paused={HOST: 100.0})
    assert not hosts.may_start(HOST, 99.0)
    assert hosts.next_open(50.0) == 100.0
    assert hosts.may_start(HOST, 100.0)
    assert hosts.next_open(100.0) == 100.0


def test_the_breaker_opens_after_failures_in_a_row_and_lets_one_through_afterwards() -> None:
    hosts = gate(8)
    fail(hosts, BREAKER_FAILURES - 1, 0.0)
    assert room(hosts, 0.0) == 8
    fail(hosts, 1, 0.0)
    assert hosts.paused_until(HOST) == BREAKER_PAUSE_S
    assert room(hosts, BREAKER_PAUSE_S) == 1


def test_the_breaker_stays_open_twice_as_long_each_time_up_to_its_cap() -> None:
    hosts = gate(8)
    now = 0.0
    fail(hosts, BREAKER_FAILURES, now)
    pauses = []
    for _ in range(12):
        pauses.append(hosts.paused_until(HOST) - now)
        now = hosts.paused_until(HOST)
        fail(hosts, 1, now)
    expected = [min(BREAKER_PAUSE_S * 2**n, BREAKER_PAUSE_CAP_S) for n in range(12)]
    assert pauses == expected


def test_what_was_under_way_when_the_breaker_opened_does_not_open_it_again() -> None:
    hosts = gate(32)
    for _ in range(32):
        hosts.started(HOST, 0.0)
    for _ in range(32):
        hosts.ended(HOST, Reason.CONNECT, answered=False, now=1.0)
    assert hosts.paused_until(HOST) == 1.0 + BREAKER_PAUSE_S


def test_one_success_closes_the_breaker() -> None:
    hosts = gate(8)
    fail(hosts, BREAKER_FAILURES, 0.0)
    succeed(hosts, 1, BREAKER_PAUSE_S)
    assert room(hosts, BREAKER_PAUSE_S) == 2
    fail(hosts, BREAKER_FAILURES - 1, BREAKER_PAUSE_S)
    assert hosts.may_start(HOST, BREAKER_PAUSE_S)


def test_failures_of_single_urls_say_nothing_about_their_host() -> None:
    hosts = gate(8)
    harmless = set(Reason) - HOST_FAILURES - STALLS
    for reason in [*harmless, *harmless]:
        hosts.started(HOST, 0.0)
        hosts.ended(HOST, reason, answered=True, now=0.0)
    for _ in range(2 * BREAKER_FAILURES):
        hosts.started(HOST, 0.0)
        hosts.ended(HOST, Reason.TOO_SLOW, answered=True, now=0.0)
    assert room(hosts, 0.0) == 8


def test_after_the_breaker_the_limit_doubles_with_every_round_of_good_answers() -> None:
    hosts = gate(9)
    fail(hosts, BREAKER_FAILURES, 0.0)
    limits = []
    for _ in range(6):
        limits.append(room(hosts, BREAKER_PAUSE_S))
        succeed(hosts, limits[-1], BREAKER_PAUSE_S)
    assert limits == [1, 2, 4, 8, 9, 9]


@pytest.mark.parametrize("reason", [Reason.NOT_FOUND, Reason.CORRUPT, Reason.TOO_SLOW])
def test_any_answer_ends_a_row_of_failures_and_closes_the_breaker(reason: Reason) -> None:
    hosts = gate(8)
    for _ in range(3):
        fail(hosts, BREAKER_FAILURES - 1, 0.0)
        hosts.started(HOST, 0.0)
        hosts.ended(HOST, reason, answered=True, now=0.0)
    assert room(hosts, 0.0) == 8
    fail(hosts, BREAKER_FAILURES, 0.0)
    now = BREAKER_PAUSE_S
    hosts.started(HOST, now)
    hosts.ended(HOST, reason, answered=True, now=now)
    assert room(hosts, now) == 1, "it is no good answer"
    fail(hosts, BREAKER_FAILURES - 1, now)
    assert hosts.may_start(HOST, now)
    fail(hosts, 1, now)
    assert hosts.paused_until(HOST) == now + BREAKER_PAUSE_S


def test_pauses_for_429s_in_a_row_double_up_to_an_hour_until_a_good_answer() -> None:
    hosts = gate(8)
    now, pauses = 0.0, []
    for _ in range(14):
        until = hosts.limited(HOST, now)
        pauses.append(until - now)
        hosts.pause(HOST, until)
        assert hosts.limited(HOST, now) == until, "what was under way counts as the same one"
        now = until
    assert pauses == [min(2.0**n, 3600.0) for n in range(14)]
    succeed(hosts, 1, now)
    assert hosts.limited(HOST, now) == now + 1.0


def test_a_host_that_asks_for_one_connection_gets_one() -> None:
    hosts = gate(8)
    assert room(hosts, 0.0, "api.gbif.org") == 1
    for _ in range(GROW_AFTER):
        hosts.started("api.gbif.org", 0.0)
        hosts.ended("api.gbif.org", None, answered=True, now=0.0)
    assert room(hosts, 0.0, "api.gbif.org") == 1


@settings(max_examples=60, stateful_step_count=60, deadline=None)
class GateMachine(RuleBasedStateMachine):
    """Whatever happens, no host has more under way than its limit, none while it is paused."""

    def __init__(self) -> None:
        super().__init__()
        self.per_host = 3
        self.gate = gate(self.per_host, paused={"b.test": 20.0})
        self.active = dict.fromkeys(NAMES, 0)
        self.paused = {"a.test": 0.0, "b.test": 20.0, "c.test": 0.0}
        self.now = 0.0

    @rule(name=st.sampled_from(NAMES))
    def start(self, name: str) -> None:
        if self.gate.may_start(name, self.now):
            assert self.now >= self.paused[name]
            self.gate.started(name, self.now)
            self.active[name] += 1

    @precondition(lambda self: any(self.active.values()))
    @rule(data=st.data(), reason=st.none() | st.sampled_from(Reason), answered=st.booleans())
    def end(self, data: st.DataObject, reason: Reason | None, answered: bool) -> None:
        name = data.draw(st.sampled_from([name for name, n in self.active.items() if n]))
        self.active[name] -= 1
        self.gate.ended(name, reason, answered=answered, now=self.now)

    @rule(name=st.sampled_from(NAMES), seconds=st.floats(0.0, 100.0))
    def pause(self, name: str, seconds: float) -> None:
        self.gate.pause(name, self.now + seconds)
        self.paused[name] = max(self.paused[name], self.now + seconds)

    @rule(seconds=st.floats(0.0, 200.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def no_host_has_more_than_its_limit(self) -> None:
        assert all(0 <= n <= self.per_host for n in self.active.values())

    @invariant()
    def pauses_are_kept(self) -> None:
        for name, until in self.paused.items():
            assert self.gate.paused_until(name) >= until

    def teardown(self) -> None:
        """After the longest pause every idle host can be asked again."""
        later = self.now + 2 * BREAKER_PAUSE_CAP_S
        for name, n in self.active.items():
            assert n or self.gate.may_start(name, later)


TestGateMachine = GateMachine.TestCase


@given(ends=st.lists(st.sampled_from([None, *Reason]), max_size=200))
def test_a_limit_is_never_below_one_nor_above_its_setting(ends: list[Reason | None]) -> None:
    hosts = gate(5)
    now = 0.0
    for reason in ends:
        now = max(now, hosts.paused_until(HOST))
        assert 1 <= room(hosts, now) <= 5
        hosts.started(HOST, now)
        hosts.ended(HOST, reason, answered=reason is None, now=now)
        if reason is Reason.RATE_LIMITED:
            hosts.pause(HOST, now + 1.0)
