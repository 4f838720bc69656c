"""The guard's tables and its reading of URLs, without any connection."""

from __future__ import annotations

import ipaddress
import pickle
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import UsageError
from curate.fetch.guard import DENIED_IPV4, DENIED_IPV6, MAX_URL_CHARS, Guard, without_userinfo

GUARD = Guard()

# First and last address of a denied network, and something inside, by what it is called.
DENIED = {
    "this-network": "0.0.0.0 0.0.0.1 0.255.255.255",
    "private": "10.0.0.0 10.0.0.1 10.255.255.255 172.16.0.0 172.20.1.1 172.31.255.255"
    " 192.168.0.0 192.168.1.1 192.168.255.255"
    " fc00:: fc00::1 fd12:3456:789a::1 fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "shared (carrier NAT)": "100.64.0.0 100.64.0.1 100.100.100.199 100.127.255.255",
    "loopback": "127.0.0.0 127.0.0.1 127.0.0.53 127.1.2.3 127.255.255.255 ::1 0:0:0:0:0:0:0:1",
    "link-local": "169.254.0.0 169.254.1.1 169.254.255.255 fe80:: fe80::1 fe80::1%eth0 fe80::1%25"
    " febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "cloud metadata": "169.254.169.254 169.254.170.2 100.100.100.200 192.0.0.192 168.63.129.16"
    " fd00:ec2::254 fd00:0ec2:0:0:0:0:0:254 fd20:ce::254",
    "protocol assignment": "192.0.0.0 192.0.0.1 192.0.0.8 192.0.0.170 192.0.0.255"
    " 2001:1::1 2001:1::2 2001:3::1 2001:4:112::1 2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
    "documentation": "192.0.2.0 192.0.2.1 192.0.2.255 198.51.100.0 198.51.100.255 203.0.113.0"
    " 203.0.113.255 2001:db8:: 2001:db8::1 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 3fff::1"
    " 3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
    "6to4 relay": "192.88.99.0 192.88.99.1 192.88.99.255",
    "benchmarking": "198.18.0.0 198.18.0.1 198.19.255.255 2001:2::1 2001:2:0:ffff::",
    "multicast": "224.0.0.0 224.0.0.1 239.255.255.250 239.255.255.255 ff00:: ff02::1 ff0e::1"
    " ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "reserved": "240.0.0.0 240.0.0.1 250.1.2.3 255.255.255.254",
    "broadcast": "255.255.255.255",
    "unspecified": ":: 0:0:0:0:0:0:0:0",
    "IPv4-compatible": "::2 ::127.0.0.1 ::8.8.8.8 ::a00:1 ::ffff:ffff",
    "IPv4-translated": "::ffff:0:127.0.0.1 ::ffff:0:8.8.8.8 ::ffff:0:a00:1",
    "local NAT64": "64:ff9b:1:: 64:ff9b:1::7f00:1 64:ff9b:1::8.8.8.8 64:ff9b:1:7f00:0:100::",
    "discard-only": "100:: 100::1",
    "Teredo": "2001:: 2001:0:7f00:1:: 2001:0:4136:e378:8000:63bf:3fff:fdd2"
    " 2001:0:808:808:0:0:80ff:fffe",
    "ORCHID": "2001:10::1 2001:1f::1 2001:20::1 2001:2f:ffff::1",
    "6to4": "2002:: 2002:7f00:1:: 2002:a00:1::1 2002:808:808::1 2002:a9fe:a9fe::",
    "6bone": "3ffe::1 3ffe:ffff::1",
    "segment routing": "5f00::1",
    "site-local": "fec0:: fec0::1 feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "not global unicast": "64:ff9b:2::1 64:ff9b:0:0:0:1:7f00:1 200::1 400::1 1fff::1 4000::1"
    " 8000::1 c000::1 e000::1 fbff::1 fe00::1",
    "ISATAP": "2a00:1450::5efe:127.0.0.1 2a00:1450::200:5efe:10.0.0.1 2a00:1450::5efe:8.8.8.8",
}
DENIED_CASES = [(ip, what) for what, ips in DENIED.items() for ip in ips.split()]

