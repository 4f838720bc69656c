"""Downloads many URLs at once with libcurl's multi interface.

One thread, one selector: libcurl tells which sockets to watch (`socket_action`, so no limit
of 1,024 descriptors), and worker sockets can be watched beside them. What one download
does, redirects and the guard included, is in `curate.fetch.slot`. Why libcurl:
docs/decisions/0001-http-client.md.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pycurl

from curate.errors import StoreError
from curate.fetch.guard import Guard
from curate.fetch.slot import Request, Response, Slot, TransportLimits
from curate.records import Reason, Refused

__all__ = ["Request", "Response", "Transport", "TransportLimits"]

SILENCE_LOOK_S = 0.5
WEB_SCHEMES = frozenset({"http", "https", ""})


class Transport:
    """A pool of curl handles driven by one selector.

    Args:
        limits: bounds on every download.
        guard: judges URLs and addresses.
        folder: where `.part` files go; must exist, on the store's file system.
        token: begins the name of every file, to tell one run's files from another's.
        user_agent: sent with every request.
        ca_file: certificates to trust instead of the system's.
        resolve: `HOST:PORT:ADDRESS` entries that take the place of DNS.

    Raises:
        StoreError: from `poll`, if a body cannot be written.
    """

    def __init__(
        self,
        limits: TransportLimits,
        guard: Guard,
        folder: Path,
        *,
        token: str = "",
        user_agent: str,
        ca_file: str | None = None,
        resolve: Sequence[str] = (),
    ) -> None:
        self.limits = limits
        self.guard = guard
        self.folder = folder
        self.error: OSError | None = None
        self._selector = selectors.DefaultSelector()
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, limits.connections)
        self._timer_at: float | None = None
        self._token = token
        self._user_agent = user_agent
        self._ca_file = ca_file
        self._resolve = list(resolve)
        self._idle: list[Slot] = []
        self._busy: dict[Any, Slot] = {}
        self._refused: list[Response] = []
        self._n_slots = 0
        self._look_at = 0.0

    @property
    def active(self) -> int:
        """How many downloads are under way."""
        return len(self._busy) + len(self._refused)

    def watch(self, fd: int, ready: Callable[[], None]) -> None:
        """Call `ready` from `poll` whenever `fd` can be read."""
        self._selector.register(fd, selectors.EVENT_READ, ready)

    def unwatch(self, fd: int) -> None:
        """Forget `fd`."""
        self._selector.unregister(fd)

    def start(self, request: Request) -> None:
        """Begin a download; its response comes out of a later `poll`."""
        why = self.guard.check_url(request.url)
        if why is not None:
            reason = Reason.BAD_URL if _scheme(request.url) in WEB_SCHEMES else Reason.DENIED
            self._refused.append(Response(request.key, None, Refused(reason, why), 0, 0.0))
            return
        slot = self._idle.pop() if self._idle else self._new_slot()
        try:
            slot.begin(request)
        except (ValueError, pycurl.error) as error:
            self._idle.append(slot)
            refused = Refused(Reason.BAD_URL, f"it cannot be requested: {error}")
            self._refused.append(Response(request.key, None, refused, 0, 0.0))
            return
        self._busy[slot.curl] = slot
        self._multi.add_handle(slot.curl)

    def poll(self, timeout_s: float) -> list[Response]:
        """Wait at most `timeout_s` for something to happen; return what has ended."""
        done, self._refused = self._refused, []
        if done:
            timeout_s = 0.0
        if self._timer_at is not None:
            timeout_s = min(timeout_s, max(0.0, self._timer_at - time.monotonic()))
        for key, events in self._selector.select(timeout_s):
            if key.data is None:
                self._multi.socket_action(key.fd, _curl_events(events))
            else:
                key.data()
        if self._timer_at is not None and time.monotonic() >= self._timer_at:
            self._timer_at = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        done.extend(self._collect())
        done.extend(self._end_silent(time.monotonic()))
        if self.error is not None:
            raise StoreError(f"cannot write a download into {self.folder}: {self.error.strerror}")
        return done

    def close(self) -> None:
        """Abandon what is under way and delete its `.part` files."""
        for curl, slot in list(self._busy.items()):
            self._multi.remove_handle(curl)
            slot.discard()
        for slot in [*self._idle, *self._busy.values()]:
            slot.curl.close()
        self._busy.clear()
        self._idle.clear()
        self._multi.close()
        self._selector.close()

    def _collect(self) -> list[Response]:
        done = []
        left = 1
        while left:
            left, good, bad = self._multi.info_read()
            ended = [(curl, 0, "") for curl in good] + list(bad)
            for curl, code, message in ended:
                self._multi.remove_handle(curl)
                slot = self._busy.pop(curl)
                response = slot.end(code, message)
                if response is None:
                    self._busy[curl] = slot
                    self._multi.add_handle(curl)
                    continue
                done.append(response)
                self._idle.append(slot)
        return done

    def _end_silent(self, now: float) -> list[Response]:
        """End what has had no answer at all: libcurl measures speed from the first byte on."""
        if now < self._look_at:
            return []
        self._look_at = now + SILENCE_LOOK_S
        done = []
        for curl, slot in list(self._busy.items()):
            if slot.is_silent(now):
                self._multi.remove_handle(curl)
                done.append(self._busy.pop(curl).refuse_silence())
                self._idle.append(slot)
        return done

    def _new_slot(self) -> Slot:
        self._n_slots += 1
        return Slot(
            self.limits,
            self.guard,
            self.folder / f"{self._token}-{self._n_slots}",
            self._on_write_error,
            user_agent=self._user_agent,
            ca_file=self._ca_file,
            resolve=self._resolve,
        )

    def _on_write_error(self, error: OSError) -> None:
        self.error = error

    def _on_socket(self, what: int, fd: int, _multi: object, _data: object) -> None:
        # A descriptor may have been closed and opened again since: forget it first.
        try:
            self._selector.unregister(fd)
        except (KeyError, ValueError, OSError):
            pass  # not watched, or closed already, which removes it from the kernel's set
        if what == pycurl.POLL_REMOVE:
            return
        events = 0
        if what in (pycurl.POLL_IN, pycurl.POLL_INOUT):
            events |= selectors.EVENT_READ
        if what in (pycurl.POLL_OUT, pycurl.POLL_INOUT):
            events |= selectors.EVENT_WRITE
        if events:
            self._selector.register(fd, events, None)

    def _on_timer(self, timeout_ms: int) -> None:
        self._timer_at = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000


def _scheme(url: str) -> str:
    """Return the scheme of `url`; empty where it has none or cannot be split."""
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""


def _curl_events(events: int) -> int:
    mask = 0
    if events & selectors.EVENT_READ:
        mask |= pycurl.CSELECT_IN
    if events & selectors.EVENT_WRITE:
        mask |= pycurl.CSELECT_OUT
    return mask
