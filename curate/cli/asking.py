"""From flags to what is asked: shared by `fetch`, `import`, `plan` and `gbif request`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from curate.config import MOST
from curate.errors import UsageError
from curate.records import Reason

if TYPE_CHECKING:
    from curate.asked import FetchRequest


def request_of(
    *,
    query: list[str] | None = None,
    source: str | None = None,
    path: Path | None = None,
    archive: Path | None = None,
    url_column: str | None = None,
    class_column: str | None = None,
    class_: str | None = None,
    class_by: str | None = None,
    param: list[str] | None = None,
    license_: str | None = None,
    per_class: str | None = None,
    max_per_class: int | None = None,
    min_per_class: int | None = None,
    spread_by: str | None = None,
    limit: int | None = None,
    retry: list[str] | None = None,
) -> FetchRequest:
    """Return the request that flags make.

    Raises:
        UsageError: they contradict each other, or a value cannot be used.
    """
    from curate.asked import FetchRequest

    if path is not None and archive is not None:
        raise UsageError("--archive excludes --urls and --folder", "call curate once for each")
    if per_class is not None and max_per_class is not None:
        raise UsageError("--per-class and --max-per-class are the same", "give one of them")
    return FetchRequest(
        source="dwca" if source is None and archive is not None else source,
        queries=tuple(query or ()),
        path=path or archive,
        classes=None if class_ is None else (class_,),
        class_by=class_by,
        url_column=url_column,
        class_column=class_column,
        params=_params(param or []),
        licenses=listed(license_),
        per_class=_per_class(per_class) if max_per_class is None else max_per_class,
        min_per_class=min_per_class,
        spread_by=listed(spread_by),
        limit=limit,
        retry=tuple(_reason(each) for each in retry or ()),
    )


def listed(text: str | None) -> tuple[str, ...]:
    """Return the parts of a list with commas."""
    return tuple(part for each in (text or "").split(",") if (part := each.strip()))


def path_of(urls: Path | None, folder: Path | None) -> Path | None:
    """Return the path that is given; --urls and --folder exclude each other."""
    if urls is not None and folder is not None:
        raise UsageError("--urls and --folder exclude each other", "call curate once for each")
    return urls or folder


def _per_class(text: str | None) -> int | None:
    if text is None:
        return None
    if text == "all":
        return 0
    return _number("--per-class", text, "give one, e.g. 200, or `all`")


def _number(flag: str, text: str, hint: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"{flag} {text!r} is not a number", hint)
    if len(text.lstrip("0")) > len(str(MOST)) or int(text) > MOST:
        raise UsageError(f"{flag} {text!r} is out of range", f"give at most {MOST}")
    return int(text)


def side_px(text: str | None) -> int | None:
    """Return a side in pixels, 0 for the original; None if none is given."""
    if text is None:
        return None
    if text == "original":
        return 0
    number_px = _number("--side", text, "give pixels, e.g. 512, or `original`")
    if number_px == 0:
        raise UsageError(f"--side {text!r} is not a size", "give pixels, e.g. 512, or `original`")
    return number_px


def _reason(text: str) -> Reason:
    try:
        return Reason(text)
    except ValueError:
        known = ", ".join(Reason)
        raise UsageError(f"--retry {text!r} is not a reason", f"reasons are: {known}") from None


def _params(pairs: list[str]) -> dict[str, tuple[str, ...]]:
    params: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--param {pair!r} is not KEY=VALUE")
        params[key] = (*params.get(key, ()), value)
    return params
