"""The floor: one process that does nothing but decode the corpus, strictly, at 1/8 size.

Every byte of a JPEG's entropy-coded data must be read to know that the image is whole;
this is the cheapest way known to do that, so no fetch that verifies can cost less.
"""

from __future__ import annotations

import time

import simplejpeg

from tests.benchmarks.corpus import Corpus
from tests.benchmarks.measure import Cost
from tests.benchmarks.runs import Run


def _is_whole(data: bytes) -> bool:
    try:
        simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1, min_factor=8, strict=True)
    except ValueError:
        return False
    return True


def decode(corpus: Corpus) -> Run:
    """Decode every file of the corpus in this process; reading them is not counted."""
    wall_s = cpu_s = 0.0
    kept = set()
    for item in corpus.items:
        data = (corpus.files / item.name).read_bytes()
        wall, cpu = time.perf_counter(), time.process_time()
        if _is_whole(data):
            kept.add(item.name)
        cpu_s += time.process_time() - cpu
        wall_s += time.perf_counter() - wall
    return Run(Cost(wall_s, cpu_s, 0.0, 0, "", ""), frozenset(kept))
