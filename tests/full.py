"""How large the tests marked `full` are: moderate as a rule, as large as promised in `make full`.

The suite of every day proves the same laws on less; nothing but sizes differs.
"""

from __future__ import annotations

import os
from typing import Final

FULL: Final = os.environ.get("CURATE_FULL", "") not in ("", "0")
"""Read when tests are collected: what tests run in has no settings of curate's."""
TIMEOUT_S: Final = 3600
"""Longest time for one test of full size."""


def size(usual: int, full: int) -> int:
    """Return the size of this run."""
    return full if FULL else usual