# Just outside of the denied networks, and ordinary.
PUBLIC = {
    "IPv4": "1.0.0.1 1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 93.184.216.34 100.63.255.255"
    " 100.128.0.0 126.255.255.255 128.0.0.0 151.101.1.140 168.63.129.15 169.253.255.255"
    " 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0 192.167.255.255"
    " 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 203.0.112.255 203.0.114.0"
    " 223.255.255.255",
    "IPv6": "2000::1 2001:200::1 2001:4860:4860::8888 2001:db7::1 2001:db9::1 2003::1 2400:cb00::1"
    " 2600:1f18::1 2606:4700:4700::1111 2620:0:862:ed1a::1 2800:3f0::1 2a00:1450:4001:81b::200e"
    " 2a04:4e42::396 2c0f:fb50::1 3ffd:ffff::1 2606:4700::1111%eth0 2a00:1450::5eff:7f00:1",
    "IPv4 in IPv6": "::ffff:8.8.8.8 ::ffff:101:101 64:ff9b::8.8.8.8 64:ff9b::101:101",
}
NO_ADDRESS = {
    "short": "127.1 1.2.3 1.2.3.4.5 1:2:3",
    "other bases": "0x7f.0.0.1 0177.0.0.1 2130706433 127.0.0.01",
    "out of range": "256.1.1.1 ::ffff:256.1.1.1",
    "names": "localhost example.com %eth0",
    "decorated": "[::1] 8.8.8.8/32 8.8.8.8:80",
    "other digits": "\uff11\uff12\uff17.0.0.1 \u00b2\u2075\u2075.0.0.1",
}


def ipv4_in(networks: tuple[tuple[str, str], ...]) -> st.SearchStrategy[ipaddress.IPv4Address]:
    def inside(row: tuple[str, str]) -> st.SearchStrategy[ipaddress.IPv4Address]:
        network = ipaddress.IPv4Network(row[0])
        last = network.num_addresses - 1
        return st.integers(0, last).map(lambda n: network.network_address + n)

    return st.sampled_from(networks).flatmap(inside)


def embedded(prefix: str, shift: int = 0) -> Callable[[ipaddress.IPv4Address], str]:
    base = int(ipaddress.IPv6Address(prefix))
    return lambda inner: str(ipaddress.IPv6Address(base | int(inner) << shift))


def teredo_client(inner: ipaddress.IPv4Address) -> str:
    server = int(ipaddress.IPv4Address("65.54.227.120"))
    return str(ipaddress.IPv6Address(0x2001_0000 << 96 | server << 64 | (int(inner) ^ 0xFFFF_FFFF)))


EMBEDDINGS: dict[str, Callable[[ipaddress.IPv4Address], str]] = {
    "plain": str,
    "mapped": embedded("::ffff:0:0"),
    "mapped, dotted": lambda inner: f"::ffff:{inner}",
    "mapped, with a scope": lambda inner: f"::FFFF:{inner}%1",
    "compatible": embedded("::"),
    "translated": embedded("::ffff:0:0:0"),
    "NAT64": embedded("64:ff9b::"),
    "NAT64, dotted": lambda inner: f"64:ff9b::{inner}",
    "local NAT64": embedded("64:ff9b:1::"),
    "6to4": embedded("2002::", 80),
    "Teredo server": embedded("2001::", 64),
    "Teredo client": teredo_client,
    "ISATAP": embedded("2a00:1450::5efe:0:0"),
    "ISATAP, universal": embedded("2a00:1450::200:5efe:0:0"),
    "ISATAP, link-local": embedded("fe80::5efe:0:0"),
}
TRANSPARENT = (
    "plain",
    "mapped",
    "mapped, dotted",
    "mapped, with a scope",
    "NAT64",
    "NAT64, dotted",
)


@pytest.mark.parametrize(("ip", "what"), DENIED_CASES)
def test_a_denied_address_is_refused_and_called_what_it_is(ip: str, what: str) -> None:
    assert (GUARD.check_address(ip) or "").startswith(f"{what} address {ip}")


def test_the_literal_cases_cover_every_row_of_the_tables() -> None:
    assert len(DENIED_CASES) >= 100
    for cidr, what in (*DENIED_IPV4, *DENIED_IPV6):
        network = ipaddress.ip_network(cidr)
        inside = [ipaddress.ip_address(ip.split("%")[0]) for ip in DENIED[what].split()]
        assert any(ip.version == network.version and ip in network for ip in inside), cidr


