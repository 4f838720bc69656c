"""One spelling for each licence: SPDX ids where there is one, else the source's own words.

Sources write one licence in a dozen ways: URLs with and without `s`, slash, `legalcode`
or `deed.de`; GBIF's enumeration names; free text. Creative Commons is taken apart by one
pattern for URLs and one for words; whatever is not recognised, or names two licences at
once, keeps its own words, and the filter never lets it through unasked. A Creative
Commons name without a version ("CC BY-NC") has no SPDX id: it becomes `CC-BY-NC`, which
the families of the filter still match. Ports that SPDX does not list lose the country in
the id and keep it in the URL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from curate.errors import UsageError

UNSPLASH = "Unsplash"
UNSPLASH_URL = "https://unsplash.com/license"
UNSPLASH_PLUS = "Unsplash+"
UNSPLASH_PLUS_URL = "https://unsplash.com/plus/license"

_CC_URL = re.compile(
    r"creativecommons\.org/(?:licen[sc]es/(?P<parts>[a-z+-]+)|(?P<pd>publicdomain)/(?P<kind>zero|mark))"
    r"(?:/(?P<version>\d\.\d))?(?:/(?P<port>[a-z]{2,4}(?![a-z.])))?",
    re.IGNORECASE,
)
_CC_CODE = re.compile(
    r"(?<![a-z])cc[\s_-]*(?:(?P<zero>0|zero)|(?P<pdm>pdm|pd(?![a-z]))|by(?P<parts>(?:[\s_-]*(?:nc|nd|sa))*))(?![a-z])"
    r"(?:[\s_)-]*v?(?P<version>[1-4][._][0-9]))?(?:[\s_-]+(?P<port>[a-z]{2,3})(?![a-z]))?",
    re.IGNORECASE,
)
# As Openverse and Flickr tools write it: the code without its "CC".
_BARE_CODE = re.compile(r"^(?:pdm|by(?:-(?:nc|nd|sa))*(?:[ -]\d\.\d)?)$", re.IGNORECASE)
_CC_WORDS = re.compile(
    r"^(?:creative commons\s*[-:]?\s*)?attribution"
    r"(?P<rest>(?:[\s-]*(?:non[\s-]*commercial|no[\s-]*deriv\w*|share[\s-]*alike))*)"
    r"[\s,]*(?P<version>[1-4]\.[0-9])?\s*(?:international|unported|generic)?"
    r"\s*(?:public)?\s*(?:licen[sc]e)?$",
    re.IGNORECASE,
)
_SPDX_CC = re.compile(
    r"^(cc-by(?:-nc)?(?:-nd|-sa)?)(?:-(\d\.\d))?(?:-([a-z]{2,3}))?$", re.IGNORECASE
)
# The ports that the SPDX list knows, by licence.
_PORTS = {
    "CC-BY-2.5": {"AU"},
    "CC-BY-3.0": {"AT", "AU", "DE", "IGO", "NL", "US"},
    "CC-BY-NC-3.0": {"DE"},
    "CC-BY-NC-ND-3.0": {"DE", "IGO"},
    "CC-BY-NC-SA-2.0": {"DE", "FR", "UK"},
    "CC-BY-NC-SA-3.0": {"DE", "IGO"},
    "CC-BY-ND-3.0": {"DE"},
    "CC-BY-SA-2.0": {"UK"},
    "CC-BY-SA-2.1": {"JP"},
    "CC-BY-SA-3.0": {"AT", "DE", "IGO"},
}
# Other licences met on images: SPDX id, where to read it, spellings (lower case).
_OTHERS = (
    ("ODbL-1.0", "https://opendatacommons.org/licenses/odbl/1-0/", ("odbl", "odbl-1.0")),
    ("ODC-By-1.0", "https://opendatacommons.org/licenses/by/1-0/", ("odc-by", "odc-by-1.0")),
    ("PDDL-1.0", "https://opendatacommons.org/licenses/pddl/1-0/", ("pddl", "pddl-1.0")),
    ("MIT", "https://opensource.org/license/mit", ("mit", "mit license")),
    ("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0", ("apache-2.0", "apache 2.0")),
    (
        "GFDL-1.3-or-later",
        "https://www.gnu.org/licenses/fdl-1.3.html",
        ("gfdl",),
    ),
    ("LAL-1.3", "https://artlibre.org/", ("fal", "free art license")),
    ("CC-PDDC", "https://creativecommons.org/licenses/publicdomain/", ("cc-pddc",)),
)
_NOTHING_SAID = frozenset(
    ("", "unspecified", "unknown", "none", "null", "nan", "n/a", "na", "no license", "no licence")
)
_PUBLIC_DOMAIN = {"CC0-1.0", "CC-PDM-1.0", "CC-PDDC", "PDDL-1.0"}
_PUBLIC_DOMAIN_WORDS = ("public-domain", "publicdomain", "pd")
FAMILIES = (
    "cc0",
    "cc-by",
    "cc-by-sa",
    "cc-by-nc",
    "cc-by-nd",
    "cc-by-nc-sa",
    "cc-by-nc-nd",
    "public-domain",
    "unsplash",
)
"""Words of a filter that stand for a licence in any version."""


@dataclass(frozen=True, slots=True)
class License:
    """What is known of a licence."""

    id: str | None
    """SPDX id, or the source's own words; None: nothing is said."""
    url: str | None
    """Where it can be read."""


