"""The program `curate` as a user starts it: another process, and what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import full

TIMEOUT_S = full.TIMEOUT_S if full.FULL else 110.0


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What `--json` printed."""
        return json.loads(self.out)


def command(*arguments: object) -> list[str]:
    """The command line of `curate`."""
    return [sys.executable, "-m", "curate", *map(str, arguments)]


def environment(**settings: object) -> dict[str, str]:
    """The environment, and settings as `fetch_tries=3`; quick retries unless given."""
    quick = {"fetch_backoff_s": 0.01, "fetch_backoff_cap_s": 0.05, "fetch_workers": 1}
    named = {f"CURATE_{key}".upper(): str(value) for key, value in {**quick, **settings}.items()}
    return {**os.environ, **named}


def curate(*arguments: object, env: dict[str, str] | None = None) -> Said:
    """Run `curate` to its end."""
    done = subprocess.run(
        command(*arguments),
        env=env or environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def start(*arguments: object, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Start `curate`; its output can be read from the process."""
    return subprocess.Popen(
        command(*arguments),
        env=env or environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def image_files(project: Path) -> set[Path]:
    """Everything in the store, whatever it is called."""
    return {path for path in (project / "images").rglob("*") if path.is_file()}
