"""Unsplash's photo search on a host whose photos fail the way real hosts fail.

The search is well behaved (`curate.demo` has one that is not); every photo it finds is an
image of the server's `Corpus`, with its fate.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from urllib.parse import parse_qsl, urlsplit

from tests.fakes.exchange import Exchange, Recorded
from tests.fakes.flaky import Corpus
from tests.fakes.misbehaving import Misbehaving
from tests.fakes.registry import image


class FlakyUnsplash(Misbehaving):
    """Answers `/search/photos`, download pings, and `/img/N.jpg` of a corpus."""

    def __init__(self, corpus: Corpus) -> None:
        super().__init__(corpus)
        self.n_photos = corpus.n

    @property
    def n_image_requests(self) -> int:
        """Requests for photos so far; searches and pings are left out."""
        counts = list(self.stats.counts.items())
        return sum(n for target, n in counts if target.startswith("/img/"))

    async def _behave(
        self, request: Recorded, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        parts = urlsplit(request.target)
        query = dict(parse_qsl(parts.query))
        nth = self.stats.counts[request.target]
        # Size parameters choose a variant; here every variant is the same file.
        plain = dataclasses.replace(request, target=parts.path)
        exchange = Exchange(plain, nth, query, reader, writer, self.port, self.corpus, self.files)
        if parts.path.startswith("/img/"):
            await image(exchange)
        else:
            answer = self._search(query) if parts.path == "/search/photos" else {"url": self.base}
            kind = ("Content-Type", "application/json")
            remaining = ("X-Ratelimit-Remaining", "50")
            await exchange.answer(200, json.dumps(answer).encode(), kind, remaining)

    def _search(self, query: dict[str, str]) -> dict[str, object]:
        per_page = int(query.get("per_page", 10))
        first = (int(query.get("page", 1)) - 1) * per_page
        numbers = range(first, min(first + per_page, self.n_photos))
        return {
            "total": self.n_photos,
            "total_pages": -(-self.n_photos // per_page),
            "results": [self._photo(number) for number in numbers],
        }

    def _photo(self, number: int) -> dict[str, object]:
        raw = f"{self.base}/img/{number}.jpg"
        return {
            "id": f"photo{number}",
            "width": 96,
            "height": 72,
            "urls": {"raw": f"{raw}?ixid={number}", "full": raw},
            "links": {
                "html": f"{self.base}/photos/photo{number}",
                "download_location": f"{self.base}/photos/photo{number}/download?ixid={number}",
            },
            "user": {"name": f"Person {number}", "username": f"person{number}"},
        }