@lru_cache(maxsize=4096)
def normalise(words: str | None) -> License:
    """Read a licence's name, URL or free text.

    Example: `normalise("http://creativecommons.org/licenses/by/4.0/legalcode").id == "CC-BY-4.0"`.
    """
    text = " ".join((words or "").split())
    if text.lower() in _NOTHING_SAID:
        return License(None, None)
    is_url = text.lower().startswith(("http://", "https://", "//", "www.", "creativecommons.org"))
    found = _creative_commons(text)
    if found is not None:
        return License(found, text if text.lower().startswith("http") else cc_url(found))
    lower = text.lower().rstrip("/")
    if lower == "unsplash" or "unsplash.com/license" in lower or lower == "unsplash license":
        return License(UNSPLASH, UNSPLASH_URL)
    if lower in ("unsplash+", UNSPLASH_PLUS_URL):
        return License(UNSPLASH_PLUS, UNSPLASH_PLUS_URL)
    for spdx, url, spellings in _OTHERS:
        if lower in (*spellings, spdx.lower()) or _bare(lower) == _bare(url):
            return License(spdx, url)
    return License(text, text if is_url and "://" in text else None)


def _creative_commons(text: str) -> str | None:
    if _BARE_CODE.match(text):
        text = f"cc-{text}"
    url_matches = list(_CC_URL.finditer(text))
    if url_matches:
        found = {_from_url(match) for match in url_matches}
    elif re.search(r"all rights reserved", text, re.IGNORECASE):
        return None
    else:
        found = {_from_code(match) for match in _CC_CODE.finditer(text)}
        spelled = _CC_WORDS.match(text) if not found else None
        if spelled:
            found = {_compose(spelled["rest"], spelled["version"], None)}
    # Two licences in one text are a choice that is not ours to make.
    return found.pop() if len(found) == 1 else None


def _from_url(match: re.Match[str]) -> str | None:
    if match["pd"]:
        return "CC0-1.0" if match["kind"].lower() == "zero" else "CC-PDM-1.0"
    parts = match["parts"].lower()
    if parts == "publicdomain":
        return "CC-PDDC"
    if parts.split("-")[0] != "by" and parts != "nc-by":
        return f"CC-{parts.upper()}-{match['version'] or '1.0'}"
    return _compose(parts, match["version"], match["port"])


def _from_code(match: re.Match[str]) -> str:
    if match["zero"]:
        return "CC0-1.0"
    if match["pdm"]:
        return "CC-PDM-1.0"
    version = match["version"].replace("_", ".") if match["version"] else None
    return _compose(match["parts"], version, match["port"] if version else None)