@pytest.mark.parametrize("ip", " ".join(PUBLIC.values()).split())
def test_a_public_address_may_be_connected_to(ip: str) -> None:
    assert GUARD.check_address(ip) is None


@pytest.mark.parametrize(
    "text", [*" ".join(NO_ADDRESS.values()).split(), "", " 8.8.8.8", "8.8.8.8 ", "8.8.8.8\n"]
)
def test_what_is_not_an_address_is_refused(text: str) -> None:
    assert (GUARD.check_address(text) or "").startswith("not an IP address")


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@given(inner=ipv4_in(DENIED_IPV4))
def test_a_denied_ipv4_address_stays_denied_in_every_embedding(
    embedding: str, inner: ipaddress.IPv4Address
) -> None:
    assert GUARD.check_address(EMBEDDINGS[embedding](inner)) is not None


@pytest.mark.parametrize("embedding", TRANSPARENT)
@given(inner=st.ip_addresses(v=4))
def test_mapped_and_nat64_addresses_are_judged_by_what_is_inside(
    embedding: str, inner: ipaddress.IPv4Address
) -> None:
    plain = GUARD.check_address(str(inner)) is None
    assert (GUARD.check_address(EMBEDDINGS[embedding](inner)) is None) == plain


@pytest.mark.parametrize("embedding", sorted(set(EMBEDDINGS) - set(TRANSPARENT)))
@given(inner=st.ip_addresses(v=4))
def test_every_other_tunnel_is_refused_whatever_is_inside(
    embedding: str, inner: ipaddress.IPv4Address
) -> None:
    assert GUARD.check_address(EMBEDDINGS[embedding](inner)) is not None


@given(ip=st.ip_addresses(v=6))
def test_nothing_outside_of_global_unicast_is_reachable_but_by_what_is_inside(
    ip: ipaddress.IPv6Address,
) -> None:
    if int(ip) >> 125 != 1 and int(ip) >> 32 not in (0xFFFF, 0x64FF9B << 64):
        assert GUARD.check_address(str(ip)) is not None


