"""One download: a curl handle, the hops of its URL, and the body it is receiving.

Bodies go to `.part` files, buffered in memory up to `SPILL_BYTES`, so memory does not grow
with image size. Redirects are followed here, not by libcurl: every hop is judged by the
guard under its own host name, and every address at the moment a socket is opened for it,
so a name that resolves differently the second time gains nothing. Proxies of the
environment are ignored: behind a proxy the guard would see only the proxy.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import pycurl

from curate.fetch.guard import Guard, without_userinfo
from curate.fetch.policy import refuse_curl_error, refuse_status
from curate.records import Reason, Refused

SPILL_BYTES = 256 * 1024
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
URL_SAFE = "%/:=&?~#+!$,;'@()*[]"
"""Left as it is when a path or a query is escaped: what is escaped already stays so."""


@dataclass(frozen=True, slots=True)
class Request:
    """One URL to download."""

    key: int
    """The caller's number for it; comes back in the response."""
    url: str
    """An http or https URL."""


@dataclass(frozen=True, slots=True)
class Response:
    """How one download ended: a body in a file, or a refusal."""

    key: int
    path: str | None
    """The file with the complete body, to be moved or deleted by the caller; None if refused."""
    refused: Refused | None
    """Why there is no body."""
    status: int
    """Last HTTP status; 0 if none came."""
    retry_after_s: float
    """What Retry-After asked for, in seconds from now; 0 if nothing."""


@dataclass(frozen=True, slots=True)
class TransportLimits:
    """Bounds on every single download. Times in seconds, sizes in bytes."""

    connections: int = 64
    connect_timeout_s: float = 10.0
    idle_timeout_s: float = 20.0
    min_speed_bytes_s: int = 1024
    deadline_s: float = 120.0
    max_bytes: int = 64 * 1024 * 1024
    redirects: int = 5


class _Socket(socket.socket):
    """A socket whose descriptor libcurl has copied by the time this object is dropped."""

    def __del__(self) -> None:
        self.close()


