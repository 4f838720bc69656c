"""The ways in which `tests.fakes.misbehaving` answers, one handler each.

Wherever a body is sent, `?body=` picks one of `tests.fakes.bodies.BODIES` (or a file given
to the server), `?seed=` its picture, `?type=` another Content-Type. Handlers return after a
whole answer; those that leave the connection in disorder close it.
"""

from __future__ import annotations

import functools
import gzip
import time
import zlib
from email.utils import formatdate

from tests.fakes.exchange import MAX_SECONDS, Exchange, head

FOREVER_S = MAX_SECONDS * 2
BLOCK = bytes(64 * 1024)

STATUSES = (
    *(204, 206, 300, 304, 400, 401, 402, 403, 404, 405, 407, 408, 410, 418, 421, 425, 429, 451),
    *(500, 501, 502, 503, 504, 505, 522, 524, 599, 999),
)
"""Statuses worth asking `status?code=` for; redirects have their own behaviours."""

EXTRA_HEADERS = {
    206: ("Content-Range", "bytes 0-99/200"),
    401: ("WWW-Authenticate", 'Basic realm="x"'),
    405: ("Allow", "POST"),
    407: ("Proxy-Authenticate", 'Basic realm="x"'),
}


async def ok(exchange: Exchange) -> None:
    """A correct answer."""
    data, kind = exchange.body()
    await exchange.answer(200, data, ("Content-Type", kind))


async def unknown(exchange: Exchange) -> None:
    """404, for a name that is no behaviour."""
    await exchange.answer(404, b"no such behaviour\n", ("Content-Type", "text/plain"))


async def slow(exchange: Exchange) -> None:
    """A correct answer, `seconds` late."""
    await exchange.sleep(exchange.number("seconds", 1.0))
    await ok(exchange)


async def status(exchange: Exchange) -> None:
    """`code`, with `retry_after`: text as it is, or `date:N` for the date N seconds from now."""
    code = int(exchange.number("code", 500))
    data, kind = exchange.body() if "body" in exchange.query else (b"<html>no</html>", "text/html")
    headers = [("Content-Type", kind)]
    if code in EXTRA_HEADERS:
        headers.append(EXTRA_HEADERS[code])
    wait = exchange.query.get("retry_after")
    if wait is not None:
        is_date, _, offset = wait.partition("date:")
        value = (
            wait if is_date or not offset else formatdate(time.time() + float(offset), usegmt=True)
        )
        headers.append(("Retry-After", value))
    await exchange.answer(code, data, *headers)


async def informational(exchange: Exchange) -> None:
    """`n` interim answers of `code` that nobody asked for, then a correct one."""
    code = int(exchange.number("code", 100))
    for _ in range(int(exchange.number("n", 3))):
        await exchange.head(code, ("Link", "</x.css>; rel=preload"))
    await ok(exchange)


async def informational_only(exchange: Exchange) -> None:
    """One interim answer of `code`, then the end."""
    await exchange.head(int(exchange.number("code", 100)))
    await exchange.close()


async def redirect(exchange: Exchange) -> None:
    """`code` to `to`, sent as it is; no Location at all if `to` is not given."""
    where = exchange.query.get("to")
    headers = [("Location", where)] if where is not None else []
    await exchange.answer(int(exchange.number("code", 302)), b"moved\n", *headers)


async def redirect_loop(exchange: Exchange) -> None:
    """A redirect to itself."""
    await exchange.answer(302, b"", ("Location", exchange.request.target))


async def redirect_chain(exchange: Exchange) -> None:
    """`n` redirects, then a correct answer."""
    left = int(exchange.number("n", 3))
    where = f"/redirect_chain?n={left - 1}" if left > 1 else "/ok"
    await exchange.answer(302, b"", ("Location", where))


async def redirect_grow(exchange: Exchange) -> None:
    """Endless redirects, each to another URL."""
    left = int(exchange.number("n", 0)) + 1
    await exchange.answer(302, b"", ("Location", f"/redirect_grow?n={left}"))


async def redirect_twice(exchange: Exchange) -> None:
    """Two Location headers that disagree: the second goes to `to`."""
    second = exchange.text("to", "file:///etc/passwd")
    await exchange.answer(302, b"", ("Location", "/ok"), ("Location", second))


