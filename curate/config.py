"""Settings: defaults, curate.toml, environment, flags; later ones win.

Each setting is a field of one of the sections below; that is the one place of its name,
its default and its explanation. `[fetch] tries = 3` in curate.toml, `CURATE_FETCH_TRIES=3`
in the environment and `--tries 3` on the command line all reach the same field. Secrets
never live in curate.toml: keys come from the environment only, and so does the URL that
one is sent to, for a project folder may come from somebody else.
"""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from curate import __version__
from curate.errors import ConfigError, UsageError
from curate.values import convert, convert_toml, toml_value

CONFIG_NAME = "curate.toml"
MOST = 2**31 - 1
"""The largest whole number that any setting or flag may have: C libraries count in 32 bits."""
MOST_CONNECTIONS = 10_000


def _setting(
    default: Any,
    text: str,
    *,
    least: float = 0,
    most: float = MOST,
    flag: str | None = None,
    in_file: bool = True,
) -> Any:
    metadata = {"text": text, "range": (least, most), "flag": flag, "in_file": in_file}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """Downloads and their verification."""

    side_px: int = _setting(
        1024, "smallest variant whose shorter side is at least this; 0: original", flag="--side"
    )
    connections: int = _setting(
        64, "downloads at a time, over all hosts", least=1, most=MOST_CONNECTIONS
    )
    per_host: int = _setting(
        16, "downloads at a time from one host", least=1, most=MOST_CONNECTIONS
    )
    rate_per_host: float = _setting(0.0, "requests a second to one host; 0: no limit")
    workers: int = _setting(0, "decoding processes; 0: one for each core")
    connect_timeout_s: float = _setting(10.0, "longest wait for a connection", least=0.001)
    idle_timeout_s: float = _setting(20.0, "longest time below the minimum speed", least=1)
    min_speed_bytes_s: int = _setting(1024, "slower than this counts as idle")
    deadline_s: float = _setting(120.0, "longest time for one URL, redirects included", least=0.001)
    max_bytes: int = _setting(64 * 1024 * 1024, "largest body, and largest file, in bytes", least=1)
    max_pixels: int = _setting(50_000_000, "largest image, judged from its header", least=1)
    keep_damaged: bool = _setting(
        False, "take JPEGs that have lost pixels inside, under the quality flag damaged"
    )
    redirects: int = _setting(5, "redirects followed for one URL")
    tries: int = _setting(5, "tries for a candidate whose failures are transient", least=1)
    backoff_s: float = _setting(1.0, "bound of the first wait between two tries; doubles each time")
    backoff_cap_s: float = _setting(60.0, "largest bound of such a wait")
    max_wait_s: float = _setting(
        120.0, "longest wait for retries that are due later, before stopping", flag="--max-wait"
    )
    placeholder_urls: int = _setting(
        10, "URLs of one host with the same picture that make it a stand-in; 0: never"
    )
    allow_hosts: tuple[str, ...] = _setting(
        (), "host names or CIDRs that the guard lets through", flag="--allow-host"
    )
    ca_file: str = _setting("", "certificates to trust instead of the system's")
    contact: str = _setting(
        "", "mail address or page for the User-Agent, so that hosts can reach you"
    )


@dataclass(frozen=True, slots=True)
class UnsplashSettings:
    """The Unsplash API. Its key comes from UNSPLASH_ACCESS_KEY."""

    url: str = _setting(
        "https://api.unsplash.com",
        "base URL of the API, which receives the key: from the environment only",
        in_file=False,
    )


@dataclass(frozen=True, slots=True)
class GbifSettings:
    """The GBIF API. Downloads are requested with GBIF_USER and GBIF_PASSWORD."""

    url: str = _setting(
        "https://api.gbif.org",
        "base URL of the API, without the version; it receives the password: from the "
        "environment only",
        in_file=False,
    )


@dataclass(frozen=True, slots=True)
class BalanceSettings:
    """Which images a manifest takes, and how it splits them."""

    min_per_class: int = _setting(0, "classes with fewer images are dropped")
    max_per_class: int = _setting(0, "classes with more images are sampled down; 0: no cap")
    splits: tuple[float, float, float] = _setting((0.8, 0.1, 0.1), "shares of train, val and test")
    seed: int = _setting(0, "seed of all chance")
    licenses: tuple[str, ...] = _setting(
        (), "licences to take, e.g. cc0,cc-by; none: all", flag="--license"
    )
    trust: str = _setting(
        "query", "weakest origin of a label that counts: human, consensus, model, source or query"
    )
    where: str = _setting("", "what an image must fulfil, e.g. width_px >= 512; empty: nothing")
    downsample: str = _setting(
        "", "sample every class down to the smallest (min), or to a number; empty: no"
    )
    keep: str = _setting(
        "random", "which images stay in a class with too many: random, best or spread"
    )
    spread_by: tuple[str, ...] = _setting(
        ("observer", "year", "country"), "columns that spread takes turns over, the first first"
    )
    upsample: str = _setting(
        "", "repeat training rows up to the largest class (max), or to a number; empty: no"
    )
    negatives: float = _setting(1.0, "largest share of images of no class; 1: all of them", most=1)
    group_by: tuple[str, ...] = _setting(
        (), "columns whose equal values stay on one side, e.g. observer+date,author"
    )
    holdout_by: str = _setting(
        "", "column whose values test does not share, e.g. countryCode or year; empty: none"
    )
    folds: int = _setting(0, "folds for cross-validation; 0: none")
    sticky: bool = _setting(True, "keep images where earlier manifests have put them")
    include_unlabelled: bool = _setting(False, "take images without a label along, in a file apart")


