"""All behaviours of `tests.fakes.misbehaving` by name: the handlers, and presets of them.

Two handlers live here because they answer as one of the others: `flaky`, and the images of
a corpus.
"""

from __future__ import annotations

from tests.fakes import behaviours as b
from tests.fakes.behaviours import unknown
from tests.fakes.exchange import Exchange, Handler
from tests.fakes.flaky import First

__all__ = ["BEHAVIOURS", "unknown"]


async def flaky(exchange: Exchange) -> None:
    """The first `k` requests of each URL end as `how` says (a behaviour), then all is well."""
    failing = exchange.nth <= int(exchange.number("k", 1))
    await (BEHAVIOURS[exchange.text("how", "status")] if failing else b.ok)(exchange)


async def image(exchange: Exchange) -> None:
    """`/img/N.jpg` of the server's corpus, by its fate."""
    corpus = exchange.corpus
    name = exchange.request.target.removeprefix("/img/").removesuffix(".jpg")
    if corpus is None or not name.isdecimal() or int(name) >= corpus.n:
        await b.unknown(exchange)
        return
    fate = corpus.fate(int(name))
    if exchange.nth == 1 and fate.first is not First.OK:
        await FIRST[fate.first](exchange)
    elif fate.status != 200:
        await exchange.answer(fate.status, b"gone\n", ("Content-Type", "text/plain"))
    else:
        await exchange.answer(200, corpus.body(int(name)), ("Content-Type", "image/jpeg"))


def preset(handler: Handler, **defaults: str) -> Handler:
    """A behaviour with other defaults; the query string still wins."""

    async def behave(exchange: Exchange) -> None:
        exchange.query = defaults | exchange.query
        await handler(exchange)

    behave.__doc__ = f"{handler.__doc__} With {defaults}."
    return behave


FIRST: dict[First, Handler] = {
    First.BUSY: preset(b.status, code="503", retry_after="1"),
    First.ERROR: preset(b.status, code="503"),
    First.RESET: b.reset_in_body,
    First.SHORT: b.short_body,
    First.DRIP: b.drip,
}

BEHAVIOURS: dict[str, Handler] = {
    handler.__name__: handler
    for handler in (
        *(b.ok, b.slow, b.status, b.informational, b.informational_only),
        *(b.redirect, b.redirect_loop, b.redirect_chain, b.redirect_grow, b.redirect_twice),
        *(b.redirect_loopback, b.redirect_endless),
        *(b.reset_before, b.reset_in_headers, b.reset_after_headers, b.reset_in_body),
        *(b.close_before, b.close_in_headers, b.lying_length),
        *(b.short_body, b.long_body, b.no_length),
        *(b.chunked, b.chunked_broken, b.chunked_cut, b.chunked_endless),
        *(b.endless, b.endless_headers, b.huge_header, b.drip, b.stall, b.garbage),
        *(b.gzipped, b.gzip_lie, b.gzip_bomb, b.no_head, flaky),
    )
} | {
    "img": image,
    "placeholder": preset(b.ok, body="png", seed="404"),
    "empty": preset(b.ok, body="empty"),
    "html_as_jpeg": preset(b.ok, body="html", type="image/jpeg"),
    "png_as_jpeg": preset(b.ok, body="png", type="image/jpeg"),
    "jpeg_as_html": preset(b.ok, body="jpeg", type="text/html"),
    "truncated": preset(b.ok, body="truncated"),
    "flipped": preset(b.ok, body="flipped"),
    "pixel_bomb": preset(b.ok, body="pixel_bomb"),
    "http09": preset(b.garbage, body="jpeg"),
    "noise": preset(b.garbage, body="noise"),
    "bad_status_line": preset(b.garbage, line="HTTP/1.1 yes OK"),
    "future_http": preset(b.garbage, line="HTTP/7.5 200 OK"),
    "http10": preset(b.garbage, line="HTTP/1.0 200 OK"),
    "length_garbage": preset(b.lying_length, value="banana"),
    "length_negative": preset(b.lying_length, value="-5"),
    "length_huge": preset(b.lying_length, value="99999999999999999999999"),
    "length_twice": preset(b.lying_length, value="100,2000"),
    "endless_length": preset(b.endless, length="1000000000000"),
    "chunked_overflow": preset(b.chunked_broken, line="fffffffffffffffff"),
    "chunked_negative": preset(b.chunked_broken, line="-5"),
    "drip_headers": preset(b.drip, what="headers"),
    "stall_in_headers": preset(b.stall, where="headers"),
    "stall_after_headers": preset(b.stall, where="after"),
    "stall_in_body": preset(b.stall, where="body"),
    "redirect_relative": preset(b.redirect, to="../x/../ok"),
    "redirect_schemeless": preset(b.redirect, to="//127.0.0.1/ok"),
    "redirect_empty": preset(b.redirect, to=""),
    "redirect_garbage": preset(b.redirect, to="ht!tp:::/\x7f\\"),
    "redirect_file": preset(b.redirect, to="file:///etc/passwd"),
    "redirect_ftp": preset(b.redirect, to="ftp://example.com/a.jpg"),
    "redirect_javascript": preset(b.redirect, to="javascript:alert(1)"),
    "redirect_data": preset(b.redirect, to="data:image/png;base64,iVBORw0KGgo="),
    "redirect_private": preset(b.redirect, to="http://10.0.0.1/a.jpg"),
    "redirect_metadata": preset(b.redirect, to="http://169.254.169.254/latest/meta-data/"),
    "redirect_no_host": preset(b.redirect, to="http://?a.jpg"),
    "retry_seconds": preset(b.status, code="429", retry_after="2"),
    "retry_date": preset(b.status, code="429", retry_after="date:5"),
    "retry_past": preset(b.status, code="429", retry_after="date:-3600"),
    "retry_year": preset(b.status, code="429", retry_after="date:31536000"),
    "retry_garbage": preset(b.status, code="429", retry_after="soon"),
    "retry_negative": preset(b.status, code="429", retry_after="-10"),
}
"""Every behaviour by the name that stands first in the path."""