def _compose(parts: str, version: str | None, port: str | None) -> str:
    """Put a Creative Commons id together, in SPDX's order of the elements."""
    lower = re.sub(r"[\s_-]+", "", parts.lower())
    name = "CC-BY"
    name += "-NC" if "nc" in lower or "noncommercial" in lower else ""
    name += "-ND" if "nd" in lower or "noderiv" in lower else ""
    name += "-SA" if "sa" in lower or "sharealike" in lower else ""
    if version is None:
        return name
    name = f"{name}-{version}"
    country = (port or "").upper()
    return f"{name}-{country}" if country in _PORTS.get(name, ()) else name


def cc_url(spdx: str) -> str | None:
    """Return where a Creative Commons licence can be read; None without a version."""
    if spdx == "CC0-1.0":
        return "https://creativecommons.org/publicdomain/zero/1.0/"
    if spdx == "CC-PDM-1.0":
        return "https://creativecommons.org/publicdomain/mark/1.0/"
    match = _SPDX_CC.match(spdx)
    if not match or not match[2]:
        return None
    port = f"{match[3].lower()}/" if match[3] else ""
    return f"https://creativecommons.org/licenses/{match[1][3:].lower()}/{match[2]}/{port}"


def family(license_id: str) -> str:
    """Return a licence without version and port, lower case: `cc-by-nc`, `cc0`, `unsplash`."""
    if license_id.upper().startswith("CC0"):
        return "cc0"
    match = _SPDX_CC.match(license_id)
    return match[1].lower() if match else license_id.lower()


def matches(license_id: str | None, wanted: frozenset[str]) -> bool:
    """Tell whether a licence is among the wanted ones.

    Args:
        license_id: as `normalise` gives it; None never matches a filter.
        wanted: SPDX ids (matched exactly), families such as `cc0`, `cc-by`, `cc-by-nc`
            (any version), `public-domain`, or a source's own words; empty: everything.
    """
    return not wanted or (license_id is not None and _matches_any(license_id, wanted))


@lru_cache(maxsize=4096)
def _matches_any(license_id: str, wanted: frozenset[str]) -> bool:
    return any(_matches_one(license_id, one.strip()) for one in wanted)


def _matches_one(license_id: str, one: str) -> bool:
    if one.lower() in _PUBLIC_DOMAIN_WORDS:
        return license_id in _PUBLIC_DOMAIN
    asked = normalise(one).id
    if asked is None:
        return False
    if asked.lower() == license_id.lower():
        return True
    is_family = family(asked) == asked.lower()
    return is_family and family(license_id) == asked.lower()


def is_known(word: str) -> bool:
    """Tell whether a word of a filter names a family or a licence that `normalise` knows."""
    if word.strip().lower() in _PUBLIC_DOMAIN_WORDS:
        return True
    read = normalise(word).id
    if read is None:
        return False
    spdx = {each for each, _url, _spellings in _OTHERS} | _PUBLIC_DOMAIN
    return read in spdx | {UNSPLASH, UNSPLASH_PLUS} or _SPDX_CC.match(read) is not None


def check_wanted(words: Iterable[str], own: Iterable[str] = ()) -> None:
    """Refuse a filter with a word that is no licence: it would quietly take nothing.

    Args:
        words: the filter.
        own: words of sources that are at hand, and may be asked for as they are.

    Raises:
        UsageError: one is not known.
    """
    theirs = {each.strip().lower() for each in own}
    for word in words:
        if not is_known(word) and word.strip().lower() not in theirs:
            raise UsageError(
                f"--license {word!r}: there is no such licence",
                f"known are {', '.join(FAMILIES)}, and SPDX ids such as CC-BY-4.0",
            )


def _bare(url: str) -> str:
    return re.sub(r"^https?://(?:www\.)?", "", url.lower()).rstrip("/")