@dataclass(frozen=True, slots=True)
class DedupeSettings:
    """Which images are the same photo, and which of them is kept."""

    radius: int = _setting(14, "largest difference of the 64-bit hashes, in bits")
    confirm: int = _setting(76, "largest difference of the 256-bit hashes, in bits")
    invariant: tuple[str, ...] = _setting((), "also find mirrored or turned copies: flip,rotate")
    keep: tuple[str, ...] = _setting(
        ("annotated", "resolution", "license", "size"),
        "what makes the image that is kept, most important first",
    )
    min_contrast: float = _setting(
        5.0, "images whose grey values deviate less have no telling hash and are not grouped"
    )
    min_entropy: float = _setting(1.0, "the same for bits of grey-value entropy")


@dataclass(frozen=True, slots=True)
class ClassesSettings:
    """The classes, until `curate classes set` says otherwise."""

    names: tuple[str, ...] = _setting((), "names, in the order they are shown; none: the hints'")
    exclusive: bool = _setting(False, "whether an image has one class at most")


@dataclass(frozen=True, slots=True)
class LabelSettings:
    """What people decide, and what becomes of it."""

    backup_dir: str = _setting(
        "", "folder outside the project for dated copies of all annotations; empty: none"
    )
    backup_every: int = _setting(200, "annotations between two such copies in one session", least=1)
    consensus: str = _setting(
        "", "what people who disagree amount to: majority or dawid-skene; empty: a conflict"
    )
    trusted: str = _setting(
        "",
        "whose decisions a consensus takes for true, and measures the others' by; empty: nobody's",
    )
    threshold: float = _setting(
        0.0,
        "score from which a model's proposal is a label, where the model has no threshold of its "
        "own; 0: never",
        most=1,
    )
    annotator: str = _setting("", "name under which you label; empty: your user name")
    batch: int = _setting(200, "images in one working folder of Labelme", least=1)


@dataclass(frozen=True, slots=True)
class LearningSettings:
    """What people are asked to look at, to train and to measure models."""

    queue: int = _setting(100, "images in a queue", least=1, flag="--n")
    blind: float = _setting(
        0.05, "share of images shown without proposal, to learn how far proposals sway", most=1
    )


@dataclass(frozen=True, slots=True)
class QualitySettings:
    """When an image is flagged. Nothing is excluded for it unless asked."""

    dark: float = _setting(25.0, "mean grey value (0-255) below which an image is dark")
    bright: float = _setting(240.0, "mean grey value above which it is bright")
    blurry: float = _setting(125.0, "sharpness below which it is blurry")
    small_px: int = _setting(100, "shorter side below which it is small")
    aspect: float = _setting(3.0, "longer side over shorter side above which its shape is odd")
    low_information: float = _setting(2.0, "bits of grey-value entropy below which it shows little")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a project."""

    fetch: FetchSettings = FetchSettings()
    unsplash: UnsplashSettings = UnsplashSettings()
    gbif: GbifSettings = GbifSettings()
    balance: BalanceSettings = BalanceSettings()
    dedupe: DedupeSettings = DedupeSettings()
    quality: QualitySettings = QualitySettings()
    classes: ClassesSettings = ClassesSettings()
    label: LabelSettings = LabelSettings()
    learning: LearningSettings = LearningSettings()


def load(folder: Path, environ: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    """Return the settings of the project in `folder`.

    Args:
        folder: where curate.toml may be.
        environ: the environment; `CURATE_SECTION_KEY` sets `[section] key`.
        flags: `"section.key"` to a value; a value of None means "not given".

    Raises:
        ConfigError: unreadable TOML, an unknown name, or a value that cannot be used.
        UsageError: a flag's value cannot be used.
    """
    path = folder / CONFIG_NAME
    table = _read_toml(path)
    sections: dict[str, Any] = {}
    for section in fields(Settings):
        given = table.pop(section.name, {})
        if not isinstance(given, dict):
            raise ConfigError(f"{path}: [{section.name}] is not a table")
        cls = type(getattr(Settings(), section.name))
        sections[section.name] = _section(cls, section.name, given, environ, flags, path)
    if table:
        known = ", ".join(section.name for section in fields(Settings))
        raise ConfigError(f"{path}: unknown section [{next(iter(table))}]", f"known are: {known}")
    return Settings(**sections)


def trust_in_file(folder: Path, settings: Settings) -> list[str]:
    """Return what curate.toml, which may be somebody else's, lets through, e.g. `allow_hosts`.

    Args:
        folder: where curate.toml may be.
        settings: those in effect; what flags or the environment set instead is left out.
    """
    return _set_in_file(folder, settings, "fetch", "allow_hosts", "ca_file")


def tell_trust(folder: Path, settings: Settings, notify: Callable[[str], None]) -> None:
    """Say what `trust_in_file` returns, in one sentence."""
    if trusted := trust_in_file(folder, settings):
        notify(f"{folder / CONFIG_NAME} sets {' and '.join(trusted)}.")


def tell_backup(folder: Path, settings: Settings, notify: Callable[[str], None]) -> None:
    """Say that curate.toml, which may be somebody else's, has annotations copied elsewhere."""
    for each in _set_in_file(folder, settings, "label", "backup_dir"):
        notify(f"{folder / CONFIG_NAME} sets {each}: copies of all annotations go there.")


