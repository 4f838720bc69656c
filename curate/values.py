"""Values of settings: from TOML or text to the type that a setting has, and back."""

from __future__ import annotations

import typing
from typing import Any


def convert_toml(kind: Any, value: Any, bounds: tuple[float, float]) -> Any:
    """Check that a TOML value has the setting's type, then take it as any other."""
    parts = value if isinstance(value, list) else [value]
    element = typing.get_args(kind)[0] if typing.get_origin(kind) is tuple else kind
    wanted = (int, float) if element is float else element
    is_list = isinstance(value, list)
    if is_list and element is kind:
        raise ValueError(f"{value!r} is a list, {_expected(kind)} is expected")
    if any(
        isinstance(part, bool) != (kind is bool) or not isinstance(part, wanted) for part in parts
    ):
        raise ValueError(f"{value!r} is not usable, {_expected(kind)} is expected")
    return convert(kind, value, bounds)


def convert(kind: Any, value: Any, bounds: tuple[float, float]) -> Any:
    """Turn text, or a value of the right type, into the setting's type.

    Raises:
        ValueError: it cannot be used; the message says why.
    """
    if typing.get_origin(kind) is tuple:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            raise ValueError(f"{value!r} is not usable, a list is expected")
        texts = [part.strip() if isinstance(part, str) else part for part in parts]
        kinds = typing.get_args(kind)
        values = tuple(convert(kinds[0], part, bounds) for part in texts if part != "")
        if kinds[-1] is not ... and len(values) != len(kinds):
            raise ValueError(f"{value!r} has {len(values)} values, {len(kinds)} are expected")
        return values
    try:
        if isinstance(value, float) and kind is int:
            raise ValueError
        if kind is bool and str(value).lower() not in ("true", "false"):
            raise ValueError
        if kind is bool:
            return str(value).lower() == "true"
        converted = kind(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{value!r} is not usable, {_expected(kind)} is expected") from None
    least, most = bounds
    if kind in (int, float) and not least <= converted:
        raise ValueError(f"{value!r} is out of range, at least {least:g} is expected")
    if kind in (int, float) and not converted <= most:
        raise ValueError(f"{value!r} is out of range, at most {most:.0f} is expected")
    return converted


def _expected(kind: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    return names.get(kind, "a list")


def toml_value(value: Any) -> str:
    """Write a setting as it would stand in curate.toml."""
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_value(part) for part in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
