"""GBIF's download service: what is asked, how far it is, and the file itself.

A search ends at 100,000 records; a download has no end, comes with a DOI, and takes minutes to
hours to prepare. The file is fetched with ranges, so that a broken connection goes on where it
broke. Credentials go to the request alone, never to where the file lies.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests

from curate.errors import SourceError, StoreError, UsageError
from curate.sources import http
from curate.sources.base import Query, SourceContext
from curate.sources.gbif_taxa import find_taxon

FORMATS = {"dwca": "DWCA", "simple-csv": "SIMPLE_CSV", "simple-parquet": "SIMPLE_PARQUET"}
RUNNING = frozenset({"PREPARING", "RUNNING", "SUSPENDED"})
_WHO = "GBIF"
_KEY = re.compile(r"^\d{7}-\d{15}$")
_RANGE = re.compile(r"^\s*(-?\d+(?:\.\d+)?|\*)\s*,\s*(-?\d+(?:\.\d+)?|\*)\s*$")
_OURS = ("limit", "offset", "facet", "facetLimit", "facetOffset", "mediaType")
_CHUNK_BYTES = 1 << 16
MAX_BREAKS = 8
"""How often in a row a transfer may break without a byte gained."""
MAX_SHORT = 3
"""How often it may end before its time as if that were all."""


class DownloadClient:
    """Talks to the download service.

    Args:
        context: `gbif_url`, and GBIF_USER and GBIF_PASSWORD in `environ`.
    """

    def __init__(self, context: SourceContext) -> None:
        self._context = context
        self._base = context.gbif_url.rstrip("/")
        self._session = http.make_session(context)

    def predicate(self, query: Query) -> dict[str, Any]:
        """Return what a query asks, in the words of the download service.

        Raises:
            SourceError: the taxon is not clear.
            UsageError: a parameter cannot be asked for.
        """
        parts = [_equals("MEDIA_TYPE", "StillImage")]
        params = dict(query.params)
        checklist = params.pop("checklistKey", (None,))[0]
        if query.text and not {"taxonKey", "scientificName"} & set(params):
            found = find_taxon(self._json, query.text.strip(), checklist, self._context.notify)
            taxon = _equals("TAXON_KEY", found.key)
            parts.append({**taxon, "checklistKey": checklist} if checklist else taxon)
        for name, values in params.items():
            parts.append(_condition(name, values))
        if len(parts) == 1:
            raise UsageError(
                "a download of all images of GBIF is not what you want",
                "name a taxon with --query, or a condition with --param",
            )
        return {"type": "and", "predicates": parts}

    def request(self, predicate: Mapping[str, Any], format_: str) -> str:
        """Ask for a download; return its key.

        Raises:
            UsageError: the credentials are not in the environment.
            SourceError: GBIF refuses.
        """
        user, password = self._credentials()
        body = {
            "creator": user,
            "sendNotification": False,
            "format": FORMATS[format_],
            "predicate": predicate,
        }
        url = f"{self._base}/v1/occurrence/download/request"
        try:
            response = self._session.post(url, json=body, auth=(user, password))
        except requests.RequestException as error:
            raise SourceError(f"{_WHO} cannot be reached ({type(error).__name__})") from error
        if response.status_code in (401, 403):
            raise SourceError(
                f"{_WHO} refuses the user {user!r}", "Check GBIF_USER and GBIF_PASSWORD."
            )
        if response.status_code in (420, 429):
            raise SourceError(
                f"{_WHO} prepares as many downloads for {user!r} as it allows at a time",
                "Wait until one is done: curate gbif status.",
            )
        key = response.text.strip().strip('"')
        if response.status_code not in (200, 201) or not _KEY.match(key):
            words = " ".join(response.text.split())[:200]
            raise SourceError(f"{_WHO} answered {response.status_code} to the request: {words}")
        return key

    def status(self, key: str) -> dict[str, Any]:
        """Return what GBIF says of a download.

        Raises:
            SourceError: it knows none of that key.
        """
        try:
            body = self._json(f"v1/occurrence/download/{checked(key)}", {})
        except http.StatusError as error:
            if error.status == 404:
                raise SourceError(f"{_WHO} knows no download {key!r}", "Check the key.") from error
            raise
        if not isinstance(body, dict) or not body.get("status"):
            raise SourceError(f"{_WHO} answered without a status for the download {key}")
        return body

    def citation(self, key: str, doi: str | None, created: str) -> str:
        """Return how the download is to be cited."""
        url = f"{self._base}/v1/occurrence/download/{checked(key)}/citation"
        response = http.get(self._session, url, _WHO)
        text = " ".join(response.text.split()) if response.status_code == 200 else ""
        link = (
            f"https://doi.org/{doi}" if doi else f"https://www.gbif.org/occurrence/download/{key}"
        )
        return text.strip('"') or f"GBIF.org ({created[:10]}) GBIF Occurrence Download {link}"

    def fetch(
        self, key: str, path: Path, n_bytes: int, progress: Callable[[int, int], None]
    ) -> None:
        """Fetch the file of a finished download, or the rest of it.

        Args:
            key: the download.
            path: where the file goes; what has come so far is beside it as `.part`.
            n_bytes: its length as GBIF says it; 0 if it does not.
            progress: told bytes so far, and all.

        Raises:
            SourceError: it cannot be fetched, or is not what GBIF says.
            StoreError: it cannot be written.
        """
        url = f"{self._base}/v1/occurrence/download/request/{checked(key)}.zip"
        part = path.with_name(f"{path.name}.part")
        breaks = n_short = 0
        while True:
            before = part.stat().st_size if part.exists() else 0
            if n_bytes and before > n_bytes:
                part.unlink()
                before = 0
            if n_bytes and before == n_bytes:
                break
            try:
                whole = self._stream(url, part, before, n_bytes, progress)
            except requests.RequestException as error:
                gained = (part.stat().st_size if part.exists() else 0) > before
                breaks = 0 if gained else breaks + 1
                if breaks >= MAX_BREAKS:
                    raise SourceError(
                        f"the download {key} broke off {breaks} times: {type(error).__name__}",
                        "Run the same command again: it goes on where it stopped.",
                    ) from error
                self._context.sleep(min(2.0**breaks, 30.0))
                continue
            if whole:
                break
            n_short += 1
            if n_short >= MAX_SHORT:
                raise SourceError(
                    f"the file of the download {key} ends before the {n_bytes:,} bytes that GBIF "
                    "says it has",
                    "Request it again.",
                )
        _check(part, n_bytes, key)
        part.replace(path)

    def _stream(
        self, url: str, part: Path, before: int, n_bytes: int, progress: Callable[[int, int], None]
    ) -> bool:
        """Append what is missing; return whether that was all."""
        headers = {"Range": f"bytes={before}-", "Accept": "*/*"} if before else {"Accept": "*/*"}
        headers["Accept-Encoding"] = "identity"
        response = http.get_patiently(
            self._context,
            lambda: self._session.get(url, headers=headers, stream=True),
            "GBIF's download",
            0,
        )
        with response:
            if response.status_code == 416:
                part.unlink(missing_ok=True)  # it is another file by now
                return False
            if response.status_code not in (200, 206):
                raise SourceError(f"{_WHO} answered {response.status_code} for the file {url}")
            goes_on = response.status_code == 206 and _begins_at(response, before)
            done = before if goes_on else 0
            try:
                with part.open("ab" if goes_on else "wb") as file:
                    for chunk in response.iter_content(_CHUNK_BYTES):
                        file.write(chunk)
                        done += len(chunk)
                        progress(done, n_bytes)
            except OSError as error:
                if isinstance(error, requests.RequestException):
                    raise
                raise StoreError(f"cannot write {part}: {error.strerror}") from error
        return not n_bytes or done >= n_bytes

    def _credentials(self) -> tuple[str, str]:
        user, password = (
            self._context.environ.get(f"GBIF_{each}") for each in ("USER", "PASSWORD")
        )
        if not user or not password:
            raise UsageError(
                "GBIF_USER and GBIF_PASSWORD are not in the environment",
                "register at https://www.gbif.org/user/profile, and set both",
            )
        return user, password

    def _json(self, path: str, params: http.Params) -> Any:
        url = f"{self._base}/{path}"
        response = http.get_patiently(
            self._context,
            lambda: http.get(self._session, url, _WHO, params),
            "GBIF's request",
            0,
        )
        return http.json_body(response, _WHO)


def checked(key: str) -> str:
    """Return a download's key if it looks like one.

    Raises:
        UsageError: it does not.
    """
    if not _KEY.match(key):
        raise UsageError(f"{key!r} is not the key of a download", "such as 0012345-250101000000000")
    return key


def _equals(key: str, value: str) -> dict[str, Any]:
    return {"type": "equals", "key": key, "value": value}


def _condition(name: str, values: tuple[str, ...]) -> dict[str, Any]:
    """Return one parameter of a search as a predicate."""
    if name in _OURS or name == "q":
        raise UsageError(f"a download cannot be asked for by {name!r}", "Leave it out.")
    if name == "geometry":
        return {"type": "within", "geometry": values[0]}
    key = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
    bounds = _RANGE.match(values[0]) if len(values) == 1 else None
    if bounds is not None:
        kinds = zip(("greaterThanOrEquals", "lessThanOrEquals"), bounds.groups(), strict=True)
        parts = [{"type": kind, "key": key, "value": at} for kind, at in kinds if at != "*"]
        return parts[0] if len(parts) == 1 else {"type": "and", "predicates": parts}
    if len(values) == 1:
        return _equals(key, values[0])
    return {"type": "in", "key": key, "values": list(values)}


def _begins_at(response: requests.Response, place: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {place}-")


def _check(part: Path, n_bytes: int, key: str) -> None:
    """Refuse a file that is not as long as GBIF says, or whose checksums do not hold."""
    length = part.stat().st_size
    if n_bytes and length != n_bytes:
        part.unlink()
        raise SourceError(f"the download {key} has {length:,} bytes, GBIF says {n_bytes:,}")
    try:
        with zipfile.ZipFile(part) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, EOFError) as error:
        part.unlink()
        raise SourceError(f"the download {key} is not a readable zip: {error}") from error
    if damaged is not None:
        part.unlink()
        raise SourceError(f"the download {key} is damaged: the checksum of {damaged} differs")
