"""Asking how large images are, without downloading them.

One ranged request each: a host that knows ranges says the whole length beside the first
bytes, one that does not says it in Content-Length, and the transfer ends there. That works
where HEAD is forbidden, and tells how fast the host is. The guard judges every address and
every redirect as for a download; a host is asked a few things at a time.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pycurl

from curate.fetch.feed import host_of
from curate.fetch.guard import Guard
from curate.fetch.slot import REDIRECTS, Request, Slot, TransportLimits

PEEK_BYTES = 64 * 1024
AT_ONCE = 16
PER_HOST = 4
LIMITS = TransportLimits(connect_timeout_s=10, idle_timeout_s=10, deadline_s=30)
_RANGE = re.compile(rb"content-range:\s*bytes\s+[\d*-]+/(\d+)", re.IGNORECASE)
_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Peek:
    """What a host said of one URL."""

    url: str
    """The URL."""
    n_bytes: int | None
    """The image's length; None: dead, denied, or not told."""
    seconds: float
    """Time that the whole image would take on one connection."""


class _Peeker(Slot):
    """A slot that reads headers and the first bytes."""

    status = 0
    whole: int | None = None
    length: int | None = None

    def _on_header(self, line: bytes) -> None:
        super()._on_header(line)
        if line.startswith(b"HTTP/"):
            parts = line.split()
            self.status = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0
            self.whole = self.length = None
        elif found := _RANGE.match(line):
            self.whole = int(found[1])
        elif found := _LENGTH.match(line):
            self.length = int(found[1])

    def _on_data(self, data: bytes) -> int | None:
        self._received += len(data)
        return -1 if self._received >= PEEK_BYTES else None

    def peek(self, url: str) -> Peek:
        """Ask for one URL."""
        self.status, self.whole, self.length = 0, None, None
        try:
            self.begin(Request(0, url))
            while self._again():
                pass
        except (ValueError, pycurl.error):
            return Peek(url, None, 0.0)
        n_bytes = self.whole if self.status == 206 else self.length if self.status == 200 else None
        return Peek(url, n_bytes or None, self._whole_seconds(n_bytes or 0))

    def _again(self) -> bool:
        """Perform one hop; return whether a redirect leads on."""
        try:
            self.curl.perform()
        except pycurl.error as error:
            if error.args[0] != pycurl.E_WRITE_ERROR:
                self.status = 0
            return False
        return self.status in REDIRECTS and self.end(0, "") is None

    def _whole_seconds(self, n_bytes: int) -> float:
        total_s: float = self.curl.getinfo(pycurl.TOTAL_TIME)
        first_s: float = self.curl.getinfo(pycurl.STARTTRANSFER_TIME)
        if not self._received or n_bytes <= self._received or total_s <= first_s:
            return total_s
        return first_s + (total_s - first_s) * n_bytes / self._received


def peek_all(
    urls: Sequence[str], guard: Guard, *, user_agent: str, ca_file: str | None = None
) -> list[Peek]:
    """Ask for the sizes of images.

    Args:
        urls: which.
        guard: judges URLs and addresses.
        user_agent: sent with every request.
        ca_file: certificates to trust instead of the system's.

    Returns:
        An answer for each URL, in the same order.
    """
    gates = {host_of(url): threading.Semaphore(PER_HOST) for url in urls}

    def ask(url: str) -> Peek:
        if guard.check_url(url) is not None:
            return Peek(url, None, 0.0)
        with gates[host_of(url)]:
            slot = _Peeker(
                LIMITS,
                guard,
                Path("unused"),
                lambda _error: None,
                user_agent=user_agent,
                ca_file=ca_file,
                resolve=[],
            )
            slot.curl.setopt(pycurl.RANGE, f"0-{PEEK_BYTES - 1}")
            try:
                return slot.peek(url)
            finally:
                slot.curl.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(ask, urls))
