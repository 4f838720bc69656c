"""Downloads: what is sent, where bodies go, what the guard sees, and that limits hold."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import trustme

from curate.errors import StoreError
from curate.fetch.guard import Guard
from curate.fetch.slot import SPILL_BYTES, plain_url
from curate.fetch.transport import Request, Response, Transport, TransportLimits
from curate.records import Reason
from tests.fakes.bodies import encoded
from tests.fakes.misbehaving import Misbehaving

QUICK = TransportLimits(connect_timeout_s=5.0, idle_timeout_s=2.0, deadline_s=10.0)
LOOPBACK = Guard(["127.0.0.0/8"])
LARGE = bytes(range(256)) * (SPILL_BYTES // 64)


@pytest.fixture(scope="module")
def server() -> Iterator[Misbehaving]:
    with Misbehaving(files={"large": LARGE, "exact": LARGE[:SPILL_BYTES]}) as running:
        yield running


class Client:
    """A transport that is asked and waited for."""

    def __init__(self, folder: Path, guard: Guard = LOOPBACK, **options: object) -> None:
        self.folder = folder
        limits = options.pop("limits", QUICK)
        self.transport = Transport(
            limits,  # type: ignore[arg-type]
            guard,
            folder,
            user_agent="curate/test (+mailto:someone@example.com)",
            **options,  # type: ignore[arg-type]
        )

    def get(self, urls: Sequence[str]) -> list[Response]:
        for key, url in enumerate(urls):
            self.transport.start(Request(key, url))
        found: dict[int, Response] = {}
        while self.transport.active:
            found.update((each.key, each) for each in self.transport.poll(1.0))
        return [found[key] for key in range(len(urls))]

    def reason(self, url: str) -> Reason | None:
        [response] = self.get([url])
        assert (response.path is None) == (response.refused is not None)
        return response.refused.reason if response.refused else None

    def parts(self) -> list[Path]:
        return sorted(self.folder.iterdir())


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    made = Client(tmp_path)
    yield made
    made.transport.close()


def test_bodies_of_any_size_arrive_whole(client: Client, server: Misbehaving) -> None:
    urls = [server.url("ok", body=name) for name in ("large", "exact", "jpeg")]
    paths = [response.path for response in client.get(urls)]
    bodies = [Path(path).read_bytes() for path in paths if path is not None]
    assert bodies == [LARGE, LARGE[:SPILL_BYTES], encoded(0)]


def test_many_at_once_do_not_mix(client: Client, server: Misbehaving) -> None:
    responses = client.get([server.url("chunked", seed=seed) for seed in range(200)])
    for seed, response in enumerate(responses):
        assert response.path is not None
        assert Path(response.path).read_bytes() == encoded(seed)
    assert len(client.parts()) == 200


def test_connections_are_used_again(tmp_path: Path) -> None:
    with Misbehaving() as server:
        client = Client(tmp_path)
        for _ in range(5):
            client.get([server.url("ok"), server.url("ok", seed=1)])
        assert server.stats.n_connections == 2
        client.transport.close()


def test_a_failure_leaves_no_file(client: Client, server: Misbehaving) -> None:
    large = {"body": "large"}
    urls = [server.url("short_body", **large), server.url("reset_in_body", **large)]
    urls += [server.url("no_length", body="empty"), server.url("status", code=404, **large)]
    assert all(response.path is None for response in client.get(urls))
    assert client.parts() == []


def test_closing_abandons_what_is_under_way(tmp_path: Path, server: Misbehaving) -> None:
    client = Client(tmp_path)
    client.transport.start(Request(0, server.url("stall", where="body", body="large")))
    while not client.parts():
        client.transport.poll(0.1)
    client.transport.close()
    assert client.parts() == []


def test_requests_say_who_asks_and_for_what_and_nothing_else(tmp_path: Path) -> None:
    with Misbehaving() as server:
        client = Client(tmp_path)
        client.get([server.url("redirect_chain", n=2).replace("//", "//me:secret@")])
        client.transport.close()
        sent = list(server.requests)
    assert [each.target for each in sent] == ["/redirect_chain?n=2", "/redirect_chain?n=1", "/ok"]
    for each in sent:
        assert each.method == "GET"
        assert set(each.headers) == {"host", "user-agent", "accept", "accept-encoding"}
        assert each.headers["user-agent"] == "curate/test (+mailto:someone@example.com)"
        assert each.headers["accept-encoding"] == "identity"


def test_proxies_of_the_environment_are_ignored(
    tmp_path: Path, server: Misbehaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    client = Client(tmp_path)
    assert client.reason(server.url("ok")) is None
    client.transport.close()


@pytest.mark.parametrize("n", [5, 6])
def test_five_redirects_are_followed_and_a_sixth_is_not(
    client: Client, server: Misbehaving, n: int
) -> None:
    expected = None if n == 5 else Reason.TOO_MANY_REDIRECTS
    assert client.reason(server.url("redirect_chain", n=n)) is expected


def test_the_deadline_is_for_all_hops_together(tmp_path: Path) -> None:
    with Misbehaving(latency_s=0.4) as server:
        client = Client(tmp_path, limits=TransportLimits(deadline_s=1.0, redirects=50))
        assert client.reason(server.url("redirect_loop")) is Reason.TIMEOUT
        assert server.stats.counts.total() <= 3
        client.transport.close()


def test_a_silent_host_is_given_up_after_the_idle_timeout_and_its_connection_freed(
    tmp_path: Path, server: Misbehaving
) -> None:
    limits = TransportLimits(idle_timeout_s=1.0, deadline_s=600.0)
    client = Client(tmp_path, limits=limits)
    [silent, well] = client.get([server.url("stall"), server.url("slow", seconds=0.5)])
    assert silent.refused is not None
    assert (silent.refused.reason, silent.status) == (Reason.TOO_SLOW, 0)
    assert silent.refused.detail == "no answer for 1 s"
    assert well.refused is None
    assert client.reason(server.url("ok")) is None
    client.transport.close()


@pytest.mark.parametrize("n_bytes", [len(LARGE) - 1, len(LARGE)])
@pytest.mark.parametrize("name", ["ok", "chunked", "no_length"])
def test_a_body_may_be_as_large_as_the_limit_and_not_a_byte_more(
    tmp_path: Path, server: Misbehaving, name: str, n_bytes: int
) -> None:
    client = Client(tmp_path, limits=TransportLimits(max_bytes=n_bytes))
    expected = None if n_bytes == len(LARGE) else Reason.TOO_BIG
    assert client.reason(server.url(name, body="large", size=50_000)) is expected
    assert len(client.parts()) == (expected is None)
    client.transport.close()


def test_the_tests_themselves_are_kept_on_loopback(
    client: Client, server: Misbehaving, tmp_path: Path, curl_strays: list[str]
) -> None:
    everywhere = Client(tmp_path, Guard(["192.0.2.0/24"]))
    assert everywhere.reason("http://192.0.2.1/a.jpg") is Reason.CONNECT
    assert curl_strays == ["192.0.2.1"]
    curl_strays.clear()
    assert client.reason(server.url("ok")) is None
    everywhere.transport.close()


class TestGuard:
    def test_nothing_connects_to_a_private_address_however_it_is_reached(
        self, tmp_path: Path
    ) -> None:
        with Misbehaving() as server:
            client = Client(tmp_path, Guard(), resolve=(f"name.test:{server.port}:127.0.0.1",))
            urls = [server.url("ok"), server.url("ok").replace("127.0.0.1", "name.test")]
            for response in client.get(urls):
                assert response.refused is not None
                assert response.refused.reason is Reason.DENIED
            assert server.stats.n_connections == 0
            client.transport.close()

    def test_a_host_allowed_by_name_may_not_send_us_elsewhere(self, tmp_path: Path) -> None:
        with Misbehaving() as server:
            names = (f"friend.test:{server.port}:127.0.0.1", f"foe.test:{server.port}:127.0.0.1")
            client = Client(tmp_path, Guard(["friend.test"]), resolve=names)
            friend = server.base.replace("127.0.0.1", "friend.test")
            foe = server.base.replace("127.0.0.1", "foe.test")
            assert client.reason(f"{friend}/ok") is None
            assert client.reason(f"{friend}/redirect?to={foe}/ok") is Reason.DENIED
            assert client.reason(f"{friend}/redirect?to={friend}/ok") is None
            assert server.stats.counts["/ok"] == 2
            client.transport.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file:///etc/passwd", Reason.DENIED),
        ("ftp://127.0.0.1/x.jpg", Reason.DENIED),
        ("gopher://127.0.0.1/x", Reason.DENIED),
        ("http://", Reason.BAD_URL),
        ("not a url", Reason.BAD_URL),
        ("http://127.0.0.1:99999/x.jpg", Reason.BAD_URL),
        ("http://127.0.0.1/x\r\nHost: y", Reason.BAD_URL),
        ("http://[::1/x.jpg", Reason.BAD_URL),
        (f"http://{'a' * 64}.test/x.jpg", Reason.DNS),
    ],
)
def test_what_cannot_be_requested_is_refused_with_a_reason(
    client: Client, url: str, reason: Reason
) -> None:
    assert client.reason(url) is reason


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://a.test/b c.jpg", "http://a.test/b%20c.jpg"),
        ("http://a.test/b%20c.jpg?x=1&y=%2F", "http://a.test/b%20c.jpg?x=1&y=%2F"),
        ("http://a.test:81/Zürich.jpg?q=ü#part", "http://a.test:81/Z%C3%BCrich.jpg?q=%C3%BC"),
        ("http://bücher.test/x.jpg", "http://xn--bcher-kva.test/x.jpg"),
        ("http://me:secret@a.test/x.jpg", "http://a.test/x.jpg"),
    ],
)
def test_urls_are_sent_as_plain_ascii(url: str, sent: str) -> None:
    assert plain_url(url) == sent


def test_a_folder_that_cannot_be_written_is_an_error_and_not_a_failed_download(
    tmp_path: Path, server: Misbehaving
) -> None:
    client = Client(tmp_path / "gone")
    with pytest.raises(StoreError, match="cannot write a download into"):
        client.get([server.url("ok")])
    client.transport.close()


def test_files_of_two_transports_in_one_folder_never_meet(
    tmp_path: Path, server: Misbehaving
) -> None:
    clients = [Client(tmp_path, token=token) for token in ("a", "b")]
    for client in clients:
        client.get([server.url("ok"), server.url("ok")])
    assert len(list(tmp_path.iterdir())) == 4
    for client in clients:
        client.transport.close()


class TestTls:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def secure(self, authority: trustme.CA) -> Iterator[Misbehaving]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        with Misbehaving(ssl_context=context) as running:
            yield running

    def test_a_certificate_must_be_signed_and_made_for_the_host(
        self, tmp_path: Path, authority: trustme.CA, secure: Misbehaving
    ) -> None:
        file = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(file))
        folder = tmp_path / "parts"
        folder.mkdir()
        resolve = (f"other.test:{secure.port}:127.0.0.1",)
        trusting = Client(folder, ca_file=str(file), resolve=resolve)
        assert trusting.reason(secure.url("ok")) is None
        assert trusting.reason(secure.url("ok").replace("127.0.0.1", "other.test")) is Reason.TLS
        trusting.transport.close()
        stranger = Client(folder)
        assert stranger.reason(secure.url("ok")) is Reason.TLS
        stranger.transport.close()

    def test_a_handshake_that_is_not_answered_is_no_connection(
        self, tmp_path: Path, server: Misbehaving
    ) -> None:
        client = Client(tmp_path, limits=TransportLimits(connect_timeout_s=1.0))
        assert client.reason(server.url("ok").replace("http:", "https:")) is Reason.CONNECT
        client.transport.close()
