"""Unsplash: photo search through python-unsplash, within its hourly limit.

The library's `Search` builds the requests and parses photos; its one method that talks
HTTP, `_request`, is overridden in a subclass, because the original has no timeout, drops
the response headers that carry the rate limit, and knows a spent limit only by text. The
headers say how many requests are left: at none the search stops before it is refused,
waits if the hour is soon over, and otherwise says when to come back. Every photo is under
the Unsplash licence, so a licence filter that leaves it out is refused before a request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from unsplash.api import Api
from unsplash.auth import Auth
from unsplash.search import Search

from curate.errors import MissingKeyError, SourceError, UsageError
from curate.licenses import (
    UNSPLASH,
    UNSPLASH_PLUS,
    UNSPLASH_PLUS_URL,
    UNSPLASH_URL,
    matches,
)
from curate.records import Candidate
from curate.sources import http
from curate.sources.base import Page, Query, RateLimitedError, SourceContext, limited
from curate.sources.variants import unsplash_original, unsplash_variant, with_params

KEY_NAME = "UNSPLASH_ACCESS_KEY"
PER_PAGE = 30
"""The most that the API gives in one answer."""
WINDOW_S = 3600.0
"""The limit is per hour, and no header says when the hour began: an upper bound."""
TERMS_NOTICE = (
    "Unsplash restricts the use of its photos for machine learning; read "
    "https://unsplash.com/api-terms and https://unsplash.com/license before you train on them."
)
_GET_KEY = (
    "Register an application at https://unsplash.com/oauth/applications and set "
    f"{KEY_NAME} to its Access Key."
)
_WHO = "Unsplash"
_SPENT = "Unsplash's hourly"


class UnsplashSource:
    """Search for photos on Unsplash.

    Args:
        context: `environ` has the key, `unsplash_url` the API.
    """

    name = "unsplash"
    is_remote = True
    terms = TERMS_NOTICE

    def __init__(self, context: SourceContext) -> None:
        self._context = context
        self._client: _SearchClient | None = None

    def pages(self, query: Query, cursor: str | None = None) -> Iterator[Page]:
        """Yield pages of up to 30 photos; the cursor is the number of the next page.

        Raises:
            MissingKeyError: no key is set, before any request; or the key is refused.
            RateLimitedError: the hourly limit is spent and the wait would be too long.
            UsageError: there are no search words, or the licence filter excludes Unsplash.
        """
        _check(query)
        client = self._connect()
        return limited(cursor, query.limit, lambda start: self._run(client, query, start))

    def count(self, query: Query) -> int | None:
        """Return how many photos the search has (one request of one photo)."""
        _check(query)
        data = self._connect().search(query, page=1, per_page=1, so_far=0)
        return int(data.get("total") or 0)

    def class_counts(self, query: Query) -> Mapping[str, int] | None:  # noqa: ARG002 -- the protocol has it
        """Return None: Unsplash has no classes, only searches."""
        return None

    def ping_download(self, candidate_meta: Mapping[str, str]) -> bool:
        """Tell Unsplash that a photo was downloaded, as its guidelines require.

        Args:
            candidate_meta: the candidate's `meta`, which has `download_location`.

        Returns:
            Whether Unsplash took it; False where it never will: there is nothing to ping, the
            location is none, or Unsplash does not know it any more.

        Raises:
            RateLimitedError: the limit is spent; the ping stays due.
            MissingKeyError: no key is set, or it is refused.
            SourceError: Unsplash fails; the ping stays due.
        """
        location = candidate_meta.get("download_location")
        return bool(location) and self._connect().ping(str(location))

    def _connect(self) -> _SearchClient:
        if self._client is None:
            key = self._context.environ.get(KEY_NAME, "").strip()
            if not key:
                raise MissingKeyError("Unsplash needs an access key, and none is set", _GET_KEY)
            self._client = _SearchClient(self._context, key)
        return self._client

    def _run(
        self, client: _SearchClient, query: Query, start: str | None
    ) -> Iterator[tuple[str, Page]]:
        number = _page_number(start)
        so_far = 0
        while True:
            data = client.search(query, page=number, per_page=PER_PAGE, so_far=so_far)
            last = number >= int(data.get("total_pages") or 0) or not data["results"]
            page = _page(data, query, None if last else str(number + 1))
            so_far += len(page.candidates)
            yield str(number), page
            if last:
                return
            number += 1


class _SearchClient(Search):  # type: ignore[misc]  # the library has no types
    """python-unsplash's search, speaking through our session and heeding the rate limit."""

    def __init__(self, context: SourceContext, key: str) -> None:
        api = Api(Auth(key, client_secret="", redirect_uri=""))
        api.base_url = context.unsplash_url.rstrip("/")
        super().__init__(api=api)
        self._context = context
        self._session = http.make_session(context)
        self._extra: Mapping[str, tuple[str, ...]] = {}
        self._so_far = 0
        self._spent_until: float | None = None

    def search(self, query: Query, page: int, per_page: int, so_far: int) -> dict[str, Any]:
        """Return one page as python-unsplash parses it."""
        self._extra, self._so_far = query.params, so_far
        data: dict[str, Any] = self.photos(query.text, page=page, per_page=per_page)
        return data

    def ping(self, location: str) -> bool:
        """Request a `download_location`, on our API's host whatever host it names."""
        try:
            parts = urlsplit(location)
        except ValueError:
            return False
        if not (parts.path.startswith("/photos/") and parts.path.endswith("/download")):
            return False
        self._extra = {}
        try:
            self._request(urlunsplit(("", "", parts.path, parts.query, "")), "get")
        except http.StatusError as error:
            if 400 <= error.status < 500:
                return False
            raise
        return True

    def _request(
        self,
        url: str,
        method: str,  # noqa: ARG002 -- the overridden method's signature; we only ever get
        params: dict[str, Any] | None = None,
        data: None = None,  # noqa: ARG002 -- likewise
        **_: Any,
    ) -> dict[str, Any]:
        """Do what `Client._request` does, with a timeout and with the headers read."""
        known = {key: value for key, value in (params or {}).items() if value is not None}
        merged: dict[str, Any] = {**known, **self._extra}
        headers = {**self.get_auth_header(), **self.get_version_header()}
        for _attempt in range(http.MAX_PAUSES):
            self._wait_for_window()
            response = http.get(self._session, self.api.base_url + url, _WHO, merged, headers)
            self._note_limit(response)
            if not _is_refused_for_rate(response):
                return self._parse(response)
        raise self._rate_limited(self._context.clock() + WINDOW_S)

    def _wait_for_window(self) -> None:
        """Wait until the limit is there again, or give up with the time when it is."""
        if self._spent_until is None:
            return
        wait_s = self._spent_until - self._context.clock()
        if wait_s > self._context.max_wait_s:
            raise self._rate_limited(self._spent_until)
        if wait_s > 0:
            self._context.notify(f"{_SPENT} limit is spent; waiting {wait_s:.0f} s.")
            self._context.sleep(wait_s)
        self._spent_until = None

    def _note_limit(self, response: requests.Response) -> None:
        left = response.headers.get("X-Ratelimit-Remaining", "").strip()
        if left != "0" and not _is_refused_for_rate(response):
            return
        now = self._context.clock()
        asked_s = http.parse_retry_after_s(response.headers.get("Retry-After"), now)
        self._spent_until = now + (WINDOW_S if asked_s is None else asked_s)

    def _rate_limited(self, resume_at: float) -> RateLimitedError:
        return RateLimitedError(_SPENT, self._so_far, resume_at, self._context.clock())

    def _parse(self, response: requests.Response) -> dict[str, Any]:
        if response.status_code == 401:
            raise MissingKeyError(
                f"Unsplash refuses the access key in {KEY_NAME} (401)", f"Check it. {_GET_KEY}"
            )
        body = http.json_object(response, _WHO)
        if not isinstance(body.get("results", []), list):
            raise SourceError("Unsplash answered with results that are not a list")
        return body


