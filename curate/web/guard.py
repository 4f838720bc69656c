"""Who may talk to the audit page, checked before any route is looked up.

The server listens on loopback only, but every page in the same browser, and every program on
the machine, can reach that. So each request must name us as its host (against DNS rebinding),
must not come from another site or another port (`Origin`, `Sec-Fetch-Site`), and must bring
the session's cookie. A link with a token, good for one use, gives that cookie; the token is
gone from the address bar with the redirect. Sessions are kept as hashes in the catalog, so a
page that is open goes on working when the server is started again.

This is a plain ASGI wrapper: nothing behind it runs, and no body is read, before it agrees.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 1024 * 1024
MAX_URL_BYTES = 16 * 1024
SESSION_S = 30 * 24 * 3600
"""A session ends this long after it began."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)


class _TooLargeError(Exception):
    """The body has more bytes than any request of ours."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer given instead of letting a request through."""

    status: int
    """HTTP status."""
    text: str
    """One sentence for a person; it repeats nothing that the request said."""


@dataclass(slots=True)
class Doors:
    """The tokens that are still good; the only state of the guard."""

    tokens: dict[str, str] = field(default_factory=dict)
    """SHA-256 of a token, to the annotator whose link it is in."""

    def link(self, annotator: str) -> str:
        """Make a token for an annotator; it is good once."""
        token = secrets.token_urlsafe(32)
        self.tokens[digest(token)] = annotator
        return token

    def take(self, token: str) -> str | None:
        """Use a token up; return whose it was, None if it is not good (any more)."""
        wanted = digest(token)
        for known in list(self.tokens):
            if hmac.compare_digest(known, wanted):
                return self.tokens.pop(known)
        return None


def digest(secret: str) -> str:
    """Return what is kept of a secret."""
    return sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class Guard:
    """Let through who may; wrap an ASGI application.

    Attributes:
        app: what is behind it; finds the annotator in `scope["state"]["annotator"]`.
        port: the port that a request must name.
        doors: tokens that are good.
        begin: keep a session: hash of its secret, annotator.
        find: return the annotator of a session's hash; None if there is no such session.
    """

    app: App
    port: int
    doors: Doors
    begin: Callable[[str, str], Awaitable[None]]
    find: Callable[[str], Awaitable[str | None]]

    @property
    def cookie(self) -> str:
        """The cookie's name: browsers do not tell ports apart, so the name must."""
        return f"curate_audit_{self.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no other protocol is spoken here; the server closes the connection
        sender = _with_headers(send)
        headers = _headers(scope)
        refusal = self._stranger(scope, headers)
        if refusal is not None:
            await _refuse(sender, refusal)
            return
        secret = self._cookie(headers)
        annotator = await self.find(digest(secret)) if secret else None
        token = _token(scope)
        if token is not None and scope["path"] == "/":
            await self._enter(token, annotator, sender)
        elif annotator is None:
            await _refuse(sender, Refusal(403, _NO_SESSION))
        else:
            scope.setdefault("state", {})["annotator"] = annotator
            await self._inside(scope, receive, sender, headers)

    def _stranger(self, scope: Scope, headers: Mapping[str, str]) -> Refusal | None:
        """Refuse who does not come from our own page or the address bar."""
        host = headers.get("host", "")
        if host not in (f"127.0.0.1:{self.port}", f"localhost:{self.port}"):
            return Refusal(403, "This server answers only under its own address.")
        if headers.get("origin") not in (None, f"http://{host}"):
            return Refusal(403, "This server answers only its own page.")
        method = scope["method"]
        site = headers.get("sec-fetch-site")
        if site not in (None, "same-origin") and not (site == "none" and method == "GET"):
            return Refusal(403, "This server answers only its own page.")
        if method not in ("GET", "HEAD", "POST"):
            return Refusal(405, "There is no such method.")
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_URL_BYTES:
            return Refusal(414, "The address is too long.")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if method == "POST" and kind != "application/json":
            return Refusal(415, "Only JSON can be sent here.")
        return None

    def _cookie(self, headers: Mapping[str, str]) -> str:
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return ""
        return morsel.value if morsel is not None else ""

    async def _enter(self, token: str, annotator: str | None, send: Send) -> None:
        """Exchange a link's token for a session, and take it out of the address bar."""
        named = self.doors.take(token)
        if named is None and annotator is None:
            await _refuse(send, Refusal(403, _USED))
            return
        extra: list[tuple[bytes, bytes]] = [(b"location", b"/"), (b"cache-control", b"no-store")]
        if named is not None:
            secret = secrets.token_urlsafe(32)
            await self.begin(digest(secret), named)
            cookie = f"{self.cookie}={secret}; HttpOnly; SameSite=Strict; Path=/"
            extra.append((b"set-cookie", f"{cookie}; Max-Age={SESSION_S}".encode()))
        await send({"type": "http.response.start", "status": 303, "headers": extra})
        await send({"type": "http.response.body", "body": b""})

    async def _inside(
        self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str]
    ) -> None:
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > MAX_BODY_BYTES:
            await _refuse(send, Refusal(413, "That is too much at once."))
            return
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, _bounded(receive), noting)
        except _TooLargeError:
            if begun:
                raise
            await _refuse(send, Refusal(413, "That is too much at once."))


_NO_SESSION = "Open the link that `curate audit` prints: this browser has not come through it."
_USED = "This link does not open anything (any more). Run `curate audit` again for a new one."


def _headers(scope: Scope) -> dict[str, str]:
    """Return the headers; one given twice is joined, so that it equals nothing expected."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]}; {text}" if key in found else text
    return found


def _token(scope: Scope) -> str | None:
    if scope["method"] != "GET":
        return None
    try:
        query = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=100)
    except ValueError:
        return None  # more fields than any address of ours has
    return query["token"][0] if "token" in query else None


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [*message.get("headers", []), *HEADERS]
            if not any(name == b"cache-control" for name, _ in own):
                own.append((b"cache-control", b"no-store"))
            message = {**message, "headers": own}
        await send(message)

    return sending


def _bounded(receive: Receive) -> Receive:
    """Count a body while it comes in: its announced length may be missing."""
    seen = 0

    async def receiving() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MAX_BODY_BYTES:
            raise _TooLargeError
        return message

    return receiving


async def _refuse(send: Send, refusal: Refusal) -> None:
    body = refusal.text.encode() + b"\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
