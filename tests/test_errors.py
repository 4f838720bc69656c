"""The error tree: every error has a kind, a line and an exit code of its own meaning."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import curate
from curate import errors
from curate.errors import CurateError, ExitCode


def every_error() -> list[type[CurateError]]:
    """All errors of the package, wherever they are defined."""
    for module in pkgutil.walk_packages(curate.__path__, "curate."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found, todo = [], [CurateError]
    while todo:
        kind = todo.pop()
        found.append(kind)
        todo += kind.__subclasses__()
    return [kind for kind in found if kind.__module__.startswith("curate.")]


def test_the_exit_codes_are_those_that_scripts_rely_on() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "DONE": 0,
        "ERROR": 1,
        "USAGE": 2,
        "BUG": 3,
        "FAILURES_LEFT": 4,
        "FAULTS_FOUND": 5,
        "LOCKED": 6,
        "INTERRUPTED": 130,
    }


def test_every_error_has_a_kind_of_its_own_and_an_exit_code_that_says_failure() -> None:
    found = every_error()
    kinds = [kind.kind for kind in found]
    assert len(set(kinds)) == len(kinds) >= 10
    for kind in found:
        assert kind.exit_code in (
            ExitCode.ERROR,
            ExitCode.USAGE,
            ExitCode.LOCKED,
            ExitCode.FAILURES_LEFT,
        )
        assert kind.__doc__


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.UsageError, ExitCode.USAGE),
        (errors.LockedError, ExitCode.LOCKED),
        (errors.ConfigError, ExitCode.ERROR),
        (errors.CatalogTooNewError, ExitCode.ERROR),
        (errors.MissingKeyError, ExitCode.ERROR),
    ],
)
def test_an_error_carries_message_hint_and_code(kind: type[CurateError], code: ExitCode) -> None:
    error = kind("it broke", "mend it")
    assert (error.message, error.hint, str(error)) == ("it broke", "mend it", "it broke")
    assert error.exit_code == code
    assert kind("it broke").hint == ""
