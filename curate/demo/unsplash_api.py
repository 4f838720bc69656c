"""Unsplash's protocol: search, photo and download endpoints over a `PhotoBook`.

Headers, error bodies and oddities follow recorded answers of the real API: a spent limit
answers plain text under a JSON content type, pages are silently reduced to 30, `Link` has no
`prev` on the first page, and image URLs take imgix's parameters.
"""

from __future__ import annotations

import math
import re
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlencode

from curate.demo.messages import Reply, Request, Window, as_json, as_text
from curate.demo.options import SampleOptions
from curate.demo.photos import Photo, PhotoBook, draw

_WORDS = {
    "beach": ("beach", "beaches", "sea", "ocean", "coast", "shore", "sand"),
    "city": ("city", "cities", "skyline", "urban", "buildings", "street", "downtown"),
    "sunset": ("sunset", "sunsets", "dusk", "sundown", "evening"),
    "trees": ("trees", "tree", "forest", "woods", "wood"),
}
_TINTS = {"beach": "#a6c0d9", "city": "#59738c", "sunset": "#d97326", "trees": "#404026"}
_PEOPLE = (
    ("Mira", "Okonkwo"), ("Tomas", "Lindqvist"), ("Ayla", "Demir"), ("Ravi", "Menon"),
    ("Lucía", "Ferrer"), ("Jonas", "Weidt"), ("Hana", "Sato"), ("Noor", None),
    ("Piotr", "Zając"), ("Elif", "Kaya"), ("Sam", "Whitlock"), ("Inês", "Moura"),
)  # fmt: skip
_BASE83 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"
_SIZES = {"regular": 1080, "small": 400, "thumb": 200}


