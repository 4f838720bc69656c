"""Labelme itself: where it is, whether it can show anything, starting and ending it.

Labelme is a program of its own under a licence of its own (GPL), so it is started as a
process and never imported. It runs in a session of its own: a Ctrl-C in our terminal, or the
end of that terminal, does not tear it down in the middle of a save.
"""

from __future__ import annotations

import os
import shlex
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
VERSIONS = (6, 7)
"""Those whose files and windows are known."""
_RANGE = f"'labelme>={VERSIONS[0]},<{VERSIONS[-1] + 1}'"
INSTALL = f"pipx install {_RANGE}"
ASKED_S = 10.0
"""How long it may take to say its version."""
STOP_S = 5.0
"""How long it may take to end before it is made to."""
_NO_WINDOW = "no Qt platform plugin could be initialized"
"""What Qt says before it aborts."""


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
            f"install it with `{INSTALL}`, or name it with {VARIABLE}=/path/to/labelme, or use "
            "`curate audit`",
        )
    return Path(found)


def check_version(program: Path, environ: Mapping[str, str]) -> None:
    """Make sure that this Labelme is one that we know; a wrapper script may be any.

    Raises:
        LabelmeError: it is older or newer.
    """
    python = _python(program, environ)
    version = _version(python, program, environ) if python else ""
    major = version.partition(".")[0]
    if python and major.isdigit() and int(major) not in VERSIONS:
        known = " and ".join(map(str, VERSIONS))
        raise LabelmeError(
            f"{program} is Labelme {version}; versions {known} are supported",
            f"run `{shlex.quote(python)} -m pip install {_RANGE}`",
        )


def _python(program: Path, environ: Mapping[str, str]) -> str | None:
    """Return the Python that a script is run by; None if it is no script of Python's."""
    try:
        with program.open("rb") as script:
            line = script.readline(500)
    except OSError:
        return None
    words = line.decode("utf-8", "replace").removeprefix("#!").split()
    if not line.startswith(b"#!") or not words or "python" not in Path(words[-1]).name:
        return None
    return shutil.which(words[-1], path=environ.get("PATH"))


def _version(python: str, program: Path, environ: Mapping[str, str]) -> str:
    """Ask a Python which Labelme it has: Labelme itself takes two seconds to say so."""
    ask = "from importlib.metadata import version; print(version('labelme'))"
    try:
        done = subprocess.run(  # noqa: S603 - the Python that runs Labelme
            [python, "-c", ask],
            capture_output=True,
            text=True,
            timeout=ASKED_S,
            env=dict(environ),
            cwd=program.parent,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


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
    """Start Labelme on a folder; what it says becomes the folder's log.

    Raises:
        LabelmeError: it cannot be started.
    """
    try:
        with (working.path / LOG).open("wb") as log:
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
    log = working.path / LOG
    lines = _last_lines(log)
    if returncode == -signal.SIGABRT and any(_NO_WINDOW in line for line in lines):
        return LabelmeError(
            "Labelme could not open a window: its display does not answer, or Qt misses a library",
            f"{log} says which (on Debian mostly `sudo apt-get install libxcb-cursor0`); "
            "`curate audit` needs a browser only",
        )
    if returncode < 0:
        how = f"was ended by {_signal(-returncode)}"
    else:
        how = f"ended with exit code {returncode}"
        if lines:
            how += f": {lines[-1]}"
    return LabelmeError(f"Labelme {how}", f"what was saved is kept; see {log}")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - 4096))
            lines = log.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [line.strip()[:200] for line in lines if line.strip()]
