"""Tries a stranger's model in a process of its own, before the caller's process touches it.

A model can ask the runtime for a thousand gigabytes, for a loop without an end, or for whatever
crashes it. The child has bounds on memory and time; it loads the model, runs noise through it,
and says what came out. Run as `python -m curate.assist.probe`, with the question on stdin.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from curate.assist.onnxfile import ModelFile, read_model
from curate.assist.runtime import noise, open_session
from curate.errors import ModelError

TIMEOUT_S = 60.0
MEMORY_BYTES = 6 * 1024**3
"""Address space of the child: the runtime itself takes about one gigabyte of it."""
_DETAIL_CHARS = 240
_ROWS = 2
"""Pictures that an open batch is tried with."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One way to feed a model."""

    shape: tuple[int, ...]
    """Shape of the input."""
    output: str
    """Name of the output to look at."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model did with noise."""

    sha256: str
    """Of the file that was tried."""
    shape: tuple[int, ...]
    """The input that it took, of those tried."""
    rows: tuple[int, ...]
    """Shape of the output."""
    is_between: bool
    """All values of the output lie from 0 to 1."""
    sums_to_one: bool
    """Those of each picture sum to 1."""


def probe(
    path: Path,
    trials: list[Trial],
    *,
    external: bool = False,
    timeout_s: float = TIMEOUT_S,
    memory_bytes: int = MEMORY_BYTES,
) -> Answer:
    """Load a model in a child process and run the first of some trials that it takes.

    Args:
        path: its file.
        trials: ways to feed it, the likeliest first.
        external: let weights come from other files in the same folder.
        timeout_s: longest time for all of it.
        memory_bytes: most address space.

    Raises:
        ModelError: it cannot be loaded or run, or takes too much of anything.
    """
    question = {
        "path": str(path.absolute()),
        "trials": [asdict(each) for each in trials],
        "external": external,
        "memory_bytes": memory_bytes,
    }
    command = [sys.executable, "-X", "faulthandler=0", "-m", "curate.assist.probe"]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            command,
            input=json.dumps(question).encode(),
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"{path} gave no answer within {timeout_s:g} s") from None
    try:
        said = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise ModelError(f"{path} makes the ONNX runtime crash (exit {done.returncode})") from None
    if "error" in said:
        raise ModelError(f"{path} cannot be run: {said['error']}")
    return Answer(
        str(said["sha256"]),
        tuple(said["shape"]),
        tuple(said["rows"]),
        bool(said["is_between"]),
        bool(said["sums_to_one"]),
    )


def main() -> None:
    """Answer the question on stdin."""
    question = json.load(sys.stdin)
    _bound_memory(question["memory_bytes"])
    try:
        model = read_model(Path(question["path"]), external=question["external"])
        trials = [Trial(tuple(each["shape"]), each["output"]) for each in question["trials"]]
        said = asdict(answer(model, trials))
    except ModelError as error:
        said = {"error": error.message}
    except MemoryError:
        said = {"error": _too_much(question)}
    except Exception as error:  # noqa: BLE001 - the outer door of a process; ORT's errors share no class
        line = " ".join(str(error).split())
        is_memory = "bad_alloc" in line or "llocate memory" in line
        said = {"error": _too_much(question) if is_memory else line[:_DETAIL_CHARS]}
    print(json.dumps(said))  # noqa: T201 - the answer to the parent


def _too_much(question: dict[str, Any]) -> str:
    return f"it wants more than {question['memory_bytes'] / 1024**3:g} GB of memory"


def _bound_memory(n_bytes: int) -> None:
    try:
        import resource
    except ImportError:
        return  # Windows: the time limit alone
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = n_bytes if hard == resource.RLIM_INFINITY else min(n_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    # A crash of a stranger's model leaves no gigabytes behind.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def answer(model: ModelFile, trials: list[Trial]) -> Answer:
    """Load a model here and now, and run the first of some trials that it takes.

    Raises:
        ModelError: it takes none.
    """
    import numpy as np

    session = open_session(model)
    (given,) = session.get_inputs()
    failed = ""
    for trial in trials:
        try:
            fed = noise(trial.shape, given.type)
            (out,) = session.run([trial.output], {given.name: fed})
        except Exception as error:  # noqa: BLE001 - the runtime's errors share no class
            failed = failed or " ".join(str(error).split())
            continue
        rows = np.asarray(out, dtype=np.float64)
        flat = rows.reshape(rows.shape[0] if rows.ndim else 1, -1)
        is_between = bool(((flat >= -1e-6) & (flat <= 1 + 1e-3)).all())
        sums = np.abs(flat.sum(axis=1) - 1).max(initial=0.0) < 1e-2
        return Answer(model.sha256, tuple(fed.shape), tuple(rows.shape), is_between, bool(sums))
    raise ModelError(failed[:_DETAIL_CHARS] or "it was not tried")


if __name__ == "__main__":
    main()