@given(ip=st.ip_addresses())
def test_spelling_does_not_change_the_answer(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    denied = GUARD.check_address(str(ip)) is not None
    for spelling in (ip.exploded, ip.exploded.upper(), f"{ip}%eth0"):
        assert (GUARD.check_address(spelling) is not None) == denied


@pytest.mark.parametrize(
    ("ip", "reason"),
    [
        ("::ffff:127.0.0.1", "loopback address 127.0.0.1 inside ::ffff:127.0.0.1"),
        ("64:ff9b::a00:1", "private address 10.0.0.1 inside 64:ff9b::a00:1 (NAT64)"),
        ("2a00::5efe:8.8.8.8", "ISATAP address 2a00::5efe:8.8.8.8 (carries 8.8.8.8)"),
    ],
)
def test_an_embedded_address_is_named_in_the_reason(ip: str, reason: str) -> None:
    assert GUARD.check_address(ip) == reason


class TestAllow:
    def test_an_allowed_network_is_reached_and_its_neighbours_are_not(self) -> None:
        guard = Guard(["10.20.0.0/16", "::1", "192.168.7.7", "fd00:aa::/32"])
        for ip in ("10.20.0.1", "10.20.255.255", "::1", "192.168.7.7", "fd00:aa::9"):
            assert guard.check_address(ip) is None
        for ip in ("10.21.0.1", "10.19.255.255", "::2", "192.168.7.8", "fd00:ab::9", "127.0.0.1"):
            assert guard.check_address(ip) is not None

    def test_an_allowed_ipv4_network_holds_for_mapped_addresses_but_not_beyond_a_gateway(
        self,
    ) -> None:
        guard = Guard(["127.0.0.0/8"])
        assert guard.check_address("::ffff:127.0.0.1") is None
        assert guard.check_address("64:ff9b::127.0.0.1") is not None
        assert guard.check_address("2002:7f00:1::") is not None

    def test_a_mapped_address_can_be_allowed_as_it_is_written(self) -> None:
        assert Guard(["::ffff:10.0.0.1"]).check_address("::ffff:10.0.0.1") is None

    def test_an_allowed_name_is_not_an_allowed_address(self) -> None:
        guard = Guard(["localhost"])
        assert guard.allows_host("localhost")
        assert guard.check_address("127.0.0.1") is not None

    @pytest.mark.parametrize("host", ["images.intranet", "IMAGES.Intranet", "images.intranet."])
    def test_names_compare_without_case_and_root_dot(self, host: str) -> None:
        assert Guard(["Images.intranet."]).allows_host(host)

    @pytest.mark.parametrize(
        "host",
        ["intranet", "x.images.intranet", "images.intranet.evil.example", "images-intranet", ""],
    )
    def test_other_names_are_not_allowed(self, host: str) -> None:
        assert not Guard(["images.intranet"]).allows_host(host)

    def test_an_allowed_address_counts_as_host_too(self) -> None:
        guard = Guard(["127.0.0.1", "::1"])
        assert guard.allows_host("127.0.0.1")
        assert guard.allows_host("[::1]")
        assert not guard.allows_host("127.0.0.2")
        assert not guard.allows_host("127.1")

    def test_by_default_no_host_is_allowed(self) -> None:
        assert not GUARD.allows_host("localhost")
        assert not GUARD.allows_host("example.com")

    @pytest.mark.parametrize(
        "item",
        [
            *("", "http://a.example", "a.example:80", "a b", "a/8", "*.example.com", "user@host"),
            *("10.0.0", "127.1", "0x7f.1", "2130706433", "10.0.0.0/33", "::1/129"),
            *("-x.example", "."),
        ],
    )
    def test_an_unusable_item_is_refused_with_a_hint(self, item: str) -> None:
        with pytest.raises(UsageError) as caught:
            Guard([item])
        assert "images.intranet" in caught.value.hint

    def test_a_network_with_host_bits_is_refused_with_the_right_spelling(self) -> None:
        with pytest.raises(UsageError) as caught:
            Guard(["10.1.2.3/8"])
        assert caught.value.hint == "write 10.0.0.0/8"

    def test_a_guard_is_a_value(self) -> None:
        guard = Guard(["localhost", "10.0.0.0/8"])
        assert guard == Guard(("localhost", "10.0.0.0/8"))
        assert pickle.loads(pickle.dumps(guard)).check_address("10.1.1.1") is None
        assert len({guard, Guard(("localhost", "10.0.0.0/8"))}) == 1


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "no scheme"),
        ("example.com/a.jpg", "no scheme"),
        ("//example.com/a.jpg", "no scheme"),
        (" http://example.com/", "no scheme"),
        ("file:///etc/passwd", "scheme 'file'"),
        ("FILE:///etc/passwd", "scheme 'file'"),
        ("ftp://example.com/a.jpg", "scheme 'ftp'"),
        ("gopher://127.0.0.1:70/_x", "scheme 'gopher'"),
        ("dict://127.0.0.1:11211/stat", "scheme 'dict'"),
        ("javascript:alert(1)", "scheme 'javascript'"),
        ("data:image/png;base64,AA==", "scheme 'data'"),
        ("localhost:8080/a.jpg", "scheme 'localhost'"),
        ("http:example.com", "no host"),
        ("http:/example.com/a.jpg", "no host"),
        ("http:///a.jpg", "no host"),
        ("http://", "no host"),
        ("http://?q", "no host"),
        ("http://:80/", "not a host name"),
        ("http://user@/", "not a host name"),
        ("http://./", "not a host name"),
        ("http://.../", "not a host name"),
        ("http://a b.example/", "not a host name"),
        ("http://%31%32%37.0.0.1/", "not a host name"),
        ("http://127.0.0.1%2f@example.com%2f/", "not a host name"),
        ("http://[::1/", "not a host name"),
        ("http://::1/", "not a host name"),
        ("http://[fe80::1%25eth0]/", "not a host name"),
        ("http://[v1.x]/", "not a host name"),
        ("http://[1:2]/", "not a host name"),
        ("http://[127.0.0.1]/", "not a host name"),
        ("http://example.com\uff0fa/", "not a host name"),
        ("http://example\u2100.com/", "not a host name"),
        ("http://b\u00fccher.example\uff1a80/", "not a host name"),
        ("http://example.com:80:80/", "not a host name"),
        ("http://example.com:http/", "not a host name"),
        ("http://example.com:0/", "port 0"),
        ("http://example.com:65536/", "port 65536"),
        ("http://example.com:99999999999999999999/", "port 9"),
        ("http://example.com\\@127.0.0.1/", "ambiguous host"),
        ("http://127.0.0.1\\example.com/", "ambiguous host"),
        ("http://a@b@127.0.0.1/", "ambiguous host"),
        ("http://\uff11\uff12\uff17.\uff10.\uff10.\uff11/", "not a host name"),
        ("http://127。0。0。1/", "not a host name"),
        ("http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "not a host name"),
        ("http://\uff45xample.com/", "not a host name"),
        ("http://example.com/\n", "control character"),
        ("http://example.com/\r\nHost: x", "control character"),
        ("http://exam\tple.com/", "control character"),
        ("http://example.com/\x00", "control character"),
        ("http://example.com/\x7f", "control character"),
        ("http://example.com/\x85", "control character"),
        ("http://example.com/\ud800", "control character"),
        ("http://example.com/" + "a" * MAX_URL_CHARS, "characters"),
    ],
)
def test_an_unusable_url_is_refused_with_its_reason(url: str, reason: str) -> None:
    assert reason in (GUARD.check_url(url) or "")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://example.com", "example.com"),
        ("HTTPS://EXAMPLE.COM./a.jpg", "example.com."),
        ("http://user:pa%40ss@example.com:8080/a.jpg?x=http://127.0.0.1/@b#c", "example.com"),
        ("http://example.com?q=@x", "example.com"),
        ("http://example.com:/a", "example.com"),
        ("http://[2606:4700::1111]:443/a.jpg", "2606:4700::1111"),
        ("http://[::FFFF:1.2.3.4]/", "::ffff:1.2.3.4"),
        ("https://bücher.example/ä ö.jpg", "bücher.example"),
        ("https://my_bucket.s3.example/a\\b.jpg", "my_bucket.s3.example"),
        ("http://xn--bcher-kva.example/", "xn--bcher-kva.example"),
        ("http://127.0.0.1/", "127.0.0.1"),
    ],
)
def test_a_plain_url_passes_and_its_host_is_read(url: str, host: str) -> None:
    assert GUARD.check_url(url) is None
    assert urlsplit(url).hostname == host


