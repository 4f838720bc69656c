"""The URLs of the guard matrix: ways of pointing inwards, and ordinary image URLs.

`{p}` is the canary's port. Names end in `.example` and resolve to what `NAMES` says.
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Reach a canary on loopback if nothing stops them (the matrix checks that, too).
LOOPBACK = _words("""
http://127.0.0.1:{p}/ http://127.0.0.1:{p} http://127.0.0.2:{p}/ http://127.255.255.254:{p}/
http://127.1:{p}/ http://127.0.1:{p}/ http://2130706433:{p}/ http://2130706434:{p}/
http://127.1.0x0.1:{p}/../ http://127.65530:{p}/../
http://0x7f.1:{p}/ http://0x7f000001:{p}/ http://0x7F000001:{p}/ http://0X7F.0X0.0X0.0X1:{p}/
http://0x7f.0x0.0x0.0x1:{p}/ http://0x0000007f.1:{p}/ http://127.0.0x1:{p}/ http://0x7f.0.1:{p}/
http://017700000001:{p}/ http://0177.0.0.1:{p}/ http://0177.1:{p}/ http://0000177.0.0.1:{p}/
http://0177.0.0.01:{p}/ http://0177.0x0.0.1:{p}/ http://127.0.0.01:{p}/ http://127.00.00.01:{p}/
http://0:{p}/ http://0.0.0.0:{p}/ http://00.00:{p}/ http://0x0:{p}/ http://0.0:{p}/
http://localhost:{p}/ http://LOCALHOST:{p}/ http://LocalHost:{p}/ http://localhost.:{p}/
HTTP://127.0.0.1:{p}/ hTTp://127.1:{p}/a.jpg?x=http://example.com/#@example.com
http://example.com@127.0.0.1:{p}/ http://example.com:80@127.0.0.1:{p}/
http://user:password@127.0.0.1:{p}/ http://@127.0.0.1:{p}/ http://:@127.1:{p}/
http://images.example.com%2fa.jpg@127.0.0.1:{p}/ http://example.com%23@2130706433:{p}/
http://example.com;@127.0.0.1:{p}/ http://127.0.0.9@127.0.0.1:{p}/
http://[::1]:{p}/ http://[0:0:0:0:0:0:0:1]:{p}/ http://[0000::0001]:{p}/ http://[::0.0.0.1]:{p}/
http://[::]:{p}/ http://[0:0:0:0:0:0:0:0]:{p}/ http://example.com@[::1]:{p}/
http://[::ffff:127.0.0.1]:{p}/ http://[::ffff:7f00:1]:{p}/ http://[::FFFF:7F00:0001]:{p}/
http://[0:0:0:0:0:ffff:127.0.0.1]:{p}/ http://[0:0:0:0:0:FFFF:7f00:1]:{p}/
http://[::ffff:0.0.0.0]:{p}/ http://[::ffff:127.0.0.2]:{p}/
http://loop.example:{p}/ http://LOOP.Example:{p}/ http://loop.example.:{p}/
http://loop6.example:{p}/ http://zero.example:{p}/ http://mapped.example:{p}/
http://127.0.0.1.loop.example:{p}/ http://www.loop.example:{p}/ http://under_score.example:{p}/
http://xn--lp-fkaa.example:{p}/ http://example.com@loop.example:{p}/
""")

# Lead elsewhere than to the canary, to places that are as forbidden.
INWARD = _words("""
http://10.0.0.1/ http://10.255.255.255:{p}/ http://172.16.0.1/ http://172.31.255.255/
http://192.168.0.1/ http://192.168.1.1:8080/ http://0xa.1/ http://012.0.0.1/ http://167772161/
http://3232235521/ http://0xc0a80001/ http://0300.0250.0.1/ http://192.168.257/
http://100.64.0.1/ http://100.127.255.254/ http://1681915905/ http://100.100.100.200/
http://169.254.169.254/latest/meta-data/ http://2852039166/ http://0xa9fea9fe/ http://0251.0376.0251.0376/
http://169.254.43518/ http://169.16689662/ http://0xA9.0xFE.0xA9.0xFE/ http://169.254.169.254:80/
http://example.com@169.254.169.254/ https://169.254.169.254/ http://169.254.170.2/v2/credentials
http://168.63.129.16/ http://192.0.0.192/ http://169.254.0.1/
http://192.0.0.1/ http://192.0.2.1/ http://198.51.100.1/ http://203.0.113.1/ http://192.88.99.1/
http://198.18.0.1/ http://198.19.255.255/ http://224.0.0.1/ http://239.255.255.250:1900/
http://240.0.0.1/ http://255.255.255.255/ http://4294967295/ http://0xffffffff/ http://0.0.0.1/
http://[::ffff:10.0.0.1]/ http://[::ffff:a9fe:a9fe]/ http://[::ffff:169.254.169.254]/
http://[::ffff:192.168.0.1]/ http://[::ffff:100.64.0.1]/ http://[::127.0.0.1]:{p}/ http://[::7f00:1]:{p}/
http://[::ffff:0:127.0.0.1]:{p}/ http://[::ffff:0:7f00:1]:{p}/ http://[::10.0.0.1]/
http://[64:ff9b::7f00:1]:{p}/ http://[64:ff9b::127.0.0.1]:{p}/ http://[64:ff9b::a00:1]/
http://[64:ff9b::169.254.169.254]/ http://[0064:FF9B::a9fe:a9fe]/ http://[64:ff9b:1::7f00:1]:{p}/
http://[64:ff9b:1::8.8.8.8]/ http://[2002:7f00:1::]:{p}/ http://[2002:7f00:1::1]:{p}/
http://[2002:a00:1::1]/ http://[2002:a9fe:a9fe::1]/ http://[2002:808:808::1]/
http://[2001:0:7f00:1::]:{p}/ http://[2001:0:4136:e378:8000:63bf:80ff:fffe]:{p}/
http://[2001::1]/ http://[2a00:1450::5efe:127.0.0.1]:{p}/ http://[fe80::200:5efe:7f00:1]:{p}/
http://[fe80::1]/ http://[febf::1]/ http://[fec0::1]/ http://[fc00::1]/ http://[fd00:ec2::254]/
http://[fd20:ce::254]/ http://[fd12:3456::1]/ http://[ff02::1]/ http://[ff0e::1]/ http://[100::1]/
http://[2001:db8::1]/ http://[3fff::1]/ http://[5f00::1]/ http://[2001:2::1]/ http://[2001:10::1]/
http://[4000::1]/ http://[::2]/ https://10.0.0.1/ https://[fd00::1]/
http://private.example/ http://meta.example/ http://nat64.example:{p}/ http://6to4.example:{p}/
http://teredo.example:{p}/ http://ula.example/ http://cgnat.example/ https://loop.example:{p}/
""")

# Refused as text: not a plain URL.
UNREADABLE = (
    "http://\u2100@example.com:{p}/x.jpg",
    "http://a\u2048b@127.0.0.1:{p}/",
    "http://user:\uff03@127.0.0.1:{p}/",
    "http://%31%32%37.0.0.1:{p}/",
    "http://127.0.0.1%00.example.com:{p}/",
    "http://127%2E0%2E0%2E1:{p}/",
    "http://%6c%6f%63%61%6c%68%6f%73%74:{p}/",
    "http://\uff11\uff12\uff17.\uff10.\uff10.\uff11:{p}/",
    "http://127\u30020\u30020\u30021:{p}/",
    "http://\u2460\u2461\u2466.0.0.1:{p}/",
    "http://\uff4c\uff4fcalhost:{p}/",
    "http://example.com\\@127.0.0.1:{p}/",
    "http://127.0.0.1:{p}\\@example.com/",
    "http://a@example.com@127.0.0.1:{p}/",
    "http://127.0.0.1:{p}\\@example.com:x@/",
    "http://[::1%25lo]:{p}/",
    "http://[::1%lo]:{p}/",
    "http://[127.0.0.1]:{p}/",
    "http://127.0.0.1:{p}:80/",
    "http:127.0.0.1:{p}/",
    "http:/127.0.0.1:{p}/",
    "http:///127.0.0.1:{p}/",
    "http:\\\\127.0.0.1:{p}/",
    "file:///etc/passwd",
    "file://127.0.0.1:{p}/etc/passwd",
    "ftp://127.0.0.1:{p}/a.jpg",
    "gopher://127.0.0.1:{p}/_GET%20/",
    "dict://127.0.0.1:{p}/stat",
    "ldap://127.0.0.1:{p}/",
    "telnet://127.0.0.1:{p}/",
    "smb://127.0.0.1:{p}/a/b.jpg",
    "javascript:alert(1)",
    "data:image/png;base64,iVBORw0KGgo=",
    "jar:http://127.0.0.1:{p}/a!/b",
)

NAMES = {
    "loop.example": "127.0.0.1",
    "loop.example.": "127.0.0.1",
    "127.0.0.1.loop.example": "127.0.0.1",
    "www.loop.example": "127.0.0.1",
    "under_score.example": "127.0.0.1",
    "xn--lp-fkaa.example": "127.0.0.1",
    "loop6.example": "::1",
    "zero.example": "0.0.0.0",
    "mapped.example": "::ffff:127.0.0.1",
    "private.example": "10.0.0.1",
    "meta.example": "169.254.169.254",
    "nat64.example": "64:ff9b::7f00:1",
    "6to4.example": "2002:7f00:1::1",
    "teredo.example": "2001:0:7f00:1::1",
    "ula.example": "fd00::1",
    "cgnat.example": "100.64.0.1",
}
"""What DNS says in the matrix, under every port that the URLs name."""

_HOSTS = _words("""
images.unsplash.com plus.unsplash.com inaturalist-open-data.s3.amazonaws.com
static.inaturalist.org api.gbif.org upload.wikimedia.org live.staticflickr.com
farm5.staticflickr.com i.imgur.com observation.org www.artdatabanken.se
images.naturalis.nl mczbase.mcz.harvard.edu ids.si.edu cdn.example.co.uk
xn--bcher-kva.example b\u00fccher.example under_score.example.com 1.example.com
a.b.c.d.e.example.org
""")
_PATHS = (
    "/photo-1507525428034-b723cf961d3e?ixid=M3w&ixlib=rb-4.0.3&w=1080&q=80&fm=jpg&fit=max",
    "/photos/12345678/original.jpeg",
    "/wikipedia/commons/thumb/a/a1/Caf%C3%A9_(1).jpg/1024px-Caf%C3%A9_(1).jpg",
    ":8443/a/b/c.JPG?u=http://user@host:80/x#fragment",
    "/\u00e4/\u6587\u5b57 mit Leerzeichen [1]{2}|~.jpg",
)
ORDINARY = tuple(
    f"{scheme}://{host}{path}"
    for host in _HOSTS
    for scheme, path in zip(("https", "http", "https", "HTTPS", "http"), _PATHS, strict=True)
)
"""One hundred URLs as sources offer them."""

PUBLIC_ADDRESSES = _words("""
151.101.1.208 151.101.65.208 52.216.10.1 54.231.128.12 130.225.43.2 103.102.166.240
208.80.154.240 13.35.1.1 99.84.1.1 151.101.192.193 104.16.1.1 172.67.1.1 172.15.1.1 172.32.1.1
1.1.1.1 8.8.8.8 9.9.9.9 100.63.1.1 100.128.1.1 128.103.1.1 160.111.1.1 192.0.78.1 192.30.255.112
193.0.14.129 198.17.1.1 198.20.1.1 203.0.114.1 223.255.255.254 2a04:4e42::720
2600:9000:2000::1 2620:0:863:ed1a::2:b 2606:4700::6810:101 2a02:ec80:300:ed1a::1
2001:878:402::1 2001:67c:4::1 2400:cb00:2048:1::1 64:ff9b::9765:1d0 ::ffff:151.101.1.208
""")