def _set_in_file(folder: Path, settings: Settings, section: str, *keys: str) -> list[str]:
    given = _read_toml(folder / CONFIG_NAME).get(section, {})
    found = []
    for key in keys:
        value = getattr(getattr(settings, section), key)
        shown = list(value) if isinstance(value, tuple) else value
        if shown and given.get(key) == shown:
            found.append(f"{key} = {toml_value(value)}")
    return found


def without_login(url: str) -> str:
    """Return a URL without the name and password that it may hold, to be shown."""
    scheme, mark, rest = url.rpartition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"


def user_agent(contact: str) -> str:
    """Return `curate/VERSION`, with the contact in the form `(+contact)` if there is one."""
    return f"curate/{__version__} (+{contact})" if contact else f"curate/{__version__}"


def template() -> str:
    """Return a curate.toml in which every setting stands, commented out, with its default."""
    lines = ["# Settings of this project. Uncomment a line to change it."]
    settings = Settings()
    for section in fields(settings):
        values = getattr(settings, section.name)
        lines += ["", f"# {values.__doc__}", f"[{section.name}]"]
        for each in fields(values):
            if not each.metadata["in_file"]:
                variable = f"CURATE_{section.name}_{each.name}".upper()
                lines.append(f"# {variable}: {each.metadata['text']}")
                continue
            value = toml_value(getattr(values, each.name))
            lines.append(f"# {each.name} = {value}  # {each.metadata['text']}")
    return "\n".join(lines) + "\n"


def describe(section: str, key: str) -> str:
    """Return a setting's explanation with its default, as shown in `--help`."""
    values = getattr(Settings(), section)
    text = next(each.metadata["text"] for each in fields(values) if each.name == key)
    default = getattr(values, key)
    parts = default if isinstance(default, tuple) else (default,)
    shown = ",".join(f"{part:g}" if isinstance(part, float) else str(part) for part in parts)
    sentence = f"{text[0].upper()}{text[1:]}."
    return f"{sentence} [default: {shown}]" if shown else sentence


def _section(
    cls: type,
    name: str,
    given: dict[str, Any],
    environ: Mapping[str, str],
    flags: Mapping[str, Any],
    path: Path,
) -> Any:
    types = typing.get_type_hints(cls)
    unknown = set(given) - set(types)
    if unknown:
        raise ConfigError(
            f"{path}: unknown setting {sorted(unknown)[0]!r} in [{name}]",
            f"known are: {', '.join(sorted(types))}",
        )
    values = {}
    for each in fields(cls):
        kind, bounds = types[each.name], each.metadata["range"]
        variable = f"CURATE_{name}_{each.name}".upper()
        flag = flags.get(f"{name}.{each.name}")
        try:
            if flag is not None:
                where = each.metadata["flag"] or f"--{each.name.replace('_', '-')}"
                values[each.name] = convert(kind, flag, bounds)
            elif environ.get(variable):
                where = f"environment variable {variable}"
                values[each.name] = convert(kind, environ[variable], bounds)
            elif each.name in given and not each.metadata["in_file"]:
                where = f"{path}: [{name}] {each.name}"
                raise ValueError(f"this is taken from {variable} in the environment only")
            elif each.name in given:
                where = f"{path}: [{name}] {each.name}"
                values[each.name] = convert_toml(kind, given[each.name], bounds)
        except ValueError as error:
            wrong = UsageError if flag is not None else ConfigError
            raise wrong(f"{where}: {error}") from None
    return dataclasses.replace(cls(), **values)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
