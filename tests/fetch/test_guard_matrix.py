"""End to end: no URL, name or redirect makes the transport connect to a canary on loopback.

`127.0.0.9` plays the public internet: it alone is allowed, and the redirects start there.
Canaries listen on the same port of the other loopback addresses and count connections. A
control run without the guard shows that the URLs would get there.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pycurl
import pytest

from curate.fetch.guard import Guard
from curate.fetch.transport import Request, Response, Transport, TransportLimits
from curate.records import Reason
from tests.fakes.misbehaving import Misbehaving
from tests.fetch.hostile import INWARD, LOOPBACK, NAMES, ORDINARY, PUBLIC_ADDRESSES, UNREADABLE

OUTSIDE = "127.0.0.9"
CANARIES = ("127.0.0.1", "127.0.0.2", "127.0.255.250", "127.1.0.1", "127.255.255.254", "::1")
LIMITS = TransportLimits(connect_timeout_s=5.0, idle_timeout_s=5.0, deadline_s=10.0)


@dataclass(frozen=True, slots=True)
class Scene:
    """The outside server, the canaries, and a folder for downloads."""

    outside: Misbehaving
    canaries: tuple[Misbehaving, ...]
    folder: Path

    @property
    def port(self) -> int:
        return self.outside.port

    def alarms(self) -> int:
        return sum(canary.stats.n_connections for canary in self.canaries)

    def resolve(self, names: dict[str, str]) -> list[str]:
        return [
            f"{name}:{port}:{addresses}"
            for port in (self.port, 80, 443)
            for name, addresses in names.items()
        ]

    def fetch(self, url: str, guard: Guard, names: dict[str, str] = NAMES) -> Response:
        transport = Transport(
            LIMITS, guard, self.folder, user_agent="test", resolve=self.resolve(names)
        )
        try:
            return one(transport, url)
        finally:
            transport.close()


def one(transport: Transport, url: str) -> Response:
    transport.start(Request(1, url))
    while True:
        for response in transport.poll(1.0):
            return response


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with ExitStack() as stack:
        outside = stack.enter_context(Misbehaving(host=OUTSIDE))
        hosts = [host for host in CANARIES if _can_bind(host)]
        canaries = [stack.enter_context(Misbehaving(host=h, port=outside.port)) for h in hosts]
        yield Scene(outside, tuple(canaries), tmp_path_factory.mktemp("parts"))


def _can_bind(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


GUARD = Guard([OUTSIDE])
HOSTILE = [*LOOPBACK, *INWARD]


def test_the_matrix_has_120_distinct_hostile_urls_and_100_ordinary_ones() -> None:
    assert len({*HOSTILE, *UNREADABLE}) >= 120
    assert len(set(ORDINARY)) == 100


@pytest.mark.parametrize("url", LOOPBACK)
def test_without_the_guard_these_urls_reach_the_canary(scene: Scene, url: str) -> None:
    if ("[" in url or "loop6" in url) and not _can_bind("::1"):
        pytest.skip("this machine has no IPv6 loopback address")
    before = scene.alarms()
    scene.fetch(url.format(p=scene.port), Guard(["0.0.0.0/0", "::/0"]))
    assert scene.alarms() > before


@pytest.mark.parametrize("url", HOSTILE)
def test_no_url_reaches_the_canary(scene: Scene, url: str) -> None:
    before = scene.alarms()
    response = scene.fetch(url.format(p=scene.port), GUARD)
    assert scene.alarms() == before
    assert response.refused is not None
    assert response.refused.reason is Reason.DENIED
    assert "address" in response.refused.detail


@pytest.mark.parametrize("url", [*HOSTILE, *UNREADABLE])
def test_no_redirect_reaches_the_canary(scene: Scene, url: str) -> None:
    before = scene.alarms()
    start = scene.outside.url("redirect", to=url.format(p=scene.port))
    response = scene.fetch(start, GUARD)
    assert scene.outside.count(start) >= 1
    assert scene.alarms() == before
    assert response.refused is not None
    if url in HOSTILE:
        assert response.refused.reason is Reason.DENIED


@pytest.mark.parametrize("url", UNREADABLE)
def test_no_text_that_is_not_a_plain_url_is_requested(scene: Scene, url: str) -> None:
    before = scene.alarms()
    response = scene.fetch(url.format(p=scene.port), GUARD)
    assert scene.alarms() == before
    assert response.refused is not None
    web = url.partition(":")[0] == "http"
    assert response.refused.reason is (Reason.BAD_URL if web else Reason.DENIED)


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        (b"http://\xe9.example/x.jpg", Reason.DENIED),
        (b"http://127.0.0.1:1/\xff.jpg", Reason.DENIED),
        (b"http://outside.example:%d/ok?\xe9", None),
    ],
)
def test_a_redirect_to_what_is_not_utf8_is_judged_like_any_other(
    scene: Scene, to: bytes, reason: Reason | None
) -> None:
    with socket.create_server((OUTSIDE, 0)) as listener:
        target = to % scene.port if b"%d" in to else to
        answering = threading.Thread(target=_redirect_once, args=(listener, target))
        answering.start()
        url = f"http://{OUTSIDE}:{listener.getsockname()[1]}/"
        response = scene.fetch(url, GUARD, {"outside.example": OUTSIDE})
        answering.join()
    assert (response.refused and response.refused.reason) is reason


def _redirect_once(listener: socket.socket, target: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(1 << 16)
        head = b"HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\n"
        connection.sendall(head + b"Location: " + target + b"\r\n\r\n")


@pytest.mark.parametrize(
    "addresses",
    [
        *(f"{OUTSIDE},127.0.0.1", f"127.0.0.1,{OUTSIDE}", f"::1,{OUTSIDE}", f"{OUTSIDE},::1"),
        *(f"[::ffff:127.0.0.1],{OUTSIDE}", f"127.0.0.2,127.0.0.1,{OUTSIDE}"),
    ],
)
@pytest.mark.parametrize("redirected", [False, True])
def test_a_name_with_public_and_private_addresses_reaches_the_public_one_at_most(
    scene: Scene, addresses: str, redirected: bool
) -> None:
    before = scene.alarms()
    url = f"http://both.example:{scene.port}/ok"
    if redirected:
        url = scene.outside.url("redirect", to=url)
    response = scene.fetch(url, GUARD, {"both.example": addresses})
    assert scene.alarms() == before
    assert response.refused is None or response.refused.reason is Reason.DENIED


@pytest.mark.parametrize("second", ["127.0.0.1", "::1", "0.0.0.0", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("redirected", [False, True])
def test_a_name_that_resolves_to_loopback_the_second_time_gains_nothing(
    scene: Scene, second: str, redirected: bool
) -> None:
    before = scene.alarms()
    name = f"rebind.example:{scene.port}"
    transport = Transport(
        LIMITS, GUARD, scene.folder, user_agent="test", resolve=[f"{name}:{OUTSIDE}"]
    )
    try:
        # The answer closes the connection, so that the next request needs a new one.
        assert one(transport, f"http://{name}/no_length").refused is None
        rebind(transport, [f"-{name}", f"{name}:{second}"])
        url = f"http://{name}/ok"
        response = one(transport, scene.outside.url("redirect", to=url) if redirected else url)
    finally:
        transport.close()
    assert scene.alarms() == before
    assert response.refused is not None
    assert response.refused.reason is Reason.DENIED


def rebind(transport: Transport, entries: Sequence[str]) -> None:
    """Change what DNS says for the transport's handles, as a hostile name server would."""
    for slot in transport._idle:
        slot.curl.setopt(pycurl.RESOLVE, list(entries))