async def redirect_loopback(exchange: Exchange) -> None:
    """A redirect to this server under another name for loopback, `host`."""
    host = exchange.text("host", "localhost")
    await exchange.answer(302, b"", ("Location", f"http://{host}:{exchange.port}/ok"))


async def redirect_endless(exchange: Exchange) -> None:
    """A redirect to `/ok` whose own body does not end."""
    await exchange.head(302, ("Location", "/ok"))
    while True:
        await exchange.raw(BLOCK)


async def reset_before(exchange: Exchange) -> None:
    """RST instead of an answer."""
    await exchange.reset()


async def reset_in_headers(exchange: Exchange) -> None:
    """RST inside the headers."""
    await exchange.raw(b"HTTP/1.1 200 OK\r\nContent-Type: image/j")
    await exchange.reset()


async def reset_after_headers(exchange: Exchange) -> None:
    """RST where the body should begin."""
    await exchange.head(200, ("Content-Type", "image/jpeg"), ("Content-Length", "5000"))
    await exchange.reset()


async def reset_in_body(exchange: Exchange) -> None:
    """RST after half of the body."""
    data, kind = exchange.body()
    await exchange.head(200, ("Content-Type", kind), ("Content-Length", str(len(data))))
    await exchange.raw(data[: len(data) // 2])
    await exchange.sleep(0.05)  # or the RST may overtake what the client has not read yet
    await exchange.reset()


async def close_before(exchange: Exchange) -> None:
    """An orderly close instead of an answer."""
    await exchange.close()


async def close_in_headers(exchange: Exchange) -> None:
    """An orderly close inside the headers."""
    await exchange.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50")
    await exchange.close()


async def lying_length(exchange: Exchange) -> None:
    """The body under `Content-Length: value`, repeated for every value between commas."""
    data, kind = exchange.body()
    values = exchange.text("value", "banana").split(",")
    await exchange.head(200, ("Content-Type", kind), *(("Content-Length", v) for v in values))
    await exchange.raw(data)
    await exchange.close()


async def short_body(exchange: Exchange) -> None:
    """A Content-Length that is `missing` bytes too long, then an orderly close."""
    data, kind = exchange.body()
    length = len(data) + int(exchange.number("missing", 100))
    await exchange.head(200, ("Content-Type", kind), ("Content-Length", str(length)))
    await exchange.raw(data)
    await exchange.close()


async def long_body(exchange: Exchange) -> None:
    """A Content-Length that is `extra` bytes too short."""
    data, kind = exchange.body()
    length = len(data) - int(exchange.number("extra", 100))
    await exchange.head(200, ("Content-Type", kind), ("Content-Length", str(length)))
    await exchange.raw(data)
    await exchange.close()


async def no_length(exchange: Exchange) -> None:
    """No Content-Length: the close ends the body; `cut` bytes of it are not sent."""
    data, kind = exchange.body()
    await exchange.head(200, ("Content-Type", kind), ("Connection", "close"))
    await exchange.raw(data[: len(data) - int(exchange.number("cut", 0))])
    await exchange.close()


async def chunked(exchange: Exchange) -> None:
    """Correct chunks of `size` bytes, with a trailer; `length` adds a Content-Length."""
    data, kind = exchange.body()
    headers = [("Content-Type", kind), ("Transfer-Encoding", "chunked")]
    if "length" in exchange.query:
        headers.append(("Content-Length", exchange.query["length"]))
    await exchange.head(200, *headers)
    size = int(exchange.number("size", 500))
    for start in range(0, len(data), size):
        await exchange.raw(_chunk(data[start : start + size]))
    await exchange.raw(b"0\r\nX-Trailer: yes\r\n\r\n")


async def chunked_broken(exchange: Exchange) -> None:
    """One good chunk, then `line` where a chunk size should be."""
    await exchange.head(200, ("Content-Type", "image/jpeg"), ("Transfer-Encoding", "chunked"))
    line = exchange.text("line", "banana").encode()
    await exchange.raw(_chunk(exchange.body()[0]) + line + b"\r\nxxxx\r\n")
    await exchange.close()


async def chunked_cut(exchange: Exchange) -> None:
    """All the data in a good chunk, but no last chunk."""
    await exchange.head(200, ("Content-Type", "image/jpeg"), ("Transfer-Encoding", "chunked"))
    await exchange.raw(_chunk(exchange.body()[0]))
    await exchange.close()


async def chunked_endless(exchange: Exchange) -> None:
    """Chunks without end, as fast as they are read."""
    await exchange.head(200, ("Content-Type", "image/jpeg"), ("Transfer-Encoding", "chunked"))
    await exchange.raw(_chunk(exchange.body()[0]))
    while True:
        await exchange.raw(_chunk(BLOCK))


async def endless(exchange: Exchange) -> None:
    """A body without end, as fast as it is read; `length` announces a Content-Length."""
    data, kind = exchange.body()
    headers = [("Content-Type", kind)]
    if "length" in exchange.query:
        headers.append(("Content-Length", exchange.query["length"]))
    await exchange.head(200, *headers)
    await exchange.raw(data)
    while True:
        await exchange.raw(BLOCK)


async def endless_headers(exchange: Exchange) -> None:
    """Headers without end."""
    await exchange.raw(b"HTTP/1.1 200 OK\r\n")
    while True:
        await exchange.raw(b"X-More: " + b"x" * 1000 + b"\r\n")


async def huge_header(exchange: Exchange) -> None:
    """One header of `n_bytes`, then a correct answer."""
    data, kind = exchange.body()
    value = "x" * int(exchange.number("n_bytes", 2_000_000))
    await exchange.answer(200, data, ("Content-Type", kind), ("X-Huge", value))


async def drip(exchange: Exchange) -> None:
    """A correct answer, one byte every `interval_ms`; `what=headers` begins with the headers."""
    data, kind = exchange.body()
    top = head(200, ("Content-Type", kind), ("Content-Length", str(len(data))))
    if exchange.text("what", "body") == "body":
        await exchange.raw(top)
        top = b""
    for byte in top + data:
        await exchange.raw(bytes([byte]))
        await exchange.sleep(exchange.number("interval_ms", 200) / 1000)


async def stall(exchange: Exchange) -> None:
    """Silence of `seconds` (default: for ever) `where`: before, headers, after or body."""
    data, kind = exchange.body()
    whole = head(200, ("Content-Type", kind), ("Content-Length", str(len(data)))) + data
    top = len(whole) - len(data)
    cuts = {"before": 0, "headers": 20, "after": top, "body": top + len(data) // 2}
    cut = cuts[exchange.text("where", "before")]
    await exchange.raw(whole[:cut])
    await exchange.sleep(exchange.number("seconds", FOREVER_S))
    await exchange.raw(whole[cut:])


async def garbage(exchange: Exchange) -> None:
    """Bytes that are not HTTP: `body`, or `line` and a correct rest."""
    if "line" not in exchange.query:
        await exchange.raw(exchange.body()[0])
        await exchange.close()
    data, kind = exchange.body()
    length = ("Content-Length", str(len(data)))
    await exchange.head(200, ("Content-Type", kind), length, line=exchange.query["line"])
    await exchange.raw(data)
    await exchange.close()


async def gzipped(exchange: Exchange) -> None:
    """The body, compressed although it was not asked for."""
    data, kind = exchange.body()
    headers = (("Content-Type", kind), ("Content-Encoding", "gzip"))
    await exchange.answer(200, gzip.compress(data), *headers)


async def gzip_lie(exchange: Exchange) -> None:
    """The plain body under Content-Encoding: `encoding`."""
    data, kind = exchange.body()
    encoding = exchange.text("encoding", "gzip")
    await exchange.answer(200, data, ("Content-Type", kind), ("Content-Encoding", encoding))


async def gzip_bomb(exchange: Exchange) -> None:
    """A small body that unpacks to `mib` megabytes."""
    packed = _packed_zeros(int(exchange.number("mib", 128)))
    headers = (("Content-Type", "image/jpeg"), ("Content-Encoding", "gzip"))
    await exchange.answer(200, packed, *headers)


async def no_head(exchange: Exchange) -> None:
    """405 for HEAD, a correct answer for GET."""
    if exchange.request.method == "HEAD":
        await exchange.answer(405, b"", ("Allow", "GET"))
        return
    await ok(exchange)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@functools.lru_cache(maxsize=4)
def _packed_zeros(n_mib: int) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return b"".join(packer.compress(BLOCK) for _ in range(n_mib * 16)) + packer.flush()
