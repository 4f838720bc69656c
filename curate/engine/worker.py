"""The worker process: receives items over a socket, answers with results.

Frames are a 4-byte little-endian length and a pickle. The first frame holds the function,
the first answer says that it could be loaded (`Ready`). The worker ends when the socket
closes, that is, when its parent is gone.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LENGTH = struct.Struct("<I")
SECRETS = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")
"""How the names of environment variables end that a worker does not get."""


@dataclass(frozen=True, slots=True)
class Raised:
    """What a function raised, as text: tracebacks and odd exceptions do not travel well."""

    kind: str
    """The exception's class name."""
    message: str
    """Its text."""
    is_os_error: bool = False
    """The operating system refused: no space, no permission."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has loaded its function: from now on a death is an item's doing."""


def pack_frame(value: object) -> bytes:
    """Return the frame that carries `value`."""
    body = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(body)) + body


def unpack_frames(buffer: bytearray) -> list[Any]:
    """Take all complete frames out of `buffer`; return their values."""
    values = []
    start = 0
    while len(buffer) - start >= LENGTH.size:
        (length,) = LENGTH.unpack_from(buffer, start)
        end = start + LENGTH.size + length
        if len(buffer) < end:
            break
        values.append(pickle.loads(memoryview(buffer)[start + LENGTH.size : end]))  # noqa: S301 - our own parent
        start = end
    del buffer[:start]
    return values


def main(fd: int, memory_bytes: int) -> None:
    """Serve items from the socket `fd` until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory(memory_bytes)
    # A parent that is gone, or is closing, breaks the socket in either direction.
    with (
        socket.socket(fileno=fd) as channel,
        contextlib.suppress(BrokenPipeError, ConnectionResetError),
    ):
        _serve(channel)


def _serve(channel: socket.socket) -> None:
    buffer = bytearray()
    function: Callable[[Any], Any] | None = None
    while data := channel.recv(1 << 20):
        buffer += data
        for value in unpack_frames(buffer):
            if function is None:
                function = value
                _silence()
                answer: object = Ready()
            else:
                answer = _call(function, value)
            channel.sendall(pack_frame(answer))


def _call(function: Callable[[Any], Any], item: object) -> object:
    try:
        return function(item)
    except Exception as error:  # noqa: BLE001 - the outer door of this process
        return Raised(type(error).__name__, str(error), isinstance(error, OSError))


def _silence() -> None:
    """Drop what libraries write to standard error, as libtiff does for each odd tag.

    Whatever matters travels as an answer, or as the signal that the process died of.
    """
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 -- a device
        os.dup2(nowhere.fileno(), 2)


def _limit_memory(n_bytes: int) -> None:
    """Bound the heap, so that hostile input ends as a MemoryError here and not elsewhere."""
    if n_bytes and sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (n_bytes, n_bytes))


def command(paths: list[str], fd: int, memory_bytes: int) -> list[str]:
    """Return the command line that starts a worker with the parent's import path."""
    program = (
        f"import sys; sys.path[:] = {paths!r}; "
        f"from curate.engine.worker import main; main({fd}, {memory_bytes}); "
        # Nothing is left to be tidied up, and taking numpy apart would take a while.
        "import os; os._exit(0)"
    )
    return [sys.executable, "-c", program]


def environment() -> dict[str, str]:
    """Return the environment of a worker.

    One thread each, for the pool is the parallelism; and no secrets, for hostile bytes are
    decoded there.
    """
    kept = {name: text for name, text in os.environ.items() if not name.upper().endswith(SECRETS)}
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
