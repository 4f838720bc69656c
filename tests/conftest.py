"""Fixtures for every test, and the guard that keeps tests offline and homeless.

The guard raises (it does not skip) when a test reaches beyond loopback or opens something
below the real home folder: such a test would pass here and fail, or do harm, elsewhere.
libcurl's connections are no events of Python; they are seen where this process opens its
sockets. Not seen is what processes that a test starts do with them.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.full import FULL, TIMEOUT_S

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
REAL_HOME = Path.home().resolve()
# Interpreters and caches may live below the home folder without being the user's things.
ALLOWED_BELOW_HOME = [Path(p).resolve() for p in (sys.prefix, sys.base_prefix)] + [
    Path(__file__).resolve().parents[1]
]


class GuardError(BaseException):
    """A test left its sandbox. A BaseException, so that no broad `except` hides it."""


def _is_loopback(host: object) -> bool:
    if not isinstance(host, str) or host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False


def _stays_here(host: str) -> bool:
    """Whether a connection to this address ends on this machine."""
    ip = ipaddress.ip_address(host.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return ip.is_loopback or ip.is_unspecified


def _check_home(path: object) -> None:
    if not isinstance(path, str | bytes | os.PathLike):
        return
    text = os.path.realpath(os.fsdecode(path))
    if not text.startswith(str(REAL_HOME) + os.sep):
        return
    if any(text.startswith(str(root)) for root in ALLOWED_BELOW_HOME):
        return
    raise GuardError(f"a test opened {text}, below the real home folder")


class _Guard:
    """An audit hook cannot be removed, so one is installed for good and switched per test."""

    on = False

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if (
            event == "socket.connect"
            and isinstance(args[1], tuple)
            and not _is_loopback(args[1][0])
        ):
            raise GuardError(f"a test connected to {args[1]}")
        if event == "socket.getaddrinfo" and not _is_loopback(args[0]):
            raise GuardError(f"a test looked up {args[0]!r}")
        if event == "open" and args[1] is not None:
            _check_home(args[0])


_guard = _Guard()
sys.addaudithook(_guard)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give what runs at its full size the time for it."""
    for item in items:
        if FULL and item.get_closest_marker("full"):
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what tests of full size have counted and measured."""
    told = [
        f"{what}: {value}"
        for report in terminalreporter.getreports("passed")
        if report.when == "call"
        for what, value in report.user_properties
    ]
    if FULL and told:
        terminalreporter.section("counted")
        terminalreporter.write_line("\n".join(told))


@pytest.fixture
def curl_strays(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses beyond loopback that libcurl was kept from; any left at the end is an error."""
    import pycurl

    from curate.fetch.slot import Slot

    strays: list[str] = []
    open_socket = Slot._on_open_socket

    def watched(slot: Slot, purpose: int, address: Any) -> Any:
        opened = open_socket(slot, purpose, address)
        if opened == pycurl.SOCKET_BAD or _stays_here(address[3][0]):
            return opened
        # An exception would not come through libcurl.
        strays.append(str(address[3][0]))
        return pycurl.SOCKET_BAD

    monkeypatch.setattr(Slot, "_on_open_socket", watched)
    return strays


@pytest.fixture(autouse=True)
def sandbox(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    curl_strays: list[str],
) -> Iterator[None]:
    """Every test has an empty home, no keys, no proxy, and no way past loopback."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    for name in list(os.environ):
        if name.startswith(("CURATE_", "UNSPLASH_", "GBIF_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    _guard.on = True
    yield
    _guard.on = False
    if curl_strays:
        raise GuardError(f"a test let libcurl connect to {', '.join(curl_strays)}")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real test data beside the checkout; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the shared test data is not beside this checkout (../shared/data)")
    return SHARED