class Slot:
    """One curl handle and the body it is receiving; used again for the next download.

    Args:
        limits: bounds on the download.
        guard: judges every hop and every address.
        stem: where `.part` files go, and how their names begin.
        cannot_write: told why a body could not be written.
        user_agent: sent with every request.
        ca_file: certificates to trust instead of the system's.
        resolve: `HOST:PORT:ADDRESS` entries that take the place of DNS.
    """

    def __init__(
        self,
        limits: TransportLimits,
        guard: Guard,
        stem: Path,
        cannot_write: Callable[[OSError], None],
        *,
        user_agent: str,
        ca_file: str | None,
        resolve: list[str],
    ) -> None:
        self._limits = limits
        self._guard = guard
        self._stem = stem
        self._cannot_write = cannot_write
        self._n_used = 0
        self.curl = pycurl.Curl()
        _configure(self.curl, limits, user_agent, ca_file, resolve)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._on_data)
        self.curl.setopt(pycurl.HEADERFUNCTION, self._on_header)
        self.curl.setopt(pycurl.OPENSOCKETFUNCTION, self._on_open_socket)

    def begin(self, request: Request) -> None:
        """Set the handle up for a download.

        Raises:
            ValueError, pycurl.error: the URL cannot be requested.
        """
        self._n_used += 1
        self._key = request.key
        self._hops = 0
        self._deadline_at = time.monotonic() + self._limits.deadline_s
        self._path = f"{self._stem}-{self._n_used}.part"
        self._hop(request.url)

    def _hop(self, url: str) -> None:
        self._host = urlsplit(url).hostname or ""
        self._denied: str | None = None
        self._too_big = False
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._received = 0
        self._last_header = b""
        self._file: int | None = None
        self._hop_at = time.monotonic()
        left_ms = int((self._deadline_at - self._hop_at) * 1000)
        self.curl.setopt(pycurl.URL, plain_url(url))
        self.curl.setopt(pycurl.TIMEOUT_MS, max(1, left_ms))

    def end(self, code: int, message: str) -> Response | None:
        """Judge the finished transfer; None means that a redirect goes on in this slot."""
        status = self.curl.getinfo(pycurl.RESPONSE_CODE)
        if code == 0 and status in REDIRECTS:
            target = self.curl.getinfo_raw(pycurl.REDIRECT_URL)
            self.discard()
            refused = self._redirect(target and _text(target))
            if refused is None:
                return None
            return self._refuse(refused, status)
        if code and self._denied is not None:
            return self._refuse(Refused(Reason.DENIED, self._denied), status)
        if self._too_big:
            limit = self._limits.max_bytes
            return self._refuse(Refused(Reason.TOO_BIG, f"more than {limit} bytes"), status)
        if code:
            return self._refuse(refuse_curl_error(code, message, self._received), status)
        refused = refuse_status(status)
        if refused is not None:
            return self._refuse(refused, status)
        if not self._received:
            return self._refuse(self._nothing(), status)
        if not self._flush():
            return self._refuse(Refused(Reason.RESET, "the body could not be written"), status)
        self._close_file()
        return Response(self._key, self._path, None, status, 0.0)

    def is_silent(self, now: float) -> bool:
        """Whether the request was sent and nothing has come for the idle timeout."""
        idle_s = self._limits.idle_timeout_s
        if self._last_header or now - self._hop_at < idle_s:
            return False
        sent_after_s: float = self.curl.getinfo(pycurl.PRETRANSFER_TIME)
        return sent_after_s > 0 and now - self._hop_at - sent_after_s >= idle_s

    def refuse_silence(self) -> Response:
        """Give up on a host that does not answer."""
        limit_s = self._limits.idle_timeout_s
        return self._refuse(Refused(Reason.TOO_SLOW, f"no answer for {limit_s:g} s"), 0)

    def _nothing(self) -> Refused:
        # libcurl calls headers that were cut off a success.
        if self._last_header.strip():
            return Refused(Reason.RESET, "cut off inside the headers")
        return Refused(Reason.EMPTY, "a body of no bytes")

    def discard(self) -> None:
        """Drop what has been received."""
        if self._file is not None:
            self._close_file()
            os.unlink(self._path)  # noqa: PTH108
        self._chunks = []

    def _redirect(self, target: str | None) -> Refused | None:
        if not target:
            return Refused(Reason.BAD_STATUS, "a redirect without a usable Location")
        self._hops += 1
        limit = self._limits.redirects
        if self._hops > limit:
            return Refused(Reason.TOO_MANY_REDIRECTS, f"more than {limit} redirects")
        why = self._guard.check_url(target)
        if why is not None:
            return Refused(Reason.DENIED, f"redirected: {why}")
        try:
            self._hop(target)
        except (ValueError, pycurl.error) as error:
            return Refused(Reason.BAD_URL, f"redirected to what cannot be requested: {error}")
        return None

    def _refuse(self, refused: Refused, status: int) -> Response:
        self.discard()
        retry_after_s = float(self.curl.getinfo(pycurl.RETRY_AFTER) or 0)
        return Response(self._key, None, refused, status, retry_after_s)

    def _on_open_socket(self, _purpose: int, address: Any) -> Any:
        family, kind, protocol, where = address
        # Asked here and not for each request: most find a connection that is open.
        if not self._guard.allows_host(self._host):
            why = self._guard.check_address(where[0])
            if why is not None:
                self._denied = why
                return pycurl.SOCKET_BAD
        return _Socket(family, kind, protocol)

    def _on_header(self, line: bytes) -> None:
        self._last_header = line

    def _on_data(self, data: bytes) -> int | None:
        self._received += len(data)
        if self._received > self._limits.max_bytes:
            self._too_big = True
            return -1
        self._chunks.append(data)
        self._buffered += len(data)
        if self._buffered >= SPILL_BYTES and not self._flush():
            return -1
        return None

    def _flush(self) -> bool:
        try:
            if self._file is None:
                self._file = os.open(self._path, _NEW_FILE, 0o666)
            # One write may take only a part (a disk that fills up): then ask again.
            view = memoryview(b"".join(self._chunks))
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            self._cannot_write(error)
            return False
        self._chunks = []
        self._buffered = 0
        return True

    def _close_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _text(target: bytes) -> str:
    """Return the target of a redirect; bytes that are not UTF-8 are escaped."""
    try:
        return target.decode()
    except UnicodeDecodeError:
        return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in target)


def plain_url(url: str) -> str:
    """Return a URL as it may be sent: no credentials, ASCII host (IDNA), escaped path.

    Raises:
        ValueError: the host name cannot be encoded, or the URL cannot be split.
    """
    url = without_userinfo(url)
    if url.isascii() and " " not in url:
        return url
    parts = urlsplit(url)
    host = (parts.hostname or "").encode("idna").decode("ascii")
    netloc = host if parts.port is None else f"{host}:{parts.port}"
    path = quote(parts.path, safe=URL_SAFE)
    return urlunsplit((parts.scheme, netloc, path, quote(parts.query, safe=URL_SAFE), ""))


def _configure(
    curl: Any, limits: TransportLimits, user_agent: str, ca_file: str | None, resolve: list[str]
) -> None:
    """Set what is the same for every download of a handle."""
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.FOLLOWLOCATION, 0)
    curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    curl.setopt(pycurl.PROXY, "")
    curl.setopt(pycurl.NETRC, 0)
    curl.setopt(pycurl.USERAGENT, user_agent)
    curl.setopt(pycurl.HTTPHEADER, ["Accept: image/*,*/*;q=0.5", "Accept-Encoding: identity"])
    curl.setopt(pycurl.CONNECTTIMEOUT_MS, int(limits.connect_timeout_s * 1000))
    curl.setopt(pycurl.LOW_SPEED_LIMIT, limits.min_speed_bytes_s)
    curl.setopt(pycurl.LOW_SPEED_TIME, max(1, int(limits.idle_timeout_s)))
    curl.setopt(pycurl.MAXFILESIZE_LARGE, limits.max_bytes)
    curl.setopt(pycurl.BUFFERSIZE, 128 * 1024)
    curl.setopt(pycurl.DNS_CACHE_TIMEOUT, 300)
    if ca_file is not None:
        curl.setopt(pycurl.CAINFO, ca_file)
    if resolve:
        curl.setopt(pycurl.RESOLVE, resolve)