@given(
    st.sampled_from(["", "http:", "http://", "https://a@", "http://[", "http://a.example"]),
    st.text(max_size=40) | st.text("a.:@[]/\\?#%1\u2100\uff0f\u3002", max_size=20),
)
def test_the_standard_parser_reads_a_host_and_a_port_in_every_url_that_passes(
    start: str, text: str
) -> None:
    if GUARD.check_url(start + text) is None:
        parts = urlsplit(start + text)
        assert parts.scheme in {"http", "https"}
        assert (parts.hostname or "").strip(".")
        assert parts.port is None or 0 < parts.port < 65536


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("http://a:b@example.com/c@d?e@f#g@h", "http://example.com/c@d?e@f#g@h"),
        ("HTTPS://a@EXAMPLE.com", "HTTPS://EXAMPLE.com"),
        ("http://@example.com/", "http://example.com/"),
        ("http://:@[::1]:80/", "http://[::1]:80/"),
        ("http://example.com?x=http://a@b/", "http://example.com?x=http://a@b/"),
        ("http://example.com/http://a@b/", "http://example.com/http://a@b/"),
    ],
)
def test_userinfo_is_taken_out_and_nothing_else(url: str, bare: str) -> None:
    assert without_userinfo(url) == bare


@given(st.from_regex(r"https?://[a-z:@./?#%]{0,30}", fullmatch=True))
def test_a_url_without_userinfo_names_the_same_place(url: str) -> None:
    if GUARD.check_url(url) is None:
        parts = urlsplit(without_userinfo(url))
        assert parts.username is parts.password is None
        assert parts.hostname == urlsplit(url).hostname
        assert parts[2:] == urlsplit(url)[2:]