class UnsplashApi:
    """Answers what api.unsplash.com would.

    Args:
        options: key, limits and page size.
        book: the photos.
        base_url: gives the server's own address, for the URLs inside answers.
        clock: seconds that only grow; the limit's window is measured by it.
    """

    def __init__(
        self,
        options: SampleOptions,
        book: PhotoBook,
        base_url: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        self._options = options
        self._book = book
        self._base_url = base_url
        self._window = Window(options.unsplash_limit, options.window_s, clock)
        self.pings: Counter[str] = Counter()
        """Requests to the download endpoint, by photo id."""

    def answer(self, request: Request) -> Reply:
        """The reply to any request under the API's root."""
        if request.headers.get("authorization") != f"Client-ID {self._options.key}":
            return _errors(401, "OAuth error: The access token is invalid")
        left = self._window.spend()
        if left is None:
            spent = as_text("Rate Limit Exceeded", self._options.limit_status, "application/json")
            return self._with_limits(spent, 0)
        return self._with_limits(self._route(request), left)

    def _with_limits(self, reply: Reply, left: int) -> Reply:
        limits = {
            "X-Ratelimit-Limit": str(self._options.unsplash_limit),
            "X-Ratelimit-Remaining": str(left),
        }
        return replace(reply, headers={**reply.headers, **limits})

    def _route(self, request: Request) -> Reply:
        if request.path == "/search/photos":
            return self._search(request)
        match = re.fullmatch(r"/photos/([^/]+)(/download)?", request.path)
        if match is None:
            return _errors(404, "Not found")
        # A photo is also found under its slug, which ends in its id of 11 characters.
        photo = self._book.by_id.get(match[1][-11:])
        if photo is None:
            return _errors(404, "Couldn't find Photo")
        ixid = request.first("ixid", "none")
        if match[2]:
            self.pings[photo.photo_id] += 1
            return as_json({"url": self._urls(photo, ixid)["full"]})
        return as_json(self._photo(photo, ixid))

    def _search(self, request: Request) -> Reply:
        query = request.first("query").strip()
        if not query:
            return _errors(400, "query is missing")
        page = max(1, _number(request.first("page"), 1))
        per_page = min(self._options.max_per_page, max(1, _number(request.first("per_page"), 10)))
        found = self._find(query, request)
        n_pages = math.ceil(len(found) / per_page)
        results = [
            self._photo(photo, _ixid(query, (page - 1) * per_page + place))
            for place, photo in enumerate(found[(page - 1) * per_page : page * per_page])
        ]
        headers = {"X-Total": str(len(found)), "X-Per-Page": str(per_page)}
        if link := self._link(request, page, per_page, n_pages):
            headers["Link"] = link
        body = {"total": len(found), "total_pages": n_pages, "results": results}
        return as_json(body, headers=headers)

    def _find(self, query: str, request: Request) -> list[Photo]:
        words = set(re.findall(r"\w+", query.lower()))
        found: dict[Photo, None] = {}
        for scene, names in _WORDS.items():
            if words.intersection(names):
                found.update(dict.fromkeys(self._book.found_as[scene]))
        photos = list(found)
        if shape := request.first("orientation"):
            photos = [photo for photo in photos if _orientation(photo) == shape]
        if request.first("order_by") == "latest":
            photos.sort(key=_created_at, reverse=True)
        return photos

    def _link(self, request: Request, page: int, per_page: int, n_pages: int) -> str:
        pages: dict[str, int] = {}
        if page > 1:
            pages.update(first=1, prev=page - 1)
        if page < n_pages:
            pages.update(last=n_pages, next=page + 1)
        kept = {name: values[0] for name, values in request.params.items() if name != "client_id"}
        links = []
        for relation, number in pages.items():
            query = urlencode(
                sorted({**kept, "page": str(number), "per_page": str(per_page)}.items())
            )
            links.append(f'<{self._base_url()}/search/photos?{query}>; rel="{relation}"')
        return ", ".join(links)

    def _urls(self, photo: Photo, ixid: str) -> dict[str, str]:
        raw = f"{self._base_url()}/photo/{photo.photo_id}"
        tail = f"ixid={ixid}&ixlib=rb-4.0.3"
        urls = {
            "raw": f"{raw}?{tail}",
            "full": f"{raw}?crop=entropy&cs=srgb&fm=jpg&{tail}&q=85",
        }
        for name, width in _SIZES.items():
            urls[name] = f"{raw}?crop=entropy&cs=tinysrgb&fit=max&fm=jpg&{tail}&q=80&w={width}"
        return urls

    def _photo(self, photo: Photo, ixid: str) -> dict[str, object]:
        base, photo_id = self._base_url(), photo.photo_id
        chance = draw("photo", photo_id)
        text = " and ".join(photo.shows) or "mountains"
        slug = f"{'-'.join(photo.shows) or 'mountains'}-{photo_id}"
        created = _created_at(photo)
        return {
            "id": photo_id,
            "slug": slug,
            "created_at": created,
            "updated_at": created,
            "promoted_at": created if chance < 0.2 else None,
            "width": photo.width_px,
            "height": photo.height_px,
            "color": _TINTS.get(photo.shows[0] if photo.shows else "", "#c0c0c0"),
            "blur_hash": "L" + "".join(_BASE83[int(draw(photo_id, n) * 83)] for n in range(27)),
            "description": f"A view of {text}" if chance < 0.5 else None,
            "alt_description": f"a photo of {text}" if chance < 0.9 else None,
            "breadcrumbs": [],
            "urls": self._urls(photo, ixid),
            "links": {
                "self": f"{base}/photos/{slug}",
                "html": f"{base}/html/photos/{slug}",
                "download": f"{base}/html/photos/{photo_id}/download?ixid={ixid}",
                "download_location": f"{base}/photos/{photo_id}/download?ixid={ixid}",
            },
            "likes": int(chance * 900),
            "liked_by_user": False,
            "current_user_collections": [],
            "sponsorship": None,
            "topic_submissions": {},
            "user": self._user(int(draw("user", photo_id) * len(_PEOPLE)), created),
            "tags": [{"type": "search", "title": scene} for scene in photo.shows],
        }

    def _user(self, number: int, updated: str) -> dict[str, object]:
        given, family = _PEOPLE[number]
        username = f"sample_{number:02d}"
        base = self._base_url()
        own = f"{base}/users/{username}"
        return {
            "id": urlsafe_b64encode(f"user{number:04d}".encode()).decode()[:11],
            "updated_at": updated,
            "username": username,
            "name": f"{given} {family}" if family else given,
            "first_name": given,
            "last_name": family,
            "twitter_username": None,
            "portfolio_url": None,
            "bio": None,
            "location": None,
            "links": {
                "self": own,
                "html": f"{base}/html/@{username}",
                **{part: f"{own}/{part}" for part in ("photos", "likes", "portfolio")},
            },
            "profile_image": {
                size: f"{base}/profile/{number}?w={width}&h={width}"
                for size, width in (("small", 32), ("medium", 64), ("large", 128))
            },
            "instagram_username": None,
            "total_collections": 0,
            "total_likes": 0,
            "total_photos": 40 + number,
            "accepted_tos": True,
            "for_hire": False,
        }


def _errors(status: int, message: str) -> Reply:
    return as_json({"errors": [message]}, status)


def _number(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdigit() else default


def _ixid(query: str, place: int) -> str:
    return urlsafe_b64encode(f"3|sample|0|search|{place + 1}|{query}".encode()).decode().rstrip("=")


def _created_at(photo: Photo) -> str:
    day = int(draw("created", photo.photo_id) * 3000)
    year, rest = 2016 + day // 336, day % 336
    return f"{year}-{rest // 28 + 1:02d}-{rest % 28 + 1:02d}T{day % 24:02d}:15:00Z"


def _orientation(photo: Photo) -> str:
    ratio = photo.width_px / photo.height_px
    if 0.95 < ratio < 1.05:
        return "squarish"
    return "landscape" if ratio > 1 else "portrait"
