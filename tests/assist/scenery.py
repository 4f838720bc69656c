"""A project of painted scenes that a person labels as fast as the ledger can write, and a small
backbone with weights of its own: colours by place, and what random filters answer to.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from curate import Project
from curate.catalog import images
from curate.demo import scenes
from curate.records import Annotation, Kind

SIDE_PX = 64
CLASSES = ("beach", "city", "sunset", "trees")


def write_backbone(path: Path, n_filters: int = 48, seed: int = 0) -> Path:
    """Write a model of embeddings: mean colour in 8 x 8 places, and mean answers of filters."""
    chance = np.random.default_rng(seed)
    filters = chance.normal(size=(n_filters, 3, 5, 5)).astype(np.float32)
    filters -= filters.mean(axis=(1, 2, 3), keepdims=True)
    nodes = [
        helper.make_node("AveragePool", ["input"], ["places"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Flatten", ["places"], ["colours"], axis=1),
        helper.make_node("Conv", ["input", "filters"], ["found"], strides=[2, 2]),
        helper.make_node("Relu", ["found"], ["positive"]),
        helper.make_node(
            "AveragePool", ["positive"], ["means"], kernel_shape=[15, 15], strides=[15, 15]
        ),
        helper.make_node("Flatten", ["means"], ["textures"], axis=1),
        helper.make_node("Concat", ["colours", "textures"], ["embedding"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "backbone",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, SIDE_PX, SIDE_PX])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", None])],
        [numpy_helper.from_array(filters, "filters")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def write_scenes(
    folder: Path, of_each: int, kinds: Sequence[tuple[str, ...]], side_px: int = 96
) -> Path:
    """Paint pictures into one folder for each kind, named by its classes with a plus between."""
    for kind in kinds:
        place = folder / ("+".join(kind) or "none")
        place.mkdir(parents=True)
        for number in range(of_each):
            picture = scenes.render(kind, number, side_px, side_px)
            (place / f"{number}.jpg").write_bytes(scenes.encode(picture))
    return folder


class Person:
    """Somebody who knows what every image shows.

    Args:
        project: the project.
        truth: image id to classes.
        name: who it is.
    """

    def __init__(
        self, project: Project, truth: dict[str, tuple[str, ...]], name: str = "ann"
    ) -> None:
        self.project = project
        self.truth = truth
        self.name = name
        self._numbers = itertools.count()

    def decide(
        self,
        image_ids: Iterable[str],
        said: Callable[[str], tuple[str, ...]] | None = None,
        **facts: object,
    ) -> None:
        """Label some images, truly unless `said` says otherwise."""
        answer = said or self.truth.__getitem__
        with self.project.people.ledger() as ledger:
            ledger.add(
                [
                    Annotation(
                        key=f"{self.name}-{self.project.clock()}-{next(self._numbers)}",
                        kind=Kind.LABEL,
                        annotator=self.name,
                        decided_at=self.project.clock(),
                        image_id=image_id,
                        classes=answer(image_id),
                        **facts,  # type: ignore[arg-type] # fields of an annotation
                    )
                    for image_id in image_ids
                ]
            )

    def some_of_each(self, n: int) -> list[str]:
        """Return the first n images of each kind, by image id."""
        found: dict[tuple[str, ...], list[str]] = {}
        for image_id in sorted(self.truth):
            found.setdefault(self.truth[image_id], []).append(image_id)
        return [image_id for kind in found.values() for image_id in kind[:n]]


def truth_of(project: Project) -> dict[str, tuple[str, ...]]:
    """Return what the folders say of each kept image: "beach+trees" is two classes."""
    return {
        each.image_id: tuple(
            sorted(name for hint in each.classes for name in hint.split("+") if name != "none")
        )
        for page in images.kept(project.db)
        for each in page
    }


def of_one_class(project: Project) -> Person:
    """Return somebody who knows the images of one class or none; those of two are not theirs."""
    truth = truth_of(project)
    return Person(project, {key: names for key, names in truth.items() if len(names) < 2})
