"""Record the picture in the README: `python docs/record.py`.

`curate demo` runs for real, with its results in a terminal of their own, and what it prints
is drawn as SVG. Numbers are those of that run.
"""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

COLUMNS = 100
PICTURE = Path(__file__).parent / "img" / "demo.svg"


def main() -> None:
    """Write the picture."""
    PICTURE.parent.mkdir(exist_ok=True)
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    with tempfile.TemporaryDirectory() as folder:
        talk, result = _run("demo", folder)
    console.print(Text.assemble(("$ ", "bold green"), ("curate demo", "bold")))
    for line in talk.strip("\n").splitlines():
        console.print(Text(line, "bold cyan" if line.startswith("$") else "dim"))
    console.print()
    console.print(Text.from_ansi(result))
    svg = console.export_svg(title="curate", theme=MONOKAI)
    # The letters of whoever looks will do: a picture should not ask the internet for its own.
    PICTURE.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL), "utf-8")
    print(PICTURE)


def _run(command: str, folder: str) -> tuple[str, str]:
    """Run a command whose stdout is a terminal; return its stderr and its stdout."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    process = subprocess.Popen(  # noqa: S603 - the program that this repository is
        [str(Path(sys.executable).parent / "curate"), command],
        cwd=folder,
        env=environ,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    assert process.stderr is not None
    talk = process.stderr.read()
    parts = []
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not part:
            break
        parts.append(part)
    if process.wait():
        raise SystemExit(f"curate {command} failed:\n{talk}")
    os.close(ours)
    return talk, b"".join(parts).decode().replace("\r\n", "\n")


if __name__ == "__main__":
    main()
