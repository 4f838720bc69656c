"""How much may be asked of each host at a time.

For every host: a limit of downloads at a time, an optional rate, pauses that a 429 or the
circuit breaker sets, and a limit that halves at a 429 and grows back by one for every
`GROW_AFTER` good answers (additive increase, multiplicative decrease, as in TCP). A 429 that
names no time pauses the host twice as long as the one before, until a good answer comes.

The breaker opens after `BREAKER_FAILURES` failures of the host in a row; any answer in
between, also a 404 or a damaged body, shows that the host is there. Each time it opens without
an answer in between it stays open twice as long, and then lets one request through. From
there the limit doubles with every round of good answers. What was already under way when the
breaker opened does not open it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from curate.records import Reason

BREAKER_FAILURES = 10
BREAKER_PAUSE_S = 15.0
BREAKER_PAUSE_CAP_S = 3600.0
GROW_AFTER = 50
LIMITED_PAUSE_S = 1.0
LIMITED_PAUSE_CAP_S = 3600.0
SLOW_HOSTS = {"api.gbif.org": 1}
"""Downloads at a time from hosts that ask for fewer. GBIF's image cache (/v1/image/cache) makes
its pictures when they are asked for, and asks for one connection at a time."""

HOST_FAILURES = frozenset({Reason.DNS, Reason.CONNECT, Reason.RESET, Reason.UNAVAILABLE})
STALLS = frozenset({Reason.TIMEOUT, Reason.TOO_SLOW})


@dataclass(slots=True)
class _Host:
    most: int
    limit: int
    active: int = 0
    good: int = 0
    failures: int = 0
    opened: int = 0
    recovering: bool = False
    limited: int = 0
    paused_until: float = 0.0
    next_start: float = 0.0


class Gate:
    """Says which hosts may be asked now.

    Args:
        per_host: downloads at a time from one host.
        rate_per_s: requests a second to one host; 0 for no limit.
        paused: hosts that are paused from before, until when (Unix seconds).
        slow: lower limits of single hosts.
    """

    def __init__(
        self,
        per_host: int,
        rate_per_s: float,
        paused: Mapping[str, float],
        slow: Mapping[str, int] = SLOW_HOSTS,
    ) -> None:
        self._slow = slow
        self._per_host = max(1, per_host)
        self._interval_s = 1.0 / rate_per_s if rate_per_s > 0 else 0.0
        self._hosts: dict[str, _Host] = {}
        for name, until in paused.items():
            self._host(name).paused_until = until

    def paused_until(self, name: str) -> float:
        """Return until when the host is to be left alone (Unix seconds)."""
        host = self._hosts.get(name)
        return host.paused_until if host else 0.0

    def next_open(self, now: float) -> float:
        """Return when the first paused host may be asked again; `now` if none is paused."""
        pauses = [host.paused_until for host in self._hosts.values() if host.paused_until > now]
        return min(pauses, default=now)

    def may_start(self, name: str, now: float) -> bool:
        """Return whether one more download from this host may begin."""
        host = self._host(name)
        return host.active < host.limit and now >= host.paused_until and now >= host.next_start

    def started(self, name: str, now: float) -> None:
        """Count a download that begins."""
        host = self._host(name)
        host.active += 1
        if self._interval_s:
            host.next_start = max(now, host.next_start) + self._interval_s

    def ended(self, name: str, reason: Reason | None, *, answered: bool, now: float) -> None:
        """Count a download that ended.

        Args:
            name: the host.
            reason: why it failed; None if a whole body came.
            answered: whether the host sent any status at all.
            now: Unix seconds.
        """
        host = self._host(name)
        host.active -= 1
        if reason in HOST_FAILURES or (reason in STALLS and not answered):
            if now < host.paused_until:
                return
            host.failures += 1
            if host.failures >= BREAKER_FAILURES or (host.opened and not host.active):
                self._open(host, now)
            return
        if answered or reason is None:
            host.failures = 0
            host.opened = 0
        if reason is None:
            self._succeed(host)

    def limited(self, name: str, now: float) -> float:
        """Return until when to leave a host alone that answered 429 and named no time.

        What was under way when the pause began does not make the next one longer.
        """
        host = self._host(name)
        if now >= host.paused_until:
            host.limited += 1
        doublings = min(max(0, host.limited - 1), 64)
        return now + min(LIMITED_PAUSE_S * 2.0**doublings, LIMITED_PAUSE_CAP_S)

    def pause(self, name: str, until: float) -> None:
        """Leave the host alone until then, and ask less of it at a time afterwards."""
        host = self._host(name)
        if until > host.paused_until:
            host.paused_until = until
            host.limit = max(1, host.limit // 2)
            host.good = 0
            host.recovering = False

    def _open(self, host: _Host, now: float) -> None:
        pause_s = min(BREAKER_PAUSE_S * 2**host.opened, BREAKER_PAUSE_CAP_S)
        host.paused_until = max(host.paused_until, now + pause_s)
        host.opened += 1
        host.failures = 0
        host.limit = 1
        host.good = 0
        host.recovering = True

    def _succeed(self, host: _Host) -> None:
        host.limited = 0
        host.good += 1
        if host.good >= (host.limit if host.recovering else GROW_AFTER):
            host.good = 0
            host.limit = min(host.most, host.limit * 2 if host.recovering else host.limit + 1)
            host.recovering = host.recovering and host.limit < host.most

    def _host(self, name: str) -> _Host:
        host = self._hosts.get(name)
        if host is None:
            most = max(1, min(self._per_host, self._slow.get(name, self._per_host)))
            host = self._hosts[name] = _Host(most, most)
        return host
