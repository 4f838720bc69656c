"""A running sample server, and a session that has its key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import requests

from curate.demo.options import SampleOptions
from curate.demo.server import SampleServer


class Client:
    """Requests to one server."""

    def __init__(self, server: SampleServer) -> None:
        self.server = server
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Client-ID {server.key}"

    def get(self, path: str, **params: object) -> requests.Response:
        return self.session.get(self.server.url + path, params=params, timeout=20)

    def open(self, url: str) -> requests.Response:
        return self.session.get(url, timeout=20)


class FakeClock:
    """Time that passes when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


Serve = Callable[..., Client]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def serve(clock: FakeClock) -> Iterator[Serve]:
    """Start servers; at the end, stop them and check that none had a fault of its own."""
    with ExitStack() as stack:
        servers = []

        def start(**options: object) -> Client:
            made = SampleServer(SampleOptions.faultless(**options), clock)
            server = stack.enter_context(made)
            servers.append(server)
            client = Client(server)
            stack.callback(client.session.close)
            return client

        yield start
        assert [server.errors for server in servers] == [[] for _ in servers]
