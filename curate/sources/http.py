"""The one HTTP session for APIs: timeouts always, retries with reason, an honest name.

Two layers, by who has to know. The transport adapter repeats what failed by accident
(connect, read, 5xx) with jittered back-off, and tells only progress. A 429 is a message to
the user, so `get_patiently` above it says so, waits as long as Retry-After asks if that is within
`max_wait_s`, and otherwise gives up with the time to come back. Keys travel in a header
given per request: requests drops `Authorization` when a redirect leaves the origin, and
the session's own auth hook keeps a netrc entry from replacing it.
"""

from __future__ import annotations

import email.utils
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.response import BaseHTTPResponse
from urllib3.util.retry import Retry

from curate.config import user_agent
from curate.errors import SourceError
from curate.sources.base import RateLimitedError, SourceContext

Params = Mapping[str, str | int | Sequence[str]]

TRANSIENT_STATUSES = (500, 502, 503, 504, 522, 524)
MAX_RETRIES = 4
TRYING_AGAIN = "no answer, trying again"
"""The stage of `progress` that counts retries."""
MAX_PAUSES = 10
"""How often in a row one request may be told 429 before we take it for a refusal."""


def parse_retry_after_s(value: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for; None if it says nothing usable.

    Both forms are read: seconds, and an HTTP date (compared with `now`, Unix seconds).
    """
    if value is None:
        return None
    value = value.strip()
    if value.isdecimal():
        return float(value)
    parsed = email.utils.parsedate_tz(value)
    if parsed is None:
        return None
    return max(0.0, email.utils.mktime_tz(parsed) - now)


class _Retry(Retry):
    """urllib3's policy with our clock and sleep; a wait that is too long ends it at once."""

    # 429 is handled above the transport, where the user can be told.
    RETRY_AFTER_STATUS_CODES = frozenset({503})

    def __init__(self, *args: Any, context: SourceContext | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._context = context or SourceContext()

    def new(self, **kw: Any) -> _Retry:
        return super().new(context=self._context, **kw)

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        return parse_retry_after_s(response.headers.get("Retry-After"), self._context.clock())

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> _Retry:
        spent = response is not None and (
            (self.get_retry_after(response) or 0) > self._context.max_wait_s
        )
        policy = self.new(total=0) if spent else self
        left = Retry.increment(policy, method, url, response, *args, **kwargs)
        self._context.progress(TRYING_AGAIN, len(left.history), MAX_RETRIES)
        return left

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        asked_s = self.get_retry_after(response) if response is not None else None
        wait_s = self.get_backoff_time() if asked_s is None else asked_s
        if wait_s > 0:
            self._context.sleep(wait_s)


class _TimeoutAdapter(HTTPAdapter):
    """Gives each request a timeout, also those of libraries that forget it."""

    def __init__(self, timeout_s: float, **kwargs: Any) -> None:
        self._timeout_s = timeout_s
        super().__init__(**kwargs)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = (self._timeout_s, self._timeout_s)
        return super().send(request, **kwargs)


def _keep_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave the request alone: an auth hook that is set keeps netrc out."""
    return request


def make_session(context: SourceContext) -> requests.Session:
    """Make a session with timeouts, retries and our User-Agent."""
    retry = _Retry(
        total=MAX_RETRIES,
        redirect=0,
        status_forcelist=TRANSIENT_STATUSES,
        allowed_methods=frozenset({"GET"}),
        backoff_factor=0.5,
        backoff_jitter=0.5,
        backoff_max=30,
        raise_on_status=False,
        context=context,
    )
    session = requests.Session()
    session.headers["User-Agent"] = user_agent(context.contact)
    session.headers["Accept"] = "application/json"
    session.auth = _keep_headers
    session.max_redirects = 5
    adapter = _TimeoutAdapter(context.timeout_s, max_retries=retry)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def get(
    session: requests.Session,
    url: str,
    who: str,
    params: Params | None = None,
    headers: Mapping[str, str] | None = None,
) -> requests.Response:
    """Get a URL; whatever the transport raises becomes a `SourceError` that names `who`."""
    try:
        return session.get(url, params=params, headers=headers)
    except requests.exceptions.Timeout as error:
        raise SourceError(f"{who} did not answer in time", "Try again later.") from error
    except requests.RequestException as error:
        host = urlsplit(url).netloc.rpartition("@")[2]
        raise SourceError(
            f"{who} cannot be reached at {host} ({type(error).__name__})",
            "Check the network, or the API's base URL; `curate doctor` tests both.",
        ) from error


def get_patiently(
    context: SourceContext,
    ask: Callable[[], requests.Response],
    who: str,
    so_far: int,
) -> requests.Response:
    """Ask until the answer is not 429, waiting as long as each one says.

    Args:
        context: sleep, clock, the longest pause, and whom to tell.
        ask: makes the request.
        who: the API's possessive name for messages, e.g. `GBIF's request`.
        so_far: candidates given before this request, for the message.

    Raises:
        RateLimitedError: a pause is longer than `max_wait_s`, or they do not end.
    """
    for attempt in range(MAX_PAUSES):
        response = ask()
        if response.status_code != 429:
            return response
        now = context.clock()
        asked_s = parse_retry_after_s(response.headers.get("Retry-After"), now)
        wait_s = min(2.0**attempt * 2, context.max_wait_s) if asked_s is None else asked_s
        if wait_s > context.max_wait_s:
            raise RateLimitedError(who, so_far, now + wait_s, now)
        context.notify(f"{who} limit is reached; waiting {wait_s:.0f} s.")
        context.sleep(wait_s)
    now = context.clock()
    raise RateLimitedError(who, so_far, now + context.max_wait_s, now)


class StatusError(SourceError):
    """The API answered, but with another status than 200.

    Args:
        message: one line for a person.
        hint: what to do about it.
        status: the HTTP status.
    """

    kind = "status"

    def __init__(self, message: str, hint: str, status: int) -> None:
        super().__init__(message, hint)
        self.status = status


def json_body(response: requests.Response, who: str) -> Any:
    """Return the JSON of a good answer.

    Raises:
        StatusError: another status, with the API's own words.
        SourceError: not JSON.
    """
    if response.status_code != 200:
        raise StatusError(
            f"{who} answered {response.status_code}: {_words(response)}",
            "Check the query's parameters." if response.status_code == 400 else "Try again later.",
            response.status_code,
        )
    try:
        return response.json()
    except ValueError as error:
        raise SourceError(f"{who} answered 200 with something that is not JSON") from error


def json_object(response: requests.Response, who: str) -> dict[str, Any]:
    """Return the JSON object of a good answer.

    Raises:
        SourceError: as `json_body`, or JSON that is not an object.
    """
    body = json_body(response, who)
    if not isinstance(body, dict):
        raise SourceError(f"{who} answered with JSON that is not an object")
    return body


def _words(response: requests.Response) -> str:
    """The API's own explanation, shortened to one line: plain text, or a usual JSON form."""
    text = response.text
    try:
        body = response.json()
    except ValueError:
        body = None
    if isinstance(body, dict):
        errors = body.get("errors") or body.get("message") or body.get("error")
        text = "; ".join(map(str, errors)) if isinstance(errors, list) else str(errors or "")
    elif isinstance(body, list):
        text = "; ".join(map(str, body))
    return " ".join(text.split())[:200] or response.reason or "no explanation"
