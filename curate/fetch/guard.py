"""The guard: which addresses a download may connect to.

A list of URLs is text that strangers wrote, and some of it points inwards: at the router,
the intranet, the cloud's metadata service. A URL cannot be judged by its text, because
`http://2130706433/`, a redirect and a name that resolves to `127.0.0.1` all end in the same
place. So the text is checked only for being a plain http(s) URL that every parser reads
alike (`Guard.check_url`), and the decision is made about the address that a socket is about
to be connected to (`Guard.check_address`), at every connection, after every redirect.

The tables are our own and not `ipaddress.is_global`, whose answers change with the Python
version. IPv6 is closed by default: outside of 2000::/3 nothing is routed on the internet.

IPv6 addresses that carry an IPv4 address are judged so:

- IPv4-mapped (`::ffff:0:0/96`): the kernel connects to the IPv4 address, so that is judged.
- NAT64's well-known prefix (`64:ff9b::/96`): on a network without IPv4 every ordinary host
  has such an address, so the IPv4 address inside is judged.
- IPv4-compatible, IPv4-translated, local-use NAT64, 6to4, Teredo, ISATAP: refused whatever
  is inside. They are obsolete or local, no image host needs them, and the gateway at the
  other end of the tunnel could reach what we must not.

The trade-off: a NAT64 prefix that a network made from its own public addresses cannot be
told from an ordinary address, and is not seen through.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from curate.errors import UsageError

MAX_URL_CHARS = 8192
"""The longest URL that is requested. Signed storage URLs reach about 2,000 characters."""

DENIED_IPV4 = (
    ("169.254.169.254/32", "cloud metadata"),
    ("169.254.170.2/32", "cloud metadata"),
    ("100.100.100.200/32", "cloud metadata"),
    ("192.0.0.192/32", "cloud metadata"),
    ("168.63.129.16/32", "cloud metadata"),  # a public address that a cloud keeps to itself
    ("0.0.0.0/8", "this-network"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared (carrier NAT)"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "protocol assignment"),
    ("192.0.2.0/24", "documentation"),
    ("192.88.99.0/24", "6to4 relay"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("255.255.255.255/32", "broadcast"),
    ("240.0.0.0/4", "reserved"),
)
"""IPv4 networks that are never connected to, and what each is; the first match names it."""

DENIED_IPV6 = (
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("::/96", "IPv4-compatible"),
    ("::ffff:0:0:0/96", "IPv4-translated"),
    ("64:ff9b:1::/48", "local NAT64"),
    ("100::/64", "discard-only"),
    ("2001::/32", "Teredo"),
    ("2001:2::/48", "benchmarking"),
    ("2001:10::/28", "ORCHID"),
    ("2001:20::/28", "ORCHID"),
    ("2001::/23", "protocol assignment"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("3ffe::/16", "6bone"),
    ("3fff::/20", "documentation"),
    ("5f00::/16", "segment routing"),
    ("fd00:ec2::254/128", "cloud metadata"),
    ("fd20:ce::254/128", "cloud metadata"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
    ("::/3", "not global unicast"),
    ("4000::/2", "not global unicast"),
    ("8000::/1", "not global unicast"),
)
"""IPv6 networks that are never connected to; together all but a part of 2000::/3."""

MAPPED = 0xFFFF
"""The upper 96 bits of an IPv4-mapped address, `::ffff:0:0/96`."""
NAT64 = 0x0064_FF9B << 64
"""The upper 96 bits of NAT64's well-known prefix, `64:ff9b::/96`."""
ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})
"""Bits 32-63 of an ISATAP interface id, under any prefix."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_AUTHORITY = re.compile(r"//([^/?#]*)")
_USERINFO = re.compile(r"\A([A-Za-z][A-Za-z0-9+.-]*://)[^/?#@]*@")
_HOST_PORT = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s/?#\[\]:@\\%<>\"^`{|}]+)(?::(?P<port>[0-9]*))?"
)

# A network as a closed interval and its name: comparing two numbers is fast.
_Range = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Guard:
    """Decides which URLs may be requested and which addresses connected to.

    A host allowed by name is trusted whatever it resolves to; an address or network is
    allowed under any name. Metadata addresses too, if somebody really lists them.

    Args:
        allow: exceptions: host names (`images.intranet`), addresses or networks in
            CIDR notation (`10.20.0.0/16`, `::1`).

    Raises:
        UsageError: an item is neither a host name nor an address nor a network.

    Example:
        >>> Guard().check_address("::ffff:127.0.0.1")
        'loopback address 127.0.0.1 inside ::ffff:127.0.0.1'
        >>> Guard(["127.0.0.0/8"]).check_address("127.0.0.1") is None
        True
    """

    allow: Sequence[str] = ()
    _names: frozenset[str] = field(init=False, repr=False, compare=False)
    _allowed: tuple[tuple[_Range, ...], tuple[_Range, ...]] = field(
        init=False, repr=False, compare=False
    )
    _denied: tuple[tuple[_Range, ...], tuple[_Range, ...]] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        names: set[str] = set()
        networks: list[tuple[str, str]] = []
        for item in self.allow:
            network = _network(item)
            if network is None:
                names.add(_host_name(item))
            else:
                networks.append((network, "allowed"))
        ipv4 = [row for row in networks if ":" not in row[0]]
        ipv6 = [row for row in networks if ":" in row[0]]
        object.__setattr__(self, "allow", tuple(self.allow))
        object.__setattr__(self, "_names", frozenset(names))
        object.__setattr__(self, "_allowed", (_ranges(ipv4), _ranges(ipv6)))
        object.__setattr__(self, "_denied", (_ranges(DENIED_IPV4), _ranges(DENIED_IPV6)))

    def check_address(self, ip: str) -> str | None:
        """Say why no connection may be made to an address.

        Args:
            ip: an IPv4 or IPv6 address as text, as a socket names it; a scope id
                (`fe80::1%eth0`) is ignored. Short, octal and decimal forms are no addresses.

        Returns:
            None if it may be connected to, else a short reason.
        """
        try:
            address = ipaddress.ip_address(ip.partition("%")[0])
        except ValueError:
            return f"not an IP address: {ip!r}"
        number = int(address)
        if address.version == 4:
            return self._check_ipv4(number, ip)
        if _covering(self._allowed[1], number):
            return None
        return self._check_ipv6(number, ip)

    def allows_host(self, host: str) -> bool:
        """Whether a host was allowed by its own name, so that its addresses need no check.

        Args:
            host: as it stands in the URL: any case, with or without a root dot or brackets.
        """
        name = _plain(host)
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return _covering(self._allowed[address.version == 6], int(address)) is not None

    def check_url(self, url: str) -> str | None:
        """Say why a URL may not be requested at all.

        Addresses in it are not judged here but when they are connected to. Refused is what
        parsers read differently (two `@`, a backslash or an escape in the host), so that
        the host that `urlsplit` reads, and `allows_host` decides about, is the one that is
        connected to. Userinfo is accepted; `without_userinfo` keeps it from being sent.

        Returns:
            None if it is a plain http or https URL, else a short reason.
        """
        if len(url) > MAX_URL_CHARS:
            return f"a URL of {len(url):,} characters (at most {MAX_URL_CHARS:,})"
        if _CONTROL.search(url):
            return "a control character in the URL"
        scheme = _SCHEME.match(url)
        if scheme is None:
            return "no scheme in the URL"
        if scheme[1].lower() not in ("http", "https"):
            return f"scheme {scheme[1].lower()[:20]!r} is not http or https"
        authority = _AUTHORITY.match(url, scheme.end())
        if authority is None:
            return "no host in the URL"
        return _check_authority(authority[1])

    def _check_ipv4(self, number: int, ip: str) -> str | None:
        if _covering(self._allowed[0], number):
            return None
        found = _covering(self._denied[0], number)
        return found and f"{found} address {ip}"

    def _check_ipv6(self, number: int, ip: str) -> str | None:
        prefix = number >> 32
        if prefix not in (MAPPED, NAT64) and prefix & 0xFFFF_FFFF not in ISATAP:
            found = _covering(self._denied[1], number)
            return found and f"{found} address {ip}"
        inner = str(ipaddress.IPv4Address(number & 0xFFFF_FFFF))
        if prefix == MAPPED:
            reason = self._check_ipv4(number & 0xFFFF_FFFF, inner)
            return reason and f"{reason} inside {ip}"
        if prefix == NAT64:
            # What is allowed on our own network says nothing of the far side of a gateway.
            found = _covering(self._denied[0], number & 0xFFFF_FFFF)
            return found and f"{found} address {inner} inside {ip} (NAT64)"
        return f"ISATAP address {ip} (carries {inner})"


def without_userinfo(url: str) -> str:
    """Take user name and password out of a URL that `Guard.check_url` accepts.

    Example:
        >>> without_userinfo("https://me:secret@example.com/a@b.jpg")
        'https://example.com/a@b.jpg'
    """
    return _USERINFO.sub(r"\1", url, count=1)


def _check_authority(authority: str) -> str | None:
    if not authority:
        return "no host in the URL"
    if authority.count("@") > 1 or "\\" in authority:
        return f"an ambiguous host in the URL: {authority[:80]!r}"
    host_port = _HOST_PORT.fullmatch(authority.rpartition("@")[2])
    if host_port is None or not _is_host(host_port["host"]):
        return f"not a host name: {authority[:80]!r}"
    port = host_port["port"]
    if port and not 0 < int(port[:9]) < 65536:
        return f"port {port[:20]} does not exist"
    return None


def _is_host(host: str) -> bool:
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            return False
        return True
    # IDNA rewrites compatibility letters (circled, full-width) and the ideographic full
    # stop. A host that they turn into ASCII, or into several parts of a URL, is a disguise.
    rewritten = unicodedata.normalize("NFKC", host).replace("\u3002", ".")
    disguised = rewritten != host and rewritten.isascii()
    several = _HOST_PORT.fullmatch(rewritten.replace(".", "")) is None or ":" in rewritten
    return not disguised and not several


def _covering(ranges: Iterable[_Range], number: int) -> str | None:
    for first, last, what in ranges:
        if first <= number <= last:
            return what
    return None


def _ranges(rows: Iterable[tuple[str, str]]) -> tuple[_Range, ...]:
    networks = ((ipaddress.ip_network(cidr), what) for cidr, what in rows)
    return tuple(
        (int(net.network_address), int(net.broadcast_address), what) for net, what in networks
    )


def _plain(host: str) -> str:
    return host.strip("[]").lower().removesuffix(".")


def _network(item: str) -> str | None:
    try:
        return str(ipaddress.ip_network(item.strip("[]")))
    except ValueError as error:
        if "host bits" in str(error):
            wider = ipaddress.ip_network(item, strict=False)
            raise UsageError(f"--allow-host {item} is not a network", f"write {wider}") from error
        return None


def _host_name(item: str) -> str:
    name = _plain(item)
    # What ends in a number is an address to every resolver, and was not one to us.
    numeric = re.fullmatch(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", name)
    if numeric or not re.fullmatch(r"[^\W_]([\w-]*\.)*[\w-]*", name):
        raise UsageError(
            f"--allow-host {item!r} is neither a host name nor an address nor a network",
            "give it without scheme, port and path: images.intranet, 10.20.0.0/16",
        )
    return name
