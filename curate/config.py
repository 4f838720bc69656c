"""Settings: defaults, curate.toml, environment, flags; later ones win.

Each setting is a field of one of the sections below; that is the one place of its name,
its default and its explanation. `[fetch] tries = 3` in curate.toml, `CURATE_FETCH_TRIES=3`
in the environment and `--tries 3` on the command line all reach the same field. Secrets
never live in curate.toml: keys come from the environment only.
"""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from curate import __version__
from curate.errors import ConfigError

CONFIG_NAME = "curate.toml"


def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"text": text})


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """Downloads and their verification."""

    side_px: int = _setting(
        1024, "smallest variant whose shorter side is at least this; 0: original"
    )
    connections: int = _setting(64, "downloads at a time, over all hosts")
    per_host: int = _setting(16, "downloads at a time from one host")
    rate_per_host: float = _setting(0.0, "requests a second to one host; 0: no limit")
    workers: int = _setting(0, "decoding processes; 0: one for each core")
    connect_timeout_s: float = _setting(10.0, "longest wait for a connection")
    idle_timeout_s: float = _setting(20.0, "longest time below the minimum speed")
    min_speed_bytes_s: int = _setting(1024, "slower than this counts as idle")
    deadline_s: float = _setting(120.0, "longest time for one URL, redirects included")
    max_bytes: int = _setting(64 * 1024 * 1024, "largest body")
    max_pixels: int = _setting(50_000_000, "largest image, judged from its header")
    redirects: int = _setting(5, "redirects followed for one URL")
    tries: int = _setting(5, "tries for a candidate whose failures are transient")
    backoff_s: float = _setting(1.0, "bound of the first wait between two tries; doubles each time")
    backoff_cap_s: float = _setting(60.0, "largest bound of such a wait")
    max_wait_s: float = _setting(
        120.0, "longest wait for retries that are due later, before stopping"
    )
    allow_hosts: tuple[str, ...] = _setting((), "host names or CIDRs that the guard lets through")
    ca_file: str = _setting("", "certificates to trust instead of the system's")
    contact: str = _setting(
        "", "mail address or page for the User-Agent, so that hosts can reach you"
    )


@dataclass(frozen=True, slots=True)
class UnsplashSettings:
    """The Unsplash API. Its key comes from UNSPLASH_ACCESS_KEY."""

    url: str = _setting("https://api.unsplash.com", "base URL of the API")


@dataclass(frozen=True, slots=True)
class GbifSettings:
    """The GBIF API."""

    url: str = _setting("https://api.gbif.org", "base URL of the API, without the version")


@dataclass(frozen=True, slots=True)
class BalanceSettings:
    """Which images a manifest takes, and how it splits them."""

    min_per_class: int = _setting(0, "classes with fewer images are dropped")
    max_per_class: int = _setting(0, "classes with more images are sampled down; 0: no cap")
    splits: tuple[float, ...] = _setting((0.8, 0.1, 0.1), "shares of train, val and test")
    seed: int = _setting(0, "seed of all chance")
    licenses: tuple[str, ...] = _setting((), "licences to take, e.g. cc0,cc-by; none: all")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a project."""

    fetch: FetchSettings = FetchSettings()
    unsplash: UnsplashSettings = UnsplashSettings()
    gbif: GbifSettings = GbifSettings()
    balance: BalanceSettings = BalanceSettings()


def load(folder: Path, environ: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    """Return the settings of the project in `folder`.

    Args:
        folder: where curate.toml may be.
        environ: the environment; `CURATE_SECTION_KEY` sets `[section] key`.
        flags: `"section.key"` to a value; a value of None means "not given".

    Raises:
        ConfigError: unreadable TOML, an unknown name, or a value of the wrong type.
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
            value = _toml_value(getattr(values, each.name))
            lines.append(f"# {each.name} = {value}  # {each.metadata['text']}")
    return "\n".join(lines) + "\n"


def describe(section: str, key: str) -> str:
    """Return a setting's explanation with its default, as shown in `--help`."""
    values = getattr(Settings(), section)
    text = next(each.metadata["text"] for each in fields(values) if each.name == key)
    default = getattr(values, key)
    shown = ",".join(str(part) for part in default) if isinstance(default, tuple) else str(default)
    return (
        f"{text[0].upper()}{text[1:]}. [default: {shown}]"
        if shown
        else f"{text[0].upper()}{text[1:]}."
    )


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
    values = {
        key: _convert(types[key], value, f"{path}: [{name}] {key}") for key, value in given.items()
    }
    for key, kind in types.items():
        variable = f"CURATE_{name}_{key}".upper()
        if environ.get(variable):
            values[key] = _convert(kind, environ[variable], f"environment variable {variable}")
        flag = flags.get(f"{name}.{key}")
        if flag is not None:
            values[key] = _convert(kind, flag, f"--{key.replace('_', '-')}")
    return dataclasses.replace(cls(), **values)


def _convert(kind: Any, value: Any, where: str) -> Any:
    """Turn TOML, text or a flag into the setting's type."""
    try:
        if typing.get_origin(kind) is tuple:
            return _convert_tuple(typing.get_args(kind)[0], value)
        if isinstance(value, bool) or (kind is int and isinstance(value, float)):
            raise ValueError
        number = kind(value)
    except (TypeError, ValueError):
        raise ConfigError(
            f"{where}: {value!r} is not usable", f"expected {_kind_name(kind)}"
        ) from None
    if kind in (int, float) and number < 0:
        raise ConfigError(f"{where}: {value!r} is negative", "expected zero or more")
    return number


def _convert_tuple(kind: Any, value: Any) -> tuple[Any, ...]:
    parts = value.split(",") if isinstance(value, str) else list(value)
    return tuple(kind(part.strip() if isinstance(part, str) else part) for part in parts)


def _kind_name(kind: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "a text"}
    return names.get(kind, "a list")


def _toml_value(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml_value(part) for part in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
