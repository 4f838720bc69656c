"""Learning from corrections, measured: active learning, planted label errors, the whole loop.

The first two use the real photos and the embedding model of the shared test data, and are left
out without them. Of the flowers, the published test photos are set apart before anything is
chosen; near-duplicates are left out first, so that no photo is on both sides. Embeddings are
computed once; all the rest is what `curate train` and `curate queue` do, on arrays.

cleanlab runs in an environment of its own (`CURATE_BENCH_CLEANLAB`, the path of its Python):
its licence keeps it a separate program.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from curate import Project
from curate.assist.embed import Embedder
from curate.assist.head import fit
from curate.assist.queues import farthest_first, uncertainty
from curate.assist.suspects import suspects, suspects_multilabel
from curate.carriers.lessons import collect
from curate.carriers.models import PrelabelRequest
from curate.carriers.training import TrainRequest, embedded
from curate.catalog import images
from curate.catalog.queues import read_queue
from tests.assist.scenery import CLASSES, Person, truth_of, write_backbone, write_scenes
from tests.benchmarks.report import Options, setting, talk
from tests.benchmarks.runs import table

SHARED: Final = Path(__file__).resolve().parents[3] / "shared" / "data"
MODEL: Final = SHARED / "onnx" / "mobilenet_v1_1.0_224_embed_nchw_f32.onnx"
FLOWERS: Final = SHARED / "photos" / "flowers12"
PEER_PROGRAM: Final = Path(__file__).with_name("learning_peer.py")
PICTURE: Final = Path("docs/img/active-learning.svg")
SEEDS: Final = 5
OF_EACH: Final = 5
STEP: Final = 20
ROUNDS: Final = 12
ERRORS: Final = 0.05

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Curves = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Flowers:
    """Photos as arrays."""

    embeddings: Floats
    """Shape (n, d)."""
    labels: Bools
    """Shape (n, 12)."""
    names: tuple[str, ...]
    """The classes."""
    groups: NDArray[np.int64]
    """Of which group each is."""
    is_test: Bools
    """Published as test, and set apart."""


def bench(options: Options) -> str:
    """Run all parts; return their section."""
    parts = [setting("scikit-learn", "onnxruntime", "numpy")]
    with tempfile.TemporaryDirectory() as work:
        if FLOWERS.is_dir() and MODEL.is_file():
            flowers = read_flowers(Path(work))
            parts += [_active(flowers, options), _errors(flowers, options)]
        parts.append(_loop(Path(work), options))
    return "\n\n".join(parts)


def read_flowers(work: Path) -> Flowers:
    """Import the photos, drop near-duplicates, compute embeddings."""
    project = Project(work / "flowers")
    project.import_folder(FLOWERS)
    project.duplicates.search()
    everyone = list(chain.from_iterable(images.kept(project.db)))
    names = sorted({name for each in everyone for name in each.classes})
    project.people.set_classes(names, exclusive=True)
    lessons = collect(project, "source")
    url = {each.image_id: each.url for each in everyone}
    lessons, embeddings = embedded(project, lessons, Embedder(MODEL))
    is_test = np.array(["/test/" in url[each] for each in lessons.image_ids])
    project.close()
    return Flowers(embeddings, lessons.labels, lessons.names, lessons.groups, is_test)


# Active learning


def _active(flowers: Flowers, options: Options) -> str:
    curves = active_curves(flowers, 2 if options.quick else SEEDS)
    labelled = [OF_EACH * len(flowers.names) + STEP * each for each in range(ROUNDS + 1)]
    if not options.quick:
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        PICTURE.write_text(draw(labelled, curves), encoding="utf-8")
    mean = {name: curve.mean(axis=0) for name, curve in curves.items()}
    rows = [
        [str(n), *(f"{mean[name][place]:.1%}" for name in curves)]
        for place, n in enumerate(labelled)
    ]
    goal = mean["random"][-1]
    needed = {
        name: labelled[int(np.argmax(curve >= goal))]
        for name, curve in mean.items()
        if (curve >= goal).any()
    }
    said = ", ".join(f"{name} {n}" for name, n in needed.items())
    return (
        f"### Active learning\n\n{int(flowers.is_test.sum())} test photos set apart, "
        f"{int((~flowers.is_test).sum())} to choose from, mean of "
        f"{len(next(iter(curves.values())))} seeds. Accuracy by labelled images:\n\n"
        + table(["labelled", *curves], rows)
        + f"\n\nThe random queue's final accuracy of {goal:.1%} needs: {said} labels."
    )


def active_curves(flowers: Flowers, seeds: int) -> Curves:
    """Return for each queue the test accuracy by seed and round, shape (seeds, ROUNDS + 1)."""
    choosers: Mapping[str, Callable[..., NDArray[np.int64]]] = {
        "random": _by_chance,
        "uncertain": _by_doubt,
        "different": _by_distance,
    }
    return {
        name: np.array([_curve(flowers, choose, seed) for seed in range(seeds)])
        for name, choose in choosers.items()
    }


def _curve(flowers: Flowers, choose: Callable[..., NDArray[np.int64]], seed: int) -> list[float]:
    chance = np.random.default_rng(seed)
    pool = np.flatnonzero(~flowers.is_test)
    truth = flowers.labels.argmax(axis=1)
    first = [chance.permutation(pool[truth[pool] == place])[:OF_EACH] for place in range(12)]
    chosen = np.concatenate(first)
    accuracies = []
    for _ in range(ROUNDS + 1):
        head = fit(
            flowers.embeddings[chosen],
            flowers.labels[chosen],
            flowers.names,
            flowers.groups[chosen].tolist(),
            is_exclusive=True,
            seed=seed,
        ).head
        said = head.scores(flowers.embeddings[flowers.is_test]).argmax(axis=1)
        accuracies.append(float((said == truth[flowers.is_test]).mean()))
        left = np.setdiff1d(pool, chosen)
        scores = head.scores(flowers.embeddings[left])
        picked = choose(chance, scores, flowers.embeddings[left], flowers.embeddings[chosen])
        chosen = np.concatenate([chosen, left[picked]])
    talk(f"{choose.__name__} seed {seed}: {accuracies[0]:.3f} -> {accuracies[-1]:.3f}")
    return accuracies


def _by_chance(
    chance: np.random.Generator, scores: NDArray[np.float64], *_rest: Any
) -> NDArray[np.int64]:
    return chance.permutation(len(scores))[:STEP]


def _by_doubt(
    _chance: np.random.Generator, scores: NDArray[np.float64], *_rest: Any
) -> NDArray[np.int64]:
    doubt = [
        uncertainty({str(at): value for at, value in enumerate(row)}, is_exclusive=True)
        for row in scores.tolist()
    ]
    return np.argsort(-np.array(doubt), kind="stable")[:STEP]


def _by_distance(
    _chance: np.random.Generator, _scores: NDArray[np.float64], left: Floats, known: Floats
) -> NDArray[np.int64]:
    return np.array(farthest_first(left, known, STEP)[0])


def draw(labelled: Sequence[int], curves: Curves) -> str:
    """Draw accuracy against labelled images: means as lines, seeds as bands."""
    width, height, left, top = 640, 360, 56, 20
    colours = {"random": "#8a8f94", "uncertain": "#0f766e", "different": "#b45309"}
    values = np.concatenate([each.ravel() for each in curves.values()])
    low, high = np.floor(values.min() * 20) / 20, 1.0
    span = labelled[-1] - labelled[0]

    def at(n: float, share: float) -> str:
        x = left + (n - labelled[0]) / span * (width - left - 110)
        y = top + (high - share) / (high - low) * (height - top - 50)
        return f"{x:.1f},{y:.1f}"

    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' "
        "font-family='system-ui, sans-serif' font-size='13'>",
        f"<rect width='{width}' height='{height}' fill='#ffffff'/>",
    ]
    for share in np.arange(low, high + 0.001, 0.05):
        x, y = at(labelled[0], share).split(",")
        end = at(labelled[-1], share).split(",")[0]
        parts.append(f"<path d='M{x} {y}H{end}' stroke='#e3e1da'/>")
        parts.append(
            f"<text x='{left - 8}' y='{float(y) + 4:.1f}' text-anchor='end' fill='#626b72'>"
            f"{share:.0%}</text>"
        )
    for n in labelled[::3]:
        x = at(n, low).split(",")[0]
        parts.append(
            f"<text x='{x}' y='{height - 28}' text-anchor='middle' fill='#626b72'>{n}</text>"
        )
    parts.append(
        f"<text x='{(left + width - 110) / 2}' y='{height - 8}' text-anchor='middle' "
        "fill='#626b72'>labelled images</text>"
    )
    for name, curve in curves.items():
        mean, spread = curve.mean(axis=0), curve.std(axis=0)
        points = list(zip(labelled, mean, spread, strict=True))
        band = [at(n, min(1, m + s)) for n, m, s in points]
        band += [at(n, m - s) for n, m, s in reversed(points)]
        colour = colours[name]
        parts.append(f"<polygon points='{' '.join(band)}' fill='{colour}' opacity='0.13'/>")
        line = " ".join(at(n, m) for n, m, _ in points)
        parts.append(f"<polyline points='{line}' fill='none' stroke='{colour}' stroke-width='2'/>")
    taken: list[float] = []
    for name, curve in sorted(curves.items(), key=lambda each: -each[1].mean(axis=0)[-1]):
        x, y = (float(each) for each in at(labelled[-1], curve.mean(axis=0)[-1]).split(","))
        y = max([y, *(other + 16 for other in taken)])
        taken.append(y)
        parts.append(f"<text x='{x + 8:.1f}' y='{y + 4:.1f}' fill='{colours[name]}'>{name}</text>")
    return "\n".join([*parts, "</svg>", ""])


# Planted label errors


def _errors(flowers: Flowers, options: Options) -> str:
    rows = []
    for kind in ("one class each", "several classes"):
        found: dict[str, list[tuple[float, float]]] = {}
        for seed in range(2 if options.quick else SEEDS):
            for name, pair in _planted(flowers, seed, several=kind != "one class each").items():
                found.setdefault(name, []).append(pair)
        for name, pairs in found.items():
            precision, recall = np.mean(pairs, axis=0)
            rows.append([kind, name, f"{precision:.1%}", f"{recall:.1%}"])
    return (
        f"### Planted label errors\n\n{ERRORS:.0%} of the flowers' labels are changed; the "
        "suspects are judged on the same out-of-fold probabilities.\n\n"
        + table(["labels", "suspects by", "precision", "recall"], rows)
    )


def _planted(flowers: Flowers, seed: int, *, several: bool) -> dict[str, tuple[float, float]]:
    chance = np.random.default_rng(seed)
    if several:
        embeddings, truth, groups = _pairs(flowers, chance)
    else:
        embeddings, truth, groups = flowers.embeddings, flowers.labels, flowers.groups
    n, k = truth.shape
    labels = truth.copy()
    wrong = chance.choice(n, round(n * ERRORS), replace=False)
    for row in wrong.tolist():
        if several:
            labels[row, chance.integers(k)] ^= True
        else:
            other = (truth[row].argmax() + chance.integers(1, k)) % k
            labels[row] = np.arange(k) == other
    held_out = fit(
        embeddings,
        labels,
        flowers.names,
        groups.tolist(),
        is_exclusive=not several,
        seed=seed,
    ).held_out
    ours = (
        suspects_multilabel(labels, held_out)
        if several
        else suspects(labels.argmax(axis=1), held_out)
    )
    found = {"curate": [each.place for each in ours]}
    found |= _cleanlab(labels if several else labels.argmax(axis=1), held_out)
    planted = set(wrong.tolist())
    talk(
        f"errors, seed {seed}, several={several}: "
        + ", ".join(
            f"{name} {len(planted & set(each))}/{len(each)}" for name, each in found.items()
        )
    )
    return {
        name: (
            len(planted & set(each)) / max(1, len(each)),
            len(planted & set(each)) / len(planted),
        )
        for name, each in found.items()
    }


def _pairs(
    flowers: Flowers, chance: np.random.Generator
) -> tuple[Floats, Bools, NDArray[np.int64]]:
    """Put photos together two by two: what shows both has both classes."""
    order = chance.permutation(len(flowers.labels))
    one, other = order, np.roll(order, 1)
    is_pair = chance.random(len(order)) < 0.5
    embeddings = flowers.embeddings[one].copy()
    embeddings[is_pair] = (embeddings[is_pair] + flowers.embeddings[other[is_pair]]) / 2
    labels = flowers.labels[one].copy()
    labels[is_pair] |= flowers.labels[other[is_pair]]
    return embeddings, labels, np.arange(len(order))


def _cleanlab(labels: NDArray[Any], scores: NDArray[np.float64]) -> dict[str, list[int]]:
    python = os.environ.get("CURATE_BENCH_CLEANLAB")
    if not python:
        return {}
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        np.savez(file, labels=labels, scores=scores)
        file.flush()
        done = subprocess.run(
            [python, str(PEER_PROGRAM), file.name],
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
    if done.returncode:
        talk(done.stderr)
        return {}
    answer: dict[str, list[int]] = json.loads(done.stdout.splitlines()[-1])
    return {f"cleanlab, {way}": places for way, places in answer.items()}


# The whole loop


def _loop(work: Path, options: Options) -> str:
    of_each = 40 if options.quick else 400
    folder = write_scenes(work / "scenes", of_each, [*((each,) for each in CLASSES), ()])
    backbone = write_backbone(work / "backbone.onnx")
    project = Project(work / "loop")
    project.import_folder(folder)
    truth = truth_of(project)
    project.people.set_classes(CLASSES, exclusive=True)
    person = Person(project, truth)
    rows = []
    for queue, n in (("random", 60), ("uncertain", 100), ("uncertain", 100)):
        project.learning.make_queue(queue, n)
        person.decide([each.image_id for each in read_queue(project.db, queue)], queue=queue)
        start = time.perf_counter()
        trained = project.learning.train(TrainRequest(backbone))
        seconds = time.perf_counter() - start
        assert trained.path is not None
        project.models.prelabel(PrelabelRequest(trained.path))
        proposals = project.people.proposals(truth)
        right = [each is not None and each.classes == truth[i] for i, each in proposals.items()]
        rows.append(
            [
                str(trained.n),
                f"{trained.held_out.accuracy:.1%}",
                f"{np.mean(right):.1%}",
                f"{seconds:.1f}",
            ]
        )
    project.close()
    return (
        f"### The whole loop\n\n{len(truth):,} painted scenes of four classes, or of none.\n\n"
        + table(["labelled", "accuracy held out", "accuracy on all", "training, s"], rows)
    )


if __name__ == "__main__":
    print(bench(Options(quick="--quick" in sys.argv)))  # noqa: T201 - the result
