"""Labelme itself: where it is, whether it can show anything, starting and ending it.

Labelme is a program of its own under a licence of its own (GPL), so it is started as a
process and never imported. It runs in a session of its own: a Ctrl-C in our terminal, or the
end of that terminal, does not tear it down in the middle of a save.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from curate.errors import CurateError
from curate.label.labelme_folder import FLAGS, LOG, Working

VARIABLE = "CURATE_LABELME"
"""Environment variable that names the program. Not a setting of curate.toml: a project
folder may come from somebody else, and must not name programs to be run."""
INSTALL = "pipx install labelme"
STOP_S = 5.0
"""How long it may take to end before it is made to."""


class LabelmeError(CurateError):
    """Labelme is not there, cannot show anything, or ended badly."""

    kind = "labelme"


def find(environ: Mapping[str, str]) -> Path:
    """Return the program: as named by the environment, beside our Python, or on PATH.

    Raises:
        LabelmeError: there is none.
    """
    given = environ.get(VARIABLE)
    if given:
        found = shutil.which(given, path=environ.get("PATH"))
        if found is None:
            raise LabelmeError(f"{VARIABLE} names {given}, which is no program")
        return Path(found)
    beside = shutil.which("labelme", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("labelme", path=environ.get("PATH"))
    if found is None:
        raise LabelmeError(
            "Labelme is not installed",
            f"install it with `{INSTALL}` (or `python -m pip install labelme` in any "
            f"environment, and {VARIABLE}=/path/to/labelme), or use `curate audit`",
        )
    return Path(found)


def check_display(environ: Mapping[str, str], platform: str = sys.platform) -> None:
    """Make sure that a window can be opened.

    Raises:
        LabelmeError: there is no display.
    """
    if platform in ("win32", "darwin", "cygwin"):
        return
    if not any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")):
        raise LabelmeError(
            "there is no display for Labelme to open a window on",
            "run it on a desktop, or with `ssh -X`; `curate audit` needs a browser only, and "
            "`curate label --prepare-only` makes a folder to be labelled elsewhere",
        )


def arguments(program: Path, working: Working) -> list[str]:
    """Return the command that opens a folder, for Labelme 6 and 7 alike."""
    flags = str(working.path / FLAGS)
    return [str(program), str(working.path), "--flags", flags, "--logger-level", "warning"]


def start(program: Path, working: Working, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start Labelme on a folder; what it says goes into the folder's log.

    Raises:
        LabelmeError: it cannot be started.
    """
    try:
        with (working.path / LOG).open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - the program that the user installed
                arguments(program, working),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(environ),
                cwd=working.path,
                start_new_session=True,
            )
    except OSError as error:
        raise LabelmeError(f"cannot start {program}: {error.strerror}") from error


def stop(process: subprocess.Popen[bytes]) -> None:
    """End Labelme; by force if it does not end itself."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def ended_badly(returncode: int, working: Working) -> LabelmeError | None:
    """Return what to say of the way Labelme ended; None if it was closed as usual."""
    if returncode == 0:
        return None
    if returncode < 0:
        how = f"was ended by {_signal(-returncode)}"
    else:
        how = f"ended with exit code {returncode}"
        if last := _last_line(working.path / LOG):
            how += f": {last}"
    return LabelmeError(f"Labelme {how}", f"what was saved is kept; see {working.path / LOG}")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_line(path: Path) -> str:
    try:
        with path.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - 4096))
            lines = log.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")
