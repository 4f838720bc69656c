"""img2dataset, the downloader that people would use otherwise, on the same URLs.

Two settings: *verify and keep* decodes each image and stores the bytes as they came, which
is the nearest it has to what a fetch does; *re-encode* is its default. Two shards for each
process measured best: with one, a process idles at the end; after five, img2dataset replaces
its processes, at two CPU seconds of imports each.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.benchmarks.measure import run
from tests.benchmarks.runs import Job, Run, clean_env, script

PROCESSES: Final = 2
SHARDS: Final = 2 * PROCESSES
THREADS: Final = 128
KEEP: Final = ("--resize_mode=no", "--skip_reencode=True")


def _kept(output: Path) -> Iterator[str]:
    """Names of the files that img2dataset reports as successes."""
    import pyarrow.parquet as pq

    for path in output.glob("*.parquet"):
        for row in pq.read_table(path, columns=["url", "status"]).to_pylist():
            if row["status"] == "success":
                yield row["url"].rpartition("/")[2]


def _img2dataset(job: Job, *flags: str) -> Run:
    output = job.work / "output"
    per_shard = -(-len(job.corpus.items) // SHARDS)
    command = [
        script("img2dataset"),
        f"--url_list={job.url_list}",
        "--input_format=parquet",
        "--url_col=url",
        f"--output_folder={output}",
        "--output_format=files",
        f"--processes_count={PROCESSES}",
        f"--thread_count={THREADS}",
        f"--number_sample_per_shard={per_shard}",
        "--timeout=30",
        *flags,
    ]
    env = clean_env(job.work, NO_ALBUMENTATIONS_UPDATE="1")
    if job.server.ca_file is not None:
        env["SSL_CERT_FILE"] = str(job.server.ca_file)
    cost = run(command, env, job.work)
    return Run(cost, frozenset(_kept(output)))


def verify_and_keep(job: Job) -> Run:
    """Decode every image, keep the original bytes."""
    return _img2dataset(job, *KEEP)


def re_encode(job: Job) -> Run:
    """img2dataset's default: decode, fit into a bordered square of 256 px, encode."""
    return _img2dataset(job)
