"""Functions for worker processes, which import them by name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def double(number: int) -> int:
    return 2 * number


def obey(order: str) -> str:
    """Do what the text says: `die`, `exit N`, `hang`, `raise`, `eat`, or answer."""
    if order == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if order.startswith("exit"):
        os._exit(int(order.split()[1]))
    if order == "hang":
        time.sleep(600)
    if order == "raise":
        raise ValueError("as told")
    if order == "refuse":
        raise PermissionError(13, "as told", "x")
    if order == "eat":
        return str(len(bytearray(4 << 30)))
    return order


def die_once(path: str) -> str:
    """Die, unless the file says that it happened before."""
    marker = Path(path)
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "lived"


def grow(data: bytes) -> bytes:
    """A large answer to a large item."""
    return data * 2


def pid(_item: int) -> int:
    time.sleep(0.01)
    return os.getpid()


class Unloadable:
    """A function that cannot be loaded where it should run."""

    def __call__(self, item: int) -> int:
        return item

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (7,)
