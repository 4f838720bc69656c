"""Backbone and head as one ONNX file: pictures in, probabilities out, whatever program runs it.

The head is appended to the backbone's graph as one matrix multiplication and a softmax or
sigmoids; the backbone's own weights are not touched. What a program must know besides stands
in the file's notes (`metadata_props`), as JSON texts:

    curate.classes     the classes, in the order of the outputs; "" is "none of them"
    curate.exclusive   true: one class each
    curate.preprocess  how a picture becomes the input (`Preprocess.to_json`)
    curate.thresholds  class to the score from which it is proposed
    curate.backbone    SHA-256 of the backbone's file

The same head on the same backbone gives the same bytes: no time stands in the file.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Container, Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.assist.head import Head
from curate.errors import ModelError, StoreError, UsageError, install_hint

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

OUTPUT = "scores"
PREFIX = "curate_head_"
"""Of the names of what is appended."""


def merge(
    backbone: bytes,
    head: Head,
    *,
    output: str | None,
    preprocess: Mapping[str, Any],
    backbone_sha256: str,
) -> bytes:
    """Return one ONNX file of backbone and head.

    Args:
        backbone: the ONNX file that gives embeddings, weights inside.
        head: trained on them.
        output: name of the output that holds the embeddings; None: the only one.
        preprocess: the note about the input.
        backbone_sha256: which backbone it is.

    Raises:
        UsageError: onnx is not installed, or the backbone has no such output.
        ModelError: the runtime does not take what comes out.
    """
    try:
        import onnx
    except ImportError:
        raise UsageError("training needs scikit-learn and onnx", install_hint("train")) from None
    model = onnx.load_model_from_string(backbone)
    named = [each.name for each in model.graph.output]
    if (len(named) != 1) if output is None else (output not in named):
        raise UsageError(
            f"the backbone has the outputs {', '.join(named)}", "name one of them with --output"
        )
    _append(model.graph, head, output or named[0])
    notes = {
        "curate.classes": list(head.names),
        "curate.exclusive": head.is_exclusive,
        "curate.preprocess": dict(preprocess),
        "curate.thresholds": dict(zip(head.names, head.thresholds, strict=True)),
        "curate.backbone": backbone_sha256,
    }
    _note(model, notes)
    data = bytes(model.SerializeToString(deterministic=True))
    _check(data)
    return data


def _check(data: bytes) -> None:
    """Load the file as everybody will, for a backbone may be odd in ways that only this shows."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's errors share no other class
        line = " ".join(str(error).split())[:240]
        raise ModelError(f"no head can be put on this backbone: {line}") from error


def write_model(path: Path, data: bytes) -> None:
    """Write a model's file as a whole, or not at all.

    Raises:
        StoreError: it cannot be written.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(data)
        aside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise StoreError(f"cannot write {path}: {error.strerror}") from error


def _append(graph: GraphProto, head: Head, embeddings: str) -> None:
    """Put the head behind an output of the graph, which has one output after that."""
    from onnx import TensorProto, helper, numpy_helper

    kind = next(each for each in graph.output if each.name == embeddings).type.tensor_type.elem_type
    weights, bias, cast, flat, values, scores = _free_names(graph)
    graph.initializer.append(numpy_helper.from_array(head.weights.T.copy(), weights))
    graph.initializer.append(numpy_helper.from_array(head.bias, bias))
    if kind != TensorProto.FLOAT:
        graph.node.append(helper.make_node("Cast", [embeddings], [cast], to=TensorProto.FLOAT))
        embeddings = cast
    graph.node.append(helper.make_node("Flatten", [embeddings], [flat], axis=1))
    graph.node.append(helper.make_node("Gemm", [flat, weights, bias], [values]))
    graph.node.append(
        helper.make_node("Softmax", [values], [scores], axis=1)
        if head.is_exclusive
        else helper.make_node("Sigmoid", [values], [scores])
    )
    del graph.output[:]
    graph.output.append(
        helper.make_tensor_value_info(scores, TensorProto.FLOAT, [None, len(head.names)])
    )


def _free_names(graph: GraphProto) -> list[str]:
    """Return names for what is appended; a backbone may be an earlier head, which has some."""
    taken = {each.name for part in (graph.input, graph.initializer) for each in part}
    taken |= {name for node in graph.node for name in node.output}
    wanted = [*(f"{PREFIX}{part}" for part in ("weights", "bias", "float", "flat", "values"))]
    return [_free(name, taken) for name in (*wanted, OUTPUT)]


def _free(name: str, taken: Container[str]) -> str:
    numbered = (f"{name}_{number}" for number in count(2))
    return name if name not in taken else next(each for each in numbered if each not in taken)


def _note(model: ModelProto, notes: Mapping[str, Any]) -> None:
    kept = [(each.key, each.value) for each in model.metadata_props if each.key not in notes]
    del model.metadata_props[:]
    for key, value in [*kept, *((key, json.dumps(each)) for key, each in notes.items())]:
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
