"""The one error tree, at the bottom of the house.

Every error a user may cause or meet is a `CurateError`: a message that says what
happened and to which thing, a hint that says what to run next, and an exit code.
Anything else that escapes is a bug, and the outer door (`curate.cli.main`) reports it so.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process returns; scripts may rely on these numbers."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    BUG = 3
    FAILURES_LEFT = 4
    FAULTS_FOUND = 5
    LOCKED = 6
    INTERRUPTED = 130


class CurateError(Exception):
    """An expected error: one line for the user, and an exit code.

    Args:
        message: what happened, on which thing, without a final stop.
        hint: what to do or run next; may be empty.
    """

    exit_code = ExitCode.ERROR
    kind = "error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(CurateError):
    """The call itself is wrong: flags that contradict, a value out of range."""

    exit_code = ExitCode.USAGE
    kind = "usage"


class ConfigError(CurateError):
    """curate.toml or an environment variable holds something that cannot be used."""

    kind = "config"


class NoProjectError(CurateError):
    """Nothing was ever begun in the project folder: most often its name is mistyped."""

    kind = "no_project"


class CatalogError(CurateError):
    """The catalog cannot be opened, read or written."""

    kind = "catalog"


class CatalogTooNewError(CatalogError):
    """The catalog was written by a newer curate."""

    kind = "catalog_too_new"


class LockedError(CurateError):
    """Another process is fetching into this project."""

    exit_code = ExitCode.LOCKED
    kind = "locked"


class StoreError(CurateError):
    """The image store cannot be written: disk full, no permission."""

    kind = "store"


class SourceError(CurateError):
    """A source cannot be read: no key, a refused query, an unreadable file."""

    kind = "source"


class MissingKeyError(SourceError):
    """A source needs a key that is not set, or refuses the one that is."""

    kind = "missing_key"


class PackError(CurateError):
    """No dataset can be made from what is there and what was asked."""

    kind = "pack"


class ModelError(CurateError):
    """A model's file cannot be used: no ONNX, damaged, not allowed, or not for pictures."""

    kind = "model"


def install_hint(extra: str) -> str:
    """Return how to get the libraries of an extra; a package index may hold another `curate`."""
    return f"run `pip install '.[{extra}]'` in the folder of curate's source"
