"""Backbone and head in one file: any runtime gets from it what the head says of embeddings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from curate.assist.head import Head
from curate.assist.merge import merge, write_model
from curate.errors import ModelError, StoreError, UsageError

NOTE = {"height_px": 4, "width_px": 4}


def backbone(kind: int = TensorProto.FLOAT, *, outputs: int = 1, spatial: bool = False) -> bytes:
    """Pixels as they are, under the names `out0`, `out1`."""
    shape = ["batch", 3, 2, 2]
    nodes = []
    rank = [None] * 4 if spatial else [None] * 2
    for number in range(outputs):
        last = "Identity" if spatial else "Flatten"
        nodes.append(helper.make_node(last, ["in"], [f"out{number}"]))
    graph = helper.make_graph(
        nodes,
        "backbone",
        [helper.make_tensor_value_info("in", kind, shape)],
        [helper.make_tensor_value_info(f"out{each}", kind, rank) for each in range(outputs)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    entry = model.metadata_props.add()
    entry.key, entry.value = "author", "somebody"
    return bytes(model.SerializeToString())


def head(*, is_exclusive: bool) -> Head:
    chance = np.random.default_rng(0)
    weights = chance.normal(size=(3, 12)).astype(np.float32)
    bias = chance.normal(size=3).astype(np.float32)
    return Head(("beach", "city", ""), is_exclusive, weights, bias, (0.25, 0.5, 0.75))


def merged(data: bytes, *, is_exclusive: bool = True, output: str | None = None) -> bytes:
    return merge(
        data,
        head(is_exclusive=is_exclusive),
        output=output,
        preprocess=NOTE,
        backbone_sha256="ab" * 32,
    )


@pytest.mark.parametrize("is_exclusive", [True, False])
@pytest.mark.parametrize("spatial", [True, False])
@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_a_plain_runtime_gets_what_the_head_says(
    is_exclusive: bool, spatial: bool, kind: int
) -> None:
    data = backbone(kind, spatial=spatial)
    numpy_kind = helper.tensor_dtype_to_np_dtype(kind)
    pictures = np.random.default_rng(1).random((5, 3, 2, 2)).astype(numpy_kind)
    [found] = onnxruntime.InferenceSession(data).run(None, {"in": pictures})
    expected = head(is_exclusive=is_exclusive).scores(
        np.asarray(found, dtype=np.float32).reshape(5, -1)
    )
    session = onnxruntime.InferenceSession(merged(data, is_exclusive=is_exclusive))
    assert [each.name for each in session.get_outputs()] == ["scores"]
    [scores] = session.run(None, {"in": pictures})
    assert scores.dtype == np.float32
    assert scores == pytest.approx(expected, abs=2e-3 if kind == TensorProto.FLOAT16 else 1e-5)


def test_the_notes_say_what_a_program_must_know() -> None:
    session = onnxruntime.InferenceSession(merged(backbone()))
    notes = session.get_modelmeta().custom_metadata_map
    assert {key: json.loads(text) for key, text in notes.items() if key != "author"} == {
        "curate.classes": ["beach", "city", ""],
        "curate.exclusive": True,
        "curate.preprocess": NOTE,
        "curate.thresholds": {"beach": 0.25, "city": 0.5, "": 0.75},
        "curate.backbone": "ab" * 32,
    }
    assert notes["author"] == "somebody"


def test_a_trained_model_can_be_trained_on_again_without_old_notes() -> None:
    twice = merge(
        merged(backbone()),
        Head(("a", "b"), True, np.ones((2, 3), np.float32), np.zeros(2, np.float32), (0.5, 0.5)),
        output=None,
        preprocess=NOTE,
        backbone_sha256="cd" * 32,
    )
    notes = onnxruntime.InferenceSession(twice).get_modelmeta().custom_metadata_map
    assert json.loads(notes["curate.classes"]) == ["a", "b"]


def test_the_same_is_the_same_byte_for_byte() -> None:
    assert merged(backbone()) == merged(backbone())


def test_of_several_outputs_one_must_be_named() -> None:
    with pytest.raises(UsageError, match="outputs out0, out1") as caught:
        merged(backbone(outputs=2))
    assert "--output" in caught.value.hint
    with pytest.raises(UsageError, match="outputs out0, out1"):
        merged(backbone(outputs=2), output="out7")
    session = onnxruntime.InferenceSession(merged(backbone(outputs=2), output="out1"))
    assert [each.name for each in session.get_outputs()] == ["scores"]


def test_a_backbone_whose_embeddings_have_another_size_is_refused() -> None:
    wrong = Head(("a", "b"), True, np.ones((2, 5), np.float32), np.zeros(2, np.float32), (0.5, 0.5))
    with pytest.raises(ModelError, match="no head can be put on this backbone"):
        merge(backbone(), wrong, output=None, preprocess=NOTE, backbone_sha256="")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "models" / "head.onnx"
    write_model(path, merged(backbone()))
    onnx.checker.check_model(onnx.load(path))
    assert [each.name for each in path.parent.iterdir()] == ["head.onnx"]
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        write_model(tmp_path / "file" / "head.onnx", b"")
