"""Small ONNX models of any shape, made where they are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

Shape = Sequence[int | str | None] | None


def classifier(
    shape: Shape = ("n", 3, 32, 32),
    *,
    kind: int = TensorProto.FLOAT,
    channels_last: bool = False,
    end: str | None = "Softmax",
    weights: np.ndarray | None = None,
    notes: Mapping[str, str] | None = None,
    opset: int = 13,
) -> ModelProto:
    """A model whose scores are linear in the mean red, green and blue of a picture.

    Args:
        shape: of the input.
        kind: element type of the input.
        channels_last: NHWC.
        end: the last operator; None: the linear scores themselves.
        weights: shape (3, classes); by default class 0 is red, 1 green and 2 blue.
        notes: its metadata.
        opset: which operators it is written with.
    """
    matrix = np.eye(3, dtype=np.float32) if weights is None else weights.astype(np.float32)
    axes = [1, 2] if channels_last else [2, 3]
    nodes = [
        helper.make_node("Cast", ["input"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["wide"], ["mean"], axes=axes, keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["linear" if end else "scores"]),
    ]
    if end:
        nodes.append(helper.make_node(end, ["linear"], ["scores"]))
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("input", kind, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(matrix, "weights")],
    )
    return finished(graph, notes, opset)


def finished(
    graph: Any, notes: Mapping[str, str] | None = None, opset: int = 13, domains: Sequence[str] = ()
) -> ModelProto:
    """A whole model of a graph."""
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(each, 1) for each in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    if notes:
        helper.set_model_props(model, dict(notes))
    return model


def saved(model: ModelProto, path: Path) -> Path:
    """Write it, and return where."""
    path.write_bytes(model.SerializeToString())
    return path