def test_rebinding_is_felt_by_the_transport(scene: Scene) -> None:
    before = scene.alarms()
    name = f"rebind.example:{scene.port}"
    everywhere = Guard(["127.0.0.0/8"])
    transport = Transport(
        LIMITS, everywhere, scene.folder, user_agent="test", resolve=[f"{name}:{OUTSIDE}"]
    )
    try:
        one(transport, f"http://{name}/no_length")
        rebind(transport, [f"-{name}", f"{name}:127.0.0.1"])
        one(transport, f"http://{name}/ok")
    finally:
        transport.close()
    assert scene.alarms() == before + 1


class TestAllowed:
    def test_a_host_allowed_by_name_is_reached_under_that_name_only(self, scene: Scene) -> None:
        names = {"inner.example": "127.0.0.1", "other.example": "127.0.0.1"}
        guard = Guard(["inner.example"])
        for host, reached in [
            ("inner.example", True),
            ("Inner.Example", True),
            ("other.example", False),
            ("127.0.0.1", False),
            ("inner.example@127.0.0.1", False),
        ]:
            before = scene.alarms()
            response = scene.fetch(f"http://{host}:{scene.port}/ok", guard, names)
            assert (response.refused is None) == reached
            assert (scene.alarms() > before) == reached

    def test_an_allowed_name_does_not_pass_its_leave_on_to_its_redirects(
        self, scene: Scene
    ) -> None:
        before = scene.alarms()
        target = f"http://127.0.0.1:{scene.port}/ok"
        url = f"http://outside.example:{scene.port}/redirect?to={target}"
        response = scene.fetch(url, Guard(["outside.example"]), {"outside.example": OUTSIDE})
        assert scene.alarms() == before
        assert response.refused is not None
        assert response.refused.reason is Reason.DENIED

    def test_userinfo_is_sent_to_nobody(self, scene: Scene) -> None:
        for start in ("ok?1", f"redirect?to=http://user:secret@{OUTSIDE}:{scene.port}/ok?2"):
            response = scene.fetch(f"http://me:secret@{OUTSIDE}:{scene.port}/{start}", GUARD)
            assert response.refused is None
        sent = [request.headers for request in scene.outside.requests]
        assert not any({"authorization", "referer", "cookie"} & headers.keys() for headers in sent)


@pytest.mark.parametrize("url", ORDINARY)
def test_an_ordinary_url_is_not_refused(url: str) -> None:
    guard = Guard()
    assert guard.check_url(url) is None
    assert urlsplit(url).hostname


@pytest.mark.parametrize("ip", PUBLIC_ADDRESSES)
def test_the_address_of_an_ordinary_host_is_not_refused(ip: str) -> None:
    assert Guard().check_address(ip) is None