def _is_refused_for_rate(response: requests.Response) -> bool:
    """A spent limit is a 429, or a 403 whose body is plain text under a JSON content type."""
    if response.status_code == 429:
        return True
    return response.status_code == 403 and "rate limit exceeded" in response.text.lower()


def _check(query: Query) -> None:
    if not (query.text or "").strip():
        raise UsageError("Unsplash needs search words", "Give them with --query.")
    offered = (UNSPLASH, UNSPLASH_PLUS)
    if not any(matches(one, query.licenses) for one in offered):
        raise UsageError(
            "no Unsplash photo is under one of the wanted licences",
            "Unsplash has its own licence: add `unsplash` to --license, or choose another source.",
        )


def _page_number(cursor: str | None) -> int:
    if cursor is None:
        return 1
    if not cursor.isdecimal():
        raise SourceError(f"not a cursor of unsplash: {cursor!r}", "Start the search again.")
    return max(1, int(cursor))


def _page(data: dict[str, Any], query: Query, cursor: str | None) -> Page:
    found: list[Candidate] = []
    skipped: dict[str, int] = {}
    for photo in data["results"]:
        candidate = _candidate(photo, query)
        if isinstance(candidate, str):
            skipped[candidate] = skipped.get(candidate, 0) + 1
        else:
            found.append(candidate)
    total = data.get("total")
    return Page(tuple(found), cursor, int(total) if total is not None else None, skipped)


