"""One splitter on one data set, as a program: ours and its peers, measured in the same way.

    SPLITTER DATA.npz SPLIT.npy

DATA.npz holds `rows` and `codes` (pairs of row and class), `groups` (a number for each row) and
`n_classes`. Writes the split of each row (0 train, 1 val, 2 test; 80/10/10) and prints one JSON
document: seconds of the split alone, once the library's own input is prepared, and the peak of
the process.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Data = dict[str, Any]
Job = Callable[[], Ints]
FOLDS = 10
SHARES = (0.8, 0.1, 0.1)


def curate(data: Data) -> Job:
    """Ours: from names of groups and lists of labels, as it gets them from a project.

    A group has the name of one of its images, which is the SHA-256 of the image's bytes.
    """
    from hashlib import sha256

    import pyarrow as pa

    from curate.pack.labels import Labels
    from curate.pack.split import assign

    numbers = range(int(data["groups"].max()) + 1)
    names = pa.array([sha256(b"%d" % number).hexdigest() for number in numbers])
    ids = names.take(pa.array(data["groups"]))
    classes = tuple(f"class {code:05d}" for code in range(int(data["n_classes"])))
    labels = Labels(classes, len(ids), data["rows"], data["codes"])
    return lambda: assign(ids, labels, SHARES, 0)


def stratified_group_k_fold(data: Data) -> Job:
    """scikit-learn's splitter with classes and groups; one class for each row."""
    from sklearn.model_selection import StratifiedGroupKFold

    y, groups = data["codes"], data["groups"]
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    return lambda: _from_folds((test for _, test in folds.split(y, y, groups)), len(y))


def train_test_split(data: Data) -> Job:
    """scikit-learn's plain stratified split, twice; knows no groups."""
    from sklearn.model_selection import train_test_split as divide

    y = data["codes"]

    def run() -> Ints:
        split = np.zeros(len(y), dtype=np.int64)
        train, rest = divide(np.arange(len(y)), test_size=0.2, stratify=y, random_state=0)
        val, test = divide(rest, test_size=0.5, stratify=y[rest], random_state=0)
        split[val], split[test], split[train] = 1, 2, 0
        return split

    return run


def iterative_stratification(data: Data) -> Job:
    """Multi-label folds of iterative-stratification; knows no groups."""
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

    matrix = _matrix(data)
    folds = MultilabelStratifiedKFold(FOLDS, shuffle=True, random_state=0)
    return lambda: _from_folds((test for _, test in folds.split(matrix, matrix)), len(matrix))


def iterative_shuffle_split(data: Data) -> Job:
    """Multi-label splits of iterative-stratification: train and the rest, then the rest in two."""
    from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit

    matrix = _matrix(data)

    def run() -> Ints:
        split = np.zeros(len(matrix), dtype=np.int64)
        rest = np.arange(len(matrix))
        for number, share in ((1, 0.2), (2, 0.5)):
            once = MultilabelStratifiedShuffleSplit(1, test_size=share, random_state=0)
            rest = rest[next(once.split(matrix[rest], matrix[rest]))[1]]
            split[rest] = number
        return split

    return run


def scikit_multilearn(data: Data) -> Job:
    """Multi-label folds of scikit-multilearn, by single classes; knows no groups."""
    from skmultilearn.model_selection import IterativeStratification

    matrix = _matrix(data)
    folds = IterativeStratification(n_splits=FOLDS, order=1)
    return lambda: _from_folds((test for _, test in folds.split(matrix, matrix)), len(matrix))


def _matrix(data: Data) -> Ints:
    n_rows = len(data["groups"])
    matrix = np.zeros((n_rows, int(data["n_classes"])), dtype=np.int64)
    matrix[data["rows"], data["codes"]] = 1
    return matrix


def _from_folds(folds: Any, n_rows: int) -> Ints:
    """The first fold is test, the second val, the others train; all have to be made."""
    split = np.zeros(n_rows, dtype=np.int64)
    for number, rows in enumerate(folds):
        if number < 2:
            split[rows] = 2 - number
    return split


SPLITTERS: dict[str, Callable[[Data], Job]] = {
    "curate": curate,
    "StratifiedGroupKFold": stratified_group_k_fold,
    "train_test_split": train_test_split,
    "iterative-stratification, folds": iterative_stratification,
    "iterative-stratification, shuffle split twice": iterative_shuffle_split,
    "scikit-multilearn": scikit_multilearn,
}


def main() -> None:
    name, source, target = sys.argv[1:]
    with np.load(source) as file:
        data = dict(file)
    job = SPLITTERS[name](data)
    wall, cpu = time.perf_counter(), time.process_time()
    split = job()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    np.save(target, split)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"wall_s": wall, "cpu_s": cpu, "peak_mib": peak_mib}))  # noqa: T201 - the result


if __name__ == "__main__":
    main()
