"""What a status or a broken transfer means, and when to try again."""

from __future__ import annotations

import random

import pycurl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.fetch.policy import RetryPolicy, refuse_curl_error, refuse_status
from curate.records import TRANSIENT, Reason

policies = st.builds(
    RetryPolicy,
    tries=st.integers(1, 10),
    backoff_s=st.floats(0.0, 100.0),
    backoff_cap_s=st.floats(0.0, 1000.0),
)


@given(
    policy=policies,
    reason=st.sampled_from(Reason),
    tries=st.integers(1, 5000),
    asked_s=st.floats(0.0, 1e12),
    seed=st.integers(),
    before=st.none() | st.sampled_from(Reason),
)
def test_a_wait_is_bounded_by_back_off_and_by_what_was_asked(
    policy: RetryPolicy,
    reason: Reason,
    tries: int,
    asked_s: float,
    seed: int,
    before: Reason | None,
) -> None:
    if reason is Reason.RATE_LIMITED:
        limited, n, most = tries, tries, 4 * policy.tries - 3
    else:
        limited, n, most = tries // 2, tries - tries // 2, policy.tries
    wait_s = policy.wait_s(
        reason, tries, asked_s, random.Random(seed), limited=limited, before=before
    )
    seen_twice = reason is before is Reason.CORRUPT
    if reason not in (*TRANSIENT, Reason.CORRUPT) or n >= most or seen_twice:
        assert wait_s is None
    else:
        assert wait_s is not None
        honoured_s = min(asked_s, policy.retry_after_cap_s)
        bound_s = min(policy.backoff_cap_s, policy.backoff_s * 2.0 ** (min(n, 65) - 1))
        if reason is Reason.CORRUPT:
            bound_s = 0.0
        assert honoured_s <= wait_s <= max(honoured_s, bound_s)


def test_the_bound_of_a_wait_doubles_up_to_its_cap() -> None:
    class Longest(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return b

    policy = RetryPolicy(tries=20, backoff_s=1.0, backoff_cap_s=60.0)
    waits = [policy.wait_s(Reason.RESET, tries, 0.0, Longest()) for tries in range(1, 10)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_429_uses_up_no_tries_and_yet_ends_some_day() -> None:
    policy, rng = RetryPolicy(tries=5), random.Random(1)
    ends = [policy.wait_s(Reason.RATE_LIMITED, n, 0.0, rng, limited=n) for n in range(1, 18)]
    assert None not in ends[:16]
    assert ends[16] is None
    assert policy.wait_s(Reason.RESET, 16, 0.0, rng, limited=12) is not None
    assert policy.wait_s(Reason.RESET, 17, 0.0, rng, limited=12) is None
    once = RetryPolicy(tries=1)
    assert once.wait_s(Reason.RATE_LIMITED, 1, 0.0, rng, limited=1) is None


def test_waits_are_spread_over_the_whole_bound() -> None:
    rng = random.Random(1)
    waits = [RetryPolicy().wait_s(Reason.RESET, 4, 0.0, rng) or 0.0 for _ in range(2000)]
    assert min(waits) < 0.1
    assert max(waits) > 7.9
    assert 3.8 < sum(waits) / len(waits) < 4.2


def test_every_status_but_200_is_refused_for_a_reason_that_fits_its_class() -> None:
    assert refuse_status(200) is None
    for status in [*range(100, 200), *range(201, 1000)]:
        refused = refuse_status(status)
        assert refused is not None
        assert str(status) in refused.detail
        if refused.reason in TRANSIENT:
            assert status in (408, 425, 429) or status >= 500
        if status < 400:
            assert refused.reason is Reason.BAD_STATUS


def test_every_error_of_libcurl_has_a_reason_and_a_line() -> None:
    codes = {value for name, value in vars(pycurl).items() if name.startswith("E_")}
    for code in sorted(code for code in codes if isinstance(code, int) and code > 0):
        for n_received in (0, 10):
            refused = refuse_curl_error(code, "", n_received)
            assert refused.detail
            assert "\n" not in refused.detail


@pytest.mark.parametrize(
    ("code", "message", "n_received", "reason"),
    [
        (pycurl.E_OPERATION_TIMEDOUT, "Operation too slow. Less than 9 bytes/sec", 9, "too_slow"),
        (pycurl.E_OPERATION_TIMEDOUT, "Connection timed out after 1 ms", 0, "connect"),
        (pycurl.E_OPERATION_TIMEDOUT, "Resolving timed out after 1 ms", 0, "connect"),
        (pycurl.E_OPERATION_TIMEDOUT, "Operation timed out after 1 ms", 0, "timeout"),
        (pycurl.E_COULDNT_RESOLVE_HOST, "Could not resolve", 0, "dns"),
        (pycurl.E_RECV_ERROR, "Connection reset", 0, "reset"),
        (pycurl.E_RECV_ERROR, "Connection reset", 1, "short_body"),
        (pycurl.E_PARTIAL_FILE, "", 1, "short_body"),
        (pycurl.E_PEER_FAILED_VERIFICATION, "", 0, "tls"),
        (pycurl.E_FILESIZE_EXCEEDED, "", 0, "too_big"),
    ],
)
def test_broken_transfers_have_their_reasons(
    code: int, message: str, n_received: int, reason: str
) -> None:
    assert refuse_curl_error(code, message, n_received).reason == reason