def _candidate(photo: Any, query: Query) -> Candidate | str:
    """Turn one parsed photo into a candidate, or the reason why it is none."""
    urls, links, user = (getattr(photo, name, None) for name in ("urls", "links", "user"))
    raw = getattr(urls, "raw", None)
    photo_id = getattr(photo, "id", None)
    if not raw or not photo_id:
        return "no_url" if photo_id else "no_id"
    is_plus = bool(getattr(photo, "plus", False) or getattr(photo, "premium", False))
    license_id = UNSPLASH_PLUS if is_plus else UNSPLASH
    if not matches(license_id, query.licenses):
        return "license"
    author = getattr(user, "name", None) or getattr(user, "username", None)
    page_url = getattr(links, "html", None)
    return Candidate(
        source="unsplash",
        source_id=photo_id,
        url=_image_url(photo, raw, query.side_px),
        classes=query.classes,
        query=query.text,
        page_url=_with_utm(page_url),
        author=author,
        license=license_id,
        license_url=UNSPLASH_PLUS_URL if is_plus else UNSPLASH_URL,
        rights_holder=author,
        attribution=f"Photo by {author or 'an unknown author'} on Unsplash",
        meta=_meta(photo, links, user),
    )


def _image_url(photo: Any, raw: str, side_px: int | None) -> str:
    if side_px is None:
        return unsplash_original(raw, getattr(photo.urls, "full", None))
    width_px, height_px = (int(getattr(photo, name, None) or 0) for name in ("width", "height"))
    return unsplash_variant(raw, width_px, height_px, side_px)


def _with_utm(url: str | None) -> str | None:
    """Add the referral parameters that the API guidelines ask for in links."""
    return with_params(url, utm_source="curate", utm_medium="referral") if url else None


def _meta(photo: Any, links: Any, user: Any) -> dict[str, str]:
    tags = [tag.get("title") for tag in getattr(photo, "tags", None) or () if isinstance(tag, dict)]
    values = {
        "description": getattr(photo, "description", None),
        "alt_description": getattr(photo, "alt_description", None),
        "tags": "|".join(tag for tag in tags if tag),
        "color": getattr(photo, "color", None),
        "created_at": getattr(photo, "created_at", None),
        "width_px": getattr(photo, "width", None),
        "height_px": getattr(photo, "height", None),
        "author_username": getattr(user, "username", None),
        "author_url": _with_utm(getattr(getattr(user, "links", None), "html", None)),
        "download_location": getattr(links, "download_location", None),
    }
    return {key: str(value) for key, value in values.items() if value not in (None, "")}
