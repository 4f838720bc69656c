"""A GBIF search over rows in memory: filters, facets and the reach of the real API.

It refuses what the real one refuses, so a test that passes has stayed within it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.sources.recorded import json_reply

MAX_REACH = 100_000
_SNAKE = {
    "datasetKey": "DATASET_KEY",
    "basisOfRecord": "BASIS_OF_RECORD",
    "speciesKey": "SPECIES_KEY",
}


@dataclass
class World:
    """Occurrences as plain dicts; a value that is None has no facet."""

    rows: list[dict[str, Any]]
    page_rows: int = 300
    requests: list[dict[str, list[str]]] = field(default_factory=list)

    def reply(self, request: Any) -> tuple[int, dict[str, str], str]:
        """Answer as `v1/occurrence/search` would."""
        asked = parse_qs(urlsplit(request.url).query)
        self.requests.append(asked)
        offset, limit = int(asked["offset"][0]), min(300, int(asked["limit"][0]))
        if offset + limit > MAX_REACH:
            return 400, {"Content-Type": "text/plain"}, "Max offset of 100001 exceeded"
        rows = [row for row in self.rows if self._fits(row, asked)]
        shown = rows[offset : offset + limit]
        body = {
            "count": len(rows),
            "endOfRecords": offset + limit >= len(rows),
            "results": [_occurrence(row) for row in shown],
            "facets": [self._facet(name, rows, asked) for name in asked.get("facet", ())],
        }
        return json_reply(body)

    def _fits(self, row: dict[str, Any], asked: dict[str, list[str]]) -> bool:
        return all(str(row[name]) in values for name, values in asked.items() if name in row)

    def _facet(
        self, name: str, rows: list[dict[str, Any]], asked: dict[str, list[str]]
    ) -> dict[str, Any]:
        counts = Counter(row[name] for row in rows if row.get(name) is not None).most_common()
        first = int(asked.get("facetOffset", ["0"])[0])
        last = first + int(asked.get("facetLimit", ["10"])[0])
        page = [{"name": str(value), "count": n} for value, n in counts[first:last]]
        return {"field": _SNAKE.get(name, name.upper()), "counts": page}


def _occurrence(row: dict[str, Any]) -> dict[str, Any]:
    media = [{"type": "StillImage", "identifier": f"https://media.example/{row['key']}.jpg"}]
    return {"species": "Amanita muscaria", "media": media, **row}
