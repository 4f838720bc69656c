"""curate: search, fetch, deduplicate, label, balance and split an image dataset.

`Project` is the way in; everything it takes and returns is a typed, frozen record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["CurateError", "FetchRequest", "Project", "__version__"]

if TYPE_CHECKING:
    from curate.carriers.finding import FetchRequest
    from curate.errors import CurateError
    from curate.project import Project

_HOMES = {
    "CurateError": "curate.errors",
    "FetchRequest": "curate.carriers.finding",
    "Project": "curate.project",
}


def __getattr__(name: str) -> Any:
    """Load the public names when they are asked for: workers import this package too."""
    if name not in _HOMES:
        raise AttributeError(f"module 'curate' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
