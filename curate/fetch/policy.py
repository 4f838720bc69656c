"""What a status or a broken transfer means, and when to try again.

Pure functions: no clock, no network; chance comes from the generator that is passed in.
Back-off is "full jitter" (M. Brooker, "Exponential Backoff And Jitter", AWS 2015): a
uniform wait between nothing and an exponentially growing bound.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import pycurl

from curate.records import TRANSIENT, Reason, Refused

_STATUS = {
    **dict.fromkeys((408, 425, 500, 502, 503, 504, 522, 524), Reason.UNAVAILABLE),
    429: Reason.RATE_LIMITED,
    **dict.fromkeys((404, 410), Reason.NOT_FOUND),
    **dict.fromkeys((401, 402, 403, 407, 451), Reason.FORBIDDEN),
}

_CURL = {
    pycurl.E_URL_MALFORMAT: Reason.BAD_URL,
    # With the scheme checked before, libcurl says this of an answer that is not HTTP/1 or 2.
    pycurl.E_UNSUPPORTED_PROTOCOL: Reason.RESET,
    pycurl.E_COULDNT_RESOLVE_HOST: Reason.DNS,
    pycurl.E_COULDNT_RESOLVE_PROXY: Reason.DNS,
    pycurl.E_COULDNT_CONNECT: Reason.CONNECT,
    pycurl.E_PARTIAL_FILE: Reason.SHORT_BODY,
    pycurl.E_FILESIZE_EXCEEDED: Reason.TOO_BIG,
    pycurl.E_PEER_FAILED_VERIFICATION: Reason.TLS,
    pycurl.E_SSL_CACERT_BADFILE: Reason.TLS,
    pycurl.E_SSL_CIPHER: Reason.TLS,
}

LIMITED_FOR_A_TRY = 4
"""So many 429s stand for one of a candidate's tries."""

_WORDS = {100: "the headers are too large"}  # CURLE_TOO_LARGE, which comes without a message


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how late a candidate is tried again. Times in seconds."""

    tries: int = 5
    backoff_s: float = 1.0
    backoff_cap_s: float = 60.0
    retry_after_cap_s: float = 3600.0

    def wait_s(
        self,
        reason: Reason,
        tries: int,
        retry_after_s: float,
        rng: random.Random,
        limited: int = 0,
        before: Reason | None = None,
    ) -> float | None:
        """Return how long to wait before the next try, or None to give up.

        Transient failures are tried again; damage once more and at once, however it was
        reached. A 429 is not the candidate's failure: it counts as a quarter of a try, apart
        from the others.

        Args:
            reason: why the last try failed.
            tries: how many tries there have been, the last one included.
            retry_after_s: what the server asked for, 0 if nothing.
            rng: source of the jitter.
            limited: how many of them a 429 answered, the last one included.
            before: why the try before failed, if there was one.
        """
        seen_twice = reason is Reason.CORRUPT and before is Reason.CORRUPT
        if reason is Reason.RATE_LIMITED:
            n, most = limited, LIMITED_FOR_A_TRY * (self.tries - 1) + 1
        else:
            n, most = tries - limited, self.tries
        if n >= most or seen_twice or reason not in (*TRANSIENT, Reason.CORRUPT):
            return None
        if reason is Reason.CORRUPT:
            # The host is well; only a second download tells damage on the way from a bad file.
            return min(retry_after_s, self.retry_after_cap_s)
        bound_s = min(self.backoff_cap_s, self.backoff_s * 2.0 ** min(n - 1, 64))
        jitter_s = rng.uniform(0.0, bound_s)
        return max(jitter_s, min(retry_after_s, self.retry_after_cap_s))


def refuse_status(status: int) -> Refused | None:
    """Return why a complete answer with this HTTP status is not an image; None for 200."""
    if status == 200:
        return None
    return Refused(_STATUS.get(status, Reason.BAD_STATUS), f"HTTP status {status}")


def refuse_curl_error(code: int, message: str, n_received: int) -> Refused:
    """Return why a transfer broke.

    Args:
        code: libcurl's error code (`CURLE_…`).
        message: libcurl's words, kept as the detail.
        n_received: bytes of body that had arrived.
    """
    detail = message.strip()[:300] or _WORDS.get(code) or f"libcurl error {code}"
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return Refused(_timeout_reason(detail), detail)
    reason = _CURL.get(code)
    if reason is None:
        reason = Reason.SHORT_BODY if n_received else Reason.RESET
    return Refused(reason, detail)


def _timeout_reason(message: str) -> Reason:
    if "too slow" in message:
        return Reason.TOO_SLOW
    if message.startswith(("Connection timed out", "Failed to connect", "Resolving timed out")):
        return Reason.CONNECT
    return Reason.TIMEOUT
