"""Other tools at the same task, in an environment of their own: run as a program.

Nothing of curate is imported, so that the peers can have whatever versions they want:
`pip install imagededup faiss-cpu pybktree czkawka fastdup` into a separate environment, and
`CURATE_BENCH_PEERS=/path/to/its/python`. Prints one JSON document.

    PEER neighbours HASHES.npy RADIUS
    PEER photos FOLDER
"""

from __future__ import annotations

import csv
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

Pairs = set[tuple[str, str]]


def faiss_multihash(hashes: Any, radius: int) -> int:
    """Count pairs with faiss's IndexBinaryMultiHash: three hashes of 21 bits."""
    return _faiss(hashes, radius, flat=False)


def faiss_flat(hashes: Any, radius: int) -> int:
    """Count pairs with faiss's IndexBinaryFlat: everything with everything."""
    return _faiss(hashes, radius, flat=True)


def _faiss(hashes: Any, radius: int, *, flat: bool) -> int:
    import faiss
    import numpy as np

    faiss.omp_set_num_threads(1)
    rows = hashes.view(np.uint8).reshape(-1, 8)
    index = faiss.IndexBinaryFlat(64) if flat else faiss.IndexBinaryMultiHash(64, 3, 21)
    if not flat:
        index.nflip = radius // 3
    index.add(rows)
    found = 0
    for start in range(0, len(rows), 20_000):
        limits = index.range_search(rows[start : start + 20_000], radius + 1)[0]
        found += int(limits[-1])
    return (found - len(rows)) // 2


def bk_tree(hashes: Any, radius: int) -> int:
    """Count pairs with pybktree."""
    import pybktree

    values = [int(each) for each in hashes]
    tree = pybktree.BKTree(lambda one, other: (one ^ other).bit_count(), values)
    return (sum(len(tree.find(each, radius)) for each in values) - len(values)) // 2


def imagededup_search(hashes: Any, radius: int) -> int:
    """Count pairs with imagededup's own search over given hashes."""
    from imagededup.methods import PHash

    encodings = {str(place): f"{int(each):016x}" for place, each in enumerate(hashes)}
    found = PHash(verbose=False).find_duplicates(
        encoding_map=encodings,
        max_distance_threshold=radius,
        search_method="brute_force_cython",
        num_dist_workers=0,
    )
    return sum(map(len, found.values())) // 2


def imagededup_photos(folder: Path) -> Pairs:
    """Pairs of imagededup's PHash at its default distance of 10."""
    from imagededup.methods import PHash

    found = PHash(verbose=False).find_duplicates(image_dir=str(folder), num_enc_workers=0)
    return {_pair(one, other) for one, others in found.items() for other in others}


def czkawka_photos(folder: Path) -> Pairs:
    """Pairs within the groups of czkawka at its binding's defaults."""
    from czkawka import ImageSimilarity

    finder = ImageSimilarity()
    finder.set_directories([str(folder)])
    return _within([each.name for each in group] for group in finder.find_similar())


def fastdup_photos(folder: Path) -> Pairs:
    """Pairs that fastdup calls similar at its default threshold of 0.9."""
    import fastdup

    work = folder.parent / "fastdup"
    run = fastdup.create(work_dir=str(work), input_dir=str(folder))
    run.run(overwrite=True, print_summary=False, verbose=False, num_threads=1, threshold=0.9)
    with (work / "atrain_features.dat.csv").open() as lines:
        names = [Path(row["filename"]).name for row in csv.DictReader(lines)]
    table = run.similarity(data=False)
    return {
        _pair(names[one], names[other])
        for one, other in zip(table["from"], table["to"], strict=True)
        if one != other
    }


def _within(groups: Iterable[Iterable[str]]) -> Pairs:
    return {_pair(a, b) for group in groups for a, b in combinations(sorted(set(group)), 2)}


def _pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)


NEIGHBOURS: dict[str, Callable[[Any, int], int]] = {
    "faiss MultiHash": faiss_multihash,
    "faiss BinaryFlat": faiss_flat,
    "pybktree": bk_tree,
    "imagededup": imagededup_search,
}
PHOTOS: dict[str, Callable[[Path], Pairs]] = {
    "imagededup": imagededup_photos,
    "czkawka": czkawka_photos,
    "fastdup": fastdup_photos,
}


def cpu_s() -> float:
    """CPU seconds of this process and of the children it has waited for."""
    return sum(os.times()[:4])


def main() -> None:
    # Peers write their own talk to standard output: keep that one clean for the result.
    result, sys.stdout = os.fdopen(os.dup(1), "w"), sys.stderr
    os.dup2(2, 1)
    peer, task, *rest = sys.argv[1:]
    wall, cpu = time.perf_counter(), cpu_s()
    if task == "neighbours":
        import numpy as np

        hashes = np.load(rest[0])
        wall, cpu = time.perf_counter(), cpu_s()
        document: dict[str, Any] = {"pairs": NEIGHBOURS[peer](hashes, int(rest[1]))}
    else:
        document = {"pairs": sorted(PHOTOS[peer](Path(rest[0])))}
    document |= {"wall_s": time.perf_counter() - wall, "cpu_s": cpu_s() - cpu}
    json.dump(document, result)
    result.close()


if __name__ == "__main__":
    main()
