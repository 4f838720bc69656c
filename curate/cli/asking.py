"""From flags to what is asked: shared by `fetch`, `plan` and `gbif request`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.cli import options as opt
from curate.config import MOST
from curate.errors import UsageError
from curate.records import Reason

if TYPE_CHECKING:
    from curate.carriers.asked import FetchRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFlags:
    """The flags that say what to look for; their types explain them."""

    query: opt.QueryOption = None
    source: opt.SourceOption = None
    urls: opt.UrlsOption = None
    folder: opt.FolderOption = None
    archive: opt.ArchiveOption = None
    url_column: opt.UrlColumnOption = None
    class_column: opt.ClassColumnOption = None
    class_: opt.ClassOption = None
    class_by: opt.ClassByOption = None
    param: opt.ParamOption = None
    license_: opt.LicenseOption = None
    side: opt.SideOption = None
    allow_host: opt.AllowHostOption = None

    def request(self) -> FetchRequest:
        """Return the request that they make.

        Raises:
            UsageError: they contradict each other, or a value cannot be used.
        """
        from curate.carriers.asked import FetchRequest

        named = {"--archive": self.archive, "--urls": self.urls, "--folder": self.folder}
        given = [name for name, path in named.items() if path is not None]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} exclude each other", "run it once for each")
        return FetchRequest(
            source="dwca" if self.source is None and self.archive is not None else self.source,
            queries=tuple(self.query or ()),
            path=self.archive or self.urls or self.folder,
            classes=None if self.class_ is None else (self.class_,),
            class_by=self.class_by,
            url_column=self.url_column,
            class_column=self.class_column,
            params=_params(self.param or []),
            licenses=listed(self.license_),
        )

    def settings(self) -> dict[str, Any]:
        """Return the settings that they stand for.

        Raises:
            UsageError: --side is no size.
        """
        return {"fetch.side_px": _side_px(self.side), "fetch.allow_hosts": self.allow_host}


def listed(text: str | None) -> tuple[str, ...]:
    """Return the parts of a list with commas."""
    return tuple(part for each in (text or "").split(",") if (part := each.strip()))


def wanted_of_each(per_class: str | None, max_per_class: int | None) -> int | None:
    """Return the images wanted of each class, 0 for all; None if neither flag is given.

    Raises:
        UsageError: both are, or --per-class is no number.
    """
    if per_class is not None and max_per_class is not None:
        raise UsageError("--per-class and --max-per-class are the same", "give one of them")
    if per_class is None:
        return max_per_class
    if per_class == "all":
        return 0
    return _number("--per-class", per_class, "give one, e.g. 200, or `all`")


def reasons(texts: list[str] | None) -> tuple[Reason, ...]:
    """Return the reasons that --retry names.

    Raises:
        UsageError: there is no such reason.
    """
    return tuple(_reason(each) for each in texts or ())


def _number(flag: str, text: str, hint: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"{flag} {text!r} is not a number", hint)
    if len(text.lstrip("0")) > len(str(MOST)) or int(text) > MOST:
        raise UsageError(f"{flag} {text!r} is out of range", f"give at most {MOST}")
    return int(text)


def _side_px(text: str | None) -> int | None:
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
