"""`curate --help` must answer at once, so it must not import what only work needs."""

from __future__ import annotations

import json
import os
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


COMPLETED = """
import sys
sys.argv = ["curate"]
from curate.cli.main import main
main()
"""


def modules_after(*args: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *args], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_help_loads_nothing_heavy_and_no_command() -> None:
    loaded = modules_after("--help")
    assert sorted(loaded.intersection(HEAVY)) == []
    assert {each for each in loaded if each.startswith("curate.cli.")} == {
        "curate.cli.main",
        "curate.cli.session",
    }
    assert "curate.records" not in loaded


def test_the_help_of_a_command_loads_nothing_heavy_and_no_other_command() -> None:
    loaded = modules_after("fetch", "--help")
    assert sorted(loaded.intersection(HEAVY)) == []
    assert "curate.cli.fetch" in loaded
    assert "curate.cli.balance" not in loaded


def test_completion_knows_the_flags_of_every_command() -> None:
    environ = {
        **os.environ,
        "_CURATE_COMPLETE": "complete_bash",
        "COMP_WORDS": "curate balance --min-p",
        "COMP_CWORD": "2",
    }
    done = subprocess.run(
        [sys.executable, "-c", COMPLETED],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["--min-per-class"]


def test_the_package_itself_loads_nothing_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import curate, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [name for name in done.stdout.split() if name.startswith("curate.")] == []
