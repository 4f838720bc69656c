"""Serves the audit page on loopback until it is interrupted.

A project's page is served on the same port each time, worked out from the folder's path: the
browser keeps what could not be sent yet by address and port, and finds it again only there.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from curate.errors import UsageError
from curate.project import Project
from curate.web.desk import Desk, Options, open_desk
from curate.web.guard import Doors, Guard

HOST = "127.0.0.1"
_FIRST_PORT = 20_000
_PORTS = 10_000
"""Below the ports that systems give out by themselves."""
_GRACE_S = 2


@dataclass(frozen=True, slots=True)
class Page:
    """An audit page that is ready to be served."""

    port: int
    """Where it listens."""
    links: dict[str, str]
    """Annotator to the link that lets them in, once."""
    is_usual_port: bool
    """It is the project's own port, where browsers find what they could not send."""
    serve: Callable[[], None]
    """Serve until stopped or interrupted; raises KeyboardInterrupt then."""
    stop: Callable[[], None]
    """Let `serve` return soon; for another thread."""


def usual_port(folder: Path) -> int:
    """Return the port of a project's page."""
    return _FIRST_PORT + int(project_id(folder), 16) % _PORTS


def project_id(folder: Path) -> str:
    """Return what a browser keeps a project's unsent work under."""
    return sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]


@contextmanager
def audit_page(
    make_project: Callable[[], Project],
    folder: Path,
    annotators: Sequence[str],
    options: Options,
    port: int | None = None,
) -> Iterator[Page]:
    """Open a project and a port; the page answers once `serve` is called.

    Args:
        make_project: opens the project; called in the threads that use it.
        folder: the project folder.
        annotators: who gets a link.
        options: how the page is served.
        port: the port; 0: any that is free; None: the project's own, else any.

    Raises:
        UsageError: the port is taken.
        CurateError: the project cannot be opened.
    """
    listener = _listen(folder, port)
    try:
        desk = open_desk(make_project, options)
        try:
            yield _page(desk, listener, folder, annotators)
        finally:
            desk.close()
    finally:
        listener.close()


def _page(desk: Desk, listener: socket.socket, folder: Path, annotators: Sequence[str]) -> Page:
    import uvicorn

    from curate.web.app import build

    port = int(listener.getsockname()[1])
    doors = Doors()
    guard = Guard(
        build(desk, project_id(folder)), port, doors, desk.begin_session, desk.find_session
    )
    config = uvicorn.Config(
        guard,
        log_level="warning",
        access_log=False,  # it would write down the links' tokens
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=_GRACE_S,
        h11_max_incomplete_event_size=64 * 1024,
    )
    links = {name: f"http://{HOST}:{port}/?token={doors.link(name)}" for name in annotators}
    server = uvicorn.Server(config)

    def stop() -> None:
        server.should_exit = True

    is_usual = port == usual_port(folder)
    return Page(port, links, is_usual, lambda: server.run(sockets=[listener]), stop)


def _listen(folder: Path, port: int | None) -> socket.socket:
    wanted = usual_port(folder) if port is None else port
    try:
        return _bound(wanted)
    except OSError as error:
        if port is not None:
            raise UsageError(
                f"cannot listen on port {port}: {error.strerror}", "give another --port"
            ) from error
        return _bound(0)


def _bound(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # A port that was in use a moment ago is taken over from its closed connections.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener
