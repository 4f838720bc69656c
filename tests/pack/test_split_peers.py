"""The split beside those of others: iterative-stratification; scikit-learn on the toy dataset."""

from __future__ import annotations

import csv
import random
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from curate.pack import Recipe, pack, read_manifest
from curate.pack.labels import Labels
from curate.pack.split import assign
from tests.pack.rows import image_id, row, table
from tests.pack.test_split import per_class, several, spread

SHARES = (0.8, 0.1, 0.1)


def off_by(split: np.ndarray, labels: Labels) -> np.ndarray:
    """Images of each class off its share in each split, shape (classes, 3)."""
    found = per_class(split, labels)
    off: np.ndarray = np.abs(found - found.sum(axis=1, keepdims=True) * np.array(SHARES))
    return off


@pytest.mark.parametrize("least", [0, 2])
@pytest.mark.parametrize("seed", range(3))
def test_classes_are_no_further_off_than_iterative_stratification_leaves_them(
    seed: int, least: int
) -> None:
    stratifiers = pytest.importorskip("iterstrat.ml_stratifiers")
    names, labels = spread(several(3000, random.Random(seed), least))
    matrix = np.zeros((labels.n_rows, len(labels.classes)), dtype=np.int64)
    matrix[labels.rows, labels.codes] = 1
    in_folds = np.zeros(labels.n_rows, dtype=np.int64)
    folds = stratifiers.MultilabelStratifiedKFold(10, shuffle=True, random_state=seed)
    for number, (_, rows) in zip(range(2), folds.split(matrix, matrix), strict=False):
        in_folds[rows] = 2 - number
    in_turns = np.zeros(labels.n_rows, dtype=np.int64)
    rest = np.arange(labels.n_rows)
    for split, share in ((1, 0.2), (2, 0.5)):
        once = stratifiers.MultilabelStratifiedShuffleSplit(1, test_size=share, random_state=seed)
        rest = rest[next(once.split(matrix[rest], matrix[rest]))[1]]
        in_turns[rest] = split
    ours = off_by(assign(names, labels, SHARES, seed), labels)
    total = labels.per_class()[:, None]
    for theirs in (off_by(in_folds, labels), off_by(in_turns, labels)):
        assert ours.max() <= theirs.max() + 1e-9
        assert (ours / total).max() <= (theirs / total).max() + 1e-9
        assert ours.mean() <= theirs.mean() + 1e-9


TOY_CLASSES = ("beach", "city", "sunset", "trees")


def toy(shared: Path) -> tuple[list[str], list[list[str]]]:
    """URLs and classes of the toy dataset."""
    with (shared / "toy" / "data.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [r["url"] for r in rows], [[c for c in TOY_CLASSES if r[c] == "1"] for r in rows]


def test_the_toy_dataset_is_split_within_one_percent_and_keeps_its_twins_together(
    shared: Path, tmp_path: Path
) -> None:
    urls, classes = toy(shared)
    rows = [
        row(n, names, [f"url:{url}"])
        for n, (url, names) in enumerate(zip(urls, classes, strict=True))
    ]
    result = pack(table(rows), Recipe(), tmp_path)
    assert result.path is not None
    assert sum(result.images.values()) == 1049
    for by_split in result.proof["deviations"].values():
        assert max(map(abs, by_split.values())) < 0.01
    read = read_manifest(result.path).table(columns=["image_id", "split"])
    split_of = dict(zip(*(column.to_pylist() for column in read.columns), strict=True))
    sides = defaultdict(set)
    for n, url in enumerate(urls):
        sides[url].add(split_of[image_id(n)])
    assert len(sides) < len(urls), "some photos are in the list twice"
    assert all(len(found) == 1 for found in sides.values())


def test_a_plain_stratified_split_of_the_toy_dataset_tears_twins_and_is_further_off(
    shared: Path,
) -> None:
    from sklearn.model_selection import train_test_split

    urls, classes = toy(shared)
    labels = Labels.of(pa.array(classes, pa.list_(pa.string())))
    names = pa.array([image_id(urls.index(url)) for url in urls])
    combination = ["+".join(each) for each in classes]
    # Stratifying asks for two of each combination on both sides of both cuts.
    rare = {each for each, n in Counter(combination).items() if n < 10}
    strata = np.array(["rare" if each in rare else each for each in combination])
    torn = 0
    for seed in range(5):
        _, rest = train_test_split(
            np.arange(len(urls)), test_size=0.2, stratify=strata, random_state=seed
        )
        val, test = train_test_split(rest, test_size=0.5, stratify=strata[rest], random_state=seed)
        theirs = np.zeros(len(urls), dtype=np.int64)
        theirs[val], theirs[test] = 1, 2
        ours = assign(names, labels, SHARES, seed)
        assert off_by(ours, labels).max() <= off_by(theirs, labels).max()
        assert (off_by(ours, labels) / labels.per_class()[:, None]).max() < 0.01
        sides = defaultdict(set)
        for url, side in zip(urls, theirs.tolist(), strict=True):
            sides[url].add(side)
        torn += sum(len(found) > 1 for found in sides.values())
    assert torn > 0
