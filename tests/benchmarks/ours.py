"""`curate fetch` as a user starts it: a new process, a new project, a list of URLs.

What was kept is read from the image store, not from what the command says of itself: a file
of the corpus counts as kept if an image with its SHA-256 is there.
"""

from __future__ import annotations

from typing import Final

from tests.benchmarks.measure import run
from tests.benchmarks.runs import Job, Run, clean_env, script
from tests.benchmarks.server import HOST

WORKERS: Final = 2
CONNECTIONS: Final = 256
FINISHED: Final = (0, 4)
"""Exit codes of a fetch that ran to its end: everything settled, or failures left to retry."""


def fetch(job: Job) -> Run:
    """Fetch the list into an empty project.

    Raises:
        RuntimeError: the command failed; the message is its last output.
    """
    project = job.work / "project"
    project.mkdir()
    command = [script("curate"), "fetch", "--urls", str(job.url_list), "--side", "original"]
    command += ["--allow-host", HOST, "--workers", str(WORKERS)]
    command += ["--connections", str(CONNECTIONS), "--per-host", str(CONNECTIONS)]
    command += ["-C", str(project), "--json"]
    env = clean_env(job.work)
    if job.server.ca_file is not None:
        env["CURATE_FETCH_CA_FILE"] = str(job.server.ca_file)
    cost = run(command, env, job.work)
    if cost.exit_code not in FINISHED:
        raise RuntimeError(f"curate fetch ended with {cost.exit_code}: {cost.stderr[-2000:]}")
    ids = {path.stem for path in (project / "images").rglob("*.*")}
    return Run(cost, frozenset(i.name for i in job.corpus.items if i.sha256 in ids))
