"""`curate --help` must answer at once, so it must not import what only work needs."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = (
    "PIL",
    "curate.fetch",
    "curate.pack",
    "curate.sources",
    "matplotlib",
    "numpy",
    "onnxruntime",
    "pandas",
    "pyarrow",
    "pycurl",
    "requests",
    "rich",
    "simplejpeg",
    "sqlite3",
    "unsplash",
)
PROGRAM = """
import json, sys
sys.argv = ["curate", *sys.argv[1:]]
from curate.cli.main import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def modules_after(*args: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *args], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_help_loads_nothing_heavy() -> None:
    loaded = modules_after("--help")
    assert "curate.cli.fetch" in loaded
    assert sorted(loaded.intersection(HEAVY)) == []


def test_the_help_of_a_command_loads_nothing_heavy() -> None:
    assert sorted(modules_after("fetch", "--help").intersection(HEAVY)) == []


def test_the_package_itself_loads_nothing_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import curate, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [name for name in done.stdout.split() if name.startswith("curate.")] == []
